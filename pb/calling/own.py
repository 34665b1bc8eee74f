"""The errors of calls that this side has made: whoever passes one on is asked about it himself.

Spec: spec/5-errors.md.
"""

from __future__ import annotations

from typing import TypeVar

from ..errors import PeerError

AnyError = TypeVar("AnyError", bound=BaseException)


def of_own_call(error: AnyError) -> AnyError:
    """Mark an error that ends a call of this side: where a handler lets it pass, it is that handler's own."""
    if isinstance(error, PeerError):
        error.is_of_own_call = True
    return error
