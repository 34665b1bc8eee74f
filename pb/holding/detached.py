"""Why nothing more is handed out: what it would be handed out under has ended. Spec: PB-R31."""

from __future__ import annotations

from jelly import Unjellyable


class Detached(Unjellyable):
    """Say that a logout, a revocation or a detach came first. It is nobody's mistake."""


def is_detached(error: BaseException) -> bool:
    """Tell whether this is why a value could not be sent."""
    cause: BaseException | None = error
    while isinstance(cause, Unjellyable):
        if isinstance(cause, Detached):
            return True
        cause = cause.__cause__
    return False
