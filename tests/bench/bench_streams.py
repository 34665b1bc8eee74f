"""What streams promise, measured: ``python -m tests.bench.bench_streams [--mib N]``.

* a file of 1 GiB from process to process, with both sides under 64 MiB of resident memory, while a call every
  5 ms goes through on the same connection;
* 64 MiB through a link of 50 MB a second, with the 99th percentile of a ping under 50 ms.

Exit status 1 where one is missed. Times are those of this machine now; the memory and the link are not.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import pb

from .side import resident_kib

MOST_RESIDENT_MIB: Final = 64
LINK_BYTES_PER_S: Final = 50e6
MOST_PING_MS: Final = 50
_PING_EVERY_S: Final = 0.005
_MIB: Final = 1024 * 1024


class Shelf(pb.Root):
    """The server: gives a file out, takes one in, and tells how much memory it needs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def remote_get(self) -> Any:
        """Give the file out."""
        return pb.stream_file(self._path)

    def remote_ping(self) -> None:
        """Answer."""

    def remote_resident_kib(self) -> int:
        """Tell what this process has in memory now."""
        return resident_kib()


class Nowhere:
    """A file that is written and not kept."""

    def write(self, data: bytes) -> int:
        """Take it."""
        return len(data)

    def flush(self) -> None:
        """Do nothing."""


async def _ping(shelf: Any, into: list[float]) -> None:
    while True:
        begin = time.perf_counter()
        await shelf.ping()
        into.append(1000 * (time.perf_counter() - begin))
        await asyncio.sleep(_PING_EVERY_S)


async def _watch(shelf: Any, into: list[int]) -> None:
    while True:
        into.append(max(await shelf.resident_kib(), resident_kib()) // 1024)
        await asyncio.sleep(0.5)


def p99(values: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else values[0]


async def transfer(url: str, size: int, *, watches: bool) -> tuple[float, list[float], int]:
    """Fetch the file; return the seconds, the pings in ms, and the most MiB that a side had in memory.

    Args:
        watches: whether to look at the memory, which stops both sides for some 20 ms each time.
    """
    pings: list[float] = []
    resident: list[int] = [0]
    async with pb.open_connection(url) as connection:
        shelf = connection.root
        await shelf.ping()
        begin = time.perf_counter()
        others = [asyncio.create_task(_ping(shelf, pings))]
        if watches:
            others.append(asyncio.create_task(_watch(shelf, resident)))
        received = await pb.receive_file(shelf.get(), Nowhere())
        took_s = time.perf_counter() - begin
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    assert received == size, f"{received} bytes arrived of {size}"
    return took_s, pings, max(resident)


async def ping_for(url: str, seconds: float) -> list[float]:
    """Return the pings in ms over a connection that has nothing else to do: the noise of the machine."""
    pings: list[float] = []
    async with pb.open_connection(url) as connection:
        try:
            await asyncio.wait_for(_ping(connection.root, pings), seconds)
        except TimeoutError:
            pass
    return pings


class Throttle:
    """A link between client and server that passes so many bytes a second, each way, and keeps little."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, in both directions."""
        near_reader, near_writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_PIECE)
        try:
            await asyncio.gather(_pass(reader, near_writer), _pass(near_reader, writer))
        except OSError:
            pass
        finally:
            writer.close()
            near_writer.close()


_PIECE: Final = 64 * 1024


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.set_write_buffer_limits(_PIECE)
    free_at = time.perf_counter()
    while piece := await reader.read(_PIECE):
        free_at = max(free_at, time.perf_counter()) + len(piece) / LINK_BYTES_PER_S
        await asyncio.sleep(max(0.0, free_at - time.perf_counter()))
        writer.write(piece)
        await writer.drain()
    writer.write_eof()


async def serve(path: Path) -> None:
    """Be the server, in a process of its own."""
    async with pb.serve(Shelf(path), "pb://127.0.0.1:0") as server:
        print(server.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def measure(folder: Path, mib: int) -> bool:
    """Measure both, print them, and tell whether they are as promised."""
    path = folder / "file"
    with path.open("wb") as file:
        file.truncate(mib * _MIB)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.bench_streams",
        "--serve",
        str(path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    took_s, pings, resident_mib = await transfer(url, mib * _MIB, watches=True)
    is_small = resident_mib < MOST_RESIDENT_MIB
    print(
        f"{mib} MiB in {took_s:.1f} s, {mib / took_s:.0f} MiB/s; at most {resident_mib} MiB in memory on "
        f"either side (limit {MOST_RESIDENT_MIB}); {len(pings)} pings, "
        f"median {statistics.median(pings):.1f} ms, p99 {p99(pings):.1f} ms"
    )
    with path.open("wb") as file:
        file.truncate(64 * _MIB)
    throttle = Throttle(int(url.rpartition(":")[2]))
    async with await asyncio.start_server(throttle.join, "127.0.0.1", 0, limit=_PIECE) as link:
        port = link.sockets[0].getsockname()[1]
        took_s, pings, _ = await transfer(f"pb://127.0.0.1:{port}", 64 * _MIB, watches=False)
        quiet = await ping_for(f"pb://127.0.0.1:{port}", took_s)
    is_quick = p99(pings) < MOST_PING_MS
    print(
        f"64 MiB through a link of 50 MB/s in {took_s:.1f} s; {len(pings)} pings, median "
        f"{statistics.median(pings):.1f} ms, p99 {p99(pings):.1f} ms (limit {MOST_PING_MS}); "
        f"without the transfer, on this machine now, p99 {p99(quiet):.1f} ms"
    )
    process.terminate()
    await process.wait()
    return is_small and is_quick


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file, in MiB")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        try:
            asyncio.run(serve(arguments.serve))
        except KeyboardInterrupt:
            pass
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(measure(Path(folder), arguments.mib)) else 1


if __name__ == "__main__":
    sys.exit(main())
