"""Comparing what a side says with what a conversation says that it says."""

from __future__ import annotations

import msgpack

from ..test_spec import unpack
from .binders_flavours import assert_same_ids


def assert_same(expected, found, compare):
    """Compare two envelopes as `compare` says."""
    if compare is None:
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


def joined(first, size, said):
    """Return FINISH with so many ids, made of several that follow each other."""
    code, ids = unpack(first)
    while len(ids) < size and said and unpack(said[0])[0] == code:
        ids += unpack(said.pop(0))[1]
    return msgpack.packb([code, ids])
