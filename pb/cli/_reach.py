"""Reaching an object of a server from the command line: its root, or what a login gives."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["add_arguments", "reach", "report"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how a server is reached, and who asks."""
    parser.add_argument(
        "url",
        metavar="URL|-",
        help="such as pb://127.0.0.1:8787 or pbs://FINGERPRINT@host; -: read it from stdin, the first line, "
        "since one with a secret name must not be seen by others on this machine",
    )
    parser.add_argument("--user", metavar="NAME", help="log in under this name")
    parser.add_argument("--key", metavar="FILE", help="with this OpenSSH private key instead of a password")
    parser.add_argument("--stdin", action="store_true", help="read the password from stdin: one line")
    parser.add_argument("--service", metavar="NAME", help="attach this service, and ask its perspective")
    parser.add_argument("--perspective", metavar="NAME", help="which perspective, if not one's own")
    parser.add_argument("--timeout", type=float, default=30, metavar="S", help="seconds (%(default)g)")
    parser.add_argument(
        "--insecure", action="store_true", help="log in also where somebody may listen: over plain pb://"
    )


@asynccontextmanager
async def reach(args: argparse.Namespace) -> AsyncIterator[Any]:
    """Connect, log in if that was asked for, and give a reference: the perspective, or the root.

    Raises:
        ValueError: the arguments do not fit together.
    """
    import pb
    from pb.aio.options import split_url

    if args.user is None and (args.service or args.key or args.stdin or args.perspective):
        raise ValueError("--service, --perspective, --key and --stdin need --user NAME")
    url, name = split_url(_line() if args.url == "-" else args.url)
    if args.user is not None and (args.service is None) == (name is None):
        raise ValueError("--user needs --service NAME, or a URL that ends in a published name, and not both")
    async with pb.open_connection(url, timeout=args.timeout, insecure=args.insecure) as connection:
        if args.user is None:
            yield connection.root if name is None else await connection.get_object(name)
            return
        proof = {"key": args.key} if args.key else {"password": _password(args)}
        identity = await connection.login(args.user, **proof)
        if name is not None:
            yield await connection.get_object(name)
        else:
            yield await identity.attach(args.service, args.perspective)


def report(command: str, run: Callable[[], Awaitable[int]]) -> int:
    """Run a command; what goes wrong is one line on stderr and status 1."""
    import asyncio

    import jelly
    import pb

    try:
        return asyncio.run(run())  # type: ignore[arg-type]
    except (pb.Error, jelly.InsecureJelly, jelly.Unjellyable, OSError, ValueError, TypeError) as error:
        name, text = getattr(error, "remote_type", type(error).__name__), str(error)
        print(f"pb {command}: {text if text.startswith(name) else f'{name}: {text}'}", file=sys.stderr)
        return 1


def _password(args: argparse.Namespace) -> str:
    if args.stdin:
        return _line()
    if not sys.stdin.isatty():
        raise ValueError("no terminal to ask for a password; pipe it in and say --stdin")
    return getpass.getpass(f"password of {args.user}: ")


def _line() -> str:
    return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
