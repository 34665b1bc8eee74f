"""What a peer must not say, and what becomes of the connection: spec 3.1, "The unexpected", and PB-F8."""

from __future__ import annotations

import logging

import msgpack
import pytest

import pb
from pb import messages

from ..pump import STEPS, Script, packed

NOTHING = packed([[], {}])


class Root(pb.Root):
    def __init__(self):
        self.seen = []

    def remote_note(self, value=None):
        self.seen.append(value)


def bye_of(script):
    """Return the code of the BYE that was said; everything before it is dropped."""
    return next((message[1] for message in script.heard() if message[0] == messages.BYE), None)


@pytest.mark.parametrize("batch", [False, True], ids=["frames", "batch"])
@pytest.mark.parametrize(
    "message",
    [
        [2, 1, packed(None)],
        [3, 1, packed({"type": "pb.Gone", "msg": ""})],
        [2, 0, packed(None)],
        [2, -1, packed(None)],
        [2, "1", packed(None)],
        [2, None, packed(None)],
        [2, True, packed(None)],
        [2, 1],
        [2, 1, packed(None), None],
        [3, 1, "text"],
        [4, 1],
        [4, 0],
        [4, -1],
        [4, True],
        [4, 1, 1],
        [4],
        [6, [1, 1]],
        [6, [0, 1]],
        [6, [1]],
        [6, [True, 1]],
        [6, {}],
        [6],
        [8, 1],
        [8, ["1"]],
        [8, [1], 1],
        [13],
        [14, 1, 2],
        [1, 1, 0, "note"],
        [1, 1, 0, "note", NOTHING, {}, None],
        [1, 1, 0, "note", NOTHING, None],
        [1, 1, 0, "note", NOTHING, []],
        [1, "1", 0, "note", NOTHING],
        [1, True, 0, "note", NOTHING],
        [1, -1, 0, "note", NOTHING],
        [1, 2**53, 0, "note", NOTHING],
        [1, 1, None, "note", NOTHING],
        [1, 1, 0, b"note", NOTHING],
        [1, 1, 0, "note", "text"],
        [1, 1, 0, "note", None],
        [1, 1, 0, "note", NOTHING, {"ttl": "5"}],
        [1, 1, 0, "note", NOTHING, {"ttl": True}],
        [1, 1, 0, "note", NOTHING, {"keep": 1}],
        [1, 1, 0, "note", NOTHING, {"needs": 1}],
        [1, 1, 0, "note", NOTHING, {"trace": "x"}],
        [1, 1, 0, "note", NOTHING, {"meta": []}],
        [15],
        [15, 0, "", 0, 0],
        [15, "0", "", 0],
        [15, 0, b"", 0],
        [15, 0, "", None],
        [15, -1, "", 0],
        [15, 0, "", -1],
        [5, [1]],
        [7, "0", 1, "set", NOTHING],
        [7, 0, 1, 2, NOTHING],
        [7, 0, 1, "set", "text"],
        [7, 0, 1, "set"],
        [9, 1, 1],
        [10, 1, packed([])],
        [11, 1],
        [12, 1],
        [16, 1],
        [31],
        [32],
        [-1],
        [2**63],
    ],
    ids=repr,
)
def test_a_broken_rule_ends_the_connection(message, batch):
    """Spec 3.1, "The unexpected", and PB-F8: BYE 3, and what came before it has taken effect."""
    root = Root()
    script = Script(root)
    before = [1, 0, 0, "note", packed([["before"], {}])]
    after = [1, 0, 0, "note", packed([["after"], {}])]
    script.say(*([[before, message, after]] if batch else [before, message, after]))

    assert messages.BYE_PROTOCOL == bye_of(script)
    assert script.side.has_ended
    assert messages.BYE_PROTOCOL == script.side.error.code
    assert ["before"] == root.seen


@pytest.mark.parametrize("inner", [[[13, 1]], [], None, 5, {}, ["x"], [None], [1.5]], ids=repr)
def test_a_batch_holds_messages_and_nothing_else(inner):
    """Not even another batch (PB-F11)."""
    script = Script()
    script.say([[13, 1], inner])

    assert [[14, 1], messages.BYE_PROTOCOL] == [m if m[0] == 14 else m[1] for m in script.heard()]


@pytest.mark.parametrize(
    "message",
    [
        [8, [5]],
        [8, [0]],
        [14, 1],
        [1, 0, 99, "note", NOTHING],
        [1, 0, 0, "no such", NOTHING],
        [1, 0, 0, "note", NOTHING, {"unknown": 5, "ttl": 5, "trace": {}, "meta": {}, "keep": False}],
    ],
    ids=repr,
)
def test_some_of_the_unexpected_is_ignored(message):
    """Because it can happen between two that keep the rules."""
    script = Script(Root())
    script.say(message, [13, 1])

    assert [[14, 1]] == script.heard()


def test_gone_for_the_root_is_ignored_though_we_hold_it():
    """Id 0 is never revoked (spec 3.1, "The unexpected")."""
    script = Script()
    root = script.broker.root_reference()
    script.say([8, [0]])
    outcome = root.echo(1)

    assert 0 == outcome.settled
    assert [[1, 1, 0, "echo", packed([[1], {}])]] == script.heard()


@STEPS
def test_call_ids_only_increase(step):
    """So an answer can never be for another call (PB-M10)."""
    root = Root()
    script = Script(root, step=step)
    script.say([1, 5, 0, "note", NOTHING], [1, 0, 0, "note", NOTHING], [1, 6, 0, "note", NOTHING])
    assert [[2, 5, packed(None)], [2, 6, packed(None)]] == script.heard()
    script.say([1, 6, 0, "note", NOTHING])

    assert messages.BYE_PROTOCOL == bye_of(script)
    assert 3 == len(root.seen)


def test_a_call_id_of_the_largest_size_is_taken():
    """The limit itself is within it."""
    script = Script(Root())
    script.say([1, 2**53 - 1, 0, "note", NOTHING])

    assert [[2, 2**53 - 1, packed(None)]] == script.heard()


@STEPS
@pytest.mark.parametrize(
    ("message", "code"),
    [
        ([1, 1, 0, "note", b"\xc1"], 4),
        ([1, 1, 0, "note", b""], 4),
        ([1, 1, 0, "note", packed([[]])], 4),
        ([1, 1, 0, "note", packed([])], 4),
        ([1, 1, 0, "note", b"\x91" * 100 + b"\xc0"], 5),
    ],
    ids=["no msgpack", "empty", "no kwargs", "no args", "deep"],
)
def test_a_malformed_payload_ends_the_connection(step, message, code):
    """Nobody knows what else of it is wrong."""
    script = Script(Root(), step=step)
    script.say(message)

    assert code == bye_of(script)
    assert code == script.side.error.code


@pytest.mark.parametrize("code", [messages.PING, messages.PONG])
@pytest.mark.parametrize(
    "token", [None, True, 1.5, b"x", [1], {}, "x" * 65, "é" * 33, msgpack.Timestamp(5)], ids=repr
)
def test_a_token_is_an_integer_or_a_short_text(code, token):
    """Whoever sends it gets it back, so it must be small (PB-M35)."""
    script = Script()
    script.say([code, token])

    assert script.side.error.code in (messages.BYE_PROTOCOL, messages.BYE_MALFORMED)


def test_a_fault_of_our_own_ends_the_connection_and_tells_nothing(caplog):
    """The log has it; the peer is told that it is not to blame."""

    def broken():
        raise RuntimeError("secret")

    script = Script(greet=False)
    script.side.opened = broken
    with caplog.at_level(logging.ERROR):
        script.say([0, "PB", 1, {}])

    assert [15, 9, "internal error", 0] == script.heard()[-1]
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ([1, 1, 2**53, "echo", b"\x92\x90\x80"], "target is out of range"),
        ([1, 1, 0, "echo", b"\x92\x90\x80", {"ttl": -1}], "'ttl' is not from 0 to 2^53-1"),
        ([1, 1, 0, "echo", b"\x92\x90\x80", {"ttl": 2**53}], "'ttl' is not from 0 to 2^53-1"),
        ([1, 1, 0, "echo", b"\x92\x90\x80", {"ttl": "5"}], "'ttl' is no int"),
        ([1, 1, 0, "echo", b"\x92\x90\x80", {"needs": ["5"]}], "no call id"),
        ([1, 1, 0, "echo", b"\x92\x90\x80", {"meta": {"a": 1}}], "'meta' holds something that is no str"),
        ([6, [1]], "no count"),
    ],
    ids=["target", "negative ttl", "ttl above 2^53-1", "ttl of text", "needs", "meta", "release"],
)
def test_fields_out_of_range_end_the_connection_with_a_word(message, text):
    """Who sends them is broken, and is told how."""
    script = Script()
    script.say(message)

    assert script.side.has_ended
    assert text in str(script.side.error)


def test_a_malformed_error_ends_the_connection_and_settles_its_call():
    """The row stays until the payload is decoded, so that nobody waits for ever."""
    script = Script()
    outcome = script.broker.root_reference().thing()
    script.heard()
    script.say([3, 1, b"\xc1"])

    assert script.side.has_ended
    with pytest.raises(pb.OutcomeUnknown):
        outcome.result()
