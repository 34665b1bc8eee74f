"""Threads beside the loop: handlers that block, and calls that are made from elsewhere."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from jelly._article import a
from pb.context import current_call
from pb.errors import DeadReference, OutcomeUnknown

from .forking import FORKED_THREAD
from .reference import RemoteMethod

if TYPE_CHECKING:
    from .link import Link

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
        kept: list[Any] = []
        try:
            return await asyncio.to_thread(_keeping, kept, function, *args, **kwargs)
        except asyncio.CancelledError:  # the thread runs on, and is to find its connection behind the end
            call = current_call()
            kept.append(call and call.connection)
            raise

    return run


def _keeping(kept: list[Any], function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function, and keep something as long as it runs."""
    return function(*args, **kwargs)


def from_thread(method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a remote method from another thread than the loop's, wait for its value and return it.

        pb.from_thread(reference.echo, "hi")
        pb.from_thread(reference.echo.within(5.0), "hi")

    For methods that run `in_thread`, and threads of the program: a reference itself is the loop's alone. The
    deadline of the call that a thread of `in_thread` serves is in force here too.

    Args:
        method: a method of a remote reference, its `within(...)`, or its `send`, which returns None at once.

    Raises:
        RuntimeError: this is the thread of the loop, or one in which another loop runs: await it there.
        NotExecuted: the loop is closed.
        OutcomeUnknown: the loop ended before the answer came.
        Whatever else the call raises.
    """
    remote = method if isinstance(method, RemoteMethod) else getattr(method, "__self__", None)
    if not isinstance(remote, RemoteMethod):
        raise TypeError(
            f"a remote method is expected, such as reference.echo, not {a(type(method).__name__)}"
        )
    link: Link = remote._pb_reference._pb_import.scope.broker.face
    if link.thread == FORKED_THREAD:
        link.check_thread()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError(
            "from_thread waits, and would block the loop that runs in this thread; await the call instead"
        )

    async def call() -> Any:
        made = method(*args, **kwargs)
        return await made if isinstance(made, Awaitable) else made

    calling = call()
    try:
        future = asyncio.run_coroutine_threadsafe(calling, link.loop)
    except RuntimeError:
        calling.close()
        raise DeadReference("the call was not sent: the loop of its connection is closed") from None
    try:
        return future.result()
    except concurrent.futures.CancelledError:
        raise OutcomeUnknown("the loop of the connection ended before the answer came") from None
    except BaseException:  # Ctrl-C among them
        future.cancel()
        raise
