"""A short way must write what the long one writes, refuse what it refuses, and count as it counts."""

from __future__ import annotations

from typing import Any

import pytest

from jelly import Encoder, Limits, Oversized, Referenceable, Registry, Unjellyable
from jelly._small import MOST, write_small

from .things import Node, Plain, Tables, make_registry


class Room(Referenceable):
    """Goes by reference."""


class Hidden(Room):
    """Is not handed out."""

    is_secret = True


class Interrupted(Tables):
    """Tables in which something ends the program, at the second one."""

    def refer(self, value: object) -> Any:
        if self.exports:
            raise KeyboardInterrupt
        return super().refer(value)


ROOM = Room()
VALUES: list[dict[Any, Any]] = [
    {"data": b"x", "next": ROOM},
    {"one": ROOM, "other": Room(), "again": ROOM},
    {"none": None, "yes": True, "int": 1, "float": 1.5, "str": "a", "bytes": b"b"},
    {"room": ROOM, "large": b"x" * 100_000, "int": 2**70},
    {},
]


def met() -> Encoder:
    """Return an encoder that has met the classes before."""
    encoder = Encoder(make_registry())
    encoder.dumps([ROOM], Tables())
    encoder.takers[Hidden] = encoder.takers[Room]
    return encoder


@pytest.mark.parametrize("value", VALUES)
def test_the_short_way_writes_what_the_walk_writes(value):
    """Which way was taken is nobody's business."""
    encoder, short, long = met(), Tables(), Tables()

    payload = write_small(encoder, value, short)

    assert encoder.dumps(value, long) == payload
    assert (long.exports, long.counts) == (short.exports, short.counts)
    assert encoder.encode(value, Tables()) == payload


@pytest.mark.parametrize(
    "value",
    [
        {1: "a"},
        {"a": [1]},
        {"a": (1,)},
        {"a": Node("a")},
        {"b": ROOM, "a": {}},
        {"\ud800": ROOM},
        {"a": "\ud800"},
    ],
)
def test_anything_else_is_left_to_the_walk_with_nothing_counted(value):
    """An id that is given out in vain would be another one than the peer expects."""
    tables = Tables()

    assert write_small(met(), value, tables) is None
    assert 0 == sum(tables.counts.values())


def test_a_class_that_was_not_met_before_is_left_to_the_walk():
    """How it travels is found out there."""
    encoder, tables = Encoder(Registry()), Tables()

    assert write_small(encoder, {"room": ROOM}, tables) is None
    assert encoder.encode({"room": ROOM}, tables)
    assert write_small(encoder, {"room": ROOM}, tables) is not None


def test_what_is_refused_names_its_place_and_gives_back_what_was_counted():
    """The peer never releases what it never got."""
    encoder, tables = met(), Tables()

    with pytest.raises(Unjellyable, match=r"value: \['key'\] is secret"):
        encoder.encode({"room": ROOM, "key": Hidden()}, tables)
    with pytest.raises(Unjellyable, match="a Plain, which is not registered"):
        encoder.encode({"room": ROOM, "key": Plain()}, tables)

    assert 0 == sum(tables.counts.values())


def test_an_interruption_passes_and_gives_back_what_was_counted():
    """Ctrl-C is not a value that cannot be sent."""
    tables = Interrupted()

    with pytest.raises(KeyboardInterrupt):
        met().encode({"one": ROOM, "other": Room()}, tables)

    assert 0 == sum(tables.counts.values())


@pytest.mark.parametrize("limits", [Limits(max_exts=1), Limits(max_depth=1)])
def test_the_limits_of_the_peer_hold_on_the_short_way(limits):
    """What it would refuse is refused here, with nothing counted."""
    tables, value = Tables(), {"one": ROOM, "other": Room()}
    encoder = Encoder(make_registry(), limits)
    encoder.takers[Room] = met().takers[Room]

    with pytest.raises(Oversized):
        encoder.encode(value, tables)

    assert 0 == sum(tables.counts.values())


def test_a_payload_over_the_frame_of_the_peer_is_refused():
    """As everywhere."""
    tables = Tables()
    encoder = Encoder(make_registry(), max_payload=100)

    with pytest.raises(Oversized, match="exceeds what the peer takes"):
        encoder.encode({"room": ROOM, "text": "x" * 100}, tables)

    assert 0 == sum(tables.counts.values())


def test_a_dict_of_many_is_walked():
    """The check for plain values is better at those."""
    value = {f"key {number}": number for number in range(MOST + 1)}

    assert met().dumps(value, Tables()) == met().encode(value, Tables())
