"""Fields of small messages, checked: what is out of shape or range breaks the protocol.

Spec: spec/3-messages.md.
"""

from __future__ import annotations

from typing import Any

from . import messages
from .errors import ProtocolError


def numbers_of(envelope: list[Any], form: str) -> list[int]:
    """Return the ids and counts of a message that is nothing but a list of them.

    Raises:
        ProtocolError: it has another form, is empty, or holds what is no number in range.
    """
    numbers = envelope[1] if len(envelope) == 2 else None
    if type(numbers) is not list or not numbers:
        raise ProtocolError(form)
    for number in numbers:
        if type(number) is not int or not 0 <= number <= messages.MAX_ID:
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
