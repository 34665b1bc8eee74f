"""A server for `pb conformance --connect`: `python -m examples.conformance.server [URL]`."""

from __future__ import annotations

import asyncio
import sys

import pb

from .subject import Subject, registry


async def main(url: str) -> None:
    async with pb.serve(Subject, url, registry=registry) as server:
        print("listening at", server.url, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8789"))
