"""A connection as blocking programs see it, and the functions about references."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from jelly import RemoteCache
from jelly._article import a
from pb.aio import connection as aio
from pb.aio import ended
from pb.context import serving
from pb.limits import Limits
from pb.reference import RemoteReference
from pb.references import HeldReference, references_of
from pb.usage import Usage

from ._handlers import Chore
from .identity import RemoteIdentity

if TYPE_CHECKING:
    from .link import SyncLink
    from .server import Server

T = TypeVar("T")


class Connection:
    """One connection to a peer; `with` closes it. Any thread may use it; either side may call.

    Where the block is left by an exception, nothing is waited for: calls of other threads that have no answer
    raise `OutcomeUnknown`, or `NotExecuted` where they were not sent; those of the peer are stopped. What was
    sent, by `send` too, still goes out where the peer takes it.
    """

    __slots__ = ("__weakref__", "_broker", "_link", "_root")

    def __init__(self, link: SyncLink) -> None:
        self._be_of(link)
        self._root: Any = None

    def _be_of(self, link: SyncLink) -> None:
        """Be the connection of a link."""
        self._link = link
        self._broker = link.broker.itself  # held: by a link that has ended it no longer is

    @property
    def root(self) -> Any:
        """The peer's root object, as a remote reference.

        Raises:
            DeadReference: the connection has ended.
        """
        root = self._root
        if root is None or root._pb_import.dead is not None or not self.is_open:
            link = self._link
            root = link.background.call(lambda: link.loop_connection.root)
            if not link._owned:  # else the references keep the connection, and this one would for ever
                self._root = root
        return root

    @property
    def peer(self) -> str:
        """Who is at the other end, as the transport tells it, such as `"127.0.0.1:50312"`."""
        return self._link.broker.tables.peer_name

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._link.broker.calls.is_open

    @property
    def limits(self) -> Limits:
        """What this side accepts."""
        return self._link.broker.limits

    @property
    def peer_limits(self) -> Limits | None:
        """What the peer said it accepts."""
        return self._link.broker.peer_limits

    @property
    def usage(self) -> Usage:
        """What is held right now."""
        return self._link.loop_connection.usage

    if not TYPE_CHECKING:  # else a type checker takes any name for an attribute that never returns

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"a Connection has no {name!r}; methods of the peer are called on connection.root"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._link.transport is not None:
            self._give_up()

    def _give_up(self) -> None:
        """End it at once, because the program has failed: nothing is waited for."""
        link = self._link
        link.background.call(link.give_up)

    def login(
        self,
        user: str | None = None,
        password: str | None = None,
        *,
        key: Any = None,
        credentials: Any = None,
    ) -> RemoteIdentity:
        """Log in at the server: `identity = connection.login("guest", "guest")`.

        Arguments and errors as for `pb.Connection.login`.
        """
        link = self._link
        login = link.loop_connection.login
        identity = link.background.run(
            lambda: login(user, password, key=key, credentials=credentials), link.desk
        )
        return RemoteIdentity(link, identity)

    def get_object(self, name: str) -> Any:
        """Return the object of a name: `lobby = connection.get_object("lobby")`.

        Arguments and errors as for `pb.Connection.get_object`.
        """
        link = self._link
        return link.background.run(lambda: link.loop_connection.get_object(name), link.desk)

    def close(self) -> None:
        """End the connection in good order: what is under way is finished, for at most `limits.drain_s`.

        Calls made from here on raise `NotExecuted`. Closing twice does nothing, and neither does closing it
        in a child process, where it is a copy: it stays the parent's. In a method that serves a
        call of this connection it does not wait, because that call is under way.
        """
        link = self._link
        if link.transport is None or link.background.is_forked:
            return
        found = serving.get()
        if found is not None and found[0].tables is link.broker.tables:
            link.background.call(link.broker.close)
            return
        try:
            link.background.run(link.close, link.desk)
        except BaseException as error:
            if not isinstance(error, Exception):
                self.abort()
            raise

    def wait_closed(self) -> None:
        """Wait until the connection has ended, from whichever side; serve the peer meanwhile."""
        link = self._link
        link.background.run(link.loop_connection.wait_closed, link.desk)

    def abort(self) -> None:
        """End the connection at once: none of the peer's calls begins from here on.

        Those of this side that have no answer yet fail with `OutcomeUnknown`, or with `NotExecuted` where
        they had not left.
        """
        link = self._link
        link.background.call(link.loop_connection.abort)

    def __repr__(self) -> str:
        return f"<Connection with {self.peer}, {self._link.broker.state.value}>"


def _link_of(reference: RemoteReference | RemoteCache) -> SyncLink:
    """Return the connection that a reference or a replica came over.

    Raises:
        TypeError: it is none, or not one of pb.sync.
    """
    from .link import SyncLink

    link = aio._link_of(reference)
    if not isinstance(link, SyncLink):
        raise TypeError(
            "what came over a connection of pb is a matter for the functions of pb, not of pb.sync"
        )
    return link


def connection_of(reference: RemoteReference | RemoteCache) -> Connection:
    """Return the connection that a reference or a replica came over."""
    connection: Connection = _link_of(reference).connection
    return connection


def on_disconnect(
    reference: RemoteReference | RemoteCache, callback: Callable[[Any], object]
) -> Callable[[], None]:
    """Call `callback(reference)` once when the connection of `reference` ends; soon, if it has ended.

    Also when its owner takes it away: by `pb.revoke`, or because it was passed on to this side and the
    connection that it came over there has ended. What came under a perspective, an argument of one of its
    methods say, is dead as soon as its user has left, or was put out: that is told too. It is called in a
    worker thread. The reference is not kept alive for it: where it was collected before, nobody is told. An
    error in `callback` is logged.

    Returns:
        A function that takes the registration back; calling it twice, or too late, does nothing.
    """
    link = _link_of(reference)
    if not callable(callback):
        raise TypeError(
            f"the callback is {a(type(callback).__name__)}; a function of one argument is expected"
        )
    weak = weakref.ref(reference)

    def tell() -> None:
        if weak() is not None:
            link.offer(Chore("a callback of on_disconnect", lambda: _tell(weak, callback)))

    forget = link.background.call(ended.watch_dead, link, aio._row_of(reference), tell, weak)
    return lambda: link.background.call(forget)


def _tell(weak: weakref.ref[Any], callback: Callable[[Any], object]) -> None:
    found = weak()
    if found is not None:
        callback(found)


def release(reference: RemoteReference | RemoteCache) -> None:
    """Give the peer's object back now, instead of when the reference or replica is collected.

    A reference is dead from here on, a replica is stale; where the peer sends the object again, a new one
    is made.
    """
    _link_of(reference).background.call(aio.release, reference)


def reference_report(*where: Connection | Server) -> list[HeldReference]:
    """Return which of our objects peers hold, and since when, the oldest first. As `pb.reference_report`.

    Args:
        where: connections, or servers, which stand for all of theirs.

    Raises:
        TypeError: none is named.
    """
    if not where:
        raise TypeError("reference_report(*where) needs the connections or servers to look at")
    links = [
        each._link
        for place in where
        for each in ((place,) if isinstance(place, Connection) else place.connections)
    ]
    found = [held for link in links for held in link.background.call(references_of, [link.broker])]
    return sorted(found, key=lambda held: -held.age_s)
