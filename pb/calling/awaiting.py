"""Whether what a method returns is to be waited for, and what comes of it in the end."""

from __future__ import annotations

import functools
from typing import Any, Final

from jelly import SCALARS
from jelly._article import a

# Results of these types are certainly no awaitables; asking costs more for others.
PLAIN: Final = SCALARS | {list, dict, tuple, set, frozenset}
# A coroutine that returns a promise makes two. What gives itself would keep the loop for ever.
_MOST_AWAITED: Final = 8


@functools.lru_cache(maxsize=4096)
def is_awaitable(kind: type) -> bool:
    """Whether what a method returns is to be waited for. A class is asked once: a no costs 0.4 us."""
    return hasattr(kind, "__await__")


async def awaited(value: Any) -> Any:
    """Return what comes of a value in the end: `return ref.look()` may stand in an `async def` too.

    Raises:
        RuntimeError: what comes is an awaitable, again and again.
    """
    for _ in range(_MOST_AWAITED):
        value = await value
        if not is_awaitable(type(value)):  # type: ignore[arg-type]
            return value
    raise RuntimeError(
        f"a method returned {a(type(value).__qualname__)}, the last of {_MOST_AWAITED} awaitables that each "
        "gave another one; a value is expected"
    )
