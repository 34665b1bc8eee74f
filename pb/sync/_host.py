"""A thread with a loop of its own, such as that of a window, that does what the peers ask for."""

from __future__ import annotations

from collections import deque

from ._floor import Desk, Frame, Job, Sitter


class Host:
    """A thread that never waits for long, and comes by to do what lies on the desks that are its own.

    Attributes:
        ready: the desks on which jobs were laid for it, each as often.
        is_open: it comes by still.
    """

    __slots__ = ("frame", "is_open", "ready")

    def __init__(self, sitter: Sitter) -> None:
        self.frame = Frame(Desk(0), sitter)
        self.ready: deque[Desk] = deque()
        self.is_open = True

    def take(self) -> Job | None:
        """Remove and return the next job, None where there is none. Called in its thread."""
        with self.frame.sitter.floor.lock:
            while self.ready:
                job = self.ready.popleft().take(self.frame.sitter)
                if job is not None:
                    return job
        return None

    def close(self) -> None:
        """Come by no more: what is left, others do."""
        floor = self.frame.sitter.floor
        with floor.lock:
            self.is_open = False
            for desk in self.ready:
                for job in desk.jobs:
                    if job.frame is self.frame:
                        job.frame = None
                floor.dispatch(desk)
            self.ready.clear()
