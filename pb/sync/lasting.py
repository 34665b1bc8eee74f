"""References that outlive their connection, and the link that makes them, for blocking programs.

What lasts, and which calls are made again, is decided where it is for asyncio programs: `pb.aio.lasting` and
`pb.aio.attempts`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pb.aio.attempts import Attempt
from pb.aio.lasting import LastingMethod as LoopMethod
from pb.aio.lasting import Memory, ask_what_is_safe
from pb.calling.deadlines import seconds_of
from pb.reference import Import, RemoteReference

from .link import SyncLink
from .reference import RemoteMethod, SyncReference

if TYPE_CHECKING:
    from pb.aio.connection import Connection as LoopConnection

    from ._floor import Frame

_import_of: Final[Callable[[RemoteReference], Import]] = RemoteReference.__dict__["_pb_import"].__get__


class SyncLastingReference(SyncReference):
    """A remote reference of a blocking program, over a connection that reconnects."""

    __slots__ = ("_pb_memory",)

    _pb_memory: Memory | None

    def __getattribute__(self, name: str) -> Any:
        if name[0] == "_":
            return object.__getattribute__(self, name)
        return SyncLastingMethod(self, name)

    def _pb_blocking(self, name: str) -> RemoteMethod:
        return SyncLastingMethod(self, name)

    def _pb_method(self, name: str) -> LoopMethod:
        """Return a method for what runs on the loop: logging in, and attaching."""
        return LoopMethod(self, name)


class SyncLastingMethod(RemoteMethod):
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

    def _start(
        self, link: SyncLink, outcome: Any, frame: Frame | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Make the call, on the loop, over as many connections as it takes."""
        reference: Any = self._pb_reference
        if reference._pb_memory is None:
            super()._start(link, outcome, frame, args, kwargs)
            return
        if outcome.done():
            return  # interrupted before it began
        home = _import_of(reference).scope.broker.face.home
        at = None if self._pb_within_s is None else link.loop.time() + self._pb_within_s
        if not self._pb_is_safe:
            ask_what_is_safe(reference)
        attempt = _FramedAttempt(home, outcome, reference, self._pb_name, args, kwargs, at, self._pb_is_safe)
        attempt.frame = frame
        outcome.made_by(attempt)
        attempt.make()

    def within(self, seconds: float) -> SyncLastingMethod:
        """Return this method with a deadline."""
        return SyncLastingMethod(
            self._pb_reference, self._pb_name, seconds_of(seconds, "within"), self._pb_is_safe
        )

    @property
    def idempotent(self) -> SyncLastingMethod:
        """This method, declared by its caller to be safe to run twice."""
        return SyncLastingMethod(self._pb_reference, self._pb_name, self._pb_within_s, True)


class _FramedAttempt(Attempt):
    """One call of a thread that waits for it: what it sends for the first time is called back there."""

    __slots__ = ("frame",)

    frame: Frame | None

    def make(self) -> None:
        """Make the call, or wait for a connection to make it over."""
        tables = _import_of(self.reference).scope.tables  # before: another one by then has other ids
        first = tables._next_id
        super().make()
        if self.frame is not None:
            self.frame.first, self.frame.end = first, tables._next_id


class SyncLastingLink(SyncLink):
    """One of the links of a connection of a blocking program that reconnects."""

    __slots__ = ("home",)

    home: Any

    @property
    def connection(self) -> Any:
        """The connection as the program sees it, over all links."""
        return self.home.face

    @property
    def loop_connection(self) -> LoopConnection:
        """The connection as functions on the loop see it, over all links."""
        home: LoopConnection = self.home
        return home

    def make_reference(self) -> RemoteReference:
        """Return a new, empty reference, which does not last yet."""
        reference = SyncLastingReference()
        reference._pb_memory = None
        return reference

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle everything, and let the connection know."""
        super().connection_lost(exc)
        self.home.lost(self)
