"""`keep` is put into a CALL that was packed already, wherever it stands among what waits to be written."""

from __future__ import annotations

import msgpack
import pytest

from pb import messages
from pb.promises.keep import ask_to_keep


def batch(ids, options=None):
    """Return envelopes with these calls among them, and others between."""
    made = []
    for id in ids:
        call = [messages.CALL, id, 0, "echo", b"\x92\x90\x80"]
        made += [[messages.ANSWER, id, b"\xc0"], [*call, options] if options else call, [messages.CANCEL, 3]]
        made += [
            [messages.CALL, 0, 0, "note", b"\x92\x90\x80"],
            [messages.OBSERVE, id + 1, 1, "x", b"\x92\x90\x80"],
        ]
    return [msgpack.packb(each) for each in made]


@pytest.mark.parametrize("first", [1, 120, 250, 65_530, 2**32 - 5, 2**52])
def test_each_call_is_found_whatever_its_id(first):
    """Ids take one to nine bytes."""
    ids = range(first, first + 20, 2)
    for id in ids:
        waiting = batch(ids)
        assert ask_to_keep(waiting, id)
        found = [each for each in map(msgpack.unpackb, waiting) if len(each) == 6]
        assert [[messages.CALL, id, 0, "echo", b"\x92\x90\x80", {"keep": True}]] == found


def test_other_options_stay():
    """A call with a deadline is kept too."""
    waiting = batch([1, 3], {"ttl": 5})
    assert ask_to_keep(waiting, 3)
    assert [{"ttl": 5}, {"keep": True, "ttl": 5}] == [
        each[5] for each in map(msgpack.unpackb, waiting) if len(each) == 6
    ]


@pytest.mark.parametrize("ids", [[], [1, 3], [7, 9], [1, 9]])
def test_what_has_left_is_not_found(ids):
    """Then nothing is changed, and the caller waits for the answer."""
    waiting = batch(ids)
    before = [*waiting]
    assert not ask_to_keep(waiting, 5)
    assert before == waiting


def test_nothing_is_found_where_no_calls_wait():
    """Answers have ids too, of the other side."""
    waiting = [msgpack.packb([messages.ANSWER, 5, b"\xc0"])] * 5
    assert not ask_to_keep(waiting, 5)
