"""A connection of a blocking program that comes back: `sync.open_connection(url, reconnect=True)`."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import pb
from pb import sync
from pb.aio import client as aio

from ..lobbies import Counter
from .spots import HOLD_S, Lobby, Spot, lose, quick, settle

ROUND = ["waiting", "connecting", "restoring", "connected"]


@pytest.fixture
def spot():
    with Spot(Lobby()) as spot:
        yield spot


def test_what_lasts_works_again_and_is_the_same_object(spot):
    """The root and what is kept, twenty times, with nothing to be done about it in the program."""
    with sync.open_connection(spot.url, reconnect=quick()) as connection:
        states = []
        connection.status.watch(lambda change: states.append(change.state.value))
        root, counter = connection.root, connection.keep(lambda: connection.root.counter())
        for number in range(20):
            lose(connection)
            assert number == root.echo(number)
            assert number + 1 == counter.add()
            assert root is connection.root
            assert connection is sync.connection_of(root) is sync.connection_of(counter)
        settle(lambda: states[-1] == "connected" and len(states) == 80)
        assert ROUND * 20 == states
        assert connection.is_open and connection.is_ready
        assert "<LastingConnection with" in repr(connection)
        assert "<Status connected, 0 tries failed>" == repr(connection.status)
        assert ([], {}) == (connection.status.kept_lost, connection.status.logins_lost)
        assert 1 == connection.usage.references_held - 1  # the root, and what is kept
    assert not connection.is_open
    assert "closed" == connection.status.state.value
    with pytest.raises(pb.NotExecuted, match="it was closed"):
        connection.root.echo(1)


def test_calls_made_while_it_is_down_wait_for_it(spot):
    """So do their threads, for as long as they have time; eight at once."""
    with sync.open_connection(spot.url, reconnect=quick()) as connection:
        root = connection.root
        spot.stop()
        assert pb.ConnectionState.WAITING is connection.status.wait_for("waiting")
        with pytest.raises(pb.DeadlineExceeded, match="no connection was there in the time the call had"):
            root.echo.within(0.05)("late")
        with sync.deadline(0.05), pytest.raises(TimeoutError):
            root.echo("inherited")
        settle(lambda: connection.status.attempts >= 2)
        assert isinstance(connection.status.error, OSError)
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(root.echo, number) for number in range(8)]
            got = []
            root.echo("called back", pbcallback=got.append)
            settle(lambda: 9 == len(connection._home.calls))
            spot.start()
            assert list(range(8)) == [call.result(HOLD_S) for call in calls]
        settle(lambda: ["called back"] == got)
        assert 9 == len(spot.root.ran), "neither those whose time was over, nor any twice"
        assert None is connection.status.error and None is connection.status.next_try_s


def test_calls_may_fail_at_once_instead(spot):
    """For programs that would rather know."""
    with sync.open_connection(spot.url, reconnect=quick(calls="fail")) as connection:
        root = connection.root
        spot.stop()
        connection.status.wait_for("waiting")
        with pytest.raises(pb.NotExecuted, match="the connection is down"):
            root.echo(1)


def test_a_call_whose_outcome_is_unknown_is_made_again_only_where_it_may(spot):
    """What the server declares, or the caller; of the other one it is said that nobody knows."""
    lobby = spot.root
    with sync.open_connection(spot.url, reconnect=quick()) as connection, ThreadPoolExecutor(4) as pool:
        root = connection.root
        root.echo("what may run twice is known from here on")
        once = pool.submit(root.hang, "once")
        again = [
            pool.submit(root.look, "declared there"),
            pool.submit(root.hang.idempotent, "declared here"),
            pool.submit(root.hang.within(HOLD_S).idempotent.within(HOLD_S), "in time"),
        ]
        settle(lambda: 5 == len(lobby.ran))
        spot.cut()
        with pytest.raises(pb.OutcomeUnknown):
            once.result(HOLD_S)
        assert ["declared there", "declared here", "in time"] == [call.result(HOLD_S) for call in again]
        lobby.go.set()
        assert [1, 2, 2] == [lobby.ran.count(each) for each in ("once", "declared there", "declared here")]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_loss_while_what_is_kept_is_got_again_does_not_hold_it_up(times):
    """The thread that gets it waits for a connection; the connection must not wait for that thread."""

    class Cutting(pb.Root):
        def __init__(self):
            self.counter, self.asked = Counter(), 0

        @pb.idempotent
        def remote_counter(self):
            self.asked += 1
            if 1 < self.asked < 2 + times:
                pb.current_call().connection.abort()
            return self.counter

    with Spot(Cutting()) as spot, sync.open_connection(spot.url, reconnect=quick()) as connection:
        counter = connection.keep(lambda: connection.root.counter())
        lose(connection)
        assert 1 == counter.add.within(HOLD_S)()
        assert spot.root.asked >= 2 + times


class Child(pb.Referenceable):
    """Calls back as deep as it is told, and notes in which threads."""

    def __init__(self, root):
        self.root = root
        self.threads: set[str] = set()

    def remote_down(self, depth):
        self.threads.add(threading.current_thread().name)
        return self.root.ask(self, depth - 1) + 1 if depth else 0


def test_a_thread_that_waited_for_the_connection_serves_what_comes_over_it(spot):
    """A call back arrives over a link that was not there when the thread began to wait; five deep."""
    with sync.open_connection(spot.url, reconnect=quick()) as connection:
        root = connection.root
        spot.stop()
        connection.status.wait_for("waiting")
        threading.Timer(0.05, spot.start).start()
        child = Child(root)
        assert 5 == root.ask(child, 5)
        assert {threading.current_thread().name} == child.threads


def test_what_was_got_from_a_call_is_dead_and_says_what_to_do(spot):
    """Only the program knows how to get it again."""
    with sync.open_connection(spot.url, reconnect=quick()) as connection:
        counter = connection.root.counter()
        assert 1 == counter.add()
        lose(connection)
        connection.root.echo("back")
        with pytest.raises(pb.DeadReference, match=r"connection.keep\(\.\.\.\)"):
            counter.add()
        with pytest.raises(TypeError, match="a reference or a replica can be kept, not an int"):
            connection.keep(lambda: 3)


def test_getting_what_is_kept_may_call_as_it_likes_and_may_fail(spot, caplog):
    """It runs in a thread; what it raises is logged, and it is asked again over the next connection."""
    with sync.open_connection(spot.url, reconnect=quick()) as connection:
        failing: list = []

        def get():
            connection.root.echo("first")
            if failing:
                raise ValueError(failing.pop())
            return connection.root.counter()

        counter = connection.keep(get)
        failing.append("not now")
        lose(connection)
        settle(lambda: "what was kept cannot be had again: not now" in caplog.text)
        with pytest.raises(pb.DeadReference):
            counter.add()
        lose(connection)
        settle(lambda: 3 == spot.root.ran.count("first"))
        connection.status.wait_for("connected")
        assert 1 == counter.add()


def test_what_is_not_held_any_longer_is_not_got_again(spot):
    """Nor called, nor kept alive by what would get it."""
    with sync.open_connection(spot.url, reconnect=quick()) as connection:
        counter = connection.keep(lambda: (spot.root.ran.append("got"), connection.root.counter())[1])
        lose(connection)
        assert 1 == counter.add()
        del counter
        gc.collect()
        lose(connection)
        connection.root.echo("nobody holds it")
        assert ["got", "got", "nobody holds it"] == spot.root.ran


def test_an_object_that_was_got_by_its_name_is_got_again(spot):
    """By the connection itself: it knows the name; until the server has no such name any longer."""
    counter_of = spot.root.counter
    with sync.open_connection(spot.url, reconnect=quick()) as connection:
        spot.server.publish("counter", counter_of)
        counter = connection.get_object("counter")
        for number in range(1, 4):
            assert number == counter.add()
            lose(connection)
        connection.status.wait_for("connected")
        assert counter is connection.get_object("counter")
        spot.server.unpublish("counter")
        lose(connection)
        connection.root.echo("back")
        connection.status.wait_for("connected")
        with pytest.raises(pb.Error):
            counter.add()


def test_changes_are_told_in_their_order_one_after_the_other(spot, caplog):
    """To watchers, in a thread that may block; and to who goes through them."""
    with sync.open_connection(spot.url, reconnect=quick()) as connection:
        told: list[str] = []

        def watch(change):
            # Under way when the connection is lost, it is made again.
            found = connection.root.echo.idempotent("back")
            assert "back" == found, "it may call, and so waits for the connection"
            told.append(change.state.value)

        forget = connection.status.watch(watch)
        connection.status.watch(lambda change: 1 // 0)
        gone_through = connection.status.changes()
        for _ in range(3):
            lose(connection)
            connection.root.echo("back")
            connection.status.wait_for("connected")  # calls that waited are made while it is being restored
        settle(lambda: 12 == len(told))
        assert ROUND * 3 == told
        assert "a watcher of the status of a connection failed" in caplog.text
        forget()
        abandoned = connection.status.changes()
        connection.close()
        assert [*ROUND * 3, "closed"] == [change.state.value for change in gone_through]
        assert ["closed"] == [change.state.value for change in abandoned]
        assert [] == list(connection.status.changes())
        assert 12 == len(told)
        with pytest.raises(TypeError, match="a watcher is a function of one argument, not an int"):
            connection.status.watch(3)


def test_waiting_for_a_state_may_take_only_so_long(spot):
    """And ends when the connection does, whatever was waited for."""
    with sync.open_connection(spot.url, reconnect=quick(max_attempts=2)) as connection:
        with pytest.raises(TimeoutError):
            connection.status.wait_for("failed", timeout=0.01)
        spot.stop()
        assert pb.ConnectionState.FAILED is connection.status.wait_for("closed")
        connection.wait_closed()
        with pytest.raises(pb.NotExecuted, match="the connection was given up"):
            connection.root.echo(1)


def test_it_is_closed_by_who_serves_a_call_and_by_who_is_in_a_hurry(spot):
    """Neither waits for itself, and nothing connects again."""

    class Hand(pb.Referenceable):
        def remote_down(self, depth):
            connection.close()
            return depth

    connection = sync.open_connection(spot.url, reconnect=quick())
    assert 7 == connection.root.ask(Hand(), 7)
    connection.wait_closed()
    with pytest.raises(pb.NotExecuted):
        sync.open_connection(spot.url, reconnect=quick()).__exit__(KeyboardInterrupt, None, None)
        connection.root.echo(1)
    settle(lambda: not spot.server.connections)


def test_the_first_connection_fails_at_once_unless_that_is_not_wanted(spot):
    """A wrong host name is a mistake; a server that is started later is not."""
    spot.stop()
    with pytest.raises(OSError):
        sync.open_connection(spot.url, reconnect=True)
    threading.Timer(0.03, spot.start).start()
    with sync.open_connection(spot.url, reconnect=quick(retries_first=True)) as connection:
        assert 1 == connection.root.echo(1)
    with pytest.raises(TypeError, match="reconnect= is a str"):
        sync.open_connection(spot.url, reconnect="yes")


def test_an_object_keeps_its_connection_as_long_as_it_is_held(spot):
    """And the connection comes back for as long."""
    root = sync.get_object_at(spot.url, reconnect=quick())
    connection = sync.connection_of(root)
    for number in range(3):
        lose(connection)
        assert number == root.echo(number)
    assert connection.root is root
    del root
    gc.collect()
    connection.wait_closed()
    assert "closed" == connection.status.state.value


def test_events_and_sends_go_on_over_the_next_connection(spot):
    """A send is refused while it is down: nobody would hear of it."""
    with sync.open_connection(spot.url, reconnect=quick()) as connection:
        root = connection.root
        spot.stop()
        connection.status.wait_for("waiting")
        with pytest.raises((pb.NotExecuted, pb.DeadReference)):
            root.echo.send("down")
        spot.start()
        connection.status.wait_for("connected")
        root.echo.send("up")
        assert "up" == root.echo.nowait("up")
        assert "named" == sync.call_remote(root, "echo", "named")
        assert ["up", "up", "named"] == spot.root.ran
        assert sync.describe(root).methods


def test_the_options_of_both_faces_are_the_same():
    """Who knows one knows the other."""
    import inspect

    for near, far in (
        (sync.open_connection, pb.open_connection),
        (sync.get_object_at, aio.get_object_at),
        (sync.connect, pb.connect),
    ):
        assert list(inspect.signature(far).parameters) == list(inspect.signature(near).parameters)
