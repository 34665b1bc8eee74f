"""A connection as programs see it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from jelly import RemoteCache
from jelly._article import a
from jelly.flavours import row_of
from pb.errors import DeadReference
from pb.limits import Limits
from pb.reference import RemoteReference, is_callable
from pb.usage import Usage, usage_of
from pb.wire.state import State

from . import ended
from .leaving import end_soon, gone

if TYPE_CHECKING:
    from pb.auth.remote_identity import RemoteIdentity

    from .link import Link


class Connection:
    """One connection to a peer. Either side may call the other's objects.

    `async with` closes it, as `close()` does. Where the block is left by an exception, Ctrl-C or a
    cancellation, nothing is waited for: calls that have no answer fail, with `OutcomeUnknown`, or
    `NotExecuted` where they were not sent; those of the peer are stopped. What was sent, by `send` too, still
    goes out where the peer takes it within half a second.
    """

    __slots__ = ("__weakref__", "_broker", "_link")

    def __init__(self, link: Link) -> None:
        self._be_of(link)

    def _be_of(self, link: Link) -> None:
        """Be the connection of a link."""
        self._link = link
        self._broker = link.broker.itself  # held: by a link that has ended it no longer is

    @property
    def root(self) -> Any:
        """The peer's root object, as a remote reference."""
        if self._link.broker.state in (State.GREETING, State.CLOSED):
            broker = self._link.broker
            raise DeadReference(f"no root: the connection is {broker.state.value}: {broker.calls.end_reason}")
        return self._link.broker.root_reference()

    @property
    def peer(self) -> str:
        """Who is at the other end, as the transport tells it, such as `"127.0.0.1:50312"`."""
        return self._link.broker.tables.peer_name

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._link.broker.calls.is_open and not self._link.is_over

    @property
    def limits(self) -> Limits:
        """What this side accepts."""
        return self._link.broker.limits

    @property
    def peer_limits(self) -> Limits | None:
        """What the peer said it accepts; None before its HELLO."""
        return self._link.broker.peer_limits

    @property
    def usage(self) -> Usage:
        """What is held right now, and how much of each limit that is."""
        transport = self._link.transport
        return usage_of(self._link.broker, 0 if transport is None else transport.get_write_buffer_size())

    if not TYPE_CHECKING:  # else a type checker takes any name for an attribute that never returns

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"a Connection has no {name!r}; methods of the peer are called on connection.root"
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.close()
        elif kind is GeneratorExit:
            end_soon(self._link.loop, self._give_up)
        else:
            await self._leave()

    def _give_up(self) -> None:
        """End it at once, because the program has failed: nothing is waited for."""
        self._link.give_up()

    async def _leave(self) -> None:
        """Give it up, and let what was sent go out."""
        self._give_up()
        await gone(self._link)

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was sent to it: for `send` in a loop.

            for line in lines:
                reference.note.send(line)
                await connection.drain()

        Returns at once where the network takes more, and where the connection is lost: the next `send` tells.
        """
        self._link.check_thread()
        await self._link.drain()

    async def login(
        self,
        user: str | None = None,
        password: str | None = None,
        *,
        key: Any = None,
        credentials: Any = None,
    ) -> RemoteIdentity:
        """Log in at the server: `identity = await connection.login("guest", "guest")`.

        Several identities may be logged in over one connection.

        Args:
            user, password: without both it is an anonymous login.
            key: instead of a password: an Ed25519 key, as a file of OpenSSH, its content, or a
                cred.PrivateKey.
            credentials: instead of all these: a cred.Password, which may be used again without deriving its
                keys anew, or what else provides cred.ICredentials, such as cred.External.

        Raises:
            LoginFailed: refused; the server does not say why. After three times it closes the connection.
            cred.NotOffered: one cannot log in in this way over this connection. Nothing was sent, and
                another way may be tried.
            cred.UntrustedServer: the server did not prove itself. The connection has been closed.
            Forbidden: somebody may listen, and `insecure=True` was not spelled out.
        """
        from . import login

        if credentials is None:
            credentials = login.credentials_of(user, password, key)
        elif (user, password, key) != (None, None, None):
            raise TypeError("login takes credentials= alone, or a user with a password or a key=")
        return await login.login(self, credentials)

    async def get_object(self, name: str) -> Any:
        """Return the object that the server has published under a name, or for which it gave a secret one.

            lobby = await connection.get_object("lobby")

        Published names may need a login first; secret ones, which begin with "~", need nothing else.

        Raises:
            NoSuchObject: there is none, or it expired, was revoked, or needs a login: nobody says which.
            Forbidden: the name is a secret, and somebody may listen.
            BadURL: it can be no name.
        """
        from . import named

        return await named.get_object(self, name)

    async def close(self) -> None:
        """End the connection in good order: what is under way is finished, for at most `limits.drain_s`.

        Calls made from here on fail with `NotExecuted`. Closing twice does nothing; cancelled, it ends the
        connection at once. In a method that serves a call of this connection it does not wait, because that
        call is under way: it ends when that has been answered.
        """
        self._link.check_thread()
        await self._link.close()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended, from whichever side and for whatever reason."""
        link = self._link
        link.check_thread()
        if link.transport is None:
            return
        ended = asyncio.Event()
        forget = link.watch(ended.set)
        try:
            await ended.wait()
        finally:
            forget()

    def abort(self) -> None:
        """End the connection at once: none of the peer's calls begins from here on.

        Those of this side that have no answer yet fail with `OutcomeUnknown`, or with `NotExecuted` where
        they had not left.
        """
        self._link.check_thread()
        self._link.abort()

    def _own(self) -> None:
        """From here on the references keep the connection: with the last of them it closes."""
        self._link.own()

    def __repr__(self) -> str:
        return f"<Connection with {self.peer}, {self._state_in_words(self._link.broker.state.value)}>"

    def _state_in_words(self, state: str) -> str:
        """Return how it is doing, unless it was left open by a loop that has ended."""
        is_left = self._link.transport is not None and self._link.is_over
        return "left open, and its event loop is closed" if is_left else state


def connection_of(reference: RemoteReference | RemoteCache) -> Connection:
    """Return the connection that a reference or a replica came over."""
    connection: Connection = _link_of(reference).connection
    return connection


def _row_of(reference: Any) -> Any:
    """Return what is known of a reference or replica: its scope, above all."""
    if isinstance(reference, RemoteReference):
        return reference._pb_import
    row = row_of(reference) if isinstance(reference, RemoteCache) else None
    if row is None:
        raise TypeError(
            "a remote reference is expected, such as connection.root, or a replica that came from a peer, "
            f"not {a(type(reference).__name__)}"
        )
    return row


def _link_of(reference: RemoteReference | RemoteCache) -> Link:
    link: Link = _row_of(reference).scope.broker.face
    return link


def on_disconnect(
    reference: RemoteReference | RemoteCache, callback: Callable[[Any], object]
) -> Callable[[], None]:
    """Call `callback(reference)` once when the connection of `reference` ends; soon, if it has ended.

    Also when its owner takes it away: by `pb.revoke`, or because it was passed on to this side and the
    connection that it came over there has ended. What came under a perspective, an argument of one of its
    methods say, is dead as soon as its user has left, or was put out: that is told too. The reference is not
    kept alive for it: where it was collected before, nobody is told. An error in `callback` is logged and
    does not keep others from being called. What it returns is awaited if it can.

    Returns:
        A function that takes the registration back; calling it twice, or too late, does nothing.
    """
    link = _link_of(reference)
    link.check_thread()
    if not callable(callback):
        raise TypeError(
            f"the callback is {a(type(callback).__name__)}; a function of one argument is expected"
        )
    weak = weakref.ref(reference)

    def tell() -> None:
        found = weak()
        if found is not None:
            result = callback(found)
            if isinstance(result, Awaitable):
                link.spawn(_await(result))

    return ended.watch_dead(link, _row_of(reference), tell, weak)


async def _await(result: Awaitable[object]) -> None:
    await result


def release(reference: RemoteReference | RemoteCache) -> None:
    """Give the peer's object back now, instead of when the reference or replica is collected.

    A reference is dead from here on, a replica is stale; where the peer sends the object again, a new one
    is made.
    """
    _link_of(reference).check_thread()
    row = _row_of(reference)
    if row.scope.tables.is_open:
        row.scope.tables.drop_now(row)


def is_live(reference: RemoteReference | RemoteCache) -> bool:
    """Tell whether a reference can be called, or be an argument or a result, as far as is known here.

    It is dead when its connection has ended, when its owner has revoked the object, and once it was released;
    over a connection that comes back it is so until that is there and the object is back. A replica is live
    while it is not stale. Callable from any thread.

    Raises:
        TypeError: it is no reference or replica that came from a peer.
    """
    row = _row_of(reference)
    if isinstance(reference, RemoteCache):
        return not (row.is_stale or row.is_behind)
    return is_callable(row)


def is_replica(value: object) -> bool:
    """Tell whether an object is a replica: of what a peer has published, and not an original of this program.

    The class does not tell: one that both sides have, a `pb.Tracked` say, is that of both. Of a replica that
    has come home there is nothing to be asked: what arrives is the original itself.
    """
    return isinstance(value, RemoteCache) and row_of(value) is not None


def is_stale(replica: RemoteCache) -> bool:
    """Tell whether a replica no longer follows its original: ask its owner for the object again.

    That is so when the connection has ended, when the original was revoked, and when an update could not
    be applied here: refused, no such observe_ method, or the method raised. Over a connection that comes back
    it is so until the object was sent again and the replica has caught up.

    Raises:
        TypeError: it is no replica that came from a peer.
    """
    row = row_of(replica) if isinstance(replica, RemoteCache) else None
    if row is None:
        raise TypeError(f"a replica that came from a peer is expected, not {a(type(replica).__name__)}")
    stale: bool = row.is_stale or row.is_behind
    return stale
