"""Commands that ask a server, run against one in this process."""

from __future__ import annotations

import asyncio

import pb
from pb.cli.main import main


def served(root, *commands, registry=None):
    """Run commands against a server in this process; each gets its URL for {url}. Return their statuses."""

    async def go():
        async with pb.serve(root, "pb://127.0.0.1:0", registry=registry) as server:
            loop = asyncio.get_running_loop()
            return [
                await loop.run_in_executor(
                    None, main, [part.format(url=server.url) if part == "{url}" else part for part in command]
                )
                for command in commands
            ]

    return asyncio.run(go())
