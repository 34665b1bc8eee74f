"""Payloads on their way into messages, and what is told of those that could not be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jelly import Bulk, InsecureJelly, MalformedJelly

from .. import messages
from ..errors import WIRE_ERRORS, BadPayload, Error, ProtocolError, Unregistered
from .outbox import LARGE_PAYLOAD, Outbox

Pack = Callable[[object], bytes]
PAYLOADS = frozenset({bytes, memoryview})


def put_message(outbox: Outbox, pack: Pack, message: list[Any], payload: bytes | Bulk) -> None:
    """Queue `message` with `payload` as its next element; a large one is not copied for it."""
    size = len(payload)
    if size < LARGE_PAYLOAD:
        message.append(payload)
        outbox.put_counted(pack(message))
        return
    head = pack([*message, b""])[:-2]  # all but the two bytes of the empty bin
    width = b"\xc5" + size.to_bytes(2, "big") if size < 0x10000 else b"\xc6" + size.to_bytes(4, "big")
    if isinstance(payload, bytes):
        outbox.put_alone(head + width, payload)
    else:
        first, *rest = payload.buffers
        outbox.put_alone(head + width + first, *rest)


def bytes_of(payload: bytes | Bulk) -> bytes:
    """Return a payload in one piece."""
    return payload if isinstance(payload, bytes) else b"".join(payload.buffers)


def refused(error: BaseException) -> Error:
    """Return the error of the protocol for a payload that could not be accepted."""
    if isinstance(error, InsecureJelly):
        return WIRE_ERRORS.get(error.wire_type, BadPayload)(str(error))
    return BadPayload(f"a hook that takes a value over raised {type(error).__name__}")


def unread(error: BaseException) -> Exception:
    """Return why a call is refused whose arguments could not be decoded; a hook of a copy may raise anything.

    Raises:
        MalformedJelly: they could not even be counted, which ends the connection.
    """
    if isinstance(error, MalformedJelly):
        raise error
    return refused(error)


def refused_here(error: BaseException) -> Error:
    """Return the error for what came here and could not be accepted, which is not told to the peer."""
    found = refused(error)
    if type(found) is Unregistered:
        return Unregistered(f"{found}; give open_connection, serve or listen a registry= that has its class")
    return found


def ending(error: MalformedJelly) -> ProtocolError:
    """Return the violation that a payload is which cannot even be counted."""
    code = messages.BYE_TOO_LARGE if error.too_large else messages.BYE_MALFORMED
    return ProtocolError(f"payload: {error}", code)
