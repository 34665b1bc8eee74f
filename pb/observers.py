"""The observers of one Cacheable, told of a change all at once.

Spec: spec/7-caches.md. What is the same for all of them is encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from jelly._article import a

from .caches.observing import ObserverHandle
from .caches.update import Update
from .wire.outbox import frame_of

if TYPE_CHECKING:
    from .reference import RemoteReference

# To write takes ten times as long as to queue, and who has made the change waits for the answer behind it.
_MOST_AT_ONCE: Final = 256


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
            raise TypeError(f"an observer is expected, not {a(type(observer).__name__)}")
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
            jelly.Unjellyable, TooLarge: an argument cannot be sent to one of them.
            RuntimeError: a connection of one of them lives in the loop of another thread. Call this there.

        One whose loop is closed is taken out of the group: it has stopped observing, and the log says why.
        Whatever it raises, all the others in the group have been told; of several errors it is the first.
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
            shows: is given the perspective of an observer, None for none; all are told without it. Where it
                raises, that observer is not told, and the error is raised at the end like those of `send`.
        """
        update = Update(method, args, kwargs)
        ready: dict[int, bytes] = {}
        encoder: object = None
        thread: object = update  # equal to no thread
        at_once = 0  # how many may still be written to before this returns
        mark = object()
        told = frame = b""
        failure: BaseException | None = None
        for observer, handle in list(self._observers.items()):
            try:
                outbox = handle.outbox
                # The usual case once the first has been told, with every call spelled out: a server does
                # little else, and it takes 2,000 instructions less than `Update.send` and `Outbox.put`.
                # The first, whose output waits, stands for the end of the turn.
                if outbox.open_to == thread and handle.dead is None and shows is None:
                    if handle.encoder is not encoder:
                        encoder = handle.encoder
                        ready = update.ready(handle.encoder)
                    message = ready.get(handle.id)
                    if message is not None:
                        if outbox.due:
                            outbox.batch.append(message)
                        elif not outbox.flushed:
                            outbox.put(message)  # fails where its loop is closed
                        elif at_once and outbox.told is not mark and outbox.direct is not None:
                            at_once -= 1
                            outbox.told = mark  # it has more observers: those are a write of their own
                            if message is not told:
                                told, frame = message, frame_of(message)
                            outbox.has_spoken = True
                            try:
                                outbox.direct(frame)
                            except Exception as error:
                                outbox.face.write_failed(error)
                        else:
                            outbox.batch.append(message)
                            outbox.due = True
                            outbox.flushed.append(outbox.face)
                        continue
                scope = handle.scope
                broker = scope.broker
                if handle.dead is not None or not scope.tables.is_open:
                    self._observers.pop(observer, None)
                    continue
                if broker.face.thread != thread:
                    broker.face.check_thread()
                    thread = broker.face.thread
                    if len(self._observers) > 1 and outbox.flushed.note_change():
                        at_once = _MOST_AT_ONCE
                # Whoever is asked may end it.
                if shows is not None and (not shows(scope.perspective) or handle.dead is not None):
                    continue
                update.send(handle, scope)
            except BaseException as error:  # the others are told all the same
                if isinstance(error, RuntimeError) and handle.scope.broker.face.is_over:
                    self._observers.pop(observer, None)
                    handle.scope.tables.observing.give_up(handle.export, error)
                else:
                    failure = failure or error
        if failure is not None:
            raise failure
