"""The end that is not orderly: aborts, violations and lost transports, and what callers are told."""

from __future__ import annotations

import pytest

import pb
from pb.wire.state import State

from ..lobbies import Noting as Root
from ..pump import STEPS, Outcome, Pump, Script, frame, messages_in, packed

NOTHING = packed([[], {}])


def test_after_the_end_nothing_comes_in_or_out():
    """The transport may still deliver what was under way."""
    root = Root()
    script = Script(root)
    script.say([99])
    script.heard()
    script.say([13, 1], [1, 1, 0, "note", NOTHING])
    script.broker.close()
    script.broker.fail(pb.ProtocolError("once more"))

    assert [] == script.heard()
    assert [] == root.seen
    assert "99" in str(script.side.error)


@STEPS
@pytest.mark.parametrize("code", [2, 3, 9, 10])
def test_an_aborting_bye_ends_at_once(step, code):
    """Unknown codes abort too (PB-F28)."""
    script = Script(Root(), step=step)
    script.say([1, 1, 0, "wait", NOTHING])
    outcome = script.broker.root_reference().echo(1)
    script.heard()
    unwritten = script.broker.root_reference().echo(2)
    script.say([15, code, "bad", 1])

    assert State.CLOSED is script.broker.state
    assert code == script.side.error.code
    assert "bad" in str(script.side.error)
    with pytest.raises(pb.OutcomeUnknown, match=f"BYE {code}"):
        outcome.result()
    with pytest.raises(pb.NotExecuted):
        unwritten.result()


def test_nothing_is_sent_after_an_aborting_bye_was_seen():
    """The peer has stopped to listen, and what it would get was said not to have run (PB-F34)."""
    script = Script(Root())
    script.broker.root_reference().echo(1)
    script.say([15, 3, "", 0])

    assert [] == script.heard()


def test_the_last_of_an_aborting_bye_tells_what_did_not_run():
    """What is above it may be made elsewhere."""
    script = Script()
    outcomes = [script.broker.root_reference().echo(number) for number in range(3)]
    script.heard()
    script.say([15, 3, "", 1])

    with pytest.raises(pb.OutcomeUnknown):
        outcomes[0].result()
    for outcome in outcomes[1:]:
        with pytest.raises(pb.NotExecuted):
            outcome.result()


def test_a_call_said_not_to_have_run_is_never_written():
    """Or a second try elsewhere would run it twice (PB-F35)."""
    root = Root()
    pump = Pump(root)
    outcome = pump.root.note("once")
    pump.client.input(frame([99]))  # the peer breaks a rule before the call was written
    with pytest.raises(pb.ConnectionLost) as caught:
        outcome.result()
    pump.server.input(pump.client.output())

    assert [] == root.seen or type(caught.value) is pb.OutcomeUnknown


def test_our_abort_says_how_far_we_came():
    """So the peer can try the rest elsewhere."""
    script = Script(Root())
    script.say([1, 3, 0, "wait", NOTHING], [1, 4, 0, "note", NOTHING], [99], [1, 5, 0, "note", NOTHING])

    assert [[2, 4, packed(None)], [15, 3, "unknown message code 99", 4]] == script.heard()


def test_losing_the_transport_twice_is_losing_it_once():
    """Faces need not remember."""
    script = Script()
    outcome = script.broker.root_reference().echo(1)
    script.broker.connection_lost("first")
    script.broker.connection_lost("second")

    with pytest.raises(pb.NotExecuted, match="first"):
        outcome.result()
    assert [] == script.heard()


def test_the_text_of_our_bye_is_cut_at_a_character():
    """4,096 bytes of UTF-8 (PB-M38)."""
    script = Script()
    script.broker.close(1, "é" * 3000 + "\ud800")
    ((_, code, text, last),) = messages_in(script.side.output())

    assert (1, "é" * 2048, 0) == (code, text, last)


def test_an_outcome_nobody_waits_for_is_not_settled_at_the_end():
    """A future that was cancelled refuses that with an error."""
    script = Script()
    given_up = Outcome()
    given_up.is_given_up = True
    script.broker.calls.make(script.broker.root_reference()._pb_import, "echo", (), {}, given_up)
    script.broker.connection_lost("gone")

    assert 0 == given_up.settled
