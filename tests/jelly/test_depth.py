"""How deep something nests, from its bytes alone, in both ways of finding out."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import pytest
from msgpack import packb

from jelly import _depth, preflight
from jelly._depth import count_openers, native_depth

from .test_hostile import SEED, corpus, mutate


def test_the_unpacker_keeps_its_place_on_a_stack_of_1024() -> None:
    """preflight() is built on that; where it is not so, the slow way is taken."""
    assert _depth._FIXED_STACK == (msgpack.Unpacker.__module__ != "msgpack.fallback")


@pytest.fixture(params=["skipping", "walking"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Take each of the two ways."""
    monkeypatch.setattr(_depth, "_FIXED_STACK", request.param == "skipping" and _depth._FIXED_STACK)
    return str(request.param)


@pytest.mark.parametrize(
    ("payload", "depth", "problem"),
    [
        (b"\xc0", 0, None),
        (b"\x91\xc0", 0, "nests deeper than 0"),
        (b"\x91" * 64 + b"\xc0", 64, None),
        (b"\x91" * 65 + b"\xc0", 64, "nests deeper than 64"),
        (b"\x81\xa0" * 64 + b"\xc0", 64, None),
        (b"\x91" * 64 + b"\x90", 64, "nests deeper than 64"),
        (b"\xdc\x00\x01" * 3 + b"\x80", 2, "nests deeper than 2"),
        (b"\xdf\x00\x00\x00\x01\xa0\xc0", 1, None),
        (b"", 1, "is not msgpack (OutOfData)"),
        (b"\xc1", 1, "is not msgpack"),
        (b"\x01\x01", 1, "has 1 bytes after its end"),
        (b"\xc4\x05ab", 1, "is not msgpack (OutOfData)"),
        (b"\xdd\xff\xff\xff\xff", 1, "is not msgpack"),
    ],
)
def test_what_is_wrong_is_told(way: str, payload: bytes, depth: int, problem: str | None) -> None:
    """Both ways tell the same."""
    found = preflight(payload, depth)

    assert (found or "").startswith(problem or "")
    assert (found is None) == (problem is None)


def test_both_ways_agree_on_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit must not depend on which msgpack is installed (threats B16)."""
    chance = random.Random(SEED)
    source = corpus()
    payloads = source + [mutate(chance.choice(source), source, chance) for _ in range(1000)]
    payloads += [packb([1.5, b"x" * 300, "x" * 40, 2**40, -(2**20), True, "y" * 70000, b"z" * 70000])]
    skipped = [preflight(payload, 4) is None for payload in payloads]

    monkeypatch.setattr(_depth, "_FIXED_STACK", False)

    assert skipped == [preflight(payload, 4) is None for payload in payloads]


@pytest.mark.parametrize("value", [1, [], [[]], {"a": [{}]}, [1, [2, [3]], {}], [[[]], [[[]]]]], ids=repr)
def test_bounds_and_the_true_depth(value: Any) -> None:
    """The bound is cheap and never too low; empty containers count one more."""
    assert native_depth(value) <= count_openers(packb(value)) + 1


@pytest.mark.parametrize("inside", [1, [], [[]], {}, {"a": []}], ids=repr)
@pytest.mark.parametrize("at", [0, 5, 30])
def test_the_true_depth_is_found_among_many_members(at: int, inside: Any) -> None:
    """Of long containers only those are gone through that hold others, wherever these stand."""
    members: list[Any] = [None] * 30
    members.insert(at, inside)
    deepest = native_depth(inside)

    assert 1 + deepest == native_depth(members)
    assert 2 + deepest == native_depth([1, {str(key): each for key, each in enumerate(members)}])


@pytest.mark.parametrize(
    ("payload", "depth"),
    [
        ("c0", 0),
        ("90", 1),
        ("91c0", 1),
        ("9190", 2),
        ("91c40190", 1),  # bytes that look like an array
        ("c40191", 0),
        ("81a161c0", 1),
        ("81a16180", 2),
        ("d41591", 0),  # what is in an Ext does not count
        ("91d41591", 1),
        ("dc000191dc0000", 3),
    ],
)
def test_depth_is_found_from_the_bytes_or_the_content(payload: str, depth: int) -> None:
    """The first byte of a container may be the only one of its kind, or look like more than it is."""
    data = bytes.fromhex(payload)
    content = msgpack.unpackb(data, ext_hook=lambda code, data: None)

    assert depth == _depth.depth_of(data, content, None, 64)


def test_what_came_out_of_an_extension_is_not_part_of_the_object() -> None:
    """It was counted as the weight of that extension."""
    inner = [[[]]]

    assert 4 == native_depth([inner])
    assert 1 == native_depth([inner], {id(inner)})


def test_a_cycle_is_not_entered_and_would_come_to_an_end() -> None:
    """What a part is may be a NODE as a whole, and stand on a cycle."""
    ring: list[object] = []
    ring.append(ring)

    assert 0 == native_depth(ring, {id(ring)})
    assert 1 == native_depth([ring], {id(ring)})
    assert 65 == native_depth(ring, None, 64)


def test_without_the_c_unpacker_the_slow_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Unpacker is written in Python and nests on the stack of Python."""
    from msgpack import fallback

    monkeypatch.setattr(msgpack, "Unpacker", fallback.Unpacker)

    assert not _depth._has_fixed_stack()
