"""What the loop is to do soon, on behalf of nobody: noted where nothing may begin."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context


class Later:
    """One such action. It stands among what is to be released, which may be noted anywhere too."""

    __slots__ = ("_action",)

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action

    def run(self) -> None:
        """Do it; whoever happens to write now passes nothing on."""
        Context().run(self._action)
