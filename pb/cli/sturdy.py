"""``pb sturdy``: the secret names of applications. Works while a server uses the same store.

A server that runs takes what was had by a revoked name back within a second.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cred.stores.sqlite import SqliteStore

__all__ = ["add_arguments", "run"]

_CHECK_S = 10.0  # for the server to answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    give = actions.add_parser("give", help="make a name, and print the URL with it, once")
    give.add_argument("application", help="its name, as in pb.Application(NAME)")
    give.add_argument("kind", help="as in application.sturdy(KIND, ...)")
    give.add_argument("key", help="what the loader of this kind is given")
    give.add_argument("--url", required=True, help="where clients reach the server")
    give.add_argument(
        "--expires", type=float, metavar="S", help="seconds that it is valid; default: for ever"
    )
    give.add_argument(
        "--check", action="store_true", help="ask the server for the object first; give no name that fails"
    )
    give.set_defaults(act=_give)
    list_ = actions.add_parser("list", help="show what was given: id, what for, until when")
    list_.set_defaults(act=_list)
    revoke = actions.add_parser("revoke", help="make a name void, at once and for ever")
    revoke.add_argument("name", metavar="ID|-", help="the id that `list` shows; -: names or URLs from stdin")
    revoke.set_defaults(act=_revoke)
    for action in (give, list_, revoke):
        action.add_argument("--store", metavar="PATH", required=True, help="file, as of pb run --store")


def run(args: argparse.Namespace) -> int:
    """Do it, and return 0; or 1 with the reason on stderr."""
    import cred

    try:
        if not os.path.exists(args.store):
            raise ValueError(f"there is no store {args.store}; pb identity add, or pb run --store, makes one")
        asyncio.run(_run(args))
    except (cred.CredError, OSError, ValueError) as error:
        print(f"pb sturdy: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(args: argparse.Namespace) -> None:
    import cred
    from cred.stores.sqlite import SqliteStore
    from pb.auth.chosen import explained

    store = SqliteStore(args.store)
    try:
        await args.act(store, args)
    except cred.StoreError as error:
        raise explained(error, args.store) from error
    finally:
        await store.close()


async def _give(store: SqliteStore, args: argparse.Namespace) -> None:
    import cred
    from pb.aio.named import url_of
    from pb.holding.published import SECRET_MARK

    url_of(args.url, SECRET_MARK)  # before, so that a wrong one leaves no name behind
    names = cred.SturdyNames(store, args.application)
    name = await names.give(args.kind, args.key, args.expires)
    url = url_of(args.url, SECRET_MARK + name)
    if args.check:
        try:
            await _check(url, args)
        except BaseException:
            await names.revoke(name)
            raise
    print(url)


async def _check(url: str, args: argparse.Namespace) -> None:
    """Have the object of a name once. Raises ValueError or OSError: it cannot be had, and perhaps why."""
    import pb

    try:
        found = await pb.get_object_at(url, timeout=_CHECK_S)
    except pb.NoSuchObject:
        raise ValueError(
            f"the server at {args.url} has nothing by that name: is it the application {args.application!a},"
            f" with this store, has it application.sturdy({args.kind!a}, ...), and does that find"
            f" {args.key!a}? Its log says which; no name was given"
        ) from None
    if isinstance(found, pb.RemoteReference):
        await pb.connection_of(found).close()


async def _list(store: SqliteStore, args: argparse.Namespace) -> None:
    now = time()
    for record in await store.list_sturdy():
        if record.expires is None:
            until = "does not expire"
        else:
            until = ("expired " if record.is_expired(now) else "until ") + _shown(record.expires)
        what = f"{record.application!a} {record.kind!a} {record.key!a}"
        print(f"{record.id}  {what}  given {_shown(record.made)}, {until}")


async def _revoke(store: SqliteStore, args: argparse.Namespace) -> None:
    import cred
    from pb.auth.names import bare_name

    # A name on the command line would be seen by everybody on the machine; void ones do no harm there.
    wanted = [line.strip() for line in sys.stdin] if args.name == "-" else [args.name]
    applications = sorted({record.application for record in await store.list_sturdy()})
    for one in filter(None, wanted):
        found = [
            await cred.SturdyNames(store, application).revoke(bare_name(one)) for application in applications
        ]
        if not any(found):
            raise ValueError("no such name or id; it may be void already")


def _shown(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
