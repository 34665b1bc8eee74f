"""Threads beside the loop: handlers that block, and calls that are made from elsewhere."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, overload

from jelly._article import a
from pb.context import current_call, serving
from pb.errors import DeadReference, OutcomeUnknown

from .forking import FORKED_THREAD
from .reference import RemoteMethod

if TYPE_CHECKING:
    from .link import Link

P = ParamSpec("P")
T = TypeVar("T")


_END: Final = object()


@overload
def in_thread(  # type: ignore[overload-overlap]  # a generator is a T as well; the first that fits is meant
    function: Callable[P, Generator[T, Any, Any]],
) -> Callable[P, AsyncGenerator[T, None]]: ...
@overload
def in_thread(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]: ...
def in_thread(function: Callable[P, Any]) -> Callable[P, Any]:
    """Run a blocking method in a thread, so that the loop goes on serving others.

    For methods that wait for a file, a database or a slow computation. They start in order but finish in
    any; a call that is cancelled is answered at once, while its thread runs to its end.

    Of a generator each step runs in a thread, one after the other and not always in the same one, and so does
    what it does when it is closed: this is how rows of a blocking cursor are streamed.

    The threads are those of the loop's default executor (`loop.set_default_executor`): unless told otherwise
    as many as the machine has processors and four more, at most 32. A method that hangs keeps one for ever,
    and looking up the names of hosts needs them too: give what may hang a bound of its own.

    Raises:
        TypeError: it is an `async def`, which has no place in a thread: leave `in_thread` out.
    """
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function.__qualname__} is an async def and runs on the loop; leave in_thread out, or make it "
            "a def that blocks"
        )

    if inspect.isgeneratorfunction(function):
        return _rows(function)

    @functools.wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        kept: list[Any] = []
        try:
            return await asyncio.to_thread(_keeping, kept, function, *args, **kwargs)
        except asyncio.CancelledError:  # the thread runs on, and is to find its connection behind the end
            call = current_call()
            kept.append(call and call.connection)
            raise

    return run


def _rows(function: Callable[P, Generator[T, Any, Any]]) -> Callable[P, AsyncGenerator[T, None]]:
    @functools.wraps(function)
    async def rows(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        iterator = function(*args, **kwargs)
        step: asyncio.Future[Any] | None = None
        try:
            while True:
                step = asyncio.ensure_future(asyncio.to_thread(next, iterator, _END))
                # Shielded: what has begun runs to its end, and must have ended before the iterator can close.
                item = await asyncio.shield(step)
                if item is _END:
                    return
                yield item
        finally:
            if step is not None and not step.done():
                await asyncio.wait([step])
                step.cancelled() or step.exception()  # nobody waits for it any longer
            await asyncio.to_thread(iterator.close)

    return rows


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


def on_loop(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in the thread of the loop, wait for it, and return what it returns.

        pb.on_loop(board.pin, "soup at noon")

    For methods that run `in_thread`: for changing a `pb.Tracked`, telling `pb.Observers`, and whatever else
    belongs to the loop. Nothing else happens there while the function runs. It must not block; a remote
    method is called by `pb.from_thread`. On the loop itself it is just called. Blocking programs have
    `pb.sync.on_loop`.

    Raises:
        RuntimeError: this thread serves no call, so that nobody knows which loop is meant: there it is
            `loop.call_soon_threadsafe`. Or that loop is closed.
        Whatever the function raises.
    """
    found = serving.get()
    if found is None:
        raise RuntimeError(
            "on_loop is for methods that run in_thread, whose call says which loop is meant; in another "
            "thread use loop.call_soon_threadsafe"
        )
    link: Link = found[0].broker.face
    if link.thread == threading.get_ident():
        return function(*args, **kwargs)
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            outcome.set_result(function(*args, **kwargs))
        except BaseException as error:
            outcome.set_exception(error)

    link.loop.call_soon_threadsafe(run, context=contextvars.copy_context())
    return outcome.result()
