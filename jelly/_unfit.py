"""What a walk over a value to be sent may end with. Private to the encoder, which makes it Unjellyable."""

from __future__ import annotations


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
