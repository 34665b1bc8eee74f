"""A case: one thing that an implementation must do, the rules that say so, and how it is found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .peer import Peer

LEVELS: Final = ("leaf", "core", "full")


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        name: `group.number`, which stays the same for ever.
        title: what must be.
        rules: ids of the specification.
        level: from which level on it is asked.
        run: raises `Unmet` where it is not so.
        is_raw: whether it says its own HELLO.
    """

    name: str
    title: str
    rules: tuple[str, ...]
    level: str
    run: Callable[[Peer], object]
    is_raw: bool = False


class Group:
    """The cases of one topic, in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cases: list[Case] = []

    def case(
        self, title: str, *rules: str, level: str = "core", raw: bool = False
    ) -> Callable[[Callable[[Peer], Any]], Callable[[Peer], Any]]:
        """Return a decorator that takes a function in as the next case."""
        if level not in LEVELS or not rules:
            raise ValueError(f"{title!r} needs rules, and a level of {LEVELS}")

        def take(run: Callable[[Peer], Any]) -> Callable[[Peer], Any]:
            number = f"{self.name}.{len(self.cases) + 1:02}"
            self.cases.append(Case(number, title, rules, level, run, raw))
            return run

        return take
