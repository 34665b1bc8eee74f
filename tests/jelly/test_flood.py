"""Keys and members that are slow to tell apart."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from msgpack import ExtType, packb

from jelly import Decoder, InsecureJelly, Registry

from ..counting import calls_in

MERSENNE = sys.hash_info.modulus
decoder = Decoder(Registry())


def bigint(number: int) -> ExtType:
    return ExtType(24, number.to_bytes((number.bit_length() >> 3) + 1, "big", signed=True))


MEMBERS: dict[str, Callable[[int], ExtType]] = {
    "ints": lambda number: bigint((number + 16) * MERSENNE),
    "decimals": lambda number: ExtType(25, b"%d" % (number * MERSENNE)),
    "ids": lambda number: ExtType(28, (number * MERSENNE).to_bytes(16, "big")),
    "tuples": lambda number: ExtType(16, packb([1000] * 100 + [bigint((number + 16) * MERSENNE)])),
}


@pytest.mark.unmeasured
@pytest.mark.parametrize("code", [17, 18, 19], ids=["set", "frozenset", "map"])
@pytest.mark.parametrize("kind", MEMBERS)
def test_members_of_one_hash_are_bounded(kind: str, code: int) -> None:
    """A table compares each with all before it: 4,096 took up to 23 s (threats B8)."""
    make = MEMBERS[kind]
    step = 1 + code // 19

    def payload(count: int) -> bytes:
        return packb(ExtType(code, packb([each for n in range(count) for each in [make(n)] * step])))

    assert 32 == len(decoder.loads(payload(32)))
    for count in (33, 4000):
        with pytest.raises(InsecureJelly, match="have the same hash") as caught:
            decoder.loads(payload(count))
        assert "pb.TooLarge" == caught.value.wire_type


def test_powers_of_two_share_their_hashes_and_pass() -> None:
    """2**61 is 1 to Python's hash, so that these have 61 hashes together."""
    members = [bigint(1 << shift) if shift > 63 else 1 << shift for shift in range(1500)]

    assert 1500 == len(decoder.loads(packb(ExtType(17, packb(members)))))


def test_members_alike_in_the_low_bits_only_cost_little() -> None:
    """They meet in the table and are told apart by the rest of the hash, without being compared."""
    members = [number << 48 for number in range(1, 4097)]
    payload = packb(ExtType(17, packb(members)))

    assert calls_in(decoder.loads, payload) < 4 * len(members)
    assert set(members) == decoder.loads(payload)
