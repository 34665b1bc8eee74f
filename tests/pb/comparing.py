"""Comparing what a side says with what a conversation says that it says."""

from __future__ import annotations

import msgpack

from pb import messages

from ..test_spec import unpack
from .binders_flavours import assert_same_ids


def assert_same(expected, found, compare):
    """Compare two envelopes as `compare` says."""
    if compare is None or compare == "items":
        assert expected.hex() == found.hex()
        return
    if compare == "ids":
        assert_same_ids(expected, found)
        return
    expected, found = unpack(expected), unpack(found)
    if compare == "hello":
        assert expected[:3] == found[:3]
        return
    if compare == "bye":
        assert [expected[0], expected[1], expected[3]] == [found[0], found[1], found[3]]
        return
    assert expected[:2] == found[:2]
    expected, found = unpack(expected[2]), unpack(found[2])
    assert expected["type"] == found["type"]
    if not expected["type"].startswith("pb."):
        assert expected == found


def joined(expected, first, said, compare):
    """Return what one side has said first, with what of the next messages belongs to the expected one.

    Those of FINISH may come in several messages that follow each other, and so may the items of a stream.
    """
    wanted, found = unpack(expected), unpack(first)
    if wanted[0] == messages.FINISH == found[0]:
        while len(found[1]) < len(wanted[1]) and said and unpack(said[0])[0] == messages.FINISH:
            found[1] += unpack(said.pop(0))[1]
    elif compare == "items" and found[:2] == wanted[:2]:
        count, items = len(unpack(wanted[2])), unpack(found[2])
        while len(items) < count and said and unpack(said[0])[:2] == wanted[:2]:
            items += unpack(unpack(said.pop(0))[2])
        found[2] = msgpack.packb(items)
    else:
        return first
    return msgpack.packb(found)
