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
# Every how many bytes it is cut; the four ways begin at different ones, and so share out the stream.
STRIDE = int(os.environ.get("PB_FAULTS_STRIDE", sized("8", "1")))
WAYS = list(itertools.product(["up", "down"], ["fin", "rst"]))


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


class Cut:
    """The conversations that are cut in one direction, in one way."""

    def __init__(self, make, check, direction, how):
        self.make, self.check = make, check
        self.direction, self.how = direction, how
        self.alive = []
        self.streams = {ending: self.whole(ending) for ending in ("loss", "close")}

    def whole(self, ending):
        """Return what arrives where nothing is cut."""
        made = self.make()
        made.run(ending)
        return bytes(getattr(made, self.direction).arrived)

    def after(self, at, ending):
        """Cut one after so many bytes, and check it; return whether it came to its ending before."""
        made = self.make(**{self.direction: Wire(at, self.how)})
        made.run(ending)
        try:
            self.check(made)
        except AssertionError as error:
            size = len(self.streams[ending])
            where = f"{self.how} after byte {at} of {size} {self.direction}, to end by {ending}"
            raise AssertionError(f"{where}: {error}") from error
        assert at == len(getattr(made, self.direction).arrived)
        self.alive += made.alive
        return made.came_to_end

    def everywhere(self, first, stride):
        """Cut after every so many bytes; in both endings where it comes so far, else they are the same."""
        loss, close = self.streams["loss"], self.streams["close"]
        big = loss.find(BIG)
        inside = range(big + 50, big + len(BIG) - 50) if big >= 0 else ()
        for at in range(first, max(len(loss), len(close)) + 1, stride):
            if at in inside and at % 1009:
                continue  # one byte in the middle of 17,000 equal ones is like another
            if (at > len(loss) or self.after(at, "loss")) and at <= len(close):
                self.after(at, "close")


@exhaustive
@pytest.mark.parametrize(("direction", "how"), WAYS)
@pytest.mark.parametrize(
    ("make", "check"), [(Session, check), (flows.Flow, flows.check)], ids=["calls", "streams and pipelines"]
)
def test_a_cut_after_any_byte_keeps_every_promise(make, check, direction, how, caplog):
    """Each call settles once with what is known, each handler ran at most once and in order, each end is told
    once, and nothing is left. A stream that is said to be whole is, each producer is closed once, and each
    call on a result to come is told what became of that (PB-F35).
    """
    caplog.set_level("CRITICAL", "pb")
    cut = Cut(make, check, direction, how)
    cut.everywhere(2 * WAYS.index((direction, how)) % STRIDE, STRIDE)
    gc.collect()
    assert {None} == {each() for each in cut.alive}


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
