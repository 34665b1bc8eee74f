"""Reaching the thread of the connections, for what belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ._background import background

P = ParamSpec("P")
T = TypeVar("T")


def on_loop(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in the thread of all connections and return what it returns.

    For changing a `pb.Tracked`, or telling `pb.Observers`: `sync.on_loop(board.pin, "soup at noon")`. Updates
    that arrive are applied in that thread too, so that nothing changes while the function runs. It must not
    block, and can make no blocking calls.
    """
    return background().call(function, *args, **kwargs)
