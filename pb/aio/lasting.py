"""References that outlive their connection, and the link that makes them, for asyncio programs.

A reference lasts where its connection knows how to get it again: the root, attached perspectives, named
objects and what `connection.keep` got. All others end with their connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, Protocol

from pb.calling.deadlines import seconds_of
from pb.calling.own import of_own_call
from pb.errors import ConnectionLost, DeadReference, Forbidden, Gone, NoSuchObject, PeerError, ProtocolError
from pb.logfields import fields
from pb.reference import Import, RemoteReference

from .attempts import Attempt, WaitingCalls
from .link import Link
from .promise import Promise
from .reference import Reference, RemoteMethod

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("pb")

# What calls on a reference that is dead fail with; the reason is the same each time it is asked for.
_DEAD: Final = (DeadReference, Forbidden, Gone, NoSuchObject, ProtocolError)
IDEMPOTENT: Final = "pb:idempotent"
_import_of: Final[Callable[[RemoteReference], Import]] = RemoteReference.__dict__["_pb_import"].__get__


class Home(Protocol):
    """What outlives the links: a connection that reconnects."""

    calls: WaitingCalls

    @property
    def is_usable(self) -> bool:
        """Whether calls can be made on references that are there again."""

    @property
    def is_ready(self) -> bool:
        """Whether all that will be there again is."""

    def lost(self, link: Link) -> None:
        """Take note that a link has ended."""


class Memory:
    """What is known of a reference that lasts.

    Attributes:
        safe: its methods that may run twice; None as long as that is not known.
        lost: what calls on it fail with, and why, where it could not be had again; else None.
    """

    __slots__ = ("_asked", "lost", "safe")

    def __init__(self) -> None:
        self.safe: frozenset[str] | None = None
        self.lost: tuple[str, BaseException] | None = None
        self._asked: Promise | None = None

    def ask(self, reference: RemoteReference) -> Promise | None:
        """Ask which methods may run twice, if that is not known; return the question that is open, if any."""
        if self.safe is None and self._asked is None:
            handle = _import_of(reference)
            if handle.dead is None and handle.scope.broker.calls.is_open:
                self._asked = call_now(reference, IDEMPOTENT)
                self._asked.add_done_callback(self._learn)
        return self._asked

    def explained(self, error: Exception) -> Exception:
        """Return the error of a call that could not be made, with why that is where it is known."""
        if self.lost is None or not isinstance(error, _DEAD):
            return error
        text, cause = self.lost
        told = of_own_call(type(error)(text))
        told.__cause__ = cause
        return told

    def _learn(self, promise: asyncio.Future[Any]) -> None:
        """Take the answer to `pb:idempotent`."""
        self._asked = None
        error = None if promise.cancelled() else promise.exception()
        if promise.cancelled() or isinstance(error, ConnectionLost):
            return  # asked again with the next call
        names: Any = promise.result() if error is None else None
        is_list = type(names) is list and all(type(name) is str for name in names)
        self.safe = frozenset(names) if is_list else frozenset()
        if error is not None and not isinstance(error, PeerError):
            log.info(
                "which methods may run twice is not known: %s",
                error,
                extra=fields("restore.failed", error=error),
            )


def make_lasting(reference: Any) -> None:
    """Note that a reference outlives its connection."""
    if reference._pb_memory is None:
        reference._pb_memory = Memory()


def ask_what_is_safe(reference: Any) -> None:
    """Ask, the first time, which methods of a reference that lasts may run twice."""
    memory: Memory = reference._pb_memory
    if memory.safe is None:
        memory.ask(reference)


def call_now(reference: RemoteReference, name: str, /, *args: Any) -> Promise:
    """Call a method over the connection that is there, whatever its state; names of the protocol too."""
    handle = _import_of(reference)
    link: Link = handle.scope.broker.face
    promise = Promise(loop=link.loop)
    promise._pb_calls = calls = handle.scope.broker.calls
    promise._pb_name = name
    promise._pb_reference = reference
    promise._pb_id = 0
    try:
        promise._pb_id = calls.make(handle, name, args, {}, promise)
    except Exception as error:
        promise.set_exception(error)
    return promise


class LastingReference(Reference):
    """A remote reference over a connection that reconnects."""

    __slots__ = ("_pb_memory",)

    _pb_memory: Memory | None

    def __getattribute__(self, name: str) -> Any:
        if name[0] == "_":
            return object.__getattribute__(self, name)
        return LastingMethod(self, name)

    def _pb_method(self, name: str) -> RemoteMethod:
        return LastingMethod(self, name)


class LastingMethod(RemoteMethod):
    """A method of a remote object; of one that lasts, a call may outlive the connection."""

    __slots__ = ("_pb_is_safe",)

    def __init__(
        self,
        reference: RemoteReference,
        name: str,
        within_s: float | None = None,
        is_safe: bool = False,
    ) -> None:
        super().__init__(reference, name, within_s)
        self._pb_is_safe = is_safe

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method; see `RemoteMethod`."""
        reference: Any = self._pb_reference
        if reference._pb_memory is None or "pbcallback" in kwargs or "pberrback" in kwargs:
            return super().__call__(*args, **kwargs)
        link: LastingLink = _import_of(reference).scope.broker.face
        if link.thread != get_ident() or not link.loop.is_running():
            link.check_thread()
        name = self._pb_name
        at = None if self._pb_within_s is None else link.loop.time() + self._pb_within_s
        promise = Promise(loop=link.loop)
        if not self._pb_is_safe:
            ask_what_is_safe(reference)
        attempt: Any = Attempt(link.home, promise, reference, name, args, kwargs, at, self._pb_is_safe)
        promise._pb_calls = attempt
        promise._pb_name = name
        promise._pb_reference = reference
        promise._pb_id = 0
        attempt.make()
        return promise

    def within(self, seconds: float) -> LastingMethod:
        """Return this method with a deadline."""
        return LastingMethod(
            self._pb_reference, self._pb_name, seconds_of(seconds, "within"), self._pb_is_safe
        )

    @property
    def idempotent(self) -> LastingMethod:
        """This method, declared by its caller to be safe to run twice."""
        return LastingMethod(self._pb_reference, self._pb_name, self._pb_within_s, True)


class LastingLink(Link):
    """One of the links of a connection that reconnects."""

    __slots__ = ("home",)

    home: Any

    def make_reference(self) -> RemoteReference:
        """Return a new, empty reference, which does not last yet."""
        reference = LastingReference()
        reference._pb_memory = None
        return reference

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle everything, and let the connection know."""
        super().connection_lost(exc)
        self.home.lost(self)
