"""A shelf of files: `python -m examples.file_transfer.server [url] [folder]`."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pb

MOST_BYTES = 2 * 1024**3


class Shelf(pb.Root):
    """Take files in and give them out again, whatever their size: 32 KiB are in memory at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder

    async def remote_put(self, name: str, content: Any) -> int:
        """Keep a file that comes as a stream of bytes; it gets its name when it is whole."""
        size = await pb.receive_file(content, self._path(name), max_bytes=MOST_BYTES)
        print(f"{name} is here, {size} bytes", flush=True)
        return size

    def remote_get(self, name: str) -> Any:
        """Give a file out, as fast as it is taken."""
        return pb.stream_file(self._path(name))

    async def remote_lines(self, name: str) -> AsyncIterator[str]:
        """Read a text line by line; who has seen enough stops."""
        read = 0
        with self._path(name).open() as file:
            try:
                for line in file:
                    read += 1
                    yield line.rstrip("\n")
            finally:
                print(f"{read} lines of {name} were read", flush=True)

    def remote_ping(self) -> str:
        """Answer, also while files are under way."""
        return "pong"

    def _path(self, name: str) -> Path:
        """Refuse every name that could lead elsewhere."""
        if type(name) is not str or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name):
            raise pb.Forbidden("a file is named by letters, digits, '.', '-' and '_'")
        return self._folder / name


async def main(url: str = "pb://127.0.0.1:8791", folder: str = "shelf") -> None:
    async with pb.serve(Shelf(Path(folder)), url) as server:
        print("the shelf is at", server.url, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        pass
