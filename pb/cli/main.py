"""The command ``pb``: find the subcommand, import its module, run it.

Knows no subcommand beyond its row in COMMANDS. A subcommand is a module with ``add_arguments(parser)`` and
``run(args) -> int``, imported only when it is named, so that ``pb --help`` imports neither asyncio nor ssl.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

__all__ = ["main"]

# Name -> module, and the one line that `pb --help` shows.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("pb.cli.run", "run the application of a file"),
    "identity": ("pb.cli.identity", "say who may log in, and what they may attach"),
    "sturdy": ("pb.cli.sturdy", "give, show and revoke secret names of objects"),
    "ls": ("pb.cli.ls", "list what may be called at a server"),
    "call": ("pb.cli.call", "call a method of a server and print the result"),
    "describe": ("pb.cli.describe", "say for programs what may be called at a server"),
    "conformance": ("pb.cli.conformance", "judge an implementation, in any language, by its frames"),
    "dump": ("pb.cli.dump", "show in words what a captured connection says"),
    "refs": ("pb.cli.refs", "say who holds which objects of a running application"),
    "keygen": ("pb.cli.keygen", "make the TLS key and certificate of a server"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 failed, 2 misused, 130 interrupted.

    Args:
        argv: the arguments after the program's name; None: those of this process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments and arguments[0] in COMMANDS:
            return _run(arguments[0], arguments[1:])
        parser = _top_parser()
        parser.parse_args(arguments)
        parser.error("expected a COMMAND as the first argument")
    except SystemExit as stop:  # argparse has printed help or what was wrong
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        return 130


def _run(name: str, arguments: list[str]) -> int:
    module_name, summary = COMMANDS[name]
    command = importlib.import_module(module_name)
    parser = argparse.ArgumentParser(prog=f"pb {name}", description=f"{summary[0].upper()}{summary[1:]}.")
    command.add_arguments(parser)
    status: int = command.run(parser.parse_args(arguments))
    return status


def _top_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pb", description="Perspective Broker: remote objects.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for name, (_, summary) in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    return parser
