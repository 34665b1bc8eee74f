"""``pb describe``: what may be called at a server, for programs: JSON, or an interface of TypeScript.

Or what callers of an earlier version of it would miss.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import _json, _reach

if TYPE_CHECKING:
    from pb.description import Description

__all__ = ["add_arguments", "run"]

BREAKS: Final = 3  # the status where callers of the earlier version would miss something


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    _reach.add_arguments(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="JSON (the default)")
    form.add_argument("--typescript", metavar="NAME", help="an interface of TypeScript, under this name")
    form.add_argument(
        "--against",
        metavar="FILE",
        help=f"what callers would miss for whom the JSON in FILE was true; status {BREAKS} if there is any",
    )


def run(args: argparse.Namespace) -> int:
    """Print the description."""

    async def show() -> int:
        import pb

        before = None if args.against is None else _read(args.against)
        async with _reach.reach(args) as reference:
            description = await pb.describe(reference)
        if before is not None:
            from pb.contract import breaks

            found = [*breaks(description, before)]
            print("\n".join(found), end="\n" if found else "")
            return BREAKS if found else 0
        if args.typescript:
            from ._typescript import interface

            print(interface(args.typescript, description), end="")
        else:
            print(_json.written(dataclasses.asdict(description), 2))
        return 0

    return _reach.report("describe", show)


def _read(path: str) -> Description:
    """Return the description that this command has written to a file.

    Raises:
        ValueError: it is none.
        OSError: the file cannot be read.
    """
    from pb.description import Description
    from pb.errors import BadPayload

    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        return Description.of({**told, "methods": [_as_told(method) for method in told["methods"]]})
    except (ValueError, TypeError, KeyError, AttributeError, BadPayload) as error:
        raise ValueError(f"{path} holds nothing that pb describe has written: {error!r:.200}") from None


def _as_told(method: dict[str, Any]) -> dict[str, Any]:
    """Return a method in the form in which peers tell it."""
    row = {"name": method["name"], "returns": method["returns"], "stream": method["is_stream"]}
    if method["parameters"] is not None:
        row["params"] = [
            {"name": each["name"], "type": each["type"], "by": each["by"], "optional": each["is_optional"]}
            for each in method["parameters"]
        ]
    return row
