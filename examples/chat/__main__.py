"""Build the page, serve it and the chat: `python -m examples.chat [URL] [--store PATH]`."""

import argparse
import asyncio
import logging
import sys

import cred
import pb

from .build import BuildFailed, build
from .server import application_at


async def main(url: str, store: str, origins: list[str] | None) -> None:
    application = application_at(url, files=build(), store=store, origins=origins)
    async with application.running() as (server,):
        page = server.url.replace("ws", "http", 1)
        print(
            f"the chat is at {page}/ (alice, bob and carol; alice's password is \"alice's password\")",
            flush=True,
        )
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.chat", description=__doc__)
    parser.add_argument("url", nargs="?", default="ws://127.0.0.1:8788", help="where to listen (%(default)s)")
    parser.add_argument("--store", default="chat.db", help="the SQLite file of identities (%(default)s)")
    parser.add_argument(
        "--origin",
        action="append",
        help="the address of the page, where it has a name: https://chat.example.org",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    try:
        asyncio.run(main(arguments.url, arguments.store, arguments.origin))
    except (BuildFailed, OSError, ValueError, cred.CredError, pb.Error) as error:
        sys.exit(f"no chat: {error}")
    except KeyboardInterrupt:
        pass
