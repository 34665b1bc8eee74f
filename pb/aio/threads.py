"""Handlers that block, and how they leave the loop alone."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Run a blocking method in a thread, so that the loop goes on serving others.

    For methods that wait for a file, a database or a slow computation. They start in order but finish in
    any; a call that is cancelled is answered at once, while its thread runs to its end.
    """

    @functools.wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs)

    return run
