"""What a program has run when its application starts and when it stops: in order, and errors told.

`Application.on_start` says what of it, and when.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pb.logfields import fields

if TYPE_CHECKING:
    from pb.auth.application import Application

log = logging.getLogger("pb")


class Phases:
    """The starting and the stopping of an application, once."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._has_begun = False
        self._services: list[Any] = []  # those that have started

    async def start(self, within_s: float) -> None:
        """Start services, then the rest. Raises what one of them raises; then those before it are stopped.

        Args:
            within_s: how long all that may take.
        """
        try:
            for service in self._application.authorizer.services.values():
                await _call(getattr(service, "starting", _nothing))
                self._services.append(service)
            for function in self._application.starts:
                await _call(function)
        except BaseException:
            await self._stop_within(within_s, self._stopping())
            raise
        self._has_begun = True

    async def stop(self, within_s: float) -> None:
        """Stop what has started, in the reverse order; do nothing the second time.

        Args:
            within_s: how long all of it may take.
        """
        if not self._has_begun:
            return
        self._has_begun = False
        await self._stop_within(within_s, [*reversed(self._application.stops), *self._stopping()])

    async def _stop_within(self, within_s: float, functions: list[Callable[[], object]]) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._call_all(functions)
        except TimeoutError:
            log.error(
                "what %s has to stop has not ended in %g s, and was cancelled",
                self._application.name,
                within_s,
                extra=fields("application.failed", application=self._application.name),
            )

    def _stopping(self) -> list[Callable[[], object]]:
        return [getattr(service, "stopping", _nothing) for service in reversed(self._services)]

    async def _call_all(self, functions: Iterable[Callable[[], object]]) -> None:
        for function in functions:
            try:
                await _call(function)
            except Exception:
                log.exception(
                    "%s stops, and a function that is to be told failed",
                    self._application.name,
                    extra=fields("application.failed", application=self._application.name),
                )


async def _call(function: Callable[[], object]) -> None:
    result = function()
    if inspect.isawaitable(result):
        await result


def _nothing() -> None:
    """Stand for the phases of a service that has none, one of cred's own."""
