"""The picture of a run: one panel per workload, speed relative to the uvloop floor on a logarithmic scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench.contestants import BY_NAME
from tests.bench.report import number, per_second
from tests.bench.results import FLOOR, US, Results
from tests.bench.workloads import TIMED

COLUMNS = 3
OURS, OURS_PALER, FLOORS, PEERS = "#0f6fb5", "#86b8dd", "#9aa0a6", "#d9a066"
PLACED = {"apart": "half the CPUs each", "together": "on one CPU", "free": "on any CPU"}
INK, PALE_INK = "#222222", "#777777"


def draw(results: Results, out: Path) -> None:
    """Draw the ratios of a run into a file; its ending says in which format.

    Raises:
        ImportError: matplotlib is not installed; the extra `bench` has it.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names = results.contestants()[::-1]
    measured = [workload for workload in TIMED if results.rounds.get(workload.name)]
    panels = len(measured) + bool(results.idle) + 1
    rows = -(-panels // COLUMNS)
    style = {"font.size": 10.5, "text.color": INK, "axes.edgecolor": PALE_INK, "svg.fonttype": "path"}
    with rc_context(style):
        height = rows * (0.95 + 0.235 * len(names)) + 0.5
        figure = Figure(figsize=(12, height), layout="constrained", facecolor="white")
        axes = figure.subplots(rows, COLUMNS, squeeze=False).flatten().tolist()
        ratios = {
            workload.name: [results.faster(workload.name, name, FLOOR) for name in names]
            for workload in measured
        }
        known = [ratio for column in ratios.values() for ratio in column if ratio is not None]
        # One scale for all panels; the room on its right is for the label of the longest bar.
        least, most = min([*known, 0.5]) / 1.6, max([*known, 1.0]) * 4.0
        for axis, workload in zip(axes, measured, strict=False):
            axis.set_xscale("log")
            axis.set_xlim(least, most)
            axis.axvline(1.0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=3)
            column = ratios[workload.name]
            _bars(axis, names, column, [number(ratio) for ratio in column], least)
            floor = per_second(results.speed(workload.name, FLOOR))
            _head(axis, f"{workload.title}  (floor: {floor})")
        if results.idle:
            sides = [results.idle_kib(name) for name in names]
            larger = [max(pair) if pair else None for pair in sides]
            axis = axes[len(measured)]
            axis.set_xlim(0, 1.4 * max(value for value in larger if value is not None))
            _bars(axis, names, larger, [f"{p[0]:.1f} / {p[1]:.1f}" if p else "-" for p in sides], 0.0)
            _head(axis, "KiB per idle connection, less is better")
        for axis in axes[: panels - 1 : COLUMNS]:
            _name_rows(axis, names)
        for axis in axes[panels - 1 :]:
            axis.axis("off")
        axis = axes[panels - 1]
        place = {"va": "top", "transform": axis.transAxes}
        legend = axis.text(0.0, 0.97, _legend(results), fontsize=9.5, color=PALE_INK, **place)
        # Where an empty panel is beside it, it may spread over that instead of making its own column wider.
        legend.set_in_layout(panels % COLUMNS == 0)
        figure.suptitle(
            "Speed as a multiple of the floor (the least an asyncio RPC on uvloop can be) = 1, logarithmic",
            fontsize=13,
            fontweight="bold",
        )
        figure.savefig(out, dpi=110, facecolor="white")


def _head(axis: Any, title: str) -> None:
    axis.set_title(title, loc="left", fontsize=10.5, fontweight="bold")


def _bars(axis: Any, names: list[str], values: list[float | None], labels: list[str], least: float) -> None:
    for at, (name, value, label) in enumerate(zip(names, values, labels, strict=True)):
        if value is None:
            axis.annotate("-", (least, at), (5, 0), textcoords="offset points", va="center", color=PALE_INK)
            continue
        axis.barh(at, max(value - least, 0.0), left=least, height=0.74, color=_colour(name), zorder=2)
        axis.annotate(
            label,
            (max(value, least), at),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            fontweight="bold" if name.startswith(US) else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.set_yticks([])
    axis.tick_params(axis="x", which="both", colors=PALE_INK, labelsize=8)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.minorticks_off()
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _name_rows(axis: Any, names: list[str]) -> None:
    axis.set_yticks(range(len(names)), [BY_NAME[name].title for name in names])
    axis.tick_params(axis="y", length=0)
    for name, label in zip(names, axis.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if name.startswith(US) else "normal")


def _colour(name: str) -> str:
    if name.startswith(FLOOR):
        return FLOORS
    if name.startswith(US):
        return OURS if name == US else OURS_PALER
    return PEERS


def _legend(results: Results) -> str:
    versions = [f"{name} {version}" for name, version in results.machine["versions"].items()]
    by_two = [", ".join(versions[i : i + 2]) for i in range(0, len(versions), 2)]
    found = [rounds for by_name in results.rounds.values() for rounds in by_name.values()]
    rounds = max(map(len, found), default=0)
    return "\n".join(
        [
            f"Server and client are one process each, {PLACED[results.placement]}.",
            f"Median of {rounds} interleaved rounds; '-': cannot do it.",
            "Memory: client / server; the bar is the larger.",
            "Only ratios mean anything: the figures themselves",
            "are those of one machine on one day:",
            "",
            f"{results.machine['processor']}, {results.machine['cpus']} CPUs, {results.machine['system']}",
            *by_two,
        ]
    )
