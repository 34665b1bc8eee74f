"""``pb keygen``: make the key and certificate of a server, and print the URL that its clients use."""

from __future__ import annotations

import argparse
import sys

from pb.aio.url import DEFAULT_PORT, Address

__all__ = ["add_arguments", "run"]

DEFAULT_NAMES = ("localhost", "127.0.0.1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "-o", "--output", default="server.pem", metavar="FILE", help="file to write (default: %(default)s)"
    )
    parser.add_argument(
        "--name",
        dest="names",
        nargs="+",
        action="extend",
        metavar="HOST",
        help="host names and IP addresses of the server, the one clients use first"
        f" (default: {' '.join(DEFAULT_NAMES)})",
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="port in the URL (default: %(default)s)"
    )
    parser.add_argument(
        "--force", action="store_true", help="replace FILE; pins of its old key are then void"
    )


def run(args: argparse.Namespace) -> int:
    """Write the file, print its name and the URL, and return 0; or 1 with the reason on stderr."""
    from pb.aio import tls  # here, because it imports ssl and cryptography

    names = tuple(args.names or DEFAULT_NAMES)
    try:
        # Before anything is written, because it refuses bad names and ports.
        address = Address("pbs", names[0], args.port)
        pin = tls.create(args.output, names, force=args.force)
    except (OSError, ValueError) as error:
        print(f"pb keygen: {error}", file=sys.stderr)
        return 1
    url = Address("pbs", address.host, address.port, fingerprint=pin)
    print(f"key and certificate, for the server only: {args.output}")
    print(f"URL to give to clients: {url}")
    return 0
