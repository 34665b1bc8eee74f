"""``pb conformance``: judge an implementation of the protocol, server or client, in any language."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pb.conformance.streams import FrameStream

__all__ = ["add_arguments", "run"]

# Beside the packages in a checkout; an installation from a wheel has them within the runner.
_CHECKOUT: Final = Path(__file__).parents[2] / "spec" / "vectors"
_INSTALLED: Final = Path(__file__).parents[1] / "conformance" / "rows"
_VECTORS: Final = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--connect", metavar="URL", help="a server whose root is the conformance object: pb://, pbs://, ws://"
    )
    where.add_argument(
        "--listen",
        metavar="URL",
        help="wait for a client whose own root is the conformance object, and which connects again each time",
    )
    parser.add_argument("--level", choices=("leaf", "core", "full"), default="full", help="(%(default)s)")
    parser.add_argument(
        "--only", metavar="WHAT", help="cases whose name begins so, or of a rule: PB-R3, PB-R*"
    )
    parser.add_argument(
        "--vectors", type=Path, default=_VECTORS, metavar="DIR", help="another folder like spec/vectors"
    )
    parser.add_argument(
        "--lossy",
        action="append",
        default=[],
        metavar="LANGUAGE",
        help="what this language may turn into a neighbouring value (PB-V43) may come back as one: js",
    )
    parser.add_argument("--timeout", type=float, default=5, metavar="S", help="for each answer (%(default)g)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON too")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report as a page too")
    parser.add_argument("--quiet", action="store_true", help="show only what has not passed")
    parser.add_argument("--list", action="store_true", help="list the cases and run none")


def run(args: argparse.Namespace) -> int:
    """Run the cases; return 0 where none has failed, 1 where some have, 2 where there was nothing to run."""
    from pb.conformance import report, vectors
    from pb.conformance.cases import built_in
    from pb.conformance.run import FAILED, chosen, run_all
    from pb.conformance.streams import Closed

    cases = built_in()
    try:
        cases += vectors.from_folder(args.vectors, args.lossy)
    except (OSError, ValueError, KeyError) as error:
        print(
            f"pb conformance: no vectors ({error}); give --vectors DIR, the specification's folder",
            file=sys.stderr,
        )
        return 2
    cases = chosen(cases, args.level, args.only)
    if not cases:
        print(f"pb conformance: no case matches {args.only!r}", file=sys.stderr)
        return 2
    if args.list:
        for case in cases:
            print(f"{case.name}  {case.level}  {case.title}  [{' '.join(case.rules)}]")
        return 0
    try:
        connect: Callable[[], FrameStream] = _connector(args)
    except (OSError, ValueError, Closed) as error:
        print(f"pb conformance: {error}", file=sys.stderr)
        return 2
    results = []
    for result in run_all(cases, connect, args.timeout):
        results.append(result)
        if not args.quiet or result.outcome == FAILED:
            print(report.line(result), flush=True)
    if len(results) < len(cases):
        print(report.stopped(len(cases) - len(results)))
    print(report.summary(results))
    about = {"under test": args.connect or f"clients of {args.listen}", "level": args.level}
    if args.json:
        args.json.write_text(report.as_json(results, about), encoding="utf-8")
    if args.html:
        args.html.write_text(report.as_html(results, about), encoding="utf-8")
    return int(any(result.outcome == FAILED for result in results))


def _connector(args: argparse.Namespace) -> Callable[[], FrameStream]:
    from pb.aio.unreachable import cannot_connect, no_answer
    from pb.aio.url import Address
    from pb.conformance.root import check_root
    from pb.conformance.streams import Listener, dial

    if args.connect:
        try:
            stream = dial(args.connect, args.timeout)
        except OSError as error:
            address = Address.parse(args.connect)
            if isinstance(error, TimeoutError):
                raise no_answer(address, args.timeout, is_connected=False) from None
            told = cannot_connect(error, address)
            raise OSError(told.errno, f"{told.strerror}: {address}") if told is error else told from None
        if args.level != "leaf":  # which publishes nothing
            check_root(stream, args.timeout)
        else:
            stream.close()
        return lambda: dial(args.connect, args.timeout)
    if not args.listen:
        raise ValueError("say --connect URL for a server, --listen URL for clients, or --list")
    listener = Listener(args.listen)
    print(f"waiting for clients at {listener.url}", flush=True)
    return lambda: listener.accept(10)
