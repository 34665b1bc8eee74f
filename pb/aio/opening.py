"""Something that is opened by `await` or by `async with`, whichever suits."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar


class _Entered(Protocol):
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


T = TypeVar("T", bound=_Entered)


class OnlyAsync:
    """What is entered by `async with`; who forgets the `async` is told."""

    __slots__ = ()

    if not TYPE_CHECKING:  # for type checkers it has no such methods, which is what they should say

        def __enter__(self) -> NoReturn:
            what, blocking = self._names()
            raise TypeError(
                f"{what} is entered by `async with`, in an async function; in programs without a loop, "
                f"{blocking} by `with`"
            )

        def __exit__(self, *exc: object) -> None:
            """Do nothing: it was not entered. Python looks for this first."""

    def _names(self) -> tuple[str, str]:
        """Return the name of this, as its user wrote it, and that of its twin for blocking programs."""
        raise NotImplementedError


class Opening(OnlyAsync, Generic[T]):
    """The promise of an open thing. `await` it and close it yourself, or use `async with`; once.

    Args:
        start: opens it.
        call: what made this, as its user wrote it, such as `"pb.serve(...)"`.
    """

    __slots__ = ("_call", "_is_used", "_opened", "_start")

    def __init__(self, start: Callable[[], Coroutine[Any, Any, T]], call: str) -> None:
        self._start = start
        self._call = call
        self._is_used = False
        self._opened: T | None = None

    def __await__(self) -> Generator[Any, None, T]:
        return self._open().__await__()

    async def __aenter__(self) -> T:
        self._opened = await self._open()
        return self._opened

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._opened is not None
        await self._opened.__aexit__(kind, error, trace)

    def _open(self) -> Coroutine[Any, Any, T]:
        # A second use would open a second thing, and forget the first where both are entered.
        if self._is_used:
            raise RuntimeError(f"this {self._call} was awaited or entered before; call it again for another")
        self._is_used = True
        return self._start()

    if not TYPE_CHECKING:  # else a type checker takes any name for an attribute that never returns

        def __getattr__(self, name: str) -> NoReturn:
            if self._is_used:
                where = "in what awaiting or entering it gave"
            else:
                where = f"after `async with {self._call} as it` or `it = await {self._call}`, in `it`"
            raise AttributeError(f"{self._call} itself has no {name!r}; look for it {where}")

    def _names(self) -> tuple[str, str]:
        self._is_used = True  # that it has opened nothing is no news any more
        return self._call, self._call.replace("pb.", "pb.sync.")

    def __repr__(self) -> str:
        return f"<{self._call}, {'used' if self._is_used else 'not awaited yet'}>"

    def __del__(self) -> None:
        # Like a forgotten coroutine: nothing listens, nothing is connected, and nothing else says so.
        if not self._is_used:
            warnings.warn(
                f"{self._call} was never awaited and has opened nothing; use `async with` or `await`",
                RuntimeWarning,
                stacklevel=2,
            )
