"""``pb refs``: who holds which objects of a running application, for a user who may know."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from typing import Any

from jelly import printable

from . import _json, _reach

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    _reach.add_arguments(parser)
    parser.set_defaults(service="references")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="one JSON object a line")
    how.add_argument("--summary", action="store_true", help="how many of each class each holds, most first")


def run(args: argparse.Namespace) -> int:
    """Print one line for each object that is held, the oldest first."""

    async def show() -> int:
        if args.user is None:
            raise ValueError("who holds what is told to those who may know: --user NAME is needed")
        seen: Counter[str] = Counter()
        async with _reach.reach(args) as reporter:
            async for held in reporter.report():
                if args.summary:
                    seen[f"{_what(held)}  {_whose(held)}"] += 1
                else:
                    print(_json.written(held) if args.json else _line(held))
        for what, count in seen.most_common():
            print(f"{count:9d}  {what}")
        return 0

    return _reach.report("refs", show)


def _line(held: Mapping[str, Any]) -> str:
    line = f"{held['age_s']:9.1f} s  {_what(held)} {held['id']:d} x{held['count']:d}  {_whose(held)}"
    return f"{line}  made at {printable(held['made_at'])}" if held["made_at"] else line


def _what(held: Mapping[str, Any]) -> str:
    return printable(f"{held['type'] or '-'} ({held['kind']})")


def _whose(held: Mapping[str, Any]) -> str:
    who = "/".join(each for each in (held["identity"], held["service"], held["perspective"]) if each)
    return printable(f"held by {held['holder']}" + (f" as {who}" if who else ""))
