"""Logging in and connecting to services, for asyncio programs: `connection.login`, `pb.connect`."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cred
import jelly
from pb.auth.channel import channel_of
from pb.auth.remote_identity import RemoteIdentity, log_in
from pb.errors import Forbidden, NotExecuted
from pb.limits import Limits

from .backoff import Reconnect
from .client import open_connection
from .opening import OnlyAsync
from .reference import call_remote

if TYPE_CHECKING:
    from .connection import Connection

Key = cred.PrivateKey | bytes | str | os.PathLike[str]


def credentials_of(user: str | None, password: str | None, key: Key | None) -> Any:
    """Return what to log in with.

    Raises:
        TypeError: it is not clear which of the ways is meant.
        ValueError: the key file holds no Ed25519 key.
    """
    if password is not None and key is not None:
        raise TypeError("login takes a password or a key=, not both")
    if password is not None:
        if user is None:
            raise TypeError("login with a password takes a user too: login(user, password)")
        return cred.Password(user, password)
    if key is None:
        if user is not None:
            raise TypeError("login needs a password or a key= for a user; without a user it is anonymous")
        return cred.Anonymous()
    if isinstance(key, cred.PrivateKey):
        return key
    if user is None:
        raise TypeError("login with a key takes a user too: login(user, key=...)")
    data = key if isinstance(key, bytes) else Path(key).read_bytes()
    return cred.PrivateKey.from_openssh(user, data)


async def login(connection: Connection, credentials: Any, call: Any = call_remote) -> RemoteIdentity:
    """Log in over a connection; see `Connection.login`.

    Args:
        call: makes the calls of the login.
    """
    link = connection._link
    link.check_thread()
    if link.transport is None:
        why = link.broker.calls.end_reason
        raise NotExecuted(f"the connection has ended: {why}; open another one to log in")
    security = link.security()
    if not security.is_private:
        raise Forbidden(
            f"a login at {connection.peer} over pb:// can be listened to; use pbs://, or spell out "
            "insecure=True where the connection is made"
        )
    greeting = link.broker.greeting
    hello = greeting.hello
    checked = () if hello is None else hello.bindings
    channel = channel_of(security, cred.hello_hash(greeting.sent, greeting.received), checked)
    try:
        return await log_in(
            connection.root,
            credentials,
            () if hello is None else hello.auth,
            channel,
            call,
            asyncio.to_thread,
        )
    except cred.NotOffered:  # nothing was sent: the program may know another way (PB-A2)
        raise
    except cred.UntrustedServer as error:
        link.broker.connection_lost(f"this side ended it: {error}")
        link.abort()
        raise


class Connecting(OnlyAsync):
    """What `pb.connect` returns: await it for the perspective, or enter it to close the connection too."""

    __slots__ = ("_arguments", "_connection", "_is_used", "_options", "_timeout_s")

    def __init__(self, arguments: tuple[Any, ...], options: dict[str, Any], timeout_s: float | None) -> None:
        self._arguments = arguments
        self._options = options
        self._timeout_s = timeout_s
        self._connection: Connection | None = None
        self._is_used = False

    def _names(self) -> tuple[str, str]:
        return "pb.connect(...)", "pb.sync.open_connection(...)"

    def __await__(self) -> Generator[Any, None, Any]:
        return self._connect(is_owned=True).__await__()

    async def __aenter__(self) -> Any:
        return await self._connect(is_owned=False)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._connection is not None
        await self._connection.__aexit__(kind, error, trace)

    async def _connect(self, is_owned: bool) -> Any:
        if self._is_used:
            raise RuntimeError("pb.connect(...) was used already; call it again for another connection")
        self._is_used = True
        url, credentials, service, perspective, client = self._arguments
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = self._connection = await open_connection(url, **self._options)
                try:
                    identity = await connection.login(credentials=credentials)
                    reference = await identity.attach(service, perspective, client)
                except BaseException:
                    connection.abort()
                    raise
        except TimeoutError as error:
            if isinstance(error.__cause__, asyncio.CancelledError):
                raise TimeoutError(f"no perspective from {url} within {self._timeout_s:g} s") from None
            raise
        if is_owned:
            connection._own()
        return reference


def connect(
    url: str,
    user: str | None,
    password: str | None,
    service: str,
    perspective: str | None = None,
    client: object = None,
    timeout: float | None = None,
    *,
    key: Key | None = None,
    registry: jelly.Registry | None = None,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    insecure: bool = False,
    debug: bool = False,
    proxy: bool = True,
    reconnect: bool | Reconnect = False,
    hooks: Any = None,
) -> Connecting:
    """Connect, log in and attach in one: `perspective = await pb.connect(url, user, password, service)`.

    Awaited, the connection lives as long as the perspective, or something got from it, is held. As
    `async with pb.connect(...) as perspective` it ends with the block. For several services over one
    connection use `open_connection`, `login` and `attach`.

    Args:
        user, password: None and None for an anonymous login.
        perspective: its name; None for the user's own if that is on the keyring, else the first one of the
            service.
        client: an object of ours, a Referenceable, that the perspective may call.
        timeout: seconds for all of it; None is what connecting alone may take.
        key: instead of a password: an Ed25519 key, as a file of OpenSSH, its content, or a cred.PrivateKey.
        registry, limits, tls, insecure, debug, proxy, reconnect, hooks: as for `open_connection`.

    Raises (when awaited or entered):
        LoginFailed: refused; the server does not say why.
        Forbidden: logged in, and no key for that perspective, or it does not want this client now.
        cred.NotOffered: one cannot log in in this way there; the text says what this way needs.
        cred.UntrustedServer: the server did not prove that it knows the password.
        OSError, TimeoutError, BadURL, ProtocolError: as for `open_connection`.
    """
    options = {
        "registry": registry,
        "limits": limits,
        "tls": tls,
        "insecure": insecure,
        "debug": debug,
        "proxy": proxy,
        "timeout": timeout,
        "reconnect": reconnect,
        "hooks": hooks,
    }
    credentials = credentials_of(user, password, key)
    return Connecting((url, credentials, service, perspective, client), options, timeout)
