"""Methods that may be run twice: declared at the server, asked for by the caller. spec/12-reconnecting.md."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_MARK: Final = "__pb_idempotent__"


def idempotent(method: F) -> F:
    """Declare that running a method twice does what running it once does: `@pb.idempotent`.

    A client whose connection was lost before the answer came makes such a call again by itself, over the
    next connection (`pb.open_connection(..., reconnect=True)`). Without this it is told OutcomeUnknown.
    """
    setattr(method, _MARK, True)
    return method


@functools.lru_cache(maxsize=4096)
def idempotent_methods(cls: type, prefix: str) -> tuple[str, ...]:
    """Return the published methods of a class that are declared so, sorted, without their prefix."""
    return tuple(
        name.removeprefix(prefix)
        for name in sorted(dir(cls))
        if name.startswith(prefix) and getattr(inspect.getattr_static(cls, name), _MARK, False)
    )
