"""Requests whose sender could know that nothing comes of them: some are borne, a flood is not."""

from __future__ import annotations

import pytest

import pb
from pb import messages
from pb.bounds.budget import Budget
from pb.errors import ProtocolError

from ..peers import NO_ARGUMENTS, call, errors_said, frame, is_alive, said, victim
from ..pump import Gate, Pump, cancel, send

FEW = {"max_calls": 8, "useless_requests": 100}  # so 108 in all


def batch(envelope, times):
    return b"".join(frame([envelope] * min(1000, times - done)) for done in range(0, times, 1000))


def unknown(id):
    return call(id=id, target=77)


def over(side):
    """Return the BYE code with which a side has ended, None if it has not."""
    byes = [message[1] for message in said(side) if message[0] == messages.BYE]
    assert byes == [] or side.has_ended
    return byes[0] if byes else None


@pytest.mark.parametrize(
    "flood",
    [
        lambda count: batch([messages.PING, 1], count),
        lambda count: b"".join(call(id=0, target=77) for _ in range(count)),
        lambda count: b"".join(unknown(id) for id in range(1, count + 1)),  # draws 2 and earns 1
        lambda count: call(method="sink", payload=b"\x92\x91\x01\x80") + batch([messages.CANCEL, 1], count),
    ],
    ids=["pings", "objects that are not there", "the same with answers", "cancels of what has ended"],
)
def test_limits_of_useless_requests_hold_to_the_last_one(flood):
    """One more than the budget ends the connection; the budget itself is the sender's to use up."""
    side = victim(**FEW)
    side.input(flood(108))
    assert over(side) is None

    side = victim(**FEW)
    side.input(flood(109))
    assert messages.BYE_LIMIT == over(side)
    assert "useless" in str(side.error)


def test_limits_of_calls_that_are_exceeded_on_purpose_draw_too():
    """The sender knows max_calls, and how many of its calls have no answer."""
    side = victim(**FEW)
    side.input(b"".join(call(method="deaf", id=id) for id in range(1, 9)))
    side.input(b"".join(call(method="deaf", id=id) for id in range(9, 9 + 108)))
    assert 108 == len(errors_said(side))
    side.input(call(method="deaf", id=200))

    assert messages.BYE_LIMIT == over(side)


def test_places_taken_by_messages_without_answer_are_not_the_callers_fault():
    """It does not count them: nothing tells it when they have ended."""
    side = victim(**FEW)
    side.input(b"".join(call(method="deaf", id=0) for _ in range(8)))
    side.input(b"".join(call(method="echo", id=id) for id in range(1, 1001)))

    assert 1000 == len(errors_said(side))
    assert is_alive(side)


def test_the_budget_fills_again_with_time_and_never_over_its_edge():
    """Some useless requests are in the nature of crossing messages, as long as one goes on."""
    now = [1000.0]
    budget = Budget(lambda: now[0], pb.Limits(max_calls=4, useless_requests=100, useless_per_s=33))
    for _ in range(104):
        budget.draw(0, "a PING")
    now[0] += 1
    for _ in range(33):
        budget.draw(0, "a PING")
    with pytest.raises(ProtocolError, match="a PING"):
        budget.draw(0, "a PING")

    now[0] += 1_000_000
    for _ in range(104):
        budget.draw(0, "a PING")
    with pytest.raises(ProtocolError, match=r"more than 104 at once, .* and 33 a second"):
        budget.draw(0, "a PING")


class Server(pb.Root):
    def __init__(self):
        self.gate = Gate()

    def remote_echo(self, value):
        return value

    async def remote_wait(self):
        await self.gate


@pytest.mark.unmeasured
def test_cancelling_a_thousand_calls_again_and_again_is_honest():
    """A group of tasks that fails cancels all of its calls; a race cancels all but the first."""
    pump = Pump(Server(), limits=pb.Limits(max_calls=1000, useless_requests=100))
    for _ in range(5):
        outcomes = [pump.root.wait() for _ in range(1000)]
        pump.run()
        for outcome in outcomes:
            cancel(pump.root, outcome)
        pump.run()

    assert 1 == pump.call("echo", 1)
    assert 0 == pump.server.broker.serving.count


@pytest.mark.unmeasured
def test_cancels_that_cross_their_answers_are_honest():
    """Calls under a deadline that is about as long as they take: half of the cancels come too late."""
    pump = Pump(Server(), limits=pb.Limits(max_calls=100, useless_requests=100))
    for _ in range(50):
        outcomes = [pump.root.echo(number) for number in range(100)]
        for outcome in outcomes:
            cancel(pump.root, outcome)
        pump.run()

    assert 1 == pump.call("echo", 1)


def test_what_the_sender_cannot_know_draws_nothing():
    """Else one user of a proxy could end its connection, which carries the calls of all of them."""
    pump = Pump(Server(), limits=pb.Limits(max_calls=10, useless_requests=100))
    for _ in range(100):
        outcomes = [pump.root.no_such_method(), pump.root.echo(), pump.root.echo(1, 2)]
        for _ in range(10):
            send(pump.root, "no_such_method")
        pump.run()
        assert {"NoSuchMethod", "BadArguments"} == {type(outcome.error).__name__ for outcome in outcomes}

    assert 1 == pump.call("echo", 1)


def test_calls_that_a_bye_crosses_draw_nothing():
    """A server that leaves drops what honest callers could not know would be dropped."""
    side = victim(**FEW)
    side.broker.close()
    said(side)
    for id in range(1, 1001):
        side.input(call(id=id, target=77, payload=NO_ARGUMENTS) + frame([messages.CANCEL, id]))

    assert is_alive(side)
