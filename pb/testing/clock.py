"""A clock that stands still until it is moved. Knows nothing else."""

from __future__ import annotations

__all__ = ["Clock"]


class Clock:
    """Seconds that go by when they are told to; calling it gives the time, as `time.monotonic` does.

    Args:
        now: where it begins.

    Attributes:
        now: the time, in seconds.
    """

    __slots__ = ("now",)

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move it on.

        Raises:
            ValueError: backwards; no clock of this kind does that.
        """
        if not seconds >= 0:
            raise ValueError(f"a monotonic clock moved by {seconds} s; it takes 0 or more")
        self.now += seconds

    def __repr__(self) -> str:
        return f"<Clock at {self.now:g} s>"
