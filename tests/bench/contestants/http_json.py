"""Plain HTTP with JSON bodies, aiohttp on both sides; the mebibyte is a body of its own.

HTTP/1.1 has one request on its way per connection, so requests that are outstanding together need as
many connections. It has no objects to pass, so neither callbacks nor references.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

from tests.bench.contestants._asyncio import Client, drive_rounds, run_for_ever
from tests.bench.workloads import MEBIBYTE

WORKLOADS = frozenset({"sequential", "outstanding", "connections", "dicts", "bytes", "idle"})
KEPT_S = 3600


class HttpClient(Client):
    """One session; it opens as many connections as it has requests on their way."""

    async def open(self, port: int) -> None:
        connector = TCPConnector(limit=0, keepalive_timeout=KEPT_S)
        self._session = ClientSession(connector=connector, timeout=ClientTimeout(total=None))
        self._url = f"http://127.0.0.1:{port}"

    async def echo(self, value: object, n: int) -> object:
        post = self._session.post
        if isinstance(value, bytes):
            for _ in range(n):
                async with post(self._url + "/bytes", data=value) as response:
                    answer = await response.read()
            return answer
        url = self._url + "/echo"
        for _ in range(n):
            async with post(url, json=[value]) as response:
                [answer] = await response.json()
        return answer


async def echo(request: web.Request) -> web.Response:
    [value] = await request.json()
    return web.json_response([value])


async def echo_bytes(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


def serve(loop: str, announce: Callable[[int], None]) -> None:
    """Serve until the process ends."""

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=2 * len(MEBIBYTE))
        app.router.add_post("/echo", echo)
        app.router.add_post("/bytes", echo_bytes)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEPT_S)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        announce(runner.addresses[0][1])
        return runner

    run_for_ever(loop, start)


def drive(loop: str, port: int, rounds: Iterable[Any]) -> None:
    """Do every round."""
    drive_rounds(loop, HttpClient, port, rounds)
