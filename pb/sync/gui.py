"""Programs with windows: all that the peers call runs in the thread of the window, which never waits."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, Unpack, overload

from jelly._article import a
from pb.logfields import fields

from ._background import background
from ._floor import Desk
from ._handlers import Chore
from ._host import Host

if TYPE_CHECKING:
    from pb.aio.backoff import Reconnect
    from pb.aio.options import ConnectOptions

    from ._floor import Job
    from .connection import Connection
    from .reconnecting import LastingConnection

log = logging.getLogger("pb")

# What is done in one go, before the window is let draw and hear its user again.
_TURN_S: Final = 0.01
# Far more than come in one turn: while more wait, nothing is read.
_MOST_JOBS: Final = 128


class Gui:
    """Brings what happens on connections into the thread of a window: `gui = sync.Gui(window.after)`.

        window = tkinter.Tk()
        gui = sync.Gui(window.after)
        gui.open_connection("pb://127.0.0.1:8789", then=enter)
        window.mainloop()

    Over a connection that is opened by it, everything runs in the window's thread and may touch its widgets:
    methods that the peer calls, `pbcallback` and `pberrback`, watchers of `status`, and callbacks of
    `on_disconnect`. So a program with a window needs no thread, queue or lock of its own. Calls are made with
    `pbcallback=`, which does not wait: `connection.root.say("hi", pbcallback=show, pberrback=complain)`.

    Hooks of replicas (`changed`, `observe_` methods) run in the thread of the connections, because their
    order counts: there take what is to be shown, and hand it on by `gui.soon`.

    Args:
        after: called as `after(milliseconds, function)`; calls the function then, once, in the thread of the
            window, which is the one that makes the Gui. For Qt it is `QTimer.singleShot`, for GTK
            `lambda ms, f: GLib.timeout_add(ms, f)`.
        interval_ms: how often is looked for news.
        clock: tells the time, in seconds, by which the window is let draw in between; for tests.

    Raises:
        TypeError: `after` is no function.
        ValueError: the interval is not above 0.
    """

    def __init__(
        self,
        after: Callable[[int, Callable[[], None]], object],
        *,
        interval_ms: int = 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not callable(after):
            raise TypeError(
                f"after is {a(type(after).__name__)}; a function such as window.after is expected, which is "
                "given milliseconds and a function"
            )
        if interval_ms <= 0:
            raise ValueError(f"interval_ms={interval_ms}; expected a number of milliseconds from 1 on")
        self._after = after
        self._interval_ms = interval_ms
        self._clock = clock
        self._background = background()
        self._thread = threading.get_ident()
        self._host = Host(self._background.floor.sitter())
        self._desk = Desk(_MOST_JOBS)
        self._desk.host = self._host
        self._after(self._interval_ms, self._look)

    @overload
    def open_connection(
        self,
        url: str,
        *,
        then: Callable[[Connection], object],
        failed: Callable[[BaseException], object] | None = None,
        reconnect: Literal[False] = False,
        **options: Unpack[ConnectOptions],
    ) -> None: ...

    @overload
    def open_connection(
        self,
        url: str,
        *,
        then: Callable[[LastingConnection], object],
        failed: Callable[[BaseException], object] | None = None,
        reconnect: Literal[True] | Reconnect,
        **options: Unpack[ConnectOptions],
    ) -> None: ...

    def open_connection(
        self,
        url: str,
        *,
        then: Callable[[Any], object],
        failed: Callable[[BaseException], object] | None = None,
        reconnect: bool | Reconnect = False,
        **options: Unpack[ConnectOptions],
    ) -> None:
        """Connect to a server, and return at once; `then(connection)` is called when it is there.

        Args:
            failed: called with the error where it cannot be made; None: the error is logged.
            reconnect, options: as for `sync.open_connection`; with `reconnect=` it is a `LastingConnection`.

        Raises:
            BadURL, TypeError: the URL or the options cannot be understood, or what is to be called is no
                function.
        """
        _check_functions(then)
        if failed is not None:
            _check_functions(failed)
        from .client import opening_of

        opening = opening_of(url, self._host, reconnect=reconnect, **options)

        async def connect() -> None:
            try:
                opened: Any = await opening()
            except Exception as error:
                self._fail(f"opening {url}", failed, error, url=url)
            else:
                self.soon(then, opened._link.connection)

        self._background.check_caller()
        self._background.submit(lambda: self._background.keep(connect()), contextvars.Context())

    def run(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        then: Callable[[Any], object] | None = None,
        failed: Callable[[BaseException], object] | None = None,
    ) -> None:
        """Run what may block in a worker thread, and return at once; `then(result)` is called in the window.

        For what takes several steps: `gui.run(lambda: connection.login("guest", "guest").attach("chat"),
        then=self.enter)`. What runs at the same time is not in any order, and must not touch widgets.

        Args:
            failed: called with what the function raises; None: it is logged.
        """
        _check_functions(function, *(each for each in (then, failed) if each is not None))
        self._background.check_caller()

        def work() -> None:
            try:
                result = function(*args)
            except Exception as error:
                name = getattr(function, "__name__", type(function).__name__)
                self._fail("what a window let run", failed, error, method=name)
            else:
                if then is not None:
                    self.soon(then, result)

        self._background.floor.offer(Desk(_MOST_JOBS), Chore("what a window let run", work))

    def soon(self, function: Callable[..., object], /, *args: Any) -> None:
        """Call a function in the window's thread, soon. May be called in any thread; keeps the order."""
        self._background.floor.offer(self._desk, Chore("what was to run in a window", function, *args))

    def stop(self) -> None:
        """Look for news no more, when the window is closed and the program goes on; call it in its thread.

        From here on what the peers call runs in worker threads, as without a window.
        """
        self._host.close()

    def _fail(
        self,
        what: str,
        failed: Callable[[BaseException], object] | None,
        error: Exception,
        *,
        method: str = "",
        url: str = "",
    ) -> None:
        if failed is not None:
            self.soon(failed, error)
        else:
            log.error(
                "%s failed, and nobody is to be told",
                what,
                exc_info=error,
                extra=fields("watcher.failed", method=method, url=url, error=error),
            )

    def _look(self) -> None:
        """Do what has come, and see to it that this is called again."""
        host = self._host
        if not host.is_open or self._background.is_forked:
            return
        if threading.get_ident() != self._thread:
            raise RuntimeError("after has called a function in another thread than the one that made the Gui")
        # First: what is done may open a dialogue, which does not return before its user closes it.
        self._after(self._interval_ms, self._look)
        end = self._clock() + _TURN_S
        taken: list[Job] = []
        sitter = host.frame.sitter
        try:
            while (job := host.take()) is not None:
                taken.append(job)
                del job
                sitter.run_taken(taken)
                if self._clock() >= end:
                    return
        finally:
            for each in taken:  # an interrupt came between taking and running it
                each.interrupt()


def _check_functions(*given: object) -> None:
    for each in given:
        if not callable(each):
            raise TypeError(f"a function is expected, not {a(type(each).__name__)}")
