"""Where the outcome of a call goes that is made with callbacks, and what may be called at all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from jelly._article import a
from pb.dispatch import is_method_name
from pb.errors import NoSuchMethod
from pb.logfields import fields

log = logging.getLogger("pb")


def may_log_failed(calls: Any) -> bool:
    """Whether one more line may be written about a call that failed: its peer can let each of them fail.

    Args:
        calls: who makes the call, as a `Promise` knows it.
    """
    try:
        may_log: bool = calls.core.tables.may_log(logging.ERROR, "call.failed")
    except ReferenceError:  # the connection that it was moved to is no more, nor are its bounds
        return True
    return may_log


def check_name(name: str) -> None:
    """Refuse what can be no remote method.

    Raises:
        NoSuchMethod: it cannot.
    """
    if not is_method_name(name):
        raise NoSuchMethod("method names match [A-Za-z][A-Za-z0-9_]* and have at most 128 characters")


def deliver_to(kwargs: dict[str, Any], name: str) -> Deliver:
    """Take `pbcallback` and `pberrback` out of the arguments of a call.

    Raises:
        TypeError: one of them cannot be called.
    """
    callback, errback = kwargs.pop("pbcallback", None), kwargs.pop("pberrback", None)
    for function in (callback, errback):
        if function is not None and not callable(function):
            raise TypeError(f"pbcallback and pberrback are functions, not {a(type(function).__name__)}")
    return Deliver(callback, errback, name)


class Deliver:
    """Hands the outcome of a call to the callbacks that the paper's form of a call names."""

    __slots__ = ("_callback", "_errback", "_name")

    def __init__(
        self, callback: Callable[[Any], object] | None, errback: Callable[[Any], object] | None, name: str
    ) -> None:
        self._callback = callback
        self._errback = errback
        self._name = name

    def __call__(self, promise: Any) -> None:
        if promise.cancelled():
            return
        error = promise.exception()
        if error is None:
            if self._callback is not None:
                self._callback(promise.result())
        elif self._errback is not None:
            self._errback(error)
        elif may_log_failed(promise._pb_calls):
            log.error(
                "%s failed and has no pberrback",
                self._name,
                exc_info=error,
                extra=fields("call.failed", method=self._name, error=error),
            )
