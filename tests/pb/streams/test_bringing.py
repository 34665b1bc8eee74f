"""A stream among the arguments of a call that fails at its own side: the caller is told why."""

from __future__ import annotations

import gc
import traceback

import pytest

import pb

from ..pump import Gate, Outcome, Pump
from ..streamers import REGISTRY, server_of


class Collector(pb.Root):
    def __init__(self):
        self.gate = Gate()

    async def remote_collect(self, stream, *, more=()):
        return [item for each in (stream, *more) async for item in each]

    async def remote_bear(self, stream):
        try:
            return [item async for item in stream]
        except pb.RemoteError:
            await self.gate
            return "borne"

    def remote_plain(self, stream):
        return None


async def failing():
    yield 1
    raise ValueError("mine, local")


async def fine():
    yield 2


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError


async def speechless():
    yield 1
    raise Speechless


@pytest.fixture
def pump():
    return Pump(Collector(), registry=REGISTRY)


def failed(outcome, pump):
    pump.run()
    assert 1 == outcome.settled
    return outcome.error


def test_the_error_of_the_call_has_the_error_of_the_stream_as_its_cause(pump):
    """The peer's incident says no more than that the stream failed at this side."""
    error = failed(pump.root.collect(failing()), pump)

    assert "pb.Internal" == error.remote_type
    assert ValueError is type(error.__cause__) and "mine, local" == str(error.__cause__)
    assert [
        "the stream that was argument 0 of collect failed here: ValueError: mine, local"
    ] == error.__notes__
    assert "failing" == traceback.extract_tb(error.__cause__.__traceback__)[0].name


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (lambda root: root.collect(fine(), more=(failing(),)), "in an argument of collect"),
        (lambda root: root.collect(stream=failing()), "that was argument 'stream' of collect"),
        (lambda root: root.collect(more=[fine()], stream=failing()), "that was argument 'stream' of collect"),
    ],
    ids=["inside", "named", "named last"],
)
def test_it_is_said_which_argument_it_was(pump, call, where):
    """There may be several."""
    error = failed(call(pump.root), pump)

    assert [f"the stream {where} failed here: ValueError: mine, local"] == error.__notes__


def test_a_call_with_a_deadline_is_told_as_well(pump):
    """It is sent in another form, and its deadline is forgotten with it."""
    calls = pump.client.broker.calls
    for call in (failing, fine):
        outcome = Outcome()
        calls.make(pump.root._pb_import, "collect", (call(),), {}, outcome, None, 1000.0)
        pump.run()
        assert {} == calls.deadlines.due
        assert outcome.error is None or ValueError is type(outcome.error.__cause__)

    assert [2] == outcome.result()


def test_other_calls_are_not_blamed_on_it(pump):
    """Not even of the same method at the same time."""
    bad, good = pump.root.collect(failing()), pump.root.collect(fine())
    other = pump.root.nosuch(fine())
    pump.run()

    assert [2] == good.result()
    assert ValueError is type(bad.error.__cause__)
    assert pb.NoSuchMethod is type(other.error)
    assert other.error.__cause__ is None


def test_a_callee_that_makes_do_answers_as_ever(pump):
    """Then nothing has failed for the caller, and nothing is kept of it."""
    outcome = pump.root.bear(failing())
    pump.run()
    server_of(pump).gate.open()
    pump.run()

    assert "borne" == outcome.result()
    assert {} == pump.client.broker.calls.pending


def test_a_call_that_was_answered_before_is_left_alone(pump):
    """The stream goes on after the answer, and fails when nobody waits for the call any longer."""
    outcome = pump.root.plain(failing())
    pump.run()

    assert outcome.result() is None
    assert {} == pump.client.broker.calls.pending


def test_a_lost_connection_is_not_blamed_on_a_stream(pump):
    """It says nothing about why."""
    outcome = pump.root.bear(failing())
    pump.run()
    pump.lose()

    assert pb.OutcomeUnknown is type(outcome.error)
    assert outcome.error.__cause__ is None
    assert not hasattr(outcome.error, "__notes__")


def test_an_error_that_cannot_be_shown_is_named_all_the_same(pump):
    """What a program's own class does must not end the connection."""
    error = failed(pump.root.collect(speechless()), pump)

    assert "Speechless: <exception str() failed>" in error.__notes__[0]
    assert [2] == pump.call("collect", fine())


def test_a_cause_that_the_error_has_already_stays(pump):
    """Two streams of one call may fail: each has a line, the first that is told is the cause."""
    error = failed(pump.root.collect(failing(), more=[failing(), speechless()]), pump)

    assert error.__cause__ is not None
    assert 3 == len(error.__notes__)


def test_what_a_caller_keeps_of_it_does_not_keep_the_connection(pump):
    """The frames of the library know the connection, and are not in what the caller is given."""
    error = failed(pump.root.collect(failing()), pump)
    trace = error.__cause__.__traceback__
    names = []
    while trace is not None:
        names.append(trace.tb_frame.f_globals["__name__"])
        trace = trace.tb_next
    gc.collect()

    assert [__name__] == names
