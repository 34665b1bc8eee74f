"""The floor with one idea more: all that one turn of the loop produces leaves in one write.

That is what this project does, too, and what most floors would not; it shows how much of a ratio is the idea
and how much is the price of what the floor leaves out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from tests.bench.contestants import floor
from tests.bench.contestants._asyncio import drive_rounds

WORKLOADS = floor.WORKLOADS


class Joined(floor.Floor):
    """One connection, either side."""

    def __init__(self, root: Callable[[floor.Floor], object]) -> None:
        super().__init__(root)
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes] = []
        self._is_due = False

    def send(self, body: bytes) -> None:
        """Queue one frame."""
        self._frames += (len(body).to_bytes(4, "big"), body)
        self.turn_ends()

    def turn_ends(self) -> None:
        """Flush behind the tasks that the answers woke: what they send leaves in this same turn."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_due = False
        if self._frames:
            self._transport.write(b"".join(self._frames))
            self._frames.clear()


class JoinedClient(floor.FloorClient):
    """The client's side of one connection."""

    protocol = Joined


def serve(loop: str, announce: Callable[[int], None]) -> None:
    """Serve until the process ends."""
    floor.serve(loop, announce, Joined)


def drive(loop: str, port: int, rounds: Iterable[Any]) -> None:
    """Do every round."""
    drive_rounds(loop, JoinedClient, port, rounds)
