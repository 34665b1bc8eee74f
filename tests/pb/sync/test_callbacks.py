"""What the peer calls here: in which thread it runs, in which order, and that nothing waits for itself."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import pb
from pb import sync
from pb.sync._floor import MAX_DEPTH

HOLD_S = 20
pytestmark = pytest.mark.sync_facade


def here():
    return threading.current_thread().name


class Diver(pb.Referenceable):
    """Calls its caller back until the bottom is reached."""

    def remote_down(self, other, depth):
        return [here()] if depth == 0 else [here(), *other.down(self, depth - 1)]


class Root(pb.Root, Diver):
    def __init__(self):
        self.kept = None

    def remote_call(self, other, times=1):
        for number in range(times):
            other.hear(number)
        return times

    def remote_tell(self, other, times):
        for number in range(times):
            other.hear.send(number)
        return times

    async def remote_tell_at_once(self, other, times):
        """On the loop: all of it leaves in one piece, the answer too."""
        for number in range(times):
            other.hear.send(number)
        return times

    async def remote_interrupt_and_tell(self, other):
        other.interrupt.send()
        other.hear.send("after")
        await asyncio.Event().wait()

    def remote_new(self):
        return Listener()

    def remote_keep(self, other):
        self.kept = other

    def remote_echo(self, value):
        return value

    def remote_ask(self, other, question):
        return getattr(other, question)()


class Listener(pb.Referenceable):
    def __init__(self):
        self.heard = []

    def remote_hear(self, value):
        self.heard.append((here(), value))
        return here()

    def remote_interrupt(self):
        raise KeyboardInterrupt

    def remote_end(self):
        raise SystemExit(3)

    def remote_stop(self):
        raise StopIteration

    def remote_later(self):
        return sleepless()

    async def remote_loop(self):
        return here()

    @pb.in_thread
    def remote_aside(self):
        return here()

    def remote_close(self):
        pb.current_call().connection.close()
        return "closed"


async def sleepless():
    return "in the end"


@pytest.mark.parametrize("depth", [5, 6, 25, 400])
def test_each_side_calls_the_other_back_to_any_depth(connect, url, depth):
    """Nobody waits for anybody who waits for him at 400 calls, far more than one thread can nest."""
    connection, _ = connect(Root(), url)

    names = connection.root.down(Diver(), depth)

    assert depth + 1 == len(names)
    if depth <= MAX_DEPTH:
        # The server has no thread of its own that waits, and so gets one worker; this side needs none.
        assert {"pb.sync worker"} == set(names[::2])
        assert {here()} == set(names[1::2])


def test_a_callback_runs_in_the_thread_that_waits(connect, url):
    """In a program with one thread nothing ever runs beside it while it calls."""
    connection, _ = connect(Root(), url)
    listener = Listener()

    assert 3 == connection.root.call(listener, 3)

    assert [(here(), 0), (here(), 1), (here(), 2)] == listener.heard


def test_what_was_told_before_the_answer_is_heard_before_it(connect, url):
    """Progress that is reported by `send` does not lag behind the result."""
    connection, _ = connect(Root(), url)
    listener = Listener()

    assert 50 == connection.root.tell(listener, 50)
    assert [(here(), number) for number in range(50)] == listener.heard

    late = Listener()
    assert 50 == connection.root.tell_at_once(late, 50)
    assert [(here(), number) for number in range(50)] == late.heard


def test_a_callback_of_no_call_runs_in_a_worker(connect):
    """Where no thread waits, somebody has to."""
    root = Root()
    connection, _ = connect(root)
    listener = Listener()
    connection.root.keep(listener)

    assert "pb.sync worker" == root.kept.hear(1)


def test_workers_serve_one_connection_in_order(connect):
    """Two handlers of one connection never run beside each other unasked."""
    root = Root()
    connection, _ = connect(root)
    done = threading.Event()

    class Slow(pb.Referenceable):
        running = 0
        order: list = []

        def remote_hear(self, number):
            self.running += 1
            self.order.append((number, self.running))
            self.running -= 1
            if number == 99:
                done.set()

    slow = Slow()
    connection.root.keep(slow)
    for number in range(100):
        root.kept.hear.send(number)

    assert done.wait(HOLD_S)
    assert [(number, 1) for number in range(100)] == slow.order


def test_each_of_eight_threads_hears_its_own_callback(connect, url):
    """The thread whose call passed an object runs its methods, whoever else waits."""
    connection, _ = connect(Root(), url)
    start = threading.Barrier(8)

    def call(_):
        start.wait(HOLD_S)
        names = set()
        for _ in range(20):
            listener = Listener()
            connection.root.call(listener, 3)
            names.update(name for name, _ in listener.heard)
        return {here()} == names

    with ThreadPoolExecutor(8) as pool:
        assert [True] * 8 == list(pool.map(call, range(8)))


def test_eight_threads_on_one_connection_nest_without_deadlock(connect, url):
    """Each calls back to depth 6, and all answers come to who asked."""
    connection, _ = connect(Root(), url)
    start = threading.Barrier(8)

    def call(number):
        start.wait(HOLD_S)
        for turn in range(10):
            assert (number, turn) == connection.root.echo((number, turn))
            assert 7 == len(connection.root.down(Diver(), 6))
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(range(8)) == list(pool.map(call, range(8)))


def test_two_programs_that_serve_each_other_may_call_in_a_cycle():
    """A calls B over one connection, B calls A over another, A calls B again, and so on."""

    class Node(pb.Root):
        def __init__(self):
            self.other = None

        def remote_round(self, depth):
            return [here()] if depth == 0 else [here(), *self.other.root.round(depth - 1)]

    a, b = Node(), Node()
    with (
        sync.serve(a, "pb://127.0.0.1:0") as at_a,
        sync.serve(b, "pb://127.0.0.1:0") as at_b,
        sync.open_connection(at_a.url) as b.other,
        sync.open_connection(at_b.url) as a.other,
    ):
        assert 8 == len(a.other.root.round(7))
        assert 41 == len(a.other.root.round(40))


def test_a_waiting_thread_helps_while_a_worker_waits_for_its_lock(connect):
    """A worker must not keep a call from the thread that it waits for."""
    root = Root()
    connection, _ = connect(root)
    lock = threading.RLock()
    is_waiting = threading.Event()
    order = []

    class Locking(pb.Referenceable):
        def remote_hear(self, value):
            is_waiting.set()
            with lock:
                order.append(value)

    locking = Locking()
    connection.root.keep(locking)
    with lock:
        root.kept.hear.send("worker")
        assert is_waiting.wait(HOLD_S)
        connection.root.call(locking)

    connection.root.echo(1)
    assert 0 == order[0]


def test_blocking_and_async_methods_run_elsewhere(connect):
    """in_thread has a thread of its own, async def the loop, and what a function returns is waited for."""
    connection, _ = connect(Root())
    listener = Listener()

    assert connection.root.ask(listener, "aside").startswith("asyncio_")
    assert "pb.sync" == connection.root.ask(listener, "loop")
    assert "in the end" == connection.root.ask(listener, "later")


def test_an_interrupt_in_a_callback_ends_the_call_that_waits(connect):
    """Ctrl-C reaches the main thread wherever it is; the peer is told that it was cancelled."""
    connection, _ = connect(Root())

    with pytest.raises(KeyboardInterrupt):
        connection.root.ask(Listener(), "interrupt")
    with pytest.raises(SystemExit):
        connection.root.ask(Listener(), "end")
    assert 1 == connection.root.echo(1)
    assert 0 == connection.usage.calls_served


def test_what_an_interrupted_thread_leaves_a_worker_does(connect):
    """It was meant for that thread, which does not wait any longer."""
    connection, _ = connect(Root())
    done = threading.Event()

    class Late(Listener):
        def remote_hear(self, value):
            super().remote_hear(value)
            done.set()

    late = Late()
    with pytest.raises(KeyboardInterrupt):
        connection.root.interrupt_and_tell(late)

    assert done.wait(HOLD_S)
    assert [("pb.sync worker", "after")] == late.heard


def test_stop_iteration_is_an_error_like_others(connect, caplog):
    """A future does not take it, and the call would never end."""
    connection, _ = connect(Root())

    with pytest.raises(pb.RemoteError) as caught:
        connection.root.ask(Listener(), "stop")

    assert "pb.Internal" == caught.value.remote_type
    assert 2 == len([each for each in caplog.records if each.levelno >= logging.ERROR])


def test_a_method_may_close_its_own_connection(connect):
    """It does not wait for itself; its answer is still sent."""
    connection, _ = connect(Root())

    assert "closed" == connection.root.ask(Listener(), "close")

    connection.wait_closed()
    assert not connection.is_open


def test_a_call_that_was_cancelled_before_it_began_does_not_run(connect):
    """What has begun runs to its end; what has not is taken back."""
    root = Root()
    connection, _ = connect(root)
    began, go = threading.Event(), threading.Event()
    ran = []

    class Queue(pb.Referenceable):
        def remote_first(self):
            began.set()
            go.wait(HOLD_S)

        def remote_second(self):
            ran.append("second")

        def remote_third(self):
            ran.append("third")

    connection.root.keep(Queue())
    root.kept.first.send()
    assert began.wait(HOLD_S)
    with pytest.raises(TimeoutError):
        root.kept.second.within(0.05)()
    with ThreadPoolExecutor(1) as pool:
        third = pool.submit(root.kept.third)
        go.set()
        assert None is third.result(HOLD_S)

    assert ["third"] == ran


def test_nothing_is_kept_of_a_call_that_is_over(connect):
    """Neither by the thread that served it nor by the one that made it."""
    root = Root()
    connection, _ = connect(root)
    connection.root.keep(Listener())
    root.kept.hear([connection.root.echo(Listener())])
    root.kept = None
    connection.root.echo(1)
    gc.collect()
    connection.root.echo(1)

    assert 0 == connection.usage.references_given
    assert [] == [each for each in gc.get_objects() if type(each) is Listener]


def test_a_worker_with_nothing_to_do_keeps_no_result(connect):
    """What was returned last is not to live until something else is called."""
    connection, server = connect(Root())
    connection.root.new()

    while server.connections[0].usage.references_given > 1:
        sync.on_loop(gc.collect)

    assert [] == [each for each in gc.get_objects() if type(each) is Listener]


def test_an_answer_is_not_late_for_its_own_callback_of_another_thread(connect):
    """An object that one thread passed is called while only another waits: that one serves it."""
    root = Root()
    connection, _ = connect(root)
    listener = Listener()
    connection.root.keep(listener)
    names = []

    class Far(pb.Referenceable):
        def remote_hear(self, value):
            names.append(root.kept.hear(value))

    connection.root.call(Far())

    assert [here()] == names
