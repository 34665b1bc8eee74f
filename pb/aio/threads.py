"""Handlers that block, and how they leave the loop alone."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Run a blocking method in a thread, so that the loop goes on serving others.

    For methods that wait for a file, a database or a slow computation. They start in order but finish in
    any; a call that is cancelled is answered at once, while its thread runs to its end.

    Raises:
        TypeError: it is an `async def`, which has no place in a thread: leave `in_thread` out.
    """
    if inspect.iscoroutinefunction(function):
        raise TypeError(
            f"{function.__qualname__} is an async def and runs on the loop; leave in_thread out, or make it "
            "a def that blocks"
        )

    @functools.wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs)

    return run
