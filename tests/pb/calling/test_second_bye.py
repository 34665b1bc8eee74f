"""A BYE that comes behind one that drains."""

from __future__ import annotations

from pb import messages

from ..pump import Script, packed


def test_a_second_bye_that_drains_is_ignored():
    """It would tell of a call that has begun that it did not run, and its caller could make it again."""
    script = Script()
    outcome = script.broker.root_reference().note(1)
    script.say([messages.BYE, messages.BYE_NORMAL, "", 1])
    script.say([messages.BYE, messages.BYE_GOING_AWAY, "again", 0])
    assert 0 == outcome.settled

    script.say([messages.ANSWER, 1, packed("noted")])

    assert "noted" == outcome.result()
