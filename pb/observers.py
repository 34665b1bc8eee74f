"""The observers of one Cacheable, told of a change all at once.

Spec: spec/7-caches.md. What is the same for all of them is encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jelly import Bulk, Oversized

from . import messages
from ._calls import of_own_call
from ._observing import ObserverHandle
from ._outbox import LARGE_PAYLOAD
from ._payloads import bytes_of, put_message
from ._scope import SHARED, NotShared
from .errors import TooLarge
from .reference import RemoteReference

if TYPE_CHECKING:
    from jelly import Encoder

    from ._scope import Scope

_NO_KWARGS: Mapping[str, Any] = {}


class Observers:
    """A group of the observers that `get_state_to_cache_and_observe_for` is given.

    def get_state_to_cache_and_observe_for(self, perspective, observer):
        self.observers.add(observer)
        return {"n": self.n}

    def stopped_observing(self, perspective, observer):
        self.observers.discard(observer)

    def set_n(self, n):
        self.n = n
        self.observers.send("set_n", n)      # runs observe_set_n(n) at every replica
    """

    __slots__ = ("_observers",)

    def __init__(self) -> None:
        self._observers: dict[RemoteReference, ObserverHandle] = {}

    def add(self, observer: RemoteReference) -> None:
        """Tell this observer of changes from now on. Adding it twice does nothing.

        Raises:
            TypeError: it is no observer, as `get_state_to_cache_and_observe_for` is given them.
        """
        handle: object = getattr(observer, "_pb_import", None)
        if not isinstance(handle, ObserverHandle):
            raise TypeError(f"an observer is expected, not a {type(observer).__name__}")
        self._observers[observer] = handle

    def discard(self, observer: RemoteReference) -> None:
        """Tell this observer no more; does nothing where it is not in the group."""
        self._observers.pop(observer, None)

    def __len__(self) -> int:
        return len(self._observers)

    def __iter__(self) -> Iterator[RemoteReference]:
        return iter(list(self._observers))

    def __contains__(self, observer: object) -> bool:
        return observer in self._observers

    def send(self, method: str, /, *args: Any, **kwargs: Any) -> None:
        """Run observe_<method> at every replica; no answers are wanted.

        Raises:
            jelly.Unjellyable, TooLarge: an argument cannot be sent to one of them. Those before it in the
                group have been told, and so have those after it that it could be sent to.
        """
        self.tell(method, args, kwargs)

    def tell(
        self,
        method: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any] | None = None,
        *,
        shows: Callable[[Any], bool] | None = None,
    ) -> None:
        """Do what `send` does, for those only whose perspective may see it.

        Args:
            shows: is given the perspective of an observer, None for none; all are told without it.
        """
        update = _Update(method, args, kwargs or _NO_KWARGS)
        ready = update.messages
        thread: object = None
        failure: Exception | None = None
        for observer, handle in list(self._observers.items()):
            scope = handle.scope
            broker = scope.broker
            if handle.dead is not None or not scope.tables.is_open:
                self._observers.pop(observer, None)
                continue
            if shows is not None and not shows(scope.perspective):
                continue
            if broker.face.thread != thread:
                broker.face.check_thread()
                thread = broker.face.thread
            message = ready.get((scope.encoder, handle.id))
            if message is not None and handle.late is None:
                outbox = broker.outbox
                outbox.batch.append(message)
                if not outbox.due:  # Outbox.put, spelled out
                    outbox.due = True
                    outbox.wake()
                continue
            try:
                update.send(handle, scope)
            except Exception as error:  # the others are told all the same
                failure = failure or error
        if failure is not None:
            raise failure


class _Update:
    """One change on its way to many replicas."""

    __slots__ = ("_args", "_kwargs", "_method", "_shared", "messages")

    def __init__(self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._method = method
        self._args = args
        self._kwargs = kwargs
        # What every peer with the same limits gets; None where it differs between perspectives.
        self._shared: dict[Encoder, bytes | Bulk | None] = {}
        self.messages: dict[tuple[Encoder, int], bytes] = {}

    def send(self, handle: ObserverHandle, scope: Scope) -> None:
        """Queue it for one replica."""
        calls = scope.broker.calls
        encoder = scope.encoder
        message = self.messages.get((encoder, handle.id))
        if message is None:
            payload = self._payload(encoder)
            if payload is None:
                calls.send(handle, self._method, self._args, self._kwargs)
                return
            head = [messages.OBSERVE, 0, handle.id, self._method]
            if len(payload) >= LARGE_PAYLOAD and handle.late is None:
                put_message(calls.outbox, calls.pack, head, payload)
                return
            message = calls.pack([*head, bytes_of(payload)])
            self.messages[encoder, handle.id] = message
        if handle.late is None:
            calls.outbox.put(message)
        else:
            handle.late.append(message)

    def _payload(self, encoder: Encoder) -> bytes | Bulk | None:
        """Return the payload if it is the same for everyone with this encoder."""
        if encoder not in self._shared:
            try:
                self._shared[encoder] = encoder.encode_call(self._args, self._kwargs, SHARED, self._method)
            except NotShared:
                self._shared[encoder] = None
            except Oversized as error:
                raise of_own_call(TooLarge(str(error))) from None
        return self._shared[encoder]
