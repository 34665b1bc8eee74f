"""What a walk over a value to be sent may end with. Private to the encoder, which makes it Unjellyable."""

from __future__ import annotations

from typing import Any

from ._ext import CACHE, COPY, MAP


class SharedContainer(Exception):
    """Say that a container was met a second time."""


class Unfit(Exception):
    """Carry why a value cannot be sent, and collect on the way up where it stands.

    Attributes:
        problem: the end of a sentence about the value.
        steps: the way to it, innermost first.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.steps: list[str] = []

    def at(self, step: str) -> Unfit:
        """Add one step toward the outside."""
        self.steps.append(step)
        return self

    def seen_in(self, code: int, items: Any) -> Unfit:
        """Name the outermost steps, found in the data of an Ext, as its sender knows them."""
        if code == COPY and self.steps:
            self.steps.pop()  # [name, state]
            if self.steps and self.steps[-1].startswith("['"):
                self.steps[-1] = "." + self.steps[-1][2:-2]
        elif code == CACHE and self.steps:
            self.steps[-1] = ".<state>"  # [id, name, state]
        elif code == MAP and self.steps:
            at = int(self.steps.pop()[1:-1])
            self.steps.append(f"[{list(items)[at >> 1]!r:.80}]" if at & 1 else "<a key or member>")
        return self


class TooDeep(Unfit):
    """Say that it nests deeper than its receiver takes."""


def tell(unfit: Unfit, where: str, is_call: bool) -> str:
    """Say where something stands that cannot be sent, and why it cannot."""
    steps = unfit.steps[::-1]
    if is_call:
        if len(steps) < 2:
            return f"the arguments{where}: one {unfit.problem}" if steps else f"a call{where} {unfit.problem}"
        where = f"argument {steps[1][1:-1]}{where}"
        steps = steps[2:]
    return f"{where}: {''.join(steps)} {unfit.problem}" if steps else f"{where} {unfit.problem}"
