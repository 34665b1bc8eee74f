"""A program with a window: everything runs in its thread, and its thread never waits."""

from __future__ import annotations

import asyncio
import functools
import heapq
import itertools
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import pb
from pb import sync
from pb.testing.clock import Clock

from .spots import HOLD_S, Lobby, Spot, lose, quick, settle


class Window:
    """A loop of the shape that windows have: functions that run later, in this thread, one after another."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self.clock = Clock()

    def after(self, ms: int, function: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.clock.now + ms / 1000, next(self._numbers), function))

    def turn(self) -> None:
        """Let the time go by until something is due, and run what is due then."""
        if self._due:
            self.clock.now = now = max(self.clock.now, self._due[0][0])
            while self._due and self._due[0][0] <= now:
                heapq.heappop(self._due)[2]()

    def until(self, condition: Callable[[], object]) -> None:
        """Take turns until other threads have brought about a state, and the window has shown it."""

        def is_so() -> object:
            if not condition():
                self.turn()
            return condition()

        settle(is_so)


@pytest.fixture
def window():
    return Window()


@pytest.fixture
def gui(window):
    gui = sync.Gui(window.after, interval_ms=2)
    yield gui
    gui.stop()


@pytest.fixture
def spot():
    with Spot(Lobby()) as spot:
        yield spot


def opened(window, gui, url, **options):
    """Open a connection as a program with a window does."""
    got: list = []
    gui.open_connection(url, then=got.append, failed=got.append, **options)
    assert [] == got, "it returns before there is a connection"
    window.until(lambda: got)
    return got[0]


class Guest(pb.Referenceable):
    """What the peer calls back."""

    def __init__(self):
        self.heard: list = []

    def remote_down(self, depth):
        self.heard.append((depth, threading.current_thread()))
        return depth


def test_all_that_happens_on_a_connection_happens_in_the_thread_of_the_window(window, gui, spot):
    """Methods, outcomes, changes of the status, and the end: widgets may be touched in all of them."""
    here = threading.current_thread()
    connection = opened(window, gui, spot.url, reconnect=quick())
    told: list = []

    def tell(*what):
        told.append(threading.current_thread())

    connection.status.watch(tell)
    sync.on_disconnect(connection.root, tell)
    guest = Guest()
    connection.root.ask(guest, 3, pbcallback=tell)
    connection.root.nothing(pberrback=tell)
    connection.root.echo("mixed", pbcallback=lambda value: 1 // 0)
    window.until(lambda: len(told) >= 2)
    assert [(3, here)] == guest.heard
    lose(connection)
    window.until(lambda: connection.is_ready and len(told) >= 7)
    assert [here] * 7 == told
    assert 7 == connection.root.ask(guest, 7), "a call that waits serves what comes meanwhile"
    assert (7, here) == guest.heard[-1]
    connection.close()


def test_a_window_opens_before_there_is_a_server(window, gui, spot, caplog):
    """Neither connecting nor trying again holds it up; nor is anybody told twice."""
    spot.stop()
    (refused,) = [opened(window, gui, spot.url)]
    assert isinstance(refused, OSError)
    gui.open_connection(spot.url, then=lambda connection: 1 // 0)
    window.until(lambda: "and nobody is to be told" in caplog.text)
    got: list = []
    tries: list = []

    async def sleep(seconds):
        tries.append(seconds)
        await asyncio.sleep(seconds)

    gui.open_connection(spot.url, then=got.append, reconnect=quick(retries_first=True, sleep=sleep))
    window.until(lambda: 3 <= len(tries))
    assert [] == got
    spot.start()
    window.until(lambda: got)
    (connection,) = got
    assert 1 == connection.root.echo(1)
    connection.close()


def test_what_is_wrong_with_the_call_is_said_at_once(gui):
    """Not to a callback: it is the program that is wrong, not the network."""
    for call, told in (
        (lambda: gui.open_connection("http://x", then=print), "http"),
        (lambda: gui.open_connection("pb://x", then=print, tls="key.pem"), "ssl.SSLContext"),
        (lambda: gui.open_connection("pb://x", then=print, colour="red"), "colour"),
        (lambda: gui.open_connection("pb://x", then=3), "a function is expected, not an int"),
        (lambda: gui.open_connection("pb://x", then=print, failed="x"), "expected, not a str"),
        (lambda: gui.run(3), "a function is expected, not an int"),
        (lambda: gui.run(print, then=3), "a function is expected, not an int"),
        (lambda: sync.Gui(3), "after is an int"),
        (lambda: sync.Gui(print, interval_ms=0), "interval_ms=0"),
    ):
        with pytest.raises((TypeError, ValueError), match=told):
            call()


def test_what_may_block_runs_elsewhere_and_its_outcome_here(window, gui, spot, caplog):
    """Several steps in a row, as a login and an attachment are."""
    connection = opened(window, gui, spot.url, reconnect=quick())
    got: list = []

    def steps(value):
        assert threading.current_thread() is not threading.main_thread()
        counter = connection.keep(connection.root.counter)
        return [connection.root.echo(value), counter.add()], counter

    def take(result):
        got.append((result, threading.current_thread()))

    gui.run(steps, "a", then=take)
    window.until(lambda: got)
    ((said, counter), where) = got.pop()
    assert (["a", 1], threading.current_thread()) == (said, where)
    lose(connection)  # and what is kept is got again without the window
    counter.add(pbcallback=lambda value: got.append(value))
    window.until(lambda: [2] == got)
    gui.run(lambda: 1 // 0, failed=take)
    window.until(lambda: 2 == len(got))
    assert isinstance(got[1][0], ZeroDivisionError)
    gui.run(lambda: 1 // 0)
    window.until(lambda: "what a window let run failed" in caplog.text)
    gui.run(lambda: got.append("nothing is to be told"))
    window.until(lambda: 3 == len(got))
    connection.close()


def test_it_keeps_the_order_and_lets_the_window_draw_in_between(window):
    """However much has come, the window is held up for 10 ms, and for as long as what is done last takes."""
    gui = sync.Gui(window.after, clock=window.clock)
    seen: list = []

    def work(number):
        seen.append(number)
        window.clock.advance(1 / 1024)

    for number in range(100):
        gui.soon(work, number)
    ends = []
    while len(seen) < 100:
        window.turn()
        ends.append(len(seen))
    assert list(range(100)) == seen
    assert [11, 22, 33, 44, 55, 66, 77, 88, 99, 100] == ends
    gui.stop()


def test_what_fails_is_logged_under_the_name_of_the_function_or_the_url(window, gui, spot, caplog):
    """By which a program finds the records: a sentence is for people, and stands in the text."""
    spot.stop()

    def compute():
        return 1 // 0

    gui.open_connection(spot.url, then=print)
    gui.run(compute)
    gui.run(functools.partial(compute))
    gui.soon(compute)
    window.until(lambda: 4 == len(caplog.records))
    told = {(vars(each).get("pb_url", ""), vars(each).get("pb_method", "")) for each in caplog.records}
    assert {(spot.url, ""), ("", "compute"), ("", "partial")} == told


def test_a_peer_that_calls_more_than_the_window_can_do_is_not_read(window, gui):
    """As it is of any program that is busy; and nothing is lost."""

    class Flood(pb.Root):
        def remote_flood(self, guest, count):
            for number in range(count):
                guest.down.send(number)
            return guest.down(count)

    with sync.serve(Flood(), "pb://127.0.0.1:0") as server:
        connection, guest, got = opened(window, gui, server.url), Guest(), []
        connection.root.flood(guest, 2000, pbcallback=got.append)
        sync.on_loop(lambda: None)
        window.until(lambda: got)
        assert list(range(2001)) == [number for number, _ in guest.heard]
        assert {threading.current_thread()} == {thread for _, thread in guest.heard}
        connection.close()


def test_dialogues_within_callbacks_do_not_stop_the_news(window, gui):
    """They run a loop of their own, and return when their user has closed them."""
    seen: list = []

    def dialogue():
        gui.soon(seen.append, "news")
        window.until(lambda: "news" in seen)
        seen.append("closed")

    gui.soon(dialogue)
    window.until(lambda: "closed" in seen)
    assert ["news", "closed"] == seen


def test_when_the_window_is_gone_others_do_its_work(window, spot):
    """What had come for it too."""
    gui = sync.Gui(window.after, interval_ms=2)
    connection = opened(window, gui, spot.url)
    guest, got = Guest(), threading.Event()
    connection.root.ask(guest, 1, pbcallback=lambda value: got.set())
    settle(lambda: gui._host.ready)
    assert [] == guest.heard, "it has come, and nobody has looked yet"
    gui.stop()
    assert got.wait(HOLD_S)
    assert threading.current_thread() is not guest.heard[0][1]
    window.turn()
    connection.close()


def test_an_interrupt_in_a_callback_ends_the_window(window, gui):
    """Ctrl-C reaches whoever runs the loop; what called is told that nobody served it."""

    def stop():
        raise KeyboardInterrupt

    gui.soon(stop)
    with pytest.raises(KeyboardInterrupt):
        window.until(lambda: False)
    seen: list = []
    gui.soon(seen.append, "and it goes on, if the program does")
    window.until(lambda: seen)


def test_after_must_call_in_the_thread_of_the_window():
    """A timer thread is not a loop."""
    errors: list = []

    def look(function):
        try:
            function()
        except RuntimeError as error:
            errors.append(str(error))

    threads: list = []

    def after(ms, function):
        threads.append(threading.Thread(target=look, args=(function,)))

    gui = sync.Gui(after)
    threads[0].start()
    threads[0].join(HOLD_S)
    assert ["after has called a function in another thread than the one that made the Gui"] == errors
    gui.stop()


def test_a_server_that_says_nothing_holds_nobody_up(window, gui, caplog):
    """The window goes on, and is told in the end."""
    caplog.set_level(logging.CRITICAL)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"pb://127.0.0.1:{silent.getsockname()[1]}"
        error = opened(window, gui, url, timeout=0.05)
        assert isinstance(error, TimeoutError)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # that threads exist when it forks: that is the point
def test_in_a_child_nothing_is_looked_for(window, gui, spot):
    """The connections are the parent's."""
    connection = opened(window, gui, spot.url)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            for _ in range(5):
                window.turn()
            try:
                gui.run(print)
            except pb.ForkedConnection:
                os.write(writing, b"refused")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"refused" == os.read(reading, 100)
    os.close(reading)
    os.close(writing)
    got: list = []
    connection.root.echo(5, pbcallback=got.append)
    window.until(lambda: [5] == got)
    connection.close()


def test_the_program_of_the_page_about_windows_works(window, spot, monkeypatch):
    """As it stands there, but for where its server is; the toolkit is one that needs no screen."""
    page = Path(__file__).parents[3] / "docs" / "windows.md"
    program = page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    labels: list[dict[str, str]] = []

    class Label(dict[str, str]):
        def __init__(self, master, **options):
            super().__init__(options)
            labels.append(self)

        def pack(self):
            pass

    class Tk:
        after = staticmethod(window.after)

        def mainloop(self):
            window.until(lambda: labels[0]["text"] != "connecting")

    monkeypatch.setitem(sys.modules, "tkinter", SimpleNamespace(Tk=Tk, Label=Label))
    names: dict = {}
    exec(compile(program.replace("pb://127.0.0.1:8789", spot.url), str(page), "exec"), names)
    assert [{"text": "hello"}] == labels
    names["gui"].stop()
