"""The values of Python's own that msgpack has no format for: their bytes, both ways.

Each writer returns the Ext of one exact type; each reader takes the data of one Ext. Readers raise
MalformedJelly for data outside the grammar of spec/1-values.md 1.3 and InsecureJelly for what is too large.
"""

from __future__ import annotations

import datetime
import decimal
import re
import uuid
from collections.abc import Callable
from typing import Any, Final

from msgpack import ExtType

from ._ext import BIGINT, CIVIL, DECIMAL, DURATION, TIMESTAMP, UUID, make_ext
from .errors import InsecureJelly, MalformedJelly, Unjellyable
from .limits import Limits

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_CIVIL_DATE: Final = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_CIVIL_TIME: Final = re.compile(rb"T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?").fullmatch
_CIVIL_BOTH: Final = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?"
    rb"(?:[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?"
).fullmatch
_DECIMAL: Final = re.compile(rb"-?([0-9]+)(?:\.([0-9]+))?(?:E[+-]([0-9]+))?|-?Infinity|NaN").fullmatch
_set = object.__setattr__


class NeedsWalk(Exception):
    """Say that writing this value would run code of others, which must not happen inside a Packer."""


def write_int(value: int, limits: Limits) -> ExtType:
    """Write an int that msgpack has no format for."""
    bits = value.bit_length()
    if bits > limits.max_int_bits:
        raise Unjellyable(f"is an int of {bits} bits, over max_int_bits={limits.max_int_bits}")
    # One more bit for the sign; -2**(8n-1) is the one value that needs none.
    return make_ext(BIGINT, value.to_bytes(((value + (value < 0)).bit_length() >> 3) + 1, "big", signed=True))


def read_int(payload: bytes, limits: Limits) -> int:
    """Read a BIGINT."""
    if not payload:
        raise MalformedJelly("BIGINT without data")
    # 4,096 bits take 513 bytes with the sign: an RSA modulus must pass.
    if len(payload) > (limits.max_int_bits >> 3) + 1:
        raise InsecureJelly(
            f"int of {len(payload)} bytes is over max_int_bits={limits.max_int_bits}", "pb.TooLarge"
        )
    return int.from_bytes(payload, "big", signed=True)


def write_decimal(value: decimal.Decimal, limits: Limits) -> ExtType:
    """Write a Decimal with its trailing zeros, its sign of zero and its exponent."""
    if not value.is_finite():
        text = str(value)
        if text not in ("NaN", "Infinity", "-Infinity"):
            raise Unjellyable("is a signalling, signed or diagnostic NaN, which has no wire form")
        return make_ext(DECIMAL, text.encode())
    exponent, digits = value.adjusted(), len(value.as_tuple().digits)
    if abs(exponent) > limits.max_decimal_exponent:
        raise Unjellyable(
            f"is a Decimal of exponent {exponent}, over max_decimal_exponent={limits.max_decimal_exponent}"
        )
    if digits > limits.max_decimal_digits:
        raise Unjellyable(
            f"is a Decimal of {digits} digits, over max_decimal_digits={limits.max_decimal_digits}"
        )
    # str() writes "E" or "e" as the user's context says, so the context is ours.
    return make_ext(DECIMAL, _CONTEXT.to_sci_string(value).encode())


_CONTEXT: Final = decimal.Context(capitals=1)


def read_decimal(payload: bytes, limits: Limits) -> decimal.Decimal:
    """Read a DECIMAL."""
    # The bound comes first: "0." and 4 million zeros must not reach the regex or the constructor.
    if len(payload) > 2 * limits.max_decimal_digits + 32:
        raise InsecureJelly(
            f"Decimal of {len(payload)} bytes is over max_decimal_digits={limits.max_decimal_digits}",
            "pb.TooLarge",
        )
    found = _DECIMAL(payload)
    if found is None:
        raise MalformedJelly("DECIMAL is not a decimal number")
    whole, fraction, exponent = found.groups()
    if exponent is not None and len(exponent) > 9:
        raise InsecureJelly("Decimal of an exponent of ten or more digits", "pb.TooLarge")
    value = decimal.Decimal(payload.decode())
    if whole is not None:
        if abs(value.adjusted()) > limits.max_decimal_exponent:
            raise InsecureJelly(
                f"Decimal is over max_decimal_exponent={limits.max_decimal_exponent}", "pb.TooLarge"
            )
        if len(whole) + len(fraction or b"") > limits.max_decimal_digits:
            raise InsecureJelly(
                f"Decimal is over max_decimal_digits={limits.max_decimal_digits}", "pb.TooLarge"
            )
    return value


def write_datetime(value: datetime.datetime, limits: Limits) -> ExtType:
    """Write a datetime: in UTC as a timestamp, else as its civil time and the offset it has now."""
    zone = value.tzinfo
    if zone is datetime.UTC:
        since = value - _EPOCH
        seconds = since.days * 86_400 + since.seconds
        nanoseconds = since.microseconds * 1000
        if 0 <= seconds < 1 << 34:
            if nanoseconds or seconds >> 32:
                return make_ext(TIMESTAMP, (nanoseconds << 34 | seconds).to_bytes(8, "big"))
            return make_ext(TIMESTAMP, seconds.to_bytes(4, "big"))
        return make_ext(TIMESTAMP, nanoseconds.to_bytes(4, "big") + seconds.to_bytes(8, "big", signed=True))
    if zone is None:
        if value.fold:
            raise Unjellyable("is a naive datetime with fold=1, which has no wire form; give it a timezone")
        return make_ext(CIVIL, value.isoformat().encode())
    if type(zone) is not datetime.timezone:
        raise NeedsWalk  # utcoffset() of a foreign tzinfo is code of others
    return _write_aware(value)


def write_foreign_datetime(value: datetime.datetime, limits: Limits) -> ExtType:
    """Write a datetime whose tzinfo is a class of others, such as zoneinfo.ZoneInfo.

    What arrives is the same moment with a timezone of the same offset; the rules of the zone stay here.
    """
    if value.tzinfo is None or type(value.tzinfo) is datetime.timezone:
        return write_datetime(value, limits)
    return _write_aware(value)


def _write_aware(value: datetime.datetime) -> ExtType:
    offset = value.utcoffset()
    if offset is None:
        raise Unjellyable("is a datetime whose tzinfo gives no offset")
    if offset.seconds % 60 or offset.microseconds:
        raise Unjellyable("is a datetime whose offset is not in whole minutes, which has no wire form")
    return make_ext(CIVIL, value.isoformat().encode())


def write_date(value: datetime.date, limits: Limits) -> ExtType:
    """Write a date."""
    return make_ext(CIVIL, value.isoformat().encode())


def write_time(value: datetime.time, limits: Limits) -> ExtType:
    """Write a time of day without zone."""
    if value.tzinfo is not None or value.fold:
        raise Unjellyable("is a time with a timezone or fold=1, which has no wire form; send a datetime")
    return make_ext(CIVIL, b"T" + value.isoformat().encode())


def read_civil(payload: bytes, limits: Limits) -> datetime.date | datetime.time:
    """Read a CIVIL. fromisoformat() alone would take week dates, commas and much more."""
    try:
        if _CIVIL_BOTH(payload):
            return datetime.datetime.fromisoformat(payload.decode())
        if _CIVIL_DATE(payload):
            return datetime.date.fromisoformat(payload.decode())
        if _CIVIL_TIME(payload):
            return datetime.time.fromisoformat(payload[1:].decode())
    except ValueError:
        raise MalformedJelly("CIVIL is no date or time of the calendar") from None
    raise MalformedJelly("CIVIL is not a date or time")


def write_timedelta(value: datetime.timedelta, limits: Limits) -> ExtType:
    """Write a timedelta, rounded toward the past as Python holds it."""
    seconds = value.days * 86_400 + value.seconds
    nanoseconds = value.microseconds * 1000
    return make_ext(DURATION, nanoseconds.to_bytes(4, "big") + seconds.to_bytes(8, "big", signed=True))


def read_duration(payload: bytes, limits: Limits) -> datetime.timedelta:
    """Read a DURATION, cutting what is below a microsecond."""
    nanoseconds = int.from_bytes(payload[:4], "big")
    if len(payload) != 12 or nanoseconds >= 1_000_000_000:
        raise MalformedJelly("DURATION is not 12 bytes with nanoseconds below 10**9")
    seconds = int.from_bytes(payload[4:], "big", signed=True)
    if not -999_999_999 * 86_400 <= seconds < 1_000_000_000 * 86_400:
        raise InsecureJelly("duration is longer than 999,999,999 days")
    return datetime.timedelta(0, seconds, nanoseconds // 1000)


def write_uuid(value: uuid.UUID, limits: Limits) -> ExtType:
    """Write a UUID."""
    return make_ext(UUID, value.bytes)


def read_uuid(payload: bytes, limits: Limits) -> uuid.UUID:
    """Read a UUID, past its constructor, which costs three times as much."""
    if len(payload) != 16:
        raise MalformedJelly("UUID is not 16 bytes")
    value = _new_uuid(uuid.UUID)
    _set(value, "int", int.from_bytes(payload, "big"))
    _set(value, "is_safe", uuid.SafeUUID.unknown)
    return value


_new_uuid: Final[Callable[[type[uuid.UUID]], uuid.UUID]] = object.__new__

# Written inside the Packer, so none of them may run code of others (NeedsWalk).
LEAF_WRITERS: Final[dict[type, Callable[[Any, Limits], ExtType]]] = {
    int: write_int,
    decimal.Decimal: write_decimal,
    datetime.datetime: write_datetime,
    datetime.date: write_date,
    datetime.time: write_time,
    datetime.timedelta: write_timedelta,
    uuid.UUID: write_uuid,
}
LEAF_READERS: Final[dict[int, Callable[[bytes, Limits], object]]] = {
    BIGINT: read_int,
    DECIMAL: read_decimal,
    CIVIL: read_civil,
    DURATION: read_duration,
    UUID: read_uuid,
}
