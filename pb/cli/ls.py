"""``pb ls``: what may be called at a server, by this user."""

from __future__ import annotations

import argparse

from . import _reach

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    _reach.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print each method, with its parameters and what its author says of it."""

    async def show() -> int:
        import pb

        async with _reach.reach(args) as reference:
            print(await pb.describe(reference))
        return 0

    return _reach.report("ls", show)
