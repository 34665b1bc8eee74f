"""The numbers that bound one payload. Knows nothing of frames or calls; spec/limits.md gives the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """Bound what one payload may hold.

    An Encoder is given the peer's limits, so a sender that knows raises first; a Decoder is given ours.

    Attributes:
        max_depth: nesting of arrays, maps and extensions together. Values deeper than a few hundred
            break repr(), == and copy.deepcopy() of whoever receives them.
        max_exts: values of a type that msgpack has not (sets, decimals, copies, references; not datetimes in
            UTC), at whatever depth. Each costs Python a few microseconds.
        max_containers: lists and dicts, at whatever depth, those that other values travel as included: a set
            is one, a copy two or more. So many small ones take 50 ms, most of it in the cyclic collector.
        max_floodable_keys: dict keys and set members, a payload, whose hash a peer can choose.
            600 crafted ints make look-ups 80 times slower.
        max_int_bits: bits of the magnitude of an int. str() of more than 4,300 digits raises.
        max_decimal_digits: digits of a Decimal.
        max_decimal_exponent: largest magnitude of a Decimal's exponent, as decimal128 has it.
            int(Decimal("1E+1000000")) takes 27 s and 13 bytes.
        max_name_bytes: length of a wire name.
        max_error_bytes: length of an error's text as UTF-8; longer text is cut, not refused.
    """

    max_depth: int = 64
    max_exts: int = 20_480
    max_containers: int = 131_072
    max_floodable_keys: int = 4096
    max_int_bits: int = 4096
    max_decimal_digits: int = 4096
    max_decimal_exponent: int = 6144
    max_name_bytes: int = 128
    max_error_bytes: int = 4096


DEFAULT_LIMITS: Final = Limits()
