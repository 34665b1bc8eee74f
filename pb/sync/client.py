"""Making a connection: `open_connection`, `get_object_at`, `connect`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import jelly
from pb.aio import client as aio
from pb.aio import login as aio_login
from pb.aio import transports
from pb.aio.backoff import Reconnect
from pb.aio.connection import Connection as LoopConnection
from pb.aio.options import check_hooks, check_limits, check_registry, listener_address, split_url
from pb.limits import Limits

from ._background import background
from ._host import Host
from .connection import Connection
from .lasting import SyncLastingLink
from .link import SyncLink
from .reconnecting import Home, LastingConnection

if TYPE_CHECKING:
    from pb.aio.options import ConnectOptions


@overload
def open_connection(
    url: str, *, reconnect: Literal[False] = False, **options: Unpack[ConnectOptions]
) -> Connection: ...


@overload
def open_connection(
    url: str, *, reconnect: Literal[True] | Reconnect, **options: Unpack[ConnectOptions]
) -> LastingConnection: ...


@overload
def open_connection(
    url: str, *, reconnect: bool | Reconnect, **options: Unpack[ConnectOptions]
) -> Connection: ...


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
) -> Connection:
    """Connect to a server: `with open_connection(url) as connection`, or close it yourself.

    Arguments and errors as for `pb.open_connection`. Methods of `root` and of whatever is passed to the peer
    run in a thread that waits in a call on this connection, or else in a worker thread. With `reconnect=` it
    is a `LastingConnection`.
    """
    opening = opening_of(
        url,
        None,
        root=root,
        registry=registry,
        limits=limits,
        tls=tls,
        timeout=timeout,
        insecure=insecure,
        debug=debug,
        proxy=proxy,
        reconnect=reconnect,
        hooks=hooks,
    )

    async def connect() -> Connection:
        opened: Any = await opening()
        connection: Connection = opened._link.connection
        return connection

    return background().run(connect)


def get_object_at(
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

    The connection closes by itself when the last reference that came over it is gone; or close it by
    `connection_of(reference).close()`. Arguments and errors as for `pb.get_object_at`.
    """
    options = _options(None, registry, limits, tls, insecure, debug, proxy, hooks)
    where, name = split_url(url)
    opening = _opening(where, options, tls, timeout, reconnect)

    async def get() -> Any:
        connection = await opening()
        try:
            reference = connection.root if name is None else await connection.get_object(name)
        except BaseException:
            connection.abort()
            raise
        connection._own()
        return reference

    return background().run(get)


def connect(
    url: str,
    user: str | None,
    password: str | None,
    service: str,
    perspective: str | None = None,
    client: object = None,
    timeout: float | None = None,
    *,
    key: aio_login.Key | None = None,
    registry: jelly.Registry | None = None,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    insecure: bool = False,
    debug: bool = False,
    proxy: bool = True,
    reconnect: bool | Reconnect = False,
    hooks: Any = None,
) -> Any:
    """Connect, log in and attach in one: `perspective = connect(url, user, password, service)`.

    The connection lives as long as the perspective, or something got from it, is held; end it before by
    `connection_of(perspective).close()`. Arguments and errors as for `pb.connect`.
    """
    credentials = aio_login.credentials_of(user, password, key)
    options = _options(None, registry, limits, tls, insecure, debug, proxy, hooks)
    opening = _opening(url, options, tls, timeout, reconnect)

    async def attach() -> Any:
        try:
            async with asyncio.timeout(timeout):
                connection = await opening()
                try:
                    identity = await connection.login(credentials=credentials)
                    reference = await identity.attach(service, perspective, client)
                except BaseException:
                    connection.abort()
                    raise
        except TimeoutError as error:
            if isinstance(error.__cause__, asyncio.CancelledError):
                raise TimeoutError(f"no perspective from {url} within {timeout:g} s") from None
            raise
        connection._own()
        return reference

    return background().run(attach)


def opening_of(
    url: str,
    host: Host | None,
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
) -> Callable[[], Coroutine[Any, Any, LoopConnection]]:
    """Return what connects, on the loop.

    Args:
        host: the thread that does all that the peer asks for; None: whichever waits, or a worker.
    """
    options = _options(root, registry, limits, tls, insecure, debug, proxy, hooks)
    return _opening(url, options, tls, timeout, reconnect, host)


def _options(
    root: Any,
    registry: jelly.Registry | None,
    limits: Limits | None,
    tls: ssl.SSLContext | None,
    insecure: bool,
    debug: bool,
    proxy: bool,
    hooks: Any,
) -> dict[str, Any]:
    check_limits(limits)
    check_registry(registry)
    check_hooks(hooks)
    aio._check_tls(tls)
    return {
        "root": root,
        "registry": registry,
        "limits": limits or Limits(),
        "insecure": insecure,
        "debug": debug,
        "proxy": proxy,
        "hooks": hooks,
    }


def _opening(
    url: str,
    options: dict[str, Any],
    tls: ssl.SSLContext | None,
    timeout: float | None,
    reconnect: bool | Reconnect,
    host: Host | None = None,
) -> Callable[[], Coroutine[Any, Any, LoopConnection]]:
    """Return what connects, on the loop, to the connection as functions there see it."""
    address = listener_address(url)
    patience = aio.Patience.of(timeout, options["limits"])
    lasting = Reconnect.of(reconnect)
    home = background()
    options["check"] = transports.pin_check(address)
    options["dials"] = True

    def hosted(link: SyncLink) -> SyncLink:
        link.desk.host = host
        return link

    async def connect() -> LoopConnection:
        links: list[SyncLink] = []

        def make_link() -> SyncLink:
            links.append(hosted(SyncLink(home, **options)))
            return links[-1]

        await aio._open(address, make_link, tls, patience)
        return links[-1].loop_connection

    async def connect_for_good() -> LoopConnection:
        assert lasting is not None
        kept: Home = aio.lasting(
            lasting,
            lambda: hosted(SyncLastingLink(home, **options)),
            address,
            tls,
            patience,
            lambda dial, options: Home(home, dial, options),
        )
        return await kept.start()

    return connect if lasting is None else connect_for_good
