"""A client for `pb conformance --listen`: `python -m examples.conformance.client URL`.

It publishes the conformance object as its own root, and connects again whenever a connection ends, until
nobody listens any longer.
"""

from __future__ import annotations

import asyncio
import sys

import pb

from .subject import Subject, registry


async def main(url: str) -> None:
    while True:
        try:
            connection = await pb.open_connection(url, root=Subject, registry=registry)
            root = connection.root  # who is told of the end keeps a reference
        except ConnectionRefusedError:
            return
        except (OSError, pb.Error):
            continue  # a case that was about how a connection begins
        ended = asyncio.get_running_loop().create_future()
        pb.on_disconnect(root, ended.set_result)
        await ended


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
