"""The few bytes of msgpack that a login needs, in canonical form. cred does not depend on msgpack.

Only what ED25519 says: short arrays, maps, strings and byte strings. Anything else is a ValueError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Packable = str | bytes | Sequence["Packable"] | Mapping[str, "Packable"]


def pack(value: Packable) -> bytes:
    """Return the canonical bytes of a value: shortest headers, keys of maps in ascending order.

    Raises:
        ValueError: longer than 255 bytes or 15 items.
    """
    if isinstance(value, str):
        text = value.encode("utf-8")
        if len(text) < 32:
            return bytes([0xA0 | len(text)]) + text
        return bytes([0xD9, _length(text, 255)]) + text
    if isinstance(value, bytes):
        return bytes([0xC4, _length(value, 255)]) + value
    if isinstance(value, Mapping):
        items = [pack(key) + pack(item) for key, item in sorted(value.items())]
        return bytes([0x80 | _length(items, 15)]) + b"".join(items)
    items = [pack(item) for item in value]
    return bytes([0x90 | _length(items, 15)]) + b"".join(items)


def unpack_map(data: bytes, keys: Sequence[str]) -> dict[str, str | bytes]:
    """Return a map that has exactly these keys, in this order, with strings and byte strings as values.

    Raises:
        ValueError: it is anything else, or not canonical: one meaning has one form.
    """
    found: dict[str, str | bytes] = {}
    at = 1
    for key in keys:
        name, at = _unpack(data, at)
        if name != key:
            raise ValueError(f"a map without {key!r} where it belongs")
        found[key], at = _unpack(data, at)
    if pack(found) != data:
        raise ValueError("a map that is not canonical, or followed by something")
    return found


def _unpack(data: bytes, at: int) -> tuple[str | bytes, int]:
    """Read one string or byte string. Lengths that lie are found by comparing what is packed again."""
    if at >= len(data):
        raise ValueError("cut short")
    kind = data[at]
    if kind & 0xE0 == 0xA0:
        start, size = at + 1, kind & 0x1F
    elif kind in (0xC4, 0xD9):
        start, size = at + 2, sum(data[at + 1 : at + 2])  # 0 where even the length is missing
    else:
        raise ValueError("neither a short string nor a short byte string")
    body = data[start : start + size]
    return (body if kind == 0xC4 else body.decode("utf-8")), start + size


def _length(value: Sequence[object], most: int) -> int:
    if len(value) > most:
        raise ValueError(f"{len(value)} items or bytes, expected at most {most}")
    return len(value)
