"""``pb call``: call one method of a server, and print what it returns as JSON."""

from __future__ import annotations

import argparse

from . import _json, _reach

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    _reach.add_arguments(parser)
    parser.add_argument(
        "method",
        metavar="METHOD",
        help="its name, without a prefix; what it returns is shown as JSON, the items of a stream one a "
        'line, an instance of a class as {"$copy": [name, state]}',
    )
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="ARGUMENT",
        help="JSON, or NAME=JSON for an argument by name; what JSON has not is written as in spec/vectors,"
        ' such as {"$bytes": "00ff"}',
    )


def run(args: argparse.Namespace) -> int:
    """Print the result, or the items of a stream as they come, one a line."""

    async def call() -> int:
        import pb

        positional, named = _split(args.arguments)
        async with _reach.reach(args) as reference:
            scope = reference._pb_import.scope
            scope.decoder = scope.broker.relay_decoder  # nothing is registered here: a copy is name and state
            try:
                result = await pb.call_remote(reference, args.method, *positional, **named)
                if hasattr(type(result), "__aiter__"):
                    async for item in result:
                        print(_json.dumps(item), flush=True)
                else:
                    print(_json.dumps(result))
            except pb.Unregistered as error:
                # Only plain values are sent from here, so it is of what has come: a cache, which has no state
                # for who does not follow it.
                what = str(error).partition(";")[0]
                raise ValueError(
                    f"{what}: the call has run, and pb call cannot show what it returned; a program may "
                    "register it"
                ) from None
        return 0

    return _reach.report("call", call)


def _split(arguments: list[str]) -> tuple[list[object], dict[str, object]]:
    positional: list[object] = []
    named: dict[str, object] = {}
    for argument in arguments:
        name, mark, text = argument.partition("=")
        if mark and name.isidentifier():
            named[name] = _json.loads(text)
        else:
            positional.append(_json.loads(argument))
    return positional, named
