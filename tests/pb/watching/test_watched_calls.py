"""Hooks: calls of this side that somebody gives up have one end, however many wait for them."""

from __future__ import annotations

import pytest

import pb

from ..hooked import Log, Root, both, make
from ..pump import Gate, Pump, cancel
from ..results import tell


@pytest.mark.parametrize("first", [True, False])
def test_calls_on_results_to_come_that_are_given_up_are_told_so(first):
    """The one that was made first, which others wait for, and one that waits for it."""
    log, root, pump = make()
    later = tell(pump.root, "later")
    look = tell(later, "look")
    (later if first else look).give_up()
    root.gate.open()
    pump.run()
    look.give_up()

    ends = dict(each[:2] for each in both(log)[0])
    assert {
        "later": "cancelled" if first else "answered",
        "look": "refused" if first else "cancelled",
    } == ends


@pytest.mark.parametrize("is_quicker", [True, False], ids=["answered", "stopped"])
def test_a_call_that_is_passed_on_and_cancelled_is_told_once(is_quicker):
    """Its answer is passed back all the same, and is not its end a second time."""
    log, far, near = Log(), Root(), Root()
    behind = Pump(far, hooks=log)
    near.thing = behind.root
    front = Pump(near)
    given = front.call("thing")
    front.run()
    reply = given.wait()
    front.run()
    behind.run()
    cancel(given, reply)
    front.run()
    if is_quicker:
        far.gate.open()
    behind.run()
    front.run()

    assert [("wait", "cancelled", "")] == log.ends("caller")
    assert reply.done()


def test_a_call_whose_stream_has_failed_is_found_when_it_is_cancelled():
    """What keeps the failure for its outcome stands before the call that hooks know."""

    class Bearer(pb.Root):
        async def remote_bear(self, stream):
            try:
                return [item async for item in stream]
            except pb.RemoteError:
                await Gate()

    async def failing():
        raise ValueError
        yield

    log = Log()
    pump = Pump(Bearer(), hooks=log)
    outcome = pump.root.bear(failing())
    pump.run()
    cancel(pump.root, outcome)
    pump.run()

    assert [("bear", "cancelled", "")] == log.ends("caller")
