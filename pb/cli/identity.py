"""``pb identity``: who may log in, and what they may attach. Works while a server uses the same store.

A server that runs sees what is taken away within a second. Passwords come from the terminal or from stdin,
never from the command line, where everybody on the machine could read them.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cred

__all__ = ["add_arguments", "run"]

Action = Callable[["cred.Authorizer", argparse.Namespace], Awaitable[None]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")

    def declare(name: str, action: Action, summary: str, into: Any = actions) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = into.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
        )
        added.add_argument("--store", metavar="PATH", required=True, help="SQLite file, as of pb run --store")
        added.set_defaults(act=action)
        return added

    add = declare("add", _add, "make an identity, and the store if there is none")
    add.add_argument("name")
    add.add_argument(
        "--grant",
        action="append",
        default=[],
        metavar="SERVICE[/PERSPECTIVE]",
        help="let it attach this: put a key for it on its keyring (PERSPECTIVE: the own name); may be given "
        "several times",
    )
    _take_password(add, "--no-password", "logs in with an Ed25519 key only: pb identity key add")
    list_ = declare("list", _list, "show identities, how they log in, and what they may attach")
    list_.add_argument("name", nargs="?", help="this one only")
    for name, action, summary in (
        ("grant", _grant, "let an identity attach a perspective of a service: a key on its keyring"),
        ("revoke", _revoke, "take such a key off the keyring, and cut what is attached with it"),
    ):
        one = declare(name, action, summary)
        one.add_argument("name")
        one.add_argument("service")
        one.add_argument("perspective", nargs="?", help="default: the own name")
    passwd = declare("passwd", _passwd, "change the password, and cut what is logged in")
    passwd.add_argument("name")
    _take_password(passwd, "--no-password", "take the password away")
    for name, action, summary in (
        ("disable", _disable, "refuse logins, and cut what is logged in"),
        ("enable", _enable, "allow logins again"),
        ("remove", _remove, "forget an identity, and cut what is logged in"),
    ):
        declare(name, action, summary).add_argument("name")

    key = actions.add_parser(
        "key",
        help="the Ed25519 keys that an identity logs in with",
        description="The Ed25519 keys that an identity logs in with, in place of a password. What it may "
        "attach once it is in are keys of another kind, those on its keyring: pb identity grant.",
    )
    keys = key.add_subparsers(dest="key_action", metavar="ACTION", required=True, title="actions")
    key_add = declare("add", _key_add, "let an identity log in with a key", keys)
    key_add.add_argument("name")
    key_add.add_argument("file", metavar="FILE.pub", help="as ssh-keygen -t ed25519 makes it")
    key_remove = declare("remove", _key_remove, "take a key away, and cut what is logged in", keys)
    key_remove.add_argument("name")
    key_remove.add_argument("key", metavar="FILE.pub|ID", help="the file, or the id that `key list` shows")
    declare("list", _key_list, "show the keys of an identity", keys).add_argument("name")


def run(args: argparse.Namespace) -> int:
    """Do it, and return 0; or 1 with the reason on stderr."""
    import cred

    try:
        # A typing error in the path must not look like a store without anybody in it.
        if args.act is not _add and not os.path.exists(args.store):
            raise ValueError(f"there is no store {args.store}; pb identity add, or pb run --store, makes one")
        asyncio.run(_run(args))
    except (cred.CredError, OSError, ValueError) as error:
        print(f"pb identity: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(args: argparse.Namespace) -> None:
    import cred
    from cred.stores.sqlite import SqliteStore
    from pb.auth.chosen import explained

    authorizer = cred.Authorizer(SqliteStore(args.store))
    try:
        await args.act(authorizer, args)
    except cred.StoreError as error:
        raise explained(error, args.store) from error
    finally:
        await authorizer.close()


async def _add(authorizer: cred.Authorizer, args: argparse.Namespace) -> None:
    keys = [_key_of(args.name, text) for text in args.grant]
    is_there = args.name in await authorizer.names()
    # Add refuses it too, but before that one would type a password for nothing.
    password = None if is_there else _password(args)
    identity = await authorizer.add_identity(args.name, password, keys=keys)
    print(f"added {identity.name}")


async def _list(authorizer: cred.Authorizer, args: argparse.Namespace) -> None:
    for name in [args.name] if args.name is not None else await authorizer.names():
        record = await authorizer.get_record(name)
        proofs = [] if record.password_hash is None else ["password"]
        proofs += sorted(f"{one.kind} {one.label}".rstrip() for one in record.credentials)
        state = "disabled" if record.disabled else "enabled"
        print(f"{_shown(record.name)}  {state}  {', '.join(map(_shown, proofs)) or 'no way to log in'}")
        for key in sorted(record.keys):
            print(f"    {_shown(key.service)}/{_shown(key.perspective)}")


async def _grant(authorizer: cred.Authorizer, args: argparse.Namespace) -> None:
    perspective = args.perspective or args.name
    identity = await authorizer.get_identity(args.name)
    await identity.add_key(args.service, perspective)
    print(f"{_shown(identity.name)} may attach {_shown(args.service)}/{_shown(perspective)}")


async def _revoke(authorizer: cred.Authorizer, args: argparse.Namespace) -> None:
    perspective = args.perspective or args.name
    identity = await authorizer.get_identity(args.name)
    await identity.remove_key(args.service, perspective)
    print(f"{_shown(identity.name)} may no longer attach {_shown(args.service)}/{_shown(perspective)}")


async def _passwd(authorizer: cred.Authorizer, args: argparse.Namespace) -> None:
    identity = await authorizer.get_identity(args.name)
    password = _password(args)
    await identity.set_password(password)
    print(f"{_shown(identity.name)} has {'no' if password is None else 'a new'} password")


async def _disable(authorizer: cred.Authorizer, args: argparse.Namespace) -> None:
    identity = await authorizer.get_identity(args.name)
    await identity.disable()
    print(f"disabled {_shown(identity.name)}")


async def _enable(authorizer: cred.Authorizer, args: argparse.Namespace) -> None:
    identity = await authorizer.get_identity(args.name)
    await identity.enable()
    print(f"enabled {_shown(identity.name)}")


async def _remove(authorizer: cred.Authorizer, args: argparse.Namespace) -> None:
    await authorizer.remove_identity(args.name)
    print(f"removed {_shown(args.name)}")


async def _key_add(authorizer: cred.Authorizer, args: argparse.Namespace) -> None:
    identity = await authorizer.get_identity(args.name)
    credential = _public_key(args.file)
    await identity.add_credential(credential)
    print(f"added {credential.id} {_shown(credential.label)}".rstrip())


async def _key_remove(authorizer: cred.Authorizer, args: argparse.Namespace) -> None:
    identity = await authorizer.get_identity(args.name)
    found = (one for one in (await identity.record()).credentials if one.id == args.key)
    credential = next(found, None) or _public_key(args.key)
    await identity.remove_credential(credential)
    print(f"removed {credential.id} {_shown(credential.label)}".rstrip())


async def _key_list(authorizer: cred.Authorizer, args: argparse.Namespace) -> None:
    for credential in sorted((await authorizer.get_record(args.name)).credentials, key=lambda one: one.id):
        print(f"{credential.kind} {credential.id} {_shown(credential.label)}".rstrip())


def _take_password(parser: argparse.ArgumentParser, none: str, why: str) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--stdin", action="store_true", help="read the password from stdin: one line")
    source.add_argument(none, dest="no_password", action="store_true", help=why)


def _password(args: argparse.Namespace) -> str | None:
    """Return the password that was typed or piped, or None where there is to be none."""
    if args.no_password:
        return None
    if args.stdin:
        return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise ValueError("no terminal to ask for a password; pipe it in and say --stdin")
    password = getpass.getpass(f"password of {args.name}: ")
    if getpass.getpass("again: ") != password:
        raise ValueError("the two passwords differ; nothing was changed")
    return password


def _key_of(name: str, text: str) -> tuple[str, str]:
    service, _, perspective = text.partition("/")
    return service, perspective or name


def _public_key(file: str) -> cred.Credential:
    import cred

    try:
        text = Path(file).read_text(encoding="utf-8")
        if "PRIVATE KEY" in text:
            raise ValueError("this is the private key, which stays where it is; give its .pub file")
        return cred.public_credential(text)
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}, and no key of that id") from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _shown(text: str) -> str:
    """Return text without what could move the cursor or look like another line."""
    return text if text.isprintable() else ascii(text)
