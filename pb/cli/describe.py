"""``pb describe``: what may be called at a server, for programs: JSON, or an interface of TypeScript."""

from __future__ import annotations

import argparse
import dataclasses

from . import _json, _reach

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    _reach.add_arguments(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="JSON (the default)")
    form.add_argument("--typescript", metavar="NAME", help="an interface of TypeScript, under this name")


def run(args: argparse.Namespace) -> int:
    """Print the description."""

    async def show() -> int:
        import pb

        async with _reach.reach(args) as reference:
            description = await pb.describe(reference)
        if args.typescript:
            from ._typescript import interface

            print(interface(args.typescript, description), end="")
        else:
            print(_json.written(dataclasses.asdict(description), 2))
        return 0

    return _reach.report("describe", show)
