"""How many Exts a payload may hold: both sides count alike, and only where there can be too many."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any

import pytest
from msgpack import ExtType, packb, unpackb

from jelly import Decoder, Encoder, Limits, MalformedJelly, Oversized, Registry
from jelly._extcount import has_more_exts

from .things import Tables, Thing

MOST = 300
SHARED: list[object] = []


def sets(count: int) -> list[set[int]]:
    return [set() for _ in range(count)]


def decimals(count: int) -> list[decimal.Decimal]:
    return [decimal.Decimal(7)] * count


def tuples(count: int) -> list[tuple[int, ...]]:
    """Tuples in tuples, in twos."""
    assert not count % 2
    return [((number,),) for number in range(count // 2)]


def nodes(count: int) -> list[object]:
    """A GRAPH of two parts that names the first of them many times."""
    return [SHARED] * (count - 3)


def maps_in_maps(count: int) -> list[dict[int, Any]]:
    return [{1: {2: 3}} for _ in range(count // 2)]


KINDS = [sets, decimals, tuples, nodes, maps_in_maps]


def test_large_ints_among_the_arguments_of_a_call_count_too() -> None:
    """They are scalars to whoever calls, and Exts on the wire."""
    encoder = Encoder(Registry(), Limits(max_exts=MOST))

    assert [[1 << 70] * MOST, {}] == [
        *Decoder(Registry()).loads_call(encoder.encode_call((1 << 70,) * MOST, {}))
    ]
    with pytest.raises(Oversized, match=r"max_exts=300 .* in pieces"):
        encoder.encode_call((1 << 70,) * (MOST + 1), {})


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_what_is_just_allowed_crosses_and_two_more_do_not(make: Callable[[int], Any]) -> None:
    """Sender and receiver count alike (PB-V48); the sender says so before anything is sent."""
    limits = Limits(max_exts=MOST)
    encoder, decoder = Encoder(Registry(), limits), Decoder(Registry(), limits)

    assert make(MOST) == decoder.loads(encoder.dumps(make(MOST)))
    for refused in (
        lambda: encoder.dumps(make(MOST + 2)),
        lambda: encoder.encode(make(MOST + 2)),
        lambda: encoder.encode_call((make(MOST + 2),), {}),
        lambda: encoder.dumps_call((make(MOST + 2),), {}),
    ):
        with pytest.raises(Oversized, match=r"max_exts=300 .* in pieces"):
            refused()
    with pytest.raises(MalformedJelly, match="more than max_exts=300") as caught:
        decoder.loads(Encoder(Registry()).dumps(make(MOST + 2)))
    assert caught.value.too_large


def test_bytes_that_look_like_exts_are_not_counted() -> None:
    """Text in other scripts, numbers and bytes are full of them."""
    value = ["\u05d5" * 10, b"\xd4" * 40, 0xD4D4] * MOST
    limits = Limits(max_exts=MOST)

    payload = Encoder(Registry(), limits).dumps(value)

    assert value == Decoder(Registry(), limits).loads(payload)


def test_a_payload_too_short_for_so_many_is_not_looked_at() -> None:
    """At three bytes an Ext; the heads of Exts in it are text or numbers."""
    value = [b"\xd4" * (5 * MOST // 2)]
    limits = Limits(max_exts=MOST)

    assert value == Decoder(Registry(), limits).loads(Encoder(Registry(), limits).dumps(value))


def test_parts_of_a_graph_count_before_they_are_read() -> None:
    """Each is an unpacking of its own, whatever is in it."""
    decoder = Decoder(Registry(), Limits(max_exts=MOST))

    assert 7 == decoder.loads(packb(ExtType(20, packb([b"\x07"] * (MOST - 1)))))
    with pytest.raises(MalformedJelly, match="more than max_exts=300") as caught:
        decoder.loads(packb(ExtType(20, packb([b"\x07"] * MOST))))
    assert caught.value.too_large


def test_numbers_in_a_set_count_once() -> None:
    """They are packed twice: once to find their order."""
    numbers = {1 << 64 | number for number in range(MOST - 1)}
    limits = Limits(max_exts=MOST)

    assert numbers == Decoder(Registry(), limits).loads(Encoder(Registry(), limits).dumps(numbers))


def test_times_in_utc_are_not_counted() -> None:
    """They have a form of msgpack's own, which costs nothing more."""
    payload = b"\xdc\x03\xe8" + b"\xd6\xff\0\0\0\1" * 1000

    assert 1000 == len(Decoder(Registry(), Limits(max_exts=MOST)).loads(payload))
    assert not has_more_exts(payload, MOST)


def test_references_that_were_counted_for_what_is_not_sent_are_given_back() -> None:
    """Otherwise they could never be released."""
    tables = Tables()

    with pytest.raises(Oversized):
        Encoder(Registry(), Limits(max_exts=MOST)).dumps([Thing()] * (MOST + 1), tables)

    assert {1: 0} == tables.counts


def test_an_error_whose_data_hold_too_many_goes_without_them() -> None:
    """The caller is told what happened all the same."""
    registry = Registry()
    registry.add(LookupError, "LookupError")
    error = LookupError(decimals(MOST + 1))

    with pytest.warns(UserWarning, match="LookupError errors arrive without their args"):
        payload = Encoder(registry, Limits(max_exts=MOST)).dumps_error(error)

    assert payload is not None
    assert "LookupError" == unpackb(payload)["type"]
