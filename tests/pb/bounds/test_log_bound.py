"""What a peer sends fills no log: so many lines of a kind a minute, and then a number."""

from __future__ import annotations

import logging

import pytest

import jelly
import pb
from pb.bounds.log_bound import MAX_LINES, WINDOW_S, LogBound

from ..boards import Board, House, fetch, join
from ..cached import Shop, Stock, left_over
from ..pump import Gate, Pump, Script, packed, run_all
from ..streamers import streams_of
from ..streams.test_stream_corners import Waits, started
from ..test_reference import Keeper
from ..wire.test_corners import meet

NOTHING = packed([[], {}])


class Server(pb.Root):
    def remote_raise(self):
        raise RuntimeError("secret")

    def remote_take(self, one):
        """Be published."""


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "pb")
    return lambda: [record.getMessage() for record in caplog.records]


CALLS = {
    "no method": "nothing",
    "raises": "raise",
    "no fit": "take",
}


@pytest.mark.unmeasured
@pytest.mark.parametrize("method", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("wants_answer", [False, True], ids=["id 0", "ids"])
def test_a_flood_of_calls_that_fail_writes_so_many_lines(method, wants_answer, lines):
    """Whatever fails of them, and whether or not they want an answer."""
    script = Script(Server())
    for number in range(3 * MAX_LINES):
        script.say([1, (number + 1) * wants_answer, 0, method, NOTHING])
    assert wants_answer * 3 * MAX_LINES == len(script.heard())
    assert MAX_LINES + 1 == len(lines())
    assert "100 lines about this in a minute with " in lines()[-1]

    script.broker.connection_lost("gone")
    per_call = 2 if method != "raise" and not wants_answer else 1
    assert f"{(3 * per_call - 1) * MAX_LINES} more of these with " in lines()[-1]
    assert MAX_LINES + 2 == len(lines())


def test_an_error_that_cannot_be_sent_is_bounded_too(lines):
    """Its two lines are of two kinds."""

    class Odd(pb.Error):
        def get_state_to_copy(self):
            raise SystemExit("no state")

        def set_copyable_state(self, state):
            """Be one that could come back."""

    class Root(pb.Root):
        def remote_odd(self):
            raise Odd

    registry = jelly.Registry()
    registry.add(Odd, "test.Odd")
    script = Script(Root(), registry=registry)
    for number in range(2 * MAX_LINES):
        script.say([1, number + 1, 0, "odd", NOTHING])
    assert 2 * MAX_LINES == len(script.heard())
    assert MAX_LINES == sum("could not be sent" in line for line in lines())
    assert MAX_LINES == sum(line.startswith("incident ") for line in lines())


def test_dead_references_in_results_are_bounded_too(lines):
    """Each caller is told of it all the same."""
    root = Keeper()
    pump = Pump(root)
    pump.call("keep", pb.Referenceable())
    pump.server.broker.tables.drop_now(root.kept._pb_import)
    for _ in range(2 * MAX_LINES):
        with pytest.raises(pb.Gone, match=r"a reference that is dead, at \['workers'\]\[1\]$"):
            pump.call("get")

    assert MAX_LINES == sum("is not sent" in line for line in lines())


def test_after_a_minute_lines_are_written_again_and_the_rest_is_told(lines):
    """The clock is the connection's."""
    now = [5.0]
    bound = LogBound(lambda: now[0])
    log = logging.getLogger("pb")

    def flood(count, event="incident"):
        for _ in range(count):
            if bound.allows(logging.ERROR, event, "peer"):
                log.error("line")

    flood(MAX_LINES + 7)
    flood(1, "call.failed")  # each kind for itself
    assert MAX_LINES + 1 == lines().count("line")
    now[0] += WINDOW_S - 1
    flood(1)
    assert MAX_LINES + 1 == lines().count("line")
    now[0] += 1
    flood(2)
    assert MAX_LINES + 3 == lines().count("line")
    assert ["8 more of these with peer were not logged: incident", "line", "line"] == lines()[-3:]
    now[0] += WINDOW_S
    flood(1)  # nothing was left out
    assert MAX_LINES + 4 == lines().count("line")
    bound.close("peer")
    assert "line" == lines()[-1]


def test_what_is_not_logged_is_not_counted(lines, caplog):
    """Who does not want that level gets no line about it."""
    caplog.set_level(logging.ERROR, "pb")
    bound = LogBound(lambda: 0.0)
    assert not any(bound.allows(logging.INFO, "call.refused", "peer") for _ in range(2 * MAX_LINES))
    bound.close("peer")
    assert [] == lines()


def used_up(side):
    """Leave the connection of a side no line of the kinds that are tried here."""
    for event in ("watcher.failed", "replica.dropped", "stream.failed"):
        for _ in range(MAX_LINES + 1):
            side.broker.tables.may_log(logging.ERROR, event)


def test_a_hook_that_fails_at_each_release_is_bounded_too(lines):
    """The peer chooses how often it takes and releases a cache."""

    class Broken(Stock):
        def stopped_observing(self, perspective, observer):
            raise ZeroDivisionError("broken")

    registry = jelly.Registry()
    registry.add(Broken, "shop.Broken")
    pump = Pump(Shop(stock=Broken(n=1)), registry=registry)
    used_up(pump.server)
    replica = pump.call("get", "stock")
    del replica

    assert [] == left_over(pump)
    assert not any("stopped_observing" in line for line in lines())


def test_replicas_that_are_given_up_are_bounded_too(lines):
    """Of what is followed by rules, and of what tells its observers itself."""
    board = Board()
    house = House(board=board)
    small = join(house, client_limits=pb.Limits(max_frame=4096))
    mean = fetch(small, "board", "guest")
    used_up(small.server)
    board.players.append("x" * 5000)
    run_all(small)
    assert pb.is_stale(mean)

    shop, pump, replica = meet(lambda observer, shop: shop.stock._observers.send("put", "x", object()))
    used_up(pump.server)
    assert 5 == pump.call("get", "room").n
    assert pb.is_stale(replica)
    assert 1 == len(shop.stock._stopped)
    assert not any("given up" in line for line in lines())


def test_streams_that_fail_at_their_end_are_bounded_too(lines):
    """Closed, or stopped."""

    class Failing(Waits):
        async def aclose(self):
            raise ValueError("cannot close")

    async def fails():
        try:
            yield 1
            await Gate()
        finally:
            raise ValueError("cannot end")

    for source in (Failing(), fails()):
        pump, stream = started(source)
        used_up(pump.client)
        stream.stop()
        pump.run()
        assert (0, 0) == streams_of(pump)
    assert not any("a stream failed" in line for line in lines())
