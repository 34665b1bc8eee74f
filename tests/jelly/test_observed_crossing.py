"""Observed lists and dicts cross as plain ones."""

from __future__ import annotations

import pytest

from jelly import Decoder, Encoder, Registry
from jelly.observed import ObservedDict, ObservedList


def shared(item):
    return [item, {"again": item}]


def cyclic(item):
    item.append(item)
    return item


@pytest.mark.parametrize(
    ("make", "plain"),
    [
        (ObservedList, [1, [2]]),
        (ObservedList, [1, 2]),
        (ObservedDict, {"a": [1]}),
        (ObservedDict, {"a": 1}),
        (ObservedDict, {1: 2, (3, 4): [5]}),
    ],
)
@pytest.mark.parametrize(
    "around", [lambda item: item, lambda item: [item, 0], shared], ids=["", "in", "shared"]
)
def test_an_observed_value_has_the_bytes_of_a_plain_one(make, plain, around):
    """The receiver need not know that somebody listens here."""
    encoder = Encoder(Registry())
    payload = encoder.dumps(around(make(plain)))

    assert encoder.dumps(around(plain)) == payload
    assert around(plain) == Decoder(Registry()).loads(payload)


def test_an_observed_list_that_holds_itself_crosses_so():
    """As a plain one does."""
    encoder = Encoder(Registry())

    assert encoder.dumps(cyclic([])) == encoder.dumps(cyclic(ObservedList()))
