"""Values as JSON and back, in the notation of spec/vectors: plain what JSON has, the rest as $-maps."""

from __future__ import annotations

import datetime
import json
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import jelly
from pb.reference import RemoteReference

_EXACT: Final = 2**53


def dumps(value: object, indent: int | None = None) -> str:
    """Return a value as one JSON text; what no notation exists for is shown as `{"$object": type}`."""
    return written(_plain(value, ()), indent)


def written(plain: object, indent: int | None = None) -> str:
    """Return what JSON has as its text: readable, and so that no terminal obeys what a peer has put there."""
    text = json.dumps(plain, ensure_ascii=False, indent=indent)
    return "\n".join(map(_escaped, text.split("\n")))


def _escaped(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else _code(char) for char in line)


def _code(char: str) -> str:
    return r"\u007f" if char == "\x7f" else json.dumps(char)[1:-1]  # JSON leaves DEL as it is


def loads(text: str) -> Any:
    """Read a value.

    Raises:
        ValueError: it is no JSON, or a map with a $ key that is not understood.
    """
    try:
        return json.loads(text, object_hook=_value)
    except json.JSONDecodeError as error:
        raise ValueError(f"{text!r} is no JSON ({error}); a text needs quotes: '\"text\"'") from None


def _plain(value: Any, around: tuple[int, ...]) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < _EXACT else {"$int": str(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) and value != int(value) else {"$float": repr(value)}
    if id(value) in around:
        return {"$cycle": True}
    around = (*around, id(value))
    if isinstance(value, list):
        return [_plain(item, around) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _plain(item, around) for key, item in value.items()}
        return {"$map": [[_plain(key, around), _plain(item, around)] for key, item in value.items()]}
    for kind, name in ((tuple, "$tuple"), (set, "$set"), (frozenset, "$frozenset")):
        if isinstance(value, kind):
            return {name: [_plain(item, around) for item in value]}
    for kind, write in _WRITE.items():
        if isinstance(value, kind):
            return write(value)
    if isinstance(value, RemoteReference):
        return {"$ref": str(value._pb_import.id)}
    if isinstance(value, jelly.Relayed):
        return {"$copy": [value.name, _plain(value.state, around)]}
    return {"$object": type(value).__name__}


def _moment(value: datetime.datetime) -> dict[str, str]:
    text = value.isoformat()
    return {"$timestamp": text.replace("+00:00", "Z")} if value.tzinfo is datetime.UTC else {"$civil": text}


def _error(value: BaseException) -> dict[str, dict[str, str]]:
    if isinstance(value, jelly.RemoteError):
        return {"$error": {"type": value.remote_type, "msg": value.message}}
    text = str(value)
    if len(value.args) == 1 and isinstance(value.args[0], str) and text == str(value.args[0]):
        # As it was sent: errors escape what a peer has put in their text, and written() would do so again.
        text = str.__str__(value.args[0])
    return {"$error": {"type": type(value).__name__, "msg": text}}


_WRITE: Final[dict[Any, Callable[[Any], Any]]] = {
    bytes: lambda value: {"$bytes": value.hex()},
    Decimal: lambda value: {"$decimal": str(value)},
    uuid.UUID: lambda value: {"$uuid": str(value)},
    datetime.datetime: _moment,
    datetime.date: lambda value: {"$civil": value.isoformat()},
    datetime.time: lambda value: {"$civil": f"T{value.isoformat()}"},
    datetime.timedelta: lambda value: {"$duration": str(value.total_seconds())},
    BaseException: _error,
}


def _civil(text: str) -> object:
    if text.startswith("T"):
        return datetime.time.fromisoformat(text[1:])
    if "T" in text:
        return datetime.datetime.fromisoformat(text)
    return datetime.date.fromisoformat(text)


_READ: Final[dict[str, Callable[[Any], Any]]] = {
    "$int": int,
    "$float": float,
    "$bytes": bytes.fromhex,
    "$tuple": tuple,
    "$set": set,
    "$frozenset": frozenset,
    "$map": dict,
    "$decimal": Decimal,
    "$uuid": uuid.UUID,
    "$timestamp": lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00")),
    "$civil": _civil,
    "$duration": lambda text: datetime.timedelta(seconds=float(text)),
}


def _value(found: dict[str, Any]) -> Any:
    name = next((key for key in found if key.startswith("$")), None)
    if name is None:
        return found
    read = _READ.get(name) if len(found) == 1 else None
    if read is None:
        raise ValueError(f"{name!r} stands alone in its map and is one of {', '.join(_READ)}")
    try:
        return read(found[name])
    except Exception as error:
        raise ValueError(f"{name} of {found[name]!r}: {error}") from None
