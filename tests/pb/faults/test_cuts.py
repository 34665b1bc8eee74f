"""A conversation cut after every byte, in either direction, in either way: every promise is kept."""

from __future__ import annotations

import gc
import itertools
import os

import pytest

import pb
from pb.testing import Cancelled, Gate, Pump, Wire

from ...sizes import exhaustive, sized
from . import flows
from .session import BIG, LOGIN, LOST, WHOLE, Session, check

ENDINGS = pytest.mark.parametrize("ending", ["loss", "close"])
# Every how many bytes it is cut; the eight ways begin at different ones, and so share out the stream.
STRIDE = int(os.environ.get("PB_FAULTS_STRIDE", sized("8", "1")))
WAYS = list(itertools.product(["up", "down"], ["fin", "rst"], ["loss", "close"]))


@ENDINGS
def test_the_whole_conversation_is_what_it_should_be(ending):
    """Or the cuts would prove nothing."""
    session = Session()
    session.run(ending)
    check(session)

    expected = set(WHOLE) | set(LOGIN)
    if ending == "loss":
        expected -= {"before the close"}
    assert expected == set(session.outcomes)
    lost = {tag for tag, outcome in session.outcomes.items() if isinstance(outcome.error, LOST)}
    assert ({"at the end"} if ending == "close" else set()) == lost
    assert [("attached", "alice"), ("detached", "alice")] == session.chat.seen
    assert 1 == len(session.ledger._begun)
    written = bytes(session.up.arrived + session.down.arrived)
    assert all(name in written for name in (b"SCRAM", b"py.ValueError", b"pb.Internal", b"pb.Cancelled"))


@exhaustive
@ENDINGS
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_cut_after_any_byte_keeps_every_promise(direction, how, ending, caplog):
    """Each call settles once with what is known, each handler ran at most once and in order, each end is told
    once, and nothing is left."""
    caplog.set_level("CRITICAL", "pb")
    whole = Session()
    whole.run(ending)
    stream = bytes(getattr(whole, direction).arrived)
    inside = range(stream.index(BIG) + 50, stream.index(BIG) + len(BIG) - 50)
    alive = []
    for at in range(WAYS.index((direction, how, ending)) % STRIDE, len(stream) + 1, STRIDE):
        if at in inside and at % 1009:
            continue  # one byte in the middle of 17,000 equal ones is like another
        session = Session(**{direction: Wire(at, how)})
        session.run(ending)
        try:
            check(session)
        except AssertionError as error:
            raise AssertionError(f"{how} after byte {at} of {len(stream)} {direction}: {error}") from error
        assert at == len(getattr(session, direction).arrived)
        alive += session.alive
    del session, whole
    gc.collect()
    assert {None} == {each() for each in alive}


@ENDINGS
def test_the_whole_flow_is_what_it_should_be(ending):
    """Or the cuts would prove nothing."""
    flow = flows.Flow()
    flow.run(ending)
    flows.check(flow)

    assert set(flows.WHOLE) == set(flow.outcomes)
    lost = {tag for tag, outcome in flow.outcomes.items() if isinstance(outcome.error, LOST)}
    assert ({"at the end"} if ending == "close" else set()) == lost
    assert set(flows.STREAMS) == set(flow.got) == set(flow.began)
    assert [] == [tag for tag, ends in flow.ends.items() if flows.is_lost(ends[0])]


@exhaustive
@ENDINGS
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_cut_in_streams_and_pipelines_keeps_every_promise(direction, how, ending, caplog):
    """Besides: a stream that is said to be whole is, each producer is closed once, and each call on a result
    to come is told what became of that."""
    caplog.set_level("CRITICAL", "pb")
    whole = flows.Flow()
    whole.run(ending)
    size = len(getattr(whole, direction).arrived)
    alive = []
    for at in range(WAYS.index((direction, how, ending)) % STRIDE, size + 1, STRIDE):
        flow = flows.Flow(**{direction: Wire(at, how)})
        flow.run(ending)
        try:
            flows.check(flow)
        except AssertionError as error:
            raise AssertionError(f"{how} after byte {at} of {size} {direction}: {error}") from error
        assert at == len(getattr(flow, direction).arrived)
        alive += flow.alive
    del flow, whole
    gc.collect()
    assert {None} == {each() for each in alive}


def test_a_handler_that_is_cut_off_is_stopped():
    """Nobody waits for it."""
    stopped = []

    class Root(pb.Root):
        async def remote_wait(self):
            try:
                await Gate()
            except Cancelled:
                stopped.append(1)
                raise

    pump = Pump(Root())
    pump.root.wait()
    pump.run()
    pump.lose()

    assert [1] == stopped
