"""A client and a server in one process, joined: `pair`."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Literal, NamedTuple, TypedDict, Unpack, overload

import jelly
from pb.aio.client import open_connection
from pb.aio.connection import Connection
from pb.aio.server import serve
from pb.limits import Limits

from .network import Network

__all__ = ["Pair", "pair"]

_numbers = itertools.count(1)  # of names that nobody else has


class Pair(NamedTuple):
    """Both ends of one connection, and what the client calls: `client, server, root = pair`."""

    client: Connection
    server: Connection
    root: Any


class PairOptions(TypedDict, total=False):
    """The options of `pair` but `faulty`, for type checkers."""

    client_root: Any
    registry: jelly.Registry | None
    client_registry: jelly.Registry | None
    limits: Limits | None
    client_limits: Limits | None
    seed: int
    insecure: bool
    debug: bool
    proxy: bool
    hooks: Any


@overload
def pair(
    root: Any, *, faulty: Literal[False] = False, **options: Unpack[PairOptions]
) -> AbstractAsyncContextManager[Pair]: ...


@overload
def pair(
    root: Any, *, faulty: Literal[True], **options: Unpack[PairOptions]
) -> AbstractAsyncContextManager[tuple[Connection, Connection, Any, Network]]: ...


@overload
def pair(root: Any, *, faulty: bool, **options: Unpack[PairOptions]) -> AbstractAsyncContextManager[Any]: ...


@asynccontextmanager
async def pair(
    root: Any,
    *,
    client_root: Any = None,
    registry: jelly.Registry | None = None,
    client_registry: jelly.Registry | None = None,
    limits: Limits | None = None,
    client_limits: Limits | None = None,
    faulty: bool = False,
    seed: int = 0,
    insecure: bool = False,
    debug: bool = False,
    proxy: bool = True,
    hooks: Any = None,
) -> AsyncIterator[Any]:
    """Join a client to a server of `root` over memory: `async with pair(Shop()) as (client, server, shop)`.

    Args:
        root, client_root: what each side publishes; as for `pb.serve`, `root` may be a callable.
        registry, client_registry: what may cross; the client's is the server's where it is None.
        limits, client_limits: likewise.
        faulty: put a `Network` between them, which comes fourth: `(client, server, shop, network)`.
        seed: of that network.
        insecure, debug, proxy, hooks: options of both sides.
    """
    url = f"memory://pair-{next(_numbers)}"
    options: dict[str, Any] = {"insecure": insecure, "debug": debug, "proxy": proxy, "hooks": hooks}
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(serve(root, url, registry=registry, limits=limits, **options))
        network = await stack.enter_async_context(Network(there.url, seed=seed)) if faulty else None
        client = await stack.enter_async_context(
            open_connection(
                there.url if network is None else network.url,
                root=client_root,
                registry=client_registry or registry,
                limits=client_limits or limits,
                **options,
            )
        )
        ends = Pair(client, there.connections[0], client.root)
        yield ends if network is None else (*ends, network)
