"""grpc.aio with generic handlers and msgpack as the serializer: no generated code.

It has no objects to pass, so neither callbacks nor references.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grpc.aio
import msgpack

from tests.bench.contestants._asyncio import Client, drive_rounds, run_for_ever
from tests.bench.workloads import MEBIBYTE

WORKLOADS = frozenset({"sequential", "outstanding", "connections", "dicts", "bytes", "idle"})

OPTIONS = (
    ("grpc.max_receive_message_length", 2 * len(MEBIBYTE)),
    ("grpc.max_send_message_length", 2 * len(MEBIBYTE)),
    # Otherwise all channels of a process to one address share one connection.
    ("grpc.use_local_subchannel_pool", 1),
)


class GrpcClient(Client):
    """One channel, which is one connection here."""

    async def open(self, port: int) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS)
        self._echo = self._channel.unary_unary("/bench/echo", msgpack.packb, msgpack.unpackb)

    async def echo(self, value: object, n: int) -> object:
        call = self._echo
        # A message there is a record, never a bare value: a bare str would come back as bytes.
        for _ in range(n):
            [answer] = await call([value])
        return answer


async def echo(request: object, context: Any) -> object:
    return request


def serve(loop: str, announce: Callable[[int], None]) -> None:
    """Serve until the process ends."""

    async def start() -> Any:
        server = grpc.aio.server(options=OPTIONS)
        handler = grpc.unary_unary_rpc_method_handler(echo, msgpack.unpackb, msgpack.packb)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bench", {"echo": handler})])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        announce(port)
        return server

    run_for_ever(loop, start)


def drive(loop: str, port: int, rounds: Iterable[Any]) -> None:
    """Do every round."""
    drive_rounds(loop, GrpcClient, port, rounds)
