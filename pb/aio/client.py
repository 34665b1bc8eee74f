"""Making a connection: `open_connection`, `get_object_at`."""

from __future__ import annotations

import asyncio
import contextvars
import ssl
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import jelly
from pb import messages
from pb.limits import Limits

from . import transports
from .backoff import Reconnect
from .connection import Connection
from .lasting import LastingLink
from .link import Link
from .opening import Opening
from .options import check_hooks, check_registry, listener_address, split_url
from .unreachable import cannot_connect
from .url import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pb.broker import Broker
    from pb.reference import RemoteReference

    from .options import ConnectOptions
    from .reconnecting import LastingConnection


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
        timeout: seconds for connecting until the server's HELLO; None is `limits.connect_timeout_s`.
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
            check=transports.pin_check(address),
            insecure=insecure,
        )

    timeout_s = _seconds(timeout, limits)
    options = Reconnect.of(reconnect)

    def start() -> Coroutine[Any, Any, Connection]:
        if options is None:
            return _open(address, lambda: make_link(Link), tls, timeout_s)
        connection: LastingConnection = lasting(
            options, lambda: make_link(LastingLink), address, tls, timeout_s
        )
        return connection.start()

    return Opening(start, "pb.open_connection(...)")


def lasting(
    options: Reconnect,
    make_link: Callable[[], Any],
    address: Address,
    tls: ssl.SSLContext | None,
    timeout_s: float,
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

        return await _open(address, make, tls, timeout_s)

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


async def _open(
    address: Address, make_link: Callable[[], Link], tls: ssl.SSLContext | None, timeout_s: float
) -> Connection:
    loop = asyncio.get_running_loop()
    links: list[Link] = []
    brokers: list[Broker] = []  # which a link that has ended keeps no longer

    def factory() -> Link:
        link = make_link()
        link.ready = loop.create_future()
        links.append(link)
        brokers.append(link.broker)
        return link

    try:
        async with asyncio.timeout(timeout_s):
            # In a context of its own: what is served over the connection later is not done on behalf of
            # whoever opened it, nor under the deadline in force here.
            opening = transports.connect(address, factory, tls)
            await loop.create_task(opening, context=contextvars.Context())
            ready = links[-1].ready
            assert ready is not None
            await ready
    except TimeoutError as error:
        _abort(links)
        if isinstance(error.__cause__, asyncio.CancelledError):
            raise TimeoutError(f"no answer from {address} within {timeout_s:g} s") from None
        raise cannot_connect(error, address) from None
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
    if refusal is not None and refusal.code == messages.BYE_POLICY:
        # It came with the HELLO, before anything was asked.
        raise ConnectionError(f"{address} lets nobody in from here: {refusal}") from refusal
    return links[-1].connection


def _seconds(timeout: float | None, limits: Limits | None) -> float:
    return timeout if timeout is not None else (limits or Limits()).connect_timeout_s


def _check_tls(tls: object) -> None:
    """Refuse the server's key file, which is not the client's to have."""
    if tls is not None and not isinstance(tls, ssl.SSLContext):
        raise TypeError(
            f"tls= of a client is an ssl.SSLContext, not a {type(tls).__name__}; the key file stays at the "
            "server, and its fingerprint goes into the URL: pbs://FINGERPRINT@host:port"
        )


def _abort(links: list[Link]) -> None:
    for link in links:
        if link.ready is not None and link.ready.done() and not link.ready.cancelled():
            link.ready.exception()  # seen: it is raised to the caller, or superseded
        if link.transport is not None:
            link.transport.abort()
