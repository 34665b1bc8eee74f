"""What a remote reference looks like to blocking programs: `value = reference.method(...)`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jelly._article import a
from pb.calling.deadlines import seconds_of
from pb.dispatch import is_method_name
from pb.errors import Busy, ConnectionLost, NoSuchMethod
from pb.logfields import fields
from pb.reference import Import, RemoteReference

from ._floor import Frame, Sitter, Waiting
from ._handlers import Chore

if TYPE_CHECKING:
    from .link import SyncLink

log = logging.getLogger("pb")

# Reads the one slot of a reference without asking its __getattribute__.
_import_of: Callable[[RemoteReference], Import] = RemoteReference.__dict__["_pb_import"].__get__


class SyncReference(RemoteReference):
    """A remote reference of a blocking program; see `pb.RemoteReference`, of which it is one.

    As an annotation it says that calls return what they bring: `def remote_join(self, guest:
    sync.RemoteReference)`.
    """

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        if name[0] == "_":
            return object.__getattribute__(self, name)
        return RemoteMethod(self, name)

    def _pb_blocking(self, name: str) -> RemoteMethod:
        return RemoteMethod(self, name)


class RemoteMethod:
    """A method of a remote object. Call it and get its value; or call its `send` to want no answer."""

    __slots__ = ("_pb_name", "_pb_reference", "_pb_within_s")

    def __init__(self, reference: RemoteReference, name: str, within_s: float | None = None) -> None:
        self._pb_reference = reference
        self._pb_name = name
        self._pb_within_s = within_s

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method, wait for its value and return it, or raise its error.

        While it waits, this thread runs what the peer calls here.

        Args:
            args, kwargs: whatever the registry of the connection admits.
            pbcallback: called with the value, while this returns None at once. Never sent.
            pberrback: called with the error, likewise. Both are run where calls of the peer are: in a thread
                that waits in a call on this connection, or in a worker thread.

        Raises:
            DeadlineExceeded: a TimeoutError: no answer came within the given time; the callee is stopped.
            OutcomeUnknown, NotExecuted: the connection was lost.
            RemoteError, or what the registry makes of it: the method raised it.
        """
        link = _link_of(self._pb_reference)
        if kwargs and ("pbcallback" in kwargs or "pberrback" in kwargs):
            callback, errback = kwargs.pop("pbcallback", None), kwargs.pop("pberrback", None)
            for function in (callback, errback):
                if function is not None and not callable(function):
                    raise TypeError(
                        f"pbcallback and pberrback are functions, not {a(type(function).__name__)}"
                    )
            deliver = _Deliver(link, callback, errback, self._pb_name)
            link.background.call(self._start, link, deliver, None, args, kwargs)
            return None
        return self._wait(link, self._start, args, kwargs)

    def _wait(
        self, link: SyncLink, start: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Start the call, and serve the connection until its outcome is there."""
        background = link.background
        background.check_caller()
        sitter = background.floor.sitter()
        answer = _Answer(sitter, link)
        frame = Frame(link.desk, sitter)
        try:
            sitter.serve(
                answer,
                frame,
                lambda: background.submit(lambda: start(link, answer, frame, args, kwargs)),
            )
        except BaseException:
            background.submit(answer.cancel)
            raise
        return answer.outcome()

    def _start(
        self,
        link: SyncLink,
        outcome: _Answer | _Deliver,
        frame: Frame | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Make the call, on the loop."""
        if outcome.done():
            return  # interrupted before it began
        tables = link.broker.tables
        at = None if self._pb_within_s is None else link.loop.time() + self._pb_within_s
        first = tables._next_id
        try:
            handle = _import_of(self._pb_reference)
            id = link.broker.calls.make(handle, self._pb_name, args, kwargs, outcome, None, at)
        except Exception as error:
            outcome.set_exception(error)
        else:
            outcome.call_started(id)
        finally:
            if frame is not None:
                frame.first, frame.end = first, tables._next_id

    def within(self, seconds: float) -> RemoteMethod:
        """Return this method with a deadline: `reference.method.within(5.0)(...)`.

        Where the answer has not come by then the call raises DeadlineExceeded, a TimeoutError, and the callee
        is stopped. What the callee calls in turn has no more time than that. A call of the peer's that this
        thread runs at that time is finished first.
        """
        return RemoteMethod(self._pb_reference, self._pb_name, seconds_of(seconds, "within"))

    @property
    def idempotent(self) -> RemoteMethod:
        """This method, declared by its caller to be safe to run twice: `reference.method.idempotent(1)`.

        Over a connection that reconnects (`reconnect=True`) such a call is made again where its outcome is
        not known. Methods that are declared so at the server, by `@pb.idempotent`, need not be here.
        """
        return self

    def nowait(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method, but only if that can be done at once; then wait for its value, as a call does.

        Raises:
            Busy: the call would wait for its turn: as many have no answer as the peer takes, or it does not
                read. It was not made.
        """
        return self._wait(_link_of(self._pb_reference), self._start_at_once, args, kwargs)

    def _start_at_once(self, link: SyncLink, outcome: Any, *rest: Any) -> None:
        handle = _import_of(self._pb_reference)
        if handle.scope.broker.calls.would_wait(handle):
            outcome.set_exception(Busy("the call was not made: it would wait for its turn"))
        else:
            self._start(link, outcome, *rest)

    def send(self, /, *args: Any, **kwargs: Any) -> None:
        """Call the method and want no answer: none is sent, and no error comes back.

        Waits while the peer takes no more; what it calls here is run meanwhile.

        Raises:
            Busy: it would wait in the thread of all connections.
            NotExecuted: the connection has ended.
            jelly.Unjellyable: an argument cannot be sent.
        """
        _check_name(self._pb_name)
        while True:
            link = _link_of(self._pb_reference)  # which may be another one each time
            handle = _import_of(self._pb_reference)
            try:
                link.background.call(link.broker.calls.send, handle, self._pb_name, args, kwargs)
                return
            except Busy:
                if link.background.is_here:
                    raise
            link.background.run(link.drain, link.desk)

    def __repr__(self) -> str:
        return f"<RemoteMethod {self._pb_name} of {self._pb_reference!r}>"


class _Answer(Waiting):
    """The outcome of a call, for the thread that waits for it."""

    __slots__ = ("_calls", "_id", "_link")

    def __init__(self, sitter: Sitter, link: SyncLink) -> None:
        super().__init__(sitter)
        self._link = link
        self._calls: Any = link.broker.calls
        self._id = 0

    def made_by(self, calls: Any) -> None:
        """Note who makes the call, where that is not the connection itself."""
        self._calls = calls

    def done(self) -> bool:
        """Whether nobody waits for the outcome any longer."""
        return self.is_over

    def set_result(self, value: Any) -> None:
        """Take the value; what the peer called before it is run before it is returned."""
        self.settle(value, None, self._link.desk.arrived)

    def set_exception(self, error: BaseException) -> None:
        """Take the error, likewise if it is the peer's."""
        is_late = isinstance(error, ConnectionLost | TimeoutError)
        self.settle(None, error, 0 if is_late else self._link.desk.arrived)

    def call_started(self, id: int) -> None:
        """Note the id of the call."""
        self._id = id

    def cancel(self) -> None:
        """Ask the callee to stop: nobody waits any longer. On the loop."""
        if self.settle(None, None):
            self._calls.cancel(self._id, self)


class _Deliver:
    """The outcome of a call, for the callbacks that its caller named."""

    __slots__ = ("_callback", "_errback", "_is_done", "_link", "_name")

    def __init__(
        self,
        link: SyncLink,
        callback: Callable[[Any], object] | None,
        errback: Callable[[Any], object] | None,
        name: str,
    ) -> None:
        self._link = link
        self._callback = callback
        self._errback = errback
        self._name = name
        self._is_done = False

    def done(self) -> bool:
        """Whether there was an outcome."""
        return self._is_done

    def call_started(self, id: int) -> None:
        """Do nothing: it is not cancelled."""

    def made_by(self, calls: Any) -> None:
        """Do nothing: it is not cancelled."""

    def set_result(self, value: Any) -> None:
        """Hand on the value."""
        self._is_done = True
        if self._callback is not None:
            self._link.offer(Chore(f"the pbcallback of {self._name}", self._callback, value))

    def set_exception(self, error: BaseException) -> None:
        """Hand on the error."""
        self._is_done = True
        if self._errback is not None:
            self._link.offer(Chore(f"the pberrback of {self._name}", self._errback, error))
        elif self._link.broker.tables.may_log(logging.ERROR, "call.failed"):
            log.error(
                "%s failed and has no pberrback",
                self._name,
                exc_info=error,
                extra=fields("call.failed", method=self._name, error=error),
            )


def call_remote(reference: RemoteReference, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """Call a method by its name; for names that Python or this library uses itself.

    Raises:
        NoSuchMethod: `name` can be no remote method: it starts with an underscore, say.
    """
    _check_name(name)
    return method_of(reference, name)(*args, **kwargs)


def method_of(reference: RemoteReference, name: str) -> RemoteMethod:
    """Return a method by its name, which is not looked at.

    Raises:
        TypeError: `reference` is no remote reference of a blocking program.
    """
    _link_of(reference)
    found: Any = reference
    method: RemoteMethod = found._pb_blocking(name)
    return method


def _link_of(reference: RemoteReference) -> SyncLink:
    """Return the connection of a reference.

    Raises:
        TypeError: it is none of a blocking program.
    """
    if not isinstance(reference, SyncReference):
        raise TypeError(
            "a remote reference of pb.sync is expected, such as connection.root, not "
            f"{a(type(reference).__name__)}"
        )
    link: SyncLink = _import_of(reference).scope.broker.face
    return link


def _check_name(name: str) -> None:
    if not is_method_name(name):
        raise NoSuchMethod("method names match [A-Za-z][A-Za-z0-9_]* and have at most 128 characters")
