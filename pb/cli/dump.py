"""``pb dump``: what a captured connection says, message by message, in words."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from pb.dump import Dump

from . import _capture

if TYPE_CHECKING:
    from pb.aio.url import Address

__all__ = ["add_arguments", "run"]

_READ_BYTES: Final = 64 * 1024
_OUT, _BACK = "C>S", "S>C"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="a packet capture (pcap or pcapng), or the bytes that one side has sent; - is standard input",
    )
    parser.add_argument("--back", metavar="FILE", help="the bytes that the other side has sent")
    parser.add_argument("--hex", action="store_true", help="the files are hexadecimal text")
    parser.add_argument(
        "--watch",
        nargs=2,
        metavar=("LISTEN", "SERVER"),
        help="instead of a file: listen at pb://host:port, pass everything on to the server at pb://host:port,"
        " and show it; or both with ws://",
    )
    parser.add_argument(
        "--chars", type=int, default=2000, metavar="N", help="cut payloads after N characters (%(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Print the lines and return 0; 1 where something could not be read, with the reason on stderr."""
    if args.watch:
        listen, server = args.watch
        return _watch(listen, server, args.chars)
    if args.file is None:
        print("pb dump: expected a FILE, or --watch LISTEN SERVER", file=sys.stderr)
        return 2
    try:
        content = _read(args.file, args.hex)
        if _capture.is_capture(content):
            return _show_capture(content, args.chars)
        back = b"" if args.back is None else _read(args.back, args.hex)
    except (OSError, ValueError) as error:
        print(f"pb dump: {error}", file=sys.stderr)
        return 1
    broken = _show(_OUT, content, args.chars)
    if args.back is not None:
        broken |= _show(_BACK, back, args.chars)
    return int(broken)


def _read(name: str, is_hex: bool) -> bytes:
    source: BinaryIO = sys.stdin.buffer
    content = source.read() if name == "-" else Path(name).read_bytes()
    if not is_hex:
        return content
    try:
        return bytes.fromhex(content.decode("ascii"))
    except ValueError as error:
        raise ValueError(f"{name} is no hexadecimal text ({error})") from None


def _show(direction: str, content: bytes, chars: int) -> bool:
    dump = Dump(chars)
    for line in [*dump.feed(content), *dump.finish()]:
        print(direction, line)
    return dump.is_broken


def _show_capture(content: bytes, chars: int) -> int:
    dumps: dict[tuple[_capture.End, _capture.End], Dump] = {}
    names: dict[frozenset[_capture.End], tuple[int, _capture.End]] = {}
    try:
        for source, destination, has_dialled, data in _capture.streams(content):
            both = frozenset((source, destination))
            if both not in names:
                # Who dialled is known where the first packet was captured; else who speaks first is taken.
                client = source if has_dialled or (destination, source) not in dumps else destination
                names[both] = len(names) + 1, client
                server = destination if client == source else source
                print(f"connection {len(names)}: {_name(client)} to {_name(server)}")
            number, client = names[both]
            dump = dumps.setdefault((source, destination), Dump(chars))
            for line in dump.feed(data):
                print(number, _OUT if source == client else _BACK, line)
    except _capture.NoCapture as error:
        print(f"pb dump: {error}", file=sys.stderr)
        return 1
    if not names:
        print("pb dump: there is no TCP in this capture", file=sys.stderr)
        return 1
    return 0


def _name(end: _capture.End) -> str:
    host, port = end
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _watch(listen: str, server: str, chars: int) -> int:
    from pb.aio.url import Address, BadURL

    try:
        here, there = Address.parse(listen), Address.parse(server)
        if here.scheme != there.scheme or here.scheme not in ("pb", "ws"):
            raise BadURL(
                "only pb:// to pb://, and ws:// to ws://, can be watched: over TLS both ends would see that "
                "somebody listens"
            )
        asyncio.run(_pass_on(here, there, chars))
    except (OSError, ValueError) as error:
        print(f"pb dump: {error}", file=sys.stderr)
        return 1
    return 0


async def _pass_on(here: Address, there: Address, chars: int) -> None:
    count = 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        number = count
        try:
            onward = await asyncio.open_connection(there.host, there.port)
        except OSError as error:
            print(f"{number} the server cannot be reached: {error}", flush=True)
            writer.close()
            return
        print(f"{number} connected: {writer.get_extra_info('peername')[0]}", flush=True)
        await asyncio.gather(
            _pump(reader, onward[1], f"{number} {_OUT}", chars),
            _pump(onward[0], writer, f"{number} {_BACK}", chars),
        )
        print(f"{number} closed", flush=True)

    listener = await asyncio.start_server(accept, here.host, here.port)
    port = listener.sockets[0].getsockname()[1]
    print(
        f"watching {here.scheme}://{here.host}:{port}, which passes on to {there}; Ctrl-C ends it", flush=True
    )
    await listener.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, chars: int) -> None:
    dump = Dump(chars)
    try:
        while data := await reader.read(_READ_BYTES):
            for line in dump.feed(data):
                print(name, line, flush=True)
            writer.write(data)
            await writer.drain()
    except OSError as error:
        print(name, f"lost: {error}", flush=True)
    for line in dump.finish():
        print(name, line, flush=True)
    writer.close()
