"""The errors of calls that this side has made: whoever passes one on is asked about it himself.

Spec: spec/5-errors.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from ..errors import Error, PeerError

if TYPE_CHECKING:
    from ..caches.observing import ObserverHandle
    from ..reference import Import

_DEAD: Final = "the reference was released or its object revoked; get a new one"
ENDED: Final = "the reference is dead: it came from a user who has left, or was put out"

AnyError = TypeVar("AnyError", bound=BaseException)


def of_own_call(error: AnyError) -> AnyError:
    """Mark an error that ends a call of this side: where a handler lets it pass, it is that handler's own."""
    if isinstance(error, PeerError):
        error.is_of_own_call = True
    return error


def why_dead(handle: Import | ObserverHandle) -> Error:
    """Return the error of a call on a dead reference."""
    assert handle.dead is not None
    return of_own_call(handle.dead(ENDED if handle.scope.is_over else _DEAD))
