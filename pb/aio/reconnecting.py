"""A connection that comes back: `open_connection(url, reconnect=True)`. Spec: spec/12-reconnecting.md."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import cred
from pb.errors import DeadReference, NotExecuted
from pb.logfields import fields

from . import login, named
from .attempts import WaitingCalls
from .backoff import Reconnect, Streak, is_final
from .connection import Connection
from .lasting import LastingLink, make_lasting
from .leaving import SOON_S, gone
from .restoring import KeptIdentity, Restoring
from .status import ConnectionState, Status

if TYPE_CHECKING:
    from .link import Link

log = logging.getLogger("pb")

_S = ConnectionState
Dial = Callable[["LastingConnection"], Awaitable[Connection]]


class LastingConnection(Connection):
    """A connection that is made again whenever it is lost, until it is closed.

    Each time it logs in again, attaches the same perspectives with the same client objects, and gets again
    what it keeps, so that these very references work again: `root`, attached perspectives, what
    `get_object` and `keep` returned. What was got from other calls ends with the connection it came over
    (`DeadReference`), because only the program knows how to get it again; replicas are stale (`pb.is_stale`)
    until the object is sent again, and then are the same objects as before.

    Attributes:
        status: how it is doing; can be watched.
    """

    __slots__ = (
        "_dial",
        "_is_owned",
        "_is_restored",
        "_limit",
        "_options",
        "_root",
        "_since",
        "_streak",
        "_task",
        "calls",
        "restoring",
        "status",
    )

    def __init__(
        self, dial: Callable[[LastingConnection], Awaitable[Connection]], options: Reconnect
    ) -> None:
        # No link yet: nobody has this object before the first one is there.
        self._dial = dial
        self._options = options
        self._is_owned = False
        self._is_restored = False
        self._limit: asyncio.Timeout | None = None  # of the restoring that is under way
        self._root: Any = None
        self._since = 0.0  # when it became connected, or was lost
        self._streak = Streak(options)
        self._task: asyncio.Task[None] | None = None
        self.calls = WaitingCalls(options.max_waiting if options.calls == "wait" else 0)
        self.status = Status(asyncio.get_running_loop().time)
        self.restoring = Restoring(self.status)

    # --- for the program

    @property
    def root(self) -> Any:
        """The peer's root object: one reference, over all connections."""
        root = self._root() if isinstance(self._root, weakref.ref) else self._root
        if root is None:
            if self.status.state.is_final:
                why = self.status.error or self._link.broker.calls.end_reason
                raise DeadReference(f"no root: the connection is {self.status.state.value}: {why}")
            root = self._link.broker.root_reference()
            make_lasting(root)
            self._root = weakref.ref(root) if self._is_owned else root
        return root

    @property
    def is_usable(self) -> bool:
        """Whether it is there and logged in, so that what is kept can be got."""
        return self._is_restored and self._link.broker.calls.is_open

    @property
    def is_ready(self) -> bool:
        """Whether calls can be made now."""
        return self.status.state is _S.CONNECTED and self._link.broker.calls.is_open

    @property
    def is_open(self) -> bool:
        """Whether calls can be made, now or when it is connected again."""
        return not (self.status.state.is_final or self._link.is_over)

    async def login(
        self,
        user: str | None = None,
        password: str | None = None,
        *,
        key: Any = None,
        credentials: Any = None,
    ) -> KeptIdentity:
        """Log in at the server, now and whenever the connection comes back. See `Connection.login`.

        While it is down, that waits for it as calls do. Where it is lost under a login, log in again.

        A login that the server has ended (the user was disabled, or has a new password) is forgotten. Where
        it is refused when the connection comes back (`LoginFailed`), so it is too, if another login is left;
        both are in `status.logins_lost`. The only one refused, or a server that does not prove itself, is
        the end of the connection: its status is FAILED.
        """
        if credentials is None:
            credentials = login.credentials_of(user, password, key)
        elif (user, password, key) != (None, None, None):
            raise TypeError("login takes credentials= alone, or a user with a password or a key=")
        await self._wait_until_ready()
        try:
            return await self.restoring.login(self, credentials)
        except cred.NotOffered:  # nothing was sent
            raise
        except cred.UntrustedServer as error:
            self._finish(_S.FAILED, error)
            raise

    async def keep(self, get: Callable[[], Awaitable[Any]]) -> Any:
        """Get a reference or replica, now and whenever the connection comes back, as the same object.

            board = await connection.keep(lambda: connection.root.board())

        Held or not is what counts: when the program has dropped it, it is not asked for again. Where getting
        it again fails, that is logged, is in `status.kept_lost`, and is tried again over the next connection;
        until then calls on it fail with DeadReference, whose `__cause__` is why.

        Args:
            get: called without arguments; returns something to await.

        Raises:
            TypeError: what it returns is neither a reference nor a replica.
            Exception: whatever `get` raises, this first time.
        """
        return await self.restoring.keep(get)

    async def get_object(self, name: str) -> Any:
        """Return the object of a name; it is got again whenever the connection comes back.

        Where it then has no such name any longer, the reference is dead for good. See `Connection`.
        """
        return await self.restoring.keep(lambda: named.get_object(self, name), name)

    async def _wait_until_ready(self) -> None:
        # Also where it is still called connected, while the peer drains it: what would fail at once, in a
        # program that tries again at once, would keep the loop from ever hearing of the end.
        if self._options.calls == "wait" and not self.is_ready and self.is_open:
            async with contextlib.aclosing(self.status.changes()) as changes:
                async for _ in changes:
                    if self.is_ready:
                        return

    async def close(self) -> None:
        """End it for good, in good order; calls that wait for a connection fail with NotExecuted."""
        self._link.check_thread()
        await self._end()
        await self._link.close()

    def _give_up(self) -> None:
        self._finish(_S.CLOSED, None)
        super()._give_up()

    async def _leave(self) -> None:
        task = self._task
        self._give_up()
        if task is not None and task is not asyncio.current_task():
            await asyncio.wait([task], timeout=SOON_S)  # it was cancelled, and may still end what it began
        await gone(self._link)

    def abort(self) -> None:
        """End it for good, at once."""
        self._link.check_thread()
        self._finish(_S.CLOSED, None)
        self._link.abort()

    async def wait_closed(self) -> None:
        """Wait until it has ended for good: closed, or given up."""
        self._link.check_thread()
        await self.status.wait_for(_S.CLOSED, _S.FAILED)

    # --- making it

    async def start(self) -> LastingConnection:
        """Connect the first time. Raises what `open_connection` does."""
        attempts = 0
        began = asyncio.get_running_loop().time()
        while True:
            try:
                await self._connect()
                return self
            except Exception as error:
                attempts += 1
                down_s = asyncio.get_running_loop().time() - began
                options = self._options
                if not options.retries_first or is_final(error) or options.is_over(attempts, down_s):
                    raise
                await self._pause(error, attempts)

    def adopt(self, link: LastingLink) -> None:
        """Be the connection of a link that is being made."""
        link.home = self
        self._is_restored = False
        link._connection = self
        self._be_of(link)  # already: a root that is made for it may look

    def _own(self) -> None:
        """From here on the references keep it: with the last of them it closes."""
        root = self.root
        self._is_owned = True
        self._root = weakref.ref(root)
        self.restoring.let_go()
        self._link.own()

    async def _connect(self) -> None:
        link = (await self._dial(self))._link
        self.status.enter(_S.RESTORING, attempts=self.status.attempts)
        try:
            _check_there(link)  # it may have been lost before this task was told of it
            await self._restore(link)
            _check_there(link)
        except BaseException:
            link.abort()
            self.restoring.note_lost(link)
            raise
        self._since = link.loop.time()
        self.status.enter(_S.CONNECTED)
        if self._is_owned:
            self.restoring.let_go()
            link.own()
        self.calls.start()

    async def _restore(self, link: Link) -> None:
        root = self._root() if isinstance(self._root, weakref.ref) else self._root
        if root is not None:
            fresh = link.broker.root_reference()
            link.broker.tables.take_over(fresh, root)
        else:
            self.root  # noqa: B018 - made and held from the start
        try:
            async with asyncio.timeout(self._link.broker.limits.connect_timeout_s) as self._limit:
                await self.restoring.restore(self)
                self._is_restored = True
                self.calls.start()  # those on what is there again: what is got next must not overtake them
                await self.restoring.restore_kept()
        except TimeoutError:
            _check_there(link)
            raise
        finally:
            self._limit = None

    def _stop_restoring(self) -> None:
        """Let the restoring that is under way fail: its calls would wait for the connection after it."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(0.0)

    def lost(self, link: Link) -> None:
        """Take note that a link has ended; called by it."""
        if self.status.state is _S.RESTORING and link is self._link:
            self._stop_restoring()
        if self.status.state is not _S.CONNECTED or link is not self._link:
            return  # a try that came to nothing: who tries knows
        link.broker.calls.end_reason += ", and with it what was got from calls"
        link.broker.calls.remedy = "get it anew over the one after it, or let connection.keep(...) do so"
        self.restoring.note_lost(link)
        if link.broker.is_initiator:  # by this side, when the last reference was gone
            self._finish(_S.CLOSED, None)
            return
        lasted_s = link.loop.time() - self._since
        self._since = link.loop.time()
        if lasted_s >= self._options.stable_s:
            self._streak.end()
        error: BaseException = link.broker.error or ConnectionError("the connection was lost")
        # In a context of its own: it is not done on behalf of whoever lost it.
        self._task = link.loop.create_task(self._come_back(error), context=contextvars.Context())
        # A program that leaves asyncio.run() without closing this may lose it while the loop ends, after all
        # tasks were cancelled: nothing is lost with this one, and nobody is to be alarmed.
        self._task._log_destroy_pending = False  # type: ignore[attr-defined]

    async def _come_back(self, error: BaseException) -> None:
        attempts = 0
        loop = asyncio.get_running_loop()
        while True:
            await self._pause(error, attempts)
            try:
                await self._connect()
                return
            except Exception as failure:
                error = failure
            attempts += 1
            if is_final(error) or self._options.is_over(attempts, loop.time() - self._since):
                log.error(
                    "the connection is given up after %d tries: %s",
                    attempts,
                    error,
                    extra=fields("connection.lost", error=error),
                )
                self._finish(_S.FAILED, error, attempts)
                return

    async def _pause(self, error: BaseException, attempts: int) -> None:
        delay_s = self._streak.next_s(error, is_try=attempts > 0)
        loop = asyncio.get_running_loop()
        self.status.enter(_S.WAITING, error=error, attempts=attempts, due=loop.time() + delay_s)
        await self._options.sleep(delay_s)
        self.status.enter(_S.CONNECTING, error=error, attempts=attempts)

    # --- ending it

    async def _end(self) -> None:
        task = self._task
        self._finish(_S.CLOSED, None)
        if task is not None and task is not asyncio.current_task():
            await asyncio.wait([task])

    def _finish(self, state: ConnectionState, error: BaseException | None, attempts: int = 0) -> None:
        task, self._task = self._task, None
        if task is not None and not task.done() and task is not _current_task():
            task.cancel()
        if not self.status.state.is_final:
            self.status.enter(state, error=error, attempts=attempts)
        why = "it was closed" if error is None else f"the connection was given up: {error}"
        self.calls.fail(why)

    def __repr__(self) -> str:
        return f"<LastingConnection with {self.peer}, {self._state_in_words(self.status.state.value)}>"


def _check_there(link: Link) -> None:
    """Raise NotExecuted where a link that has just been made is lost again."""
    if link.transport is None or not link.broker.calls.is_open:
        why = f"the connection was lost again at once: {link.broker.calls.end_reason}"
        raise NotExecuted(why) from link.broker.error


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
