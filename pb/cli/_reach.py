"""Reaching an object of a server from the command line: its root, or what a login gives."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

__all__ = ["add_arguments", "reach", "report"]

_CONNECT_S: Final = 30.0


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
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="S",
        help="seconds to connect, and then for all that is asked, a stream to its end included; "
        f"without it {_CONNECT_S:g} to connect, and as long as it takes for the rest",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="log in also where somebody may listen: over plain pb://"
    )


@contextlib.asynccontextmanager
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
    password = _password(args) if args.user is not None and not args.key else None  # typing takes its time
    timeout = _CONNECT_S if args.timeout is None else args.timeout
    async with pb.open_connection(url, timeout=timeout, insecure=args.insecure) as connection:
        try:
            async with contextlib.nullcontext() if args.timeout is None else pb.deadline(args.timeout):
                if args.user is not None:
                    identity = await connection.login(args.user, password, key=args.key)
                if name is not None:
                    yield await connection.get_object(name)
                elif args.user is not None:
                    yield await identity.attach(args.service, args.perspective)
                else:
                    yield connection.root
        except pb.DeadlineExceeded:
            connection.abort()  # closing in good order would wait for what has not come in time
            raise
        except pb.NoSuchMethod as error:
            hello = connection._link.broker.greeting.hello
            if args.user is None and hello is not None and hello.auth:
                raise ValueError(f"{error}; this server wants a login: --user NAME --service NAME") from None
            raise


def report(command: str, run: Callable[[], Awaitable[int]]) -> int:
    """Run a command; what goes wrong is one line on stderr and status 1."""
    import asyncio

    import jelly
    import pb

    try:
        return asyncio.run(run())  # type: ignore[arg-type]
    except (pb.Error, jelly.InsecureJelly, jelly.Unjellyable, OSError, ValueError, TypeError) as error:
        name, text = getattr(error, "remote_type", type(error).__name__), str(error)
        line = text if text.startswith(name) else f"{name}: {text}"
        print(f"pb {command}: {jelly.printable(line)}", file=sys.stderr)
        return 1


def _password(args: argparse.Namespace) -> str:
    if args.stdin:
        return _line()
    if not sys.stdin.isatty():
        raise ValueError("no terminal to ask for a password; pipe it in and say --stdin")
    return getpass.getpass(f"password of {args.user}: ")


def _line() -> str:
    return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
