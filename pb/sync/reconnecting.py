"""A connection of a blocking program that comes back: `open_connection(url, reconnect=True)`."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pb.aio.backoff import Reconnect
from pb.aio.reconnecting import Dial
from pb.aio.reconnecting import LastingConnection as LoopLastingConnection
from pb.aio.status import Change, ConnectionState
from pb.context import serving

from ._floor import Desk
from ._handlers import Handling
from .connection import Connection
from .status import Status

if TYPE_CHECKING:
    from ._background import Background


class LastingConnection(Connection):
    """A connection that is made again whenever it is lost, until it is closed.

    Each time it logs in again, attaches the same perspectives with the same client objects, and gets again
    what it keeps, so that these very references work again: `root`, attached perspectives, what `keep`
    returned. What was got from other calls ends with the connection it came over (`DeadReference`); replicas
    are stale (`is_stale`) until the object is sent again, and then are the same objects as before.

    A call on what lasts that is made while the connection is down waits for it, and so does its thread.

    Attributes:
        status: how it is doing; can be watched.
    """

    __slots__ = ("_home", "status")

    def __init__(self, home: Home) -> None:
        # No link yet: nobody has this object before the first one is there.
        self._home = home
        self._root = None
        self.status = Status(home)

    @property
    def root(self) -> Any:
        """The peer's root object: one reference, over all connections."""
        root = self._root
        if root is None:
            home = self._home
            root = home.background.call(lambda: home.root)
            if not home._is_owned:  # else the references keep the connection, and this one would for ever
                self._root = root
        return root

    @property
    def is_open(self) -> bool:
        """Whether calls can be made, now or when it is connected again."""
        return self._home.is_open

    @property
    def is_ready(self) -> bool:
        """Whether calls can be made now."""
        return self._home.is_ready

    def keep(self, get: Callable[[], Any]) -> Any:
        """Get a reference or replica, now and whenever the connection comes back, as the same object.

            board = connection.keep(lambda: connection.root.board())

        Held or not is what counts: when the program has dropped it, it is not asked for again. Where getting
        it again fails, that is logged, and tried again over the next connection.

        Args:
            get: called without arguments, here and later in a thread like those of callbacks; may block.

        Raises:
            TypeError: what it returns is neither a reference nor a replica.
            Exception: whatever `get` raises, this first time.
        """
        home = self._home
        value = get()
        home.background.call(home.restoring.hold, value, lambda: home.in_thread(get))
        return value

    def close(self) -> None:
        """End it for good, in good order; calls that wait for a connection fail with NotExecuted.

        In a method that serves a call of this connection it does not wait, because that call is under way.
        In a child process, where it is a copy, it does nothing: it stays the parent's.
        """
        home = self._home
        if home.background.is_forked:
            return
        found = serving.get()
        if found is not None and found[0].tables is self._link.broker.tables:
            home.background.call(home.leave)
            return
        try:
            home.background.run(home.close, home.desk)
        except BaseException as error:
            if not isinstance(error, Exception):
                self.abort()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif not self._home.background.is_forked:  # also while there is none: it is not to be made again
            self._home.background.call(self._home._give_up)

    def abort(self) -> None:
        """End it for good, at once."""
        self._home.background.call(self._home.abort)

    def wait_closed(self) -> None:
        """Wait until it has ended for good: closed, or given up. Serves the peer meanwhile."""
        self._home.background.run(self._home.wait_closed, self._home.desk)

    def __repr__(self) -> str:
        return f"<LastingConnection with {self.peer}, {self.status.state.value}>"


class Home(LoopLastingConnection):
    """What outlives the links, on the loop.

    Attributes:
        background: what it lives in.
        desk: where the calls of the peer lie, over whichever link they come.
        face: the connection as the program sees it.
    """

    __slots__ = ("background", "desk", "face")

    def __init__(self, background: Background, dial: Dial, options: Reconnect) -> None:
        super().__init__(dial, options)
        self.background = background
        self.desk = Desk(0)  # until the first link has one
        self.face = LastingConnection(self)
        self.status.watch(self._note)

    def adopt(self, link: Any) -> None:
        """Be the connection of a link that is being made."""
        if self.desk.most:
            link.desk = self.desk  # threads that wait there go on to serve the peer
        else:
            self.desk = link.desk
        super().adopt(link)
        self.face._be_of(link)

    def leave(self) -> None:
        """End it for good, and let what is under way come to its end."""
        self._finish(ConnectionState.CLOSED, None)
        self._link.broker.close()

    def _note(self, change: Change) -> None:
        if change.state.is_final:
            self.background.homes.discard(self)
        elif change.state is ConnectionState.CONNECTED:
            self.background.homes.add(self)

    async def in_thread(self, get: Callable[[], Any]) -> Any:
        """Run something that may block where callbacks run, and return what it returns."""
        link: Any = self._link
        handling = Handling(link, get, "what is kept", (), {})
        # Not in the thread of a window, which must not wait.
        desk = self.desk if self.desk.host is None else Desk(self.desk.most)
        self.background.floor.offer(desk, handling)
        return await handling
