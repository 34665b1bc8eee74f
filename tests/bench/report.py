"""The tables that a run prints, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.bench.contestants import BY_NAME
from tests.bench.promises import Promise, promises
from tests.bench.results import FLOOR, US, Results
from tests.bench.workloads import FAN_OUT, TIMED, Workload


def number(value: float | None) -> str:
    """Write three digits that matter; '-' for no figure."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def per_second(value: float | None) -> str:
    """Write a speed shortly."""
    if value is None:
        return "-"
    return f"{value / 1000:.1f} k/s" if value >= 1000 else f"{value:.0f}/s"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Set a Markdown table that also reads well unrendered."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        set_right = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        return "| " + " | ".join([first.ljust(widths[0]), *set_right]) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([line(heads), rule, *map(line, rows)])


def _grid(
    results: Results,
    names: Sequence[str],
    cell: Callable[[str, str], str],
    last: Callable[[str], str] | None,
    workloads: Sequence[Workload] = TIMED,
) -> str:
    measured = [workload for workload in workloads if results.rounds.get(workload.name)]
    heads = ["", *(workload.title for workload in measured)]
    rows = [[BY_NAME[name].title, *(cell(workload.name, name) for workload in measured)] for name in names]
    if last is not None and results.idle:
        heads.append("KiB per idle connection")
        for row, name in zip(rows, names, strict=True):
            row.append(last(name))
    return table(heads, rows)


def report(results: Results) -> str:
    """Give all tables of a run."""
    parts = [*_of_contestants(results)] if results.contestants() else []
    if results.instances:
        parts += [
            "1,000 instances of five fields, CPU of a round trip (dumps and loads), jelly and pickle 5:",
            instances(results.instances),
        ]
    if results.cached_state:
        parts += [
            "Bytes on the wire of the answers that hold a Cacheable:",
            cached_state(results.cached_state),
        ]
    parts += [f"Left out: {BY_NAME[name].title}: {reason}" for name, reason in results.unable.items()]
    for workload, by_name in results.failed.items():
        parts += [
            f"Failed: {workload}: {BY_NAME[name].title if name in BY_NAME else name}: {why.splitlines()[0]}"
            for name, why in by_name.items()
        ]
    return "\n\n".join(parts)


def _of_contestants(results: Results) -> list[str]:
    names = results.contestants()
    parts = ["Speed, operations per second (medians):", _grid(results, names, _speed(results), None)]
    if FLOOR in names:
        parts += [
            "Speed as a multiple of the uvloop floor (memory: KiB, client / server):",
            _grid(results, names, lambda w, name: number(results.faster(w, name, FLOOR)), _idle(results)),
            "Operations per CPU second of both sides, as a multiple of the uvloop floor:",
            _grid(results, names, lambda w, name: number(results.leaner(w, name, FLOOR)), None),
        ]
    parts += [
        "CPU microseconds per operation, both sides:",
        _grid(results, names, lambda w, name: number(results.cpu_us(w, name)), None),
    ]
    told = [name for name in names if any(results.speed(workload.name, name) for workload in FAN_OUT)]
    if told:
        parts += [
            "CPU microseconds per delivery, server / client:",
            _grid(results, told, _sides(results), None, FAN_OUT),
        ]
    others = [name for name in names if name != US]
    if US in names and others:
        parts += [
            f"How many times as fast {BY_NAME[US].title} is (memory: how many times less, both sides):",
            _grid(results, others, lambda w, name: number(results.faster(w, US, name)), _idle_ratio(results)),
            f"How many times the operations per CPU second {BY_NAME[US].title} does:",
            _grid(results, others, lambda w, name: number(results.leaner(w, US, name)), None),
        ]
    return parts


def instances(found: Mapping[str, Mapping[str, float]]) -> str:
    """Set the table of instances.compared(), a row for each kind of class."""
    heads = ["", "times pickle", "dumps alone", "loads alone", "us, jelly", "us, pickle"]
    columns = ["ratio", "dumps_ratio", "loads_ratio", "jelly_us", "pickle_us"]
    return table(heads, [[kind, *(number(row[column]) for column in columns)] for kind, row in found.items()])


def cached_state(found: Mapping[str, int]) -> str:
    """Set the table of cached_state.measure()."""
    row = ["a state of 1 MB", f"{found['first_bytes']:,}", f"{found['second_bytes']:,}"]
    return table(["", "first answer", "second answer"], [row])


def promised(results: Results, workloads: Sequence[Workload]) -> str:
    """Set what is promised of these workloads beside what the run shows."""
    rows = [
        [
            promise.what,
            number(promise.measured),
            f"{'>=' if promise.is_least else '<='} {promise.bound:g}",
            promise.excuse or ("yes" if promise.is_kept else "NO"),
        ]
        for promise in promises(results, {workload.name for workload in workloads})
    ]
    return "What is promised:\n\n" + table(["", "measured", "promised", "kept"], rows)


def verdict(results: Results, workloads: Sequence[Workload]) -> tuple[str, bool]:
    """Compare with what is promised; give the text and whether all is kept."""
    found = promises(results, {workload.name for workload in workloads})
    missed = [_missed(promise) for promise in found if not promise.is_kept]
    if missed:
        return "Promises missed:\n" + "\n".join(missed), False
    excused = [f"* {promise.what}: {promise.excuse}" for promise in found if promise.measured is None]
    if excused:
        return "All promises kept, but of these the run shows nothing:\n" + "\n".join(excused), True
    return "All promises kept.", True


def _missed(promise: Promise) -> str:
    if promise.measured is None:
        return f"* {promise.what}: not measured"
    bound = f"{'at least' if promise.is_least else 'at most'} {promise.bound:g}"
    return f"* {promise.what}: {number(promise.measured)}, promised {bound}"


def _speed(results: Results) -> Callable[[str, str], str]:
    return lambda workload, name: per_second(results.speed(workload, name))


def _sides(results: Results) -> Callable[[str, str], str]:
    def cell(workload: str, name: str) -> str:
        sides = results.cpu_us_of_sides(workload, name)
        return " / ".join(number(side) for side in sides) if sides else "-"

    return cell


def _idle(results: Results) -> Callable[[str], str]:
    def cell(name: str) -> str:
        sides = results.idle_kib(name)
        return " / ".join(f"{side:.1f}" for side in sides) if sides else "-"

    return cell


def _idle_ratio(results: Results) -> Callable[[str], str]:
    def cell(name: str) -> str:
        ours, theirs = results.idle_kib(US), results.idle_kib(name)
        return number(sum(theirs) / sum(ours)) if ours and theirs and sum(ours) > 0 else "-"

    return cell
