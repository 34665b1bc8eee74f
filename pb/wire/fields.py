"""Fields of small messages, checked: what is out of shape or range breaks the protocol.

Spec: spec/3-messages.md.
"""

from __future__ import annotations

from typing import Any, Final

from .. import messages
from ..errors import ProtocolError

_INT: Final = {int}


def numbers_of(envelope: list[Any], form: str) -> list[int]:
    """Return the ids and counts of a message that is nothing but a list of them.

    Raises:
        ProtocolError: it has another form, is empty, or holds what is no number in range.
    """
    numbers = envelope[1] if len(envelope) == 2 else None
    if type(numbers) is not list or not numbers:
        raise ProtocolError(form)
    # By type first, and exactly: True is an int to min(), and 1.0 lies between 0 and MAX_ID.
    if set(map(type, numbers)) != _INT or min(numbers) < 0 or max(numbers) > messages.MAX_ID:
        raise ProtocolError(f"{form}, each from 0 to 2^53-1")
    return numbers


def token_of(envelope: list[Any], name: str) -> int | str:
    """Return the token of PING or PONG.

    Raises:
        ProtocolError: it is neither an integer nor a short text.
    """
    token = envelope[1] if len(envelope) == 2 else None
    if type(token) is int or (type(token) is str and len(token.encode()) <= messages.MAX_TOKEN_BYTES):
        return token
    raise ProtocolError(f"{name} whose token is no int and no string of at most 64 bytes")


def without_options(envelope: list[Any]) -> tuple[list[Any], int | None, dict[str, Any]]:
    """Return the fields of a CALL that has options, after checking those; unknown ones are ignored.

    Returns:
        The fields, how many milliseconds are left for it, None for any number, and all options.

    Raises:
        ProtocolError: it has no options but another length, or a known option has the wrong type.
    """
    options = envelope[5] if len(envelope) == 6 else None
    if type(options) is not dict:
        raise ProtocolError(f"CALL of {len(envelope)} elements, or whose options are no map")
    for name, value in options.items():
        expected = messages.CALL_OPTIONS.get(name)
        if expected is not None and type(value) is not expected:
            raise ProtocolError(f"CALL option {name!r} is no {expected.__name__}")
    if not all(type(q) is int for q in options.get("needs", ())):
        raise ProtocolError("CALL option 'needs' holds something that is no call id")
    for name in ("trace", "meta"):
        if not all(type(value) is str for value in options.get(name, {}).values()):
            raise ProtocolError(f"CALL option {name!r} holds something that is no str")
    ttl_ms: int | None = options.get("ttl")
    if ttl_ms is not None and not 0 <= ttl_ms <= messages.MAX_ID:
        raise ProtocolError("CALL option 'ttl' is not from 0 to 2^53-1")
    return envelope[:5], ttl_ms, options
