"""Send a file to the shelf and fetch it back: `python -m examples.file_transfer.client file [url]`."""

import asyncio
import sys
from pathlib import Path

import pb


class Progress:
    """Show how far a transfer has come, in tenths."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._shown = -1

    def __call__(self, done: int) -> None:
        tenth = 10 * done // max(self._total, 1)
        if tenth > self._shown:
            self._shown = tenth
            print(f"{self._what}: {10 * tenth} %", flush=True)


def is_same(one: Path, other: Path) -> bool:
    """Compare two files."""
    return one.read_bytes() == other.read_bytes()


async def main(path: Path, size: int, url: str = "pb://127.0.0.1:8791") -> None:
    async with pb.open_connection(url) as connection:
        shelf = connection.root

        sending = shelf.put(path.name, pb.stream_file(path, progress=Progress("sent", size)))
        pings = 0
        while not sending.done():  # a call gets through between the pieces
            assert await shelf.ping() == "pong"
            pings += 1
        print(f"{await sending} bytes are there; the shelf answered meanwhile: {pings > 0}")

        copy = path.with_name(path.name + ".copy")
        await pb.receive_file(shelf.get(path.name), copy, progress=Progress("fetched", size))
        print("the copy is the same:", await asyncio.to_thread(is_same, copy, path))

        async for line in shelf.lines(path.name):  # of a text of any length
            print("the first line:", line[:40])
            break

        try:
            await pb.receive_file(shelf.get("../secret"), path.with_name("secret"))
        except pb.Forbidden as error:
            print("refused:", error)


if __name__ == "__main__":
    file = Path(sys.argv[1])
    asyncio.run(main(file, file.stat().st_size, *sys.argv[2:]))
