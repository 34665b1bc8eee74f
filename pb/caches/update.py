"""One change on its way to many replicas: what is the same for all of them is encoded once.

Spec: spec/7-caches.md. Knows nothing of who is to be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from jelly import Bulk, Oversized

from .. import messages
from ..calling.own import of_own_call
from ..errors import TooLarge
from ..holding.scope import SHARED, NotShared
from ..wire.outbox import LARGE_PAYLOAD
from ..wire.payloads import bytes_of, put_message

if TYPE_CHECKING:
    from jelly import Encoder

    from ..holding.scope import Scope
    from .observing import ObserverHandle


class Update:
    """One change, and what has been encoded of it."""

    __slots__ = ("_args", "_failures", "_kwargs", "_messages", "_method", "_shared")

    def __init__(self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None) -> None:
        self._method = method
        self._args = args
        self._kwargs = kwargs or {}
        # What every peer with the same limits gets; None where it differs between perspectives.
        self._shared: dict[Encoder, bytes | Bulk | None] = {}
        # Why it gets nothing. The traceback is kept apart: it would grow with each replica.
        self._failures: dict[Encoder, tuple[Exception, TracebackType | None]] = {}
        self._messages: dict[Encoder, dict[int, bytes]] = {}

    def ready(self, encoder: Encoder) -> dict[int, bytes]:
        """Return the messages that are ready to be queued for peers of one encoder, by the id of the replica.

        It stays up to date.
        """
        found = self._messages.get(encoder)
        if found is None:
            found = self._messages[encoder] = {}
        return found

    def send(self, handle: ObserverHandle, scope: Scope) -> None:
        """Queue it for one replica.

        Raises:
            jelly.Unjellyable, TooLarge: it cannot be sent to this one; nothing was queued.
        """
        calls = scope.broker.calls
        encoder = scope.encoder
        ready = self.ready(encoder)
        message = ready.get(handle.id)
        if message is None:
            payload = self.payload(encoder)
            if payload is None:
                calls.send(handle, self._method, self._args, self._kwargs)
                return
            if handle.dead is not None:  # a hook of what was encoded has ended it
                return
            head = [messages.OBSERVE, 0, handle.id, self._method]
            if len(payload) >= LARGE_PAYLOAD and handle.late is None:
                put_message(calls.outbox, calls.pack, head, payload)
                return
            message = calls.pack([*head, bytes_of(payload)])
            ready[handle.id] = message
        if handle.late is None:
            calls.outbox.put(message)
        else:
            handle.late.append(message)

    def payload(self, encoder: Encoder) -> bytes | Bulk | None:
        """Return the payload if it is the same for everyone with this encoder, else None.

        Raises:
            jelly.Unjellyable, TooLarge: nobody with this encoder can be sent it; found out only once.
        """
        if encoder in self._failures:
            failure, traceback = self._failures[encoder]
            raise failure.with_traceback(traceback)
        if encoder not in self._shared:
            try:
                self._shared[encoder] = self._encode(encoder)
            except Exception as error:
                self._failures[encoder] = error, error.__traceback__
                raise
        return self._shared[encoder]

    def _encode(self, encoder: Encoder) -> bytes | Bulk | None:
        try:
            return encoder.encode_call(self._args, self._kwargs, SHARED, self._method)
        except NotShared:
            return None
        except Oversized as error:
            raise of_own_call(TooLarge(str(error))) from None
