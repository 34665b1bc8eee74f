"""Running a test under each event loop, over each transport."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import pb
from pb.aio import tls

try:
    import uvloop
except ImportError:  # a platform without it
    uvloop = None

FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
if uvloop is not None:
    FACTORIES["uvloop"] = uvloop.new_event_loop

SCHEMES = ["pb", "pbs", "memory", "ws", "wss", *(["pb+unix"] if sys.platform != "win32" else [])]


def run(main: Coroutine[Any, Any, Any], loop: str = "asyncio", limit_s: float = 30) -> Any:
    """Run a coroutine to its end on a fresh loop; a hang is a failure, not a wait."""
    unhandled: list[dict[str, Any]] = []

    async def bounded() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
        return await asyncio.wait_for(main, limit_s)

    with asyncio.Runner(loop_factory=FACTORIES[loop]) as runner:
        result = runner.run(bounded())
    assert not unhandled, unhandled
    return result


class Place:
    """Where a server of one transport listens."""

    def __init__(self, scheme: str, path: Any) -> None:
        self.scheme = scheme
        self.path = path
        self.options: dict[str, Any] = {}
        if scheme in ("pbs", "wss"):
            key = path / "server.pem"
            tls.create(key)
            self.options["tls"] = key

    @property
    def url(self) -> str:
        """Where to listen; the server's own `url` is where to connect."""
        return {
            "pb": "pb://127.0.0.1:0",
            "pbs": "pbs://127.0.0.1:0",
            "ws": "ws://127.0.0.1:0",
            "wss": "wss://127.0.0.1:0",
            "pb+unix": f"pb+unix://{self.path}/socket",
            "memory": f"memory://{self.path.name}",
        }[self.scheme]

    def serve(self, root: Any, **options: Any) -> Any:
        """Serve `root` here."""
        return pb.serve(root, self.url, **self.options, **options)


@pytest.fixture(params=list(FACTORIES))
def loop(request: pytest.FixtureRequest) -> str:
    """The name of each event loop in turn."""
    return str(request.param)


@pytest.fixture(params=SCHEMES)
def place(request: pytest.FixtureRequest, tmp_path: Any) -> Place:
    """Each transport in turn."""
    return Place(request.param, tmp_path)


class Writes:
    """A transport that counts how often it is written to: each is a flight."""

    def __init__(self, link: Any) -> None:
        self.transport = link.transport
        self.count = 0
        link.transport = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: Any) -> None:
        self.count += 1
        self.transport.write(data)

    def writelines(self, buffers: Any) -> None:
        self.count += 1
        self.transport.writelines(buffers)
