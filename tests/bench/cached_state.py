"""What a cached state of 1 MB costs on the wire: ``python -m tests.bench.cached_state [--json]``.

A client asks twice for the same Cacheable, holding on to its replica, and a relay between the two counts the
bytes that the server sends from the moment of each question until its answer has been read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

import pb

TEXT = "0123456789"
ROWS = 1_000_000 // (len(TEXT) + 1)


class Document(pb.Cacheable):
    """A state of about a megabyte, as MessagePack has it: short texts, each with a byte before it."""

    def get_state_to_cache_and_observe_for(self, perspective: object, observer: object) -> dict[str, Any]:
        return {"rows": [TEXT] * ROWS}


class DocumentReplica(pb.RemoteCache):
    """What the client has of it."""

    rows: list[str]


class Root(pb.Root):
    """What the server publishes."""

    def __init__(self) -> None:
        self._document = Document()

    def remote_document(self) -> Document:
        return self._document


class Relay:
    """Stands between a client and a server, and counts what the server sends."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._relaying: list[asyncio.Task[None]] = []
        self.bytes = 0

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one client through."""
        there = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._relaying.append(asyncio.create_task(self._copy(reader, there[1])))
        while data := await there[0].read(65536):
            self.bytes += len(data)
            writer.write(data)
        writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


def registry_with(document: type) -> pb.Registry:
    """Say which class is the document on one side."""
    registry = pb.Registry()
    registry.add(document, "bench.Document")
    return registry


async def measure() -> dict[str, int]:
    """Ask twice; return the bytes that each of the two answers took."""
    async with pb.serve(Root(), "pb://127.0.0.1:0", registry=registry_with(Document)) as server:
        relay = Relay(int(server.url.rpartition(":")[2]))
        listener = await asyncio.start_server(relay.relay, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        async with (
            listener,
            pb.open_connection(
                f"pb://127.0.0.1:{port}", registry=registry_with(DocumentReplica)
            ) as connection,
        ):
            before = relay.bytes
            first = await connection.root.document()
            between = relay.bytes
            second = await connection.root.document()
            after = relay.bytes
            assert second is first, "the second answer brought another replica"
            assert len(first.rows) == ROWS, f"{len(first.rows)} rows came"
    return {"first_bytes": between - before, "second_bytes": after - between}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cached_state", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="nothing: it is quick, and bytes are exact")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = asyncio.run(measure())
    if options.json:
        print(json.dumps(found))
    else:
        from tests.bench.report import cached_state

        print(cached_state(found))


if __name__ == "__main__":
    main()
