"""The command line: ``python -m tests.bench --help``."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path

from tests.bench import contestants, workloads
from tests.bench.processes import PLACEMENTS
from tests.bench.report import promised, report, verdict
from tests.bench.results import FLOOR, Results
from tests.bench.runner import FULL, QUICK, Runner


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of five, and rougher figures")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        choices=list(contestants.BY_NAME),
        help=f"only this contestant and the floor; may be repeated: {', '.join(contestants.BY_NAME)}",
    )
    parser.add_argument(
        "--workload",
        action="append",
        metavar="NAME",
        choices=list(workloads.BY_NAME),
        help=f"only this workload; may be repeated: {', '.join(workloads.BY_NAME)}",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each workload")
    parser.add_argument(
        "--placement",
        choices=PLACEMENTS,
        default="apart",
        help="processors for server and client: halves (default), one for both, or as the scheduler likes",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write machine, versions and all rounds")
    parser.add_argument("--picture", type=Path, metavar="OUT", help="draw the ratios (.png or .svg)")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a promise is missed")
    parser.add_argument("--from", dest="recorded", type=Path, metavar="JSON", help="report that run again")
    return parser.parse_args(arguments)


def main() -> int:
    """Measure, report, and give the exit status."""
    options = parsed()
    chosen = [workloads.BY_NAME[name] for name in options.workload or workloads.BY_NAME]
    if options.recorded:
        results = Results.from_json(options.recorded.read_text())
    else:
        plan = dataclasses.replace(QUICK if options.quick else FULL, placement=options.placement)
        if options.rounds:
            idle_rounds = min(options.rounds, plan.idle_rounds)
            plan = dataclasses.replace(plan, rounds=options.rounds, idle_rounds=idle_rounds)
        wanted = {FLOOR, *(options.only or contestants.BY_NAME)}
        began = time.monotonic()
        results = Runner(plan).run([name for name in contestants.BY_NAME if name in wanted], chosen)
        print(f"measured in {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(report(results))
    print("\n" + promised(results, chosen))
    if options.json:
        options.json.write_text(results.to_json())
    if options.picture and results.contestants():
        from tests.bench.picture import draw

        draw(results, options.picture)
    if options.check:
        text, kept = verdict(results, chosen)
        print("\n" + text)
        return 0 if kept else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
