"""What conversations compare: where the specification leaves something open, so do they."""

from __future__ import annotations

import msgpack
import pytest

from pb import messages

from .comparing import assert_same, joined

END = msgpack.packb([messages.END, 1])


def items(*values, stream=1):
    return msgpack.packb([messages.ITEMS, stream, msgpack.packb(list(values))])


@pytest.mark.parametrize(
    "said",
    [[items("a", "b")], [items("a"), items("b")], [items("a", "b"), items("c")]],
    ids=["together", "one by one", "and more"],
)
def test_items_may_share_a_message_or_not(said):
    """A producer that sends each by itself says the same (PB-S10)."""
    first = said.pop(0)

    assert_same(items("a", "b"), joined(items("a", "b"), first, said, "items"), "items")

    assert said in ([], [items("c")])


@pytest.mark.parametrize(
    "said",
    [[items("a"), END], [items("a"), items("b", stream=2)], [items("a", "b", "c")], [END]],
    ids=["the end between", "another stream", "more in one", "no items"],
)
def test_other_items_are_not_the_same(said):
    """Neither those of another stream, nor too many, nor too few."""
    first = said.pop(0)

    with pytest.raises(AssertionError):
        assert_same(items("a", "b"), joined(items("a", "b"), first, said, "items"), "items")


def test_items_are_compared_as_they_are_where_nothing_says_otherwise():
    """Bytes are bytes; only FINISH may always come in parts."""
    said = [items("b")]

    assert items("a") == joined(items("a", "b"), items("a"), said, None)
    assert [items("b")] == said
