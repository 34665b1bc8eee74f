"""Making a connection: `open_connection`, `get_object_at`."""

from __future__ import annotations

import asyncio
import contextvars
import ssl
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Unpack, overload

import jelly
from jelly._article import a
from pb import messages
from pb.errors import ProtocolError
from pb.limits import Limits

from . import logged, transports
from .backoff import Reconnect
from .connection import Connection
from .lasting import LastingLink
from .link import Link
from .opening import Opening
from .options import check_hooks, check_limits, check_registry, listener_address, split_url
from .unreachable import cannot_connect, no_answer, unspoken
from .url import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pb.broker import Broker
    from pb.reference import RemoteReference

    from .options import ConnectOptions
    from .reconnecting import LastingConnection

# How a server ends a connection over which it has not been asked anything yet. Spec: spec/9-login.md, PB-A51.
_REFUSALS: Final = {
    messages.BYE_POLICY: "lets nobody in from here",
    messages.BYE_LIMIT: "lets nobody in just now",
}


@overload
def open_connection(
    url: str, *, reconnect: Literal[False] = False, **options: Unpack[ConnectOptions]
) -> Opening[Connection]: ...


@overload
def open_connection(
    url: str, *, reconnect: Literal[True] | Reconnect, **options: Unpack[ConnectOptions]
) -> Opening[LastingConnection]: ...


@overload
def open_connection(
    url: str, *, reconnect: bool | Reconnect, **options: Unpack[ConnectOptions]
) -> Opening[Connection]: ...


def open_connection(
    url: str,
    *,
    root: Any = None,
    registry: jelly.Registry | None = None,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float | None = None,
    insecure: bool = False,
    debug: bool = False,
    proxy: bool = True,
    reconnect: bool | Reconnect = False,
    hooks: Any = None,
) -> Opening[Any]:
    """Connect to a server: `async with open_connection(url) as connection`, or await it.

    Args:
        url: `pb://host:port`, `pbs://[fingerprint@]host:port`, `pb+unix:///path`, `ws://host:port`,
            `wss://[fingerprint@]host:port` or `memory://name`.
        root: an object of ours that the server may call first, or a callable that gets the connection.
        registry: the classes that may cross, in both directions; None for none but the builtin ones.
        limits: what this side accepts.
        tls: for `pbs://` and `wss://` without a fingerprint; None asks the usual authorities.
        timeout: seconds for connecting until the server's HELLO; None is `limits.connect_timeout_s`, of which
            a server that has been reached has `limits.hello_timeout_s`.
        insecure: let logins run over `pb://` or `ws://` to another machine, where somebody may listen.
        debug: tell the peer text and traceback of internal errors. Not for production.
        proxy: let references of other connections be passed on over this one.
        hooks: a `pb.Hooks`, or several in a list: told of connections, calls, references and logins.
        reconnect: True, or a `pb.Reconnect` with options, for a `LastingConnection`: one that is made again
            whenever it is lost, until it is closed.

    Raises (when awaited or entered):
        BadURL: the URL cannot be understood.
        OSError: no connection could be made; TimeoutError (an OSError) where it took too long.
        ProtocolError: what answers does not speak this protocol.
    """
    address = listener_address(url)
    check_limits(limits)
    check_registry(registry)
    check_hooks(hooks)
    _check_tls(tls)

    def make_link(kind: type[Link]) -> Link:
        return kind(
            registry=registry,
            limits=limits or Limits(),
            root=root,
            debug=debug,
            proxy=proxy,
            hooks=hooks,
            dials=True,
            check=transports.pin_check(address),
            insecure=insecure,
        )

    patience = Patience.of(timeout, limits)
    options = Reconnect.of(reconnect)

    def start() -> Coroutine[Any, Any, Connection]:
        if options is None:
            return _open(address, lambda: make_link(Link), tls, patience)
        connection: LastingConnection = lasting(
            options, lambda: make_link(LastingLink), address, tls, patience
        )
        return connection.start()

    return Opening(start, "pb.open_connection(...)")


def lasting(
    options: Reconnect,
    make_link: Callable[[], Any],
    address: Address,
    tls: ssl.SSLContext | None,
    patience: Patience,
    make: Callable[..., Any] | None = None,
) -> Any:
    """Return a connection that reconnects; not connected yet.

    Args:
        make: makes it, in place of `LastingConnection`.
    """
    from .reconnecting import LastingConnection  # which knows of logins, and so of cryptography

    async def dial(connection: LastingConnection) -> Connection:
        def make() -> Any:
            link = make_link()
            connection.adopt(link)
            return link

        return await _open(address, make, tls, patience)

    return (make or LastingConnection)(dial, options)


async def get_object_at(
    url: str,
    *,
    registry: jelly.Registry | None = None,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float | None = None,
    insecure: bool = False,
    debug: bool = False,
    proxy: bool = True,
    reconnect: bool | Reconnect = False,
    hooks: Any = None,
) -> Any:
    """Return a reference to the object at `url`: the root of a server, or what its name there stands for.

    Without a login; so of a server that asks for one, only URLs with a secret name (`.../~NAME`) give
    something. Who wants a published name of such a server logs in first: `Connection.get_object`.

    The connection closes by itself when the last reference that came over it is gone; or close it by
    `pb.connection_of(reference).close()`. Arguments and errors as for `open_connection`.

    Raises:
        NoSuchObject: no such name, or it has expired or was revoked, or a login is needed.
        Forbidden: the name is a secret, and somebody may listen.
    """
    where, name = split_url(url)
    connection = await open_connection(
        where,
        registry=registry,
        limits=limits,
        tls=tls,
        timeout=timeout,
        insecure=insecure,
        debug=debug,
        proxy=proxy,
        hooks=hooks,
        reconnect=reconnect,
    )
    try:
        reference: RemoteReference = connection.root if name is None else await connection.get_object(name)
    except BaseException:
        connection.abort()
        raise
    connection._own()
    return reference


class Patience(NamedTuple):
    """How long is waited for a connection.

    Attributes:
        all_s: until HELLO has come.
        hello_s: for HELLO, from where the server has been reached.
    """

    all_s: float
    hello_s: float

    @classmethod
    def of(cls, timeout: float | None, limits: Limits | None) -> Patience:
        """Return what `timeout` of `open_connection` means."""
        if timeout is not None:
            return cls(timeout, timeout)
        limits = limits or Limits()
        return cls(limits.connect_timeout_s, limits.hello_timeout_s)


async def _open(
    address: Address, make_link: Callable[[], Link], tls: ssl.SSLContext | None, patience: Patience
) -> Connection:
    loop = asyncio.get_running_loop()
    within_s, is_connected = patience.all_s, False
    links: list[Link] = []
    brokers: list[Broker] = []  # which a link that has ended keeps no longer

    def factory() -> Link:
        link = make_link()
        link.ready = loop.create_future()
        links.append(link)
        brokers.append(link.broker)
        return link

    try:
        async with asyncio.timeout(patience.all_s) as limit:
            # In a context of its own: what is served over the connection later is not done on behalf of
            # whoever opened it, nor under the deadline in force here.
            opening = transports.connect(address, factory, tls)
            await loop.create_task(opening, context=contextvars.Context())
            ready, end = links[-1].ready, limit.when()
            assert ready is not None and end is not None
            within_s, is_connected = min(patience), True
            limit.reschedule(min(end, loop.time() + within_s))
            await ready
    except TimeoutError as error:
        _abort(links)
        if isinstance(error.__cause__, asyncio.CancelledError):
            raise no_answer(address, within_s, is_connected) from None
        raise cannot_connect(error, address) from None
    except ProtocolError as error:
        _abort(links)
        raise unspoken(error, address) from None
    except OSError as error:
        _abort(links)
        told = cannot_connect(error, address)
        if told is error:
            raise
        raise told from None
    except BaseException:
        _abort(links)
        raise
    refusal = brokers[-1].error
    if refusal is not None:
        if refusal.code in _REFUSALS:
            # It came with the HELLO, before anything was asked.
            raise ConnectionError(f"{address} {_REFUSALS[refusal.code]}: {refusal}") from refusal
        logged.ends(brokers[-1].tables.peer_name, refusal, None)  # which no error says
    links[-1].ready = None  # from here on the log is told why it ends
    return links[-1].connection


def _check_tls(tls: object) -> None:
    """Refuse the server's key file, which is not the client's to have."""
    if tls is not None and not isinstance(tls, ssl.SSLContext):
        raise TypeError(
            f"tls= of a client is an ssl.SSLContext, not {a(type(tls).__name__)}; the key file stays at the "
            "server, and its fingerprint goes into the URL: pbs://FINGERPRINT@host:port"
        )


def _abort(links: list[Link]) -> None:
    for link in links:
        if link.ready is not None and link.ready.done() and not link.ready.cancelled():
            link.ready.exception()  # seen: it is raised to the caller, or superseded
        if link.transport is not None:
            link.transport.abort()
