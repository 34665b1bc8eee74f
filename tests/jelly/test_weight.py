"""What values take of memory, as their payloads tell."""

from __future__ import annotations

import datetime
import tracemalloc
import uuid
from decimal import Decimal

import msgpack
import pytest

import jelly
from jelly._weight import MOST_PER_BYTE, cut_large, weight_of


class Point(jelly.Copyable, jelly.RemoteCopy):
    x: int
    text: str

    def __init__(self, x, text):
        self.x, self.text = x, text


REGISTRY = jelly.Registry()
REGISTRY.add(Point, "geo.Point")
LIMITS = jelly.Limits(max_floodable_keys=100_000)
SHARED = [*range(300, 1300)]
VALUES = {
    "empty dicts": [{} for _ in range(10_000)],
    "empty lists": [[] for _ in range(10_000)],
    "dicts of one": [{"": None} for _ in range(10_000)],
    "dicts with keys of their own": [{f"key {number}": None} for number in range(10_000)],
    "text of one wide character": ["\u0100"] * 10_000,
    "ASCII and wide text": ["ab", "\U0001f600"] * 10_000,
    "bytes": [b"ab"] * 10_000,
    "numbers": [*range(100_000, 110_000), *[0.5] * 10_000],
    "nothing": [None, True, 0] * 10_000,
    "rows": [{"id": number, "name": f"name {number}", "tags": ["a", "b"]} for number in range(1000)],
    "a long text": "x" * 500_000,
    "a long wide text": "x" * 500_000 + "\U0001f600",
    "large bytes": bytes(500_000),
    "large bytes twice": [bytes(500_000)] * 2,
    "copies": [Point(number, f"text {number}") for number in range(1000)],
    "a set": {*range(4000)},
    "a long set": {*range(70_000)},
    "a short set": [{1, 2} for _ in range(1000)],
    "dicts with other keys": [{number: None} for number in range(1000)],
    "tuples in tuples": [((1, 2), (3,)) for _ in range(1000)],
    "decimals": [Decimal(number) for number in range(1000)],
    "uuids": [uuid.UUID(int=number) for number in range(1000)],
    "times": [datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)] * 1000,
    "what is shared": [SHARED, SHARED, [SHARED] * 50],
}


@pytest.mark.parametrize("name", VALUES)
def test_what_a_value_weighs_is_no_less_than_it_takes(name):
    """Whoever finds values that weigh less than they take has found a way around the bound."""
    payload = bytes(jelly.Encoder(REGISTRY, LIMITS).dumps(VALUES[name]))
    decoder = jelly.Decoder(REGISTRY, LIMITS)
    decoder.loads(payload)  # what it makes once
    tracemalloc.start()
    value = decoder.loads(payload)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert value is not None

    rest, large = cut_large(payload)

    # Times are a little more than other scalars. Of tuples of small numbers each counts as an object.
    assert 0.7 * taken <= large + weight_of(rest) <= 60 * taken + 1000
    assert taken <= large + MOST_PER_BYTE * len(rest) + 1000


def test_honest_values_weigh_about_what_they_take():
    """Who counts far too much refuses honest peers."""
    for name, most in {"rows": 2.2, "a long text": 1.01, "empty dicts": 1.1, "numbers": 1.3}.items():
        payload = bytes(jelly.Encoder(REGISTRY).dumps(VALUES[name]))
        tracemalloc.start()
        value = jelly.Decoder(REGISTRY).loads(payload)
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()

        assert weight_of(payload) <= most * taken, name
        assert value is not None


def test_large_bytes_are_cut_out():
    """Nothing is unpacked of them: to weigh a block of a file takes no time."""
    block = bytes(100_000)

    for payload in (msgpack.packb(block), msgpack.packb([[block, 1], {}])):
        rest, large = cut_large(payload)
        assert 100_000 == large
        assert len(payload) - large == len(rest) - 1  # an Ext in place of their head

    short = msgpack.packb(bytes(1000))
    assert (short, 0) == cut_large(short)
