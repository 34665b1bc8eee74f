"""Payloads as text for people, in the notation of the conversations under spec/vectors.

Shows what the bytes say, whether or not anybody would accept them: nothing is built, imported or looked up,
and what is printed is bounded and holds no control characters. Spec: spec/1-values.md.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgpack

__all__ = ["show"]

_MAX_DEPTH: Final = 64
_MAX_DIGITS_BYTES: Final = 513  # of a BIGINT that is written in decimal: PB-V20
_KEPT_BYTES: Final = 256  # of bytes that are no text

# Exts whose data is one unsigned integer, and those whose data is one array or map of values.
_UINTS: Final = {1: "REF", 2: "HOME", 3: "ANSWER", 5: "STREAM", 10: "CACHED", 21: "NODE"}
_SPREAD: Final = {4: "REFX", 8: "COPY", 9: "CACHE"}
_ONE: Final = {11: "ERROR", 16: "TUPLE", 17: "SET", 18: "FROZENSET", 19: "MAP"}
_TEXTS: Final = {25: "DECIMAL", 26: "CIVIL"}
_GRAPH: Final = 20
_OPAQUE: Final = 12
_BIGINT: Final = 24
_DURATION: Final = 27
_UUID: Final = 28


class _Pairs(list[tuple[Any, Any]]):
    """A map as it stands in the bytes, keys of any kind and duplicates included."""


def show(payload: bytes | memoryview, max_chars: int = 2000) -> str:
    """Return a payload as one line of text, cut short after `max_chars` characters."""
    found = unpack(bytes(payload))
    if found is None:
        return f"not msgpack: {_bytes(bytes(payload))}"
    return _cut(_pieces(found[0], 0), max_chars)


def show_value(value: Any, max_chars: int = 2000) -> str:
    """Return a value of an envelope as text, likewise."""
    return _cut(_pieces(value, 0), max_chars)


def _cut(pieces: Iterator[str], max_chars: int) -> str:
    """Join pieces of text until there is enough of it."""
    kept: list[str] = []
    room = max_chars
    for piece in pieces:
        kept.append(piece[:room])
        room -= len(piece)
        if room < 0:
            kept.append("…")
            break
    return "".join(kept)


def unpack(data: bytes) -> tuple[Any] | None:
    """Unpack an object, leaving Exts as they are; None where it is not one object of msgpack."""
    try:
        return (
            msgpack.unpackb(
                data,
                ext_hook=msgpack.ExtType,
                object_pairs_hook=_Pairs,
                strict_map_key=False,
                unicode_errors="replace",
            ),
        )
    except Exception:  # at least eight types come out of msgpack
        return None


def _pieces(value: Any, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        yield "…"
    elif value is None or isinstance(value, bool | str):
        yield _quoted(value)
    elif isinstance(value, int | float):
        yield repr(value)
    elif isinstance(value, bytes):
        yield _bytes(value)
    elif isinstance(value, msgpack.Timestamp):
        yield _time(value)
    elif isinstance(value, msgpack.ExtType):
        yield from _ext(value.code, value.data, depth)
    elif isinstance(value, _Pairs | dict):
        yield "{"
        for index, (key, item) in enumerate(value.items() if isinstance(value, dict) else value):
            yield ", " if index else ""
            if isinstance(key, str) and key.isidentifier() and key.isascii():
                yield key
            else:
                yield from _pieces(key, depth + 1)
            yield ": "
            yield from _pieces(item, depth + 1)
        yield "}"
    else:
        yield "["
        yield from _listed(value, depth)
        yield "]"


def _quoted(value: str | bool | None) -> str:
    return json.dumps(value).replace("\x7f", r"\u007f")  # the one control character that JSON leaves raw


def _listed(items: list[Any], depth: int) -> Iterator[str]:
    for index, item in enumerate(items):
        yield ", " if index else ""
        yield from _pieces(item, depth + 1)


def _ext(code: int, data: bytes, depth: int) -> Iterator[str]:
    if code in _UINTS:
        yield f"{_UINTS[code]}({int.from_bytes(data[:8], 'big')})"
        return
    if code in _SHOWN:
        yield _SHOWN[code](data)
        return
    found = unpack(data)
    name = _SPREAD.get(code) or _ONE.get(code) or ("GRAPH" if code == _GRAPH else None)
    if name is None or found is None:
        yield f"EXT({code}, {_bytes(data)})"
        return
    (value,) = found
    yield f"{name}("
    if code == _GRAPH and isinstance(value, list) and not isinstance(value, _Pairs):
        for index, part in enumerate(value):
            yield ", " if index else ""
            parts = unpack(part) if isinstance(part, bytes) else None
            yield from _pieces(part if parts is None else parts[0], depth + 1)
    elif code in _SPREAD and isinstance(value, list) and not isinstance(value, _Pairs):
        yield from _listed(value, depth)
    else:
        yield from _pieces(value, depth + 1)
    yield ")"


def _bytes(data: bytes) -> str:
    if data.isascii() and data.decode("ascii").isprintable() and len(data) <= 1024:
        return f"b{_quoted(data.decode('ascii'))}"
    more = f"… {len(data)} bytes" if len(data) > _KEPT_BYTES else ""
    return f"0x{data[:_KEPT_BYTES].hex()}{more}"


def _time(value: Any) -> str:
    try:
        text = str(value.to_datetime().isoformat())
    except Exception:  # a year that no calendar has
        return f"TIME({value.seconds}, {value.nanoseconds})"
    return text.replace("+00:00", "Z")


def _bigint(data: bytes) -> str:
    if len(data) > _MAX_DIGITS_BYTES:
        return f"BIGINT({_bytes(data)})"
    return f"BIGINT({int.from_bytes(data, 'big', signed=True)})"


def _duration(data: bytes) -> str:
    if len(data) != 12:
        return f"DURATION({_bytes(data)})"
    seconds = int.from_bytes(data[4:], "big", signed=True)
    return f"DURATION({seconds} s + {int.from_bytes(data[:4], 'big')} ns)"


def _uuid(data: bytes) -> str:
    return f"UUID({uuid.UUID(bytes=data)})" if len(data) == 16 else f"UUID({_bytes(data)})"


def _text(name: str) -> Callable[[bytes], str]:
    return lambda data: f"{name}({_quoted(data[:1024].decode('ascii', 'replace'))[1:-1]})"


_SHOWN: Final[dict[int, Callable[[bytes], str]]] = {
    _BIGINT: _bigint,
    _DURATION: _duration,
    _UUID: _uuid,
    _OPAQUE: lambda data: f"OPAQUE({_quoted(data[:1024].decode('utf-8', 'replace'))})",
    **{code: _text(name) for code, name in _TEXTS.items()},
}
