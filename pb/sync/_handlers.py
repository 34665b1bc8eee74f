"""Calls of the peer, run in threads that may block.

What is decided about a call, and how it is answered, is the core's matter (`pb.calling.serving`); only
where its method runs is decided here.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pb.calling.serving import Serving
from pb.calling.why import why_bad_arguments
from pb.context import serving
from pb.dispatch import Kind, bind_error, check_arguments
from pb.errors import Cancelled
from pb.holding.export import Export
from pb.logfields import fields

if TYPE_CHECKING:
    from ._floor import Frame
    from .link import SyncLink

log = logging.getLogger("pb")


class ThreadServing(Serving):
    """Serves the calls of one connection; plain methods of exported objects run in threads."""

    __slots__ = ()

    def run(self, id: int, export: Any, function: Any, method: str, *rest: Any) -> None:
        # Updates of replicas stay in order with the answers around them, and so on the loop.
        if type(export) is Export and function is not None and not inspect.iscoroutinefunction(function):
            function = _InThread(export, function, method)
        super().run(id, export, function, method, *rest)


class _InThread:
    """A method that returns at once with the promise of its result."""

    def __init__(self, export: Export, function: Callable[..., Any], method: str) -> None:
        self._export = export
        self._method = method
        # Under these names the log finds out what it is.
        self.__wrapped__ = function
        self.__qualname__ = getattr(function, "__qualname__", type(function).__qualname__)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Handling:
        export = self._export
        check_arguments(export, self.__wrapped__, self._method, list(args), kwargs)
        link: SyncLink = export.scope.broker.face
        has_actor = export.kind is Kind.VIEW
        handling = Handling(link, self.__wrapped__, self._method, args, kwargs, has_actor)
        link.offer(handling, export.id)
        return handling


class Handling(asyncio.Future[Any]):
    """One call of the peer's, from when it arrived until its method has returned."""

    __slots__ = (
        "_args",
        "_connection",
        "_context",
        "_function",
        "_has_actor",
        "_is_told",
        "_kwargs",
        "_link",
        "_method",
        "frame",
        "number",
    )

    number: int

    def __init__(
        self,
        link: SyncLink,
        function: Callable[..., Any],
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        has_actor: bool = False,
    ) -> None:
        super().__init__(loop=link.loop)
        self.frame: Frame | None = None
        self._link = link
        self._function = function
        self._method = method
        self._args = args
        self._kwargs = kwargs
        self._has_actor = has_actor
        self._context = contextvars.copy_context()
        self._is_told = False

    def run(self) -> BaseException | None:
        """Run the method in this thread; return what is to end this thread's own call too."""
        value: Any = None
        told: BaseException | None = None
        ends: BaseException | None = None
        try:
            value = self._context.run(self._function, *self._args, **self._kwargs)
        except (KeyboardInterrupt, SystemExit) as error:
            told, ends = Cancelled("the program that served the call was interrupted"), error
        except BaseException as error:
            told = error
            if isinstance(error, TypeError):
                fit = bind_error(error, self._function, self._method, self._has_actor)
                if fit is not None:
                    told = fit
                    if log.isEnabledFor(logging.INFO):
                        why = why_bad_arguments(self._function, len(self._args), self._kwargs)
                        extra = self._context.run(fields, "call.refused", method=self._method, error=fit)
                        log.info(
                            "refused a call of %s: %s", self._link.broker.tables.peer_name, why, extra=extra
                        )
        try:
            self._tell(value, told)
            return ends
        finally:
            del told, ends  # their tracebacks hold this frame

    def interrupt(self) -> None:
        """Answer a call that is not run to its end."""
        if not self._is_told:
            self._tell(None, Cancelled("the program that served the call was interrupted"))

    def _tell(self, value: Any, error: BaseException | None) -> None:
        self._is_told = True
        try:
            self.get_loop().call_soon_threadsafe(self._settle, value, error)
        except RuntimeError:
            pass  # the loop is closed: the program ends

    def _settle(self, value: Any, error: BaseException | None) -> None:
        self._function = self._args = self._kwargs = None  # type: ignore[assignment]
        if self.done():
            return
        if error is None:
            if hasattr(type(value), "__await__"):
                self._link.spawn(self._follow(value))
            else:
                self.set_result(value)
            return
        if isinstance(error, StopIteration):  # which a future does not take
            error = RuntimeError(f"{self._method} raised StopIteration")
        self.set_exception(error)
        self.exception()  # seen: who waited for it may have been cancelled meanwhile

    async def _follow(self, value: Any) -> None:
        """Wait for the rest of a method that is a function and has returned something to wait for."""
        try:
            result = await value
        except GeneratorExit as error:  # it was thrown away, or the method has raised that
            self._tell(None, error)
        except BaseException as error:
            self._settle(None, error)
            if not isinstance(error, Exception):
                raise
        else:
            if not self.done():
                self.set_result(result)

    def cancel(self, msg: Any | None = None) -> bool:
        """Take the call back if it has not begun. What has begun runs to its end, and nobody hears of it."""
        if not super().cancel(msg):
            return False
        found = self._context.get(serving)
        if found is None or found[1]:  # nobody cancels what wants no answer: the connection has ended
            self._link.withdraw(self)
        self._connection = self._link.connection  # kept: what runs on is to find it again behind the end
        return True


class Chore:
    """A function of this program that is to run where handlers do: a callback with the outcome of a call."""

    __slots__ = ("_args", "_context", "_function", "_what", "frame", "number")

    number: int

    def __init__(self, what: str, function: Callable[..., object], *args: Any) -> None:
        self.frame: Frame | None = None
        self._what = what
        self._function = function
        self._args = args
        self._context = contextvars.copy_context()

    def run(self) -> BaseException | None:
        """Run it; an error is nobody's but the log's."""
        try:
            self._context.run(self._function, *self._args)
        except (KeyboardInterrupt, SystemExit) as error:
            return error
        except BaseException:
            name = getattr(self._function, "__name__", type(self._function).__name__)
            log.exception("%s failed", self._what, extra=fields("watcher.failed", method=name))
        return None

    def interrupt(self) -> None:
        """Do nothing: nobody waits for it."""
