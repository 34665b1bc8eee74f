"""What a remote reference looks like to asyncio programs: `await reference.method(...)`."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any

from jelly import Unjellyable
from jelly._article import a
from pb.calling.deadlines import seconds_of
from pb.errors import Busy, Error
from pb.reference import Import, RemoteReference

from .delivery import check_name, deliver_to
from .promise import Promise, PromisedMethod, Prompt

if TYPE_CHECKING:
    from .link import Link

_new: Callable[[type[RemoteMethod]], RemoteMethod] = object.__new__
# Reads the one slot of a reference without asking its __getattribute__.
_import_of: Callable[[RemoteReference], Import] = RemoteReference.__dict__["_pb_import"].__get__


class Reference(RemoteReference):
    """A remote reference of an asyncio program; see `RemoteReference`."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        # Not __getattr__: the failed look-up before it costs 0.4 us, and there is nothing to be found.
        if name[0] == "_":
            return object.__getattribute__(self, name)
        # Without a constructor: Python calls one of its own through five functions of C.
        method = _new(RemoteMethod)
        method._pb_reference = self
        method._pb_name = name
        method._pb_within_s = None
        return method

    def _pb_method(self, name: str) -> RemoteMethod:
        return RemoteMethod(self, name)


class RemoteMethod:
    """A method of a remote object. Call it; or call its `send` to want no answer."""

    __slots__ = ("_pb_name", "_pb_reference", "_pb_within_s")

    def __init__(self, reference: RemoteReference, name: str, within_s: float | None = None) -> None:
        self._pb_reference = reference
        self._pb_name = name
        self._pb_within_s = within_s

    if not TYPE_CHECKING:  # pragma: no branch - else a type checker takes any name for an attribute

        def __getattr__(self, name: str) -> Any:
            if name in {"__name__", "__qualname__"}:  # task groups ask what they are given to call
                return self._pb_name
            raise AttributeError(f"a method of a remote object has no attribute {name!r}")

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method; the frame is queued now, not when the result is awaited.

        Args:
            args, kwargs: whatever the registry of the connection admits.
            pbcallback: called with the value, from the loop. Never sent.
            pberrback: called with the error, from the loop. Never sent.

        Returns:
            A `Promise`, out of which every error comes, local ones too; or None where `pbcallback` or
            `pberrback` is given.
        """
        if kwargs and ("pbcallback" in kwargs or "pberrback" in kwargs):
            deliver = deliver_to(kwargs, self._pb_name)
            promise: Promise = self(*args, **kwargs)
            promise.add_done_callback(deliver)
            return None
        handle = _import_of(self._pb_reference)
        broker = handle.scope.broker
        link: Link = broker.face
        if link.thread != get_ident() or not link.loop.is_running():
            link.check_thread()
        at = None if self._pb_within_s is None else link.loop.time() + self._pb_within_s
        promise = (Promise if broker.outbox.at_once is None else Prompt)(loop=link.loop)
        promise._pb_calls = calls = broker.calls
        promise._pb_name = self._pb_name
        promise._pb_reference = self._pb_reference
        try:
            promise._pb_id = calls.make(handle, self._pb_name, args, kwargs, promise, None, at)
        except Exception as error:
            promise._pb_id = 0
            if isinstance(error, Error | Unjellyable):
                # Of functions of this library, which know the promise: a ring.
                error.__traceback__ = error.__context__ = None
            promise.set_exception(error)
        return promise

    def within(self, seconds: float) -> RemoteMethod:
        """Return this method with a deadline: `await reference.method.within(5.0)(...)`.

        Where the answer has not come by then the call fails with DeadlineExceeded, a TimeoutError, and the
        callee is stopped. What the callee calls in turn has no more time than that. With no time at all, 0 or
        less, it fails so without being sent.
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
        """Call the method, but only if that can be done at once.

        Raises:
            Busy: the call would wait for its turn: as many have no answer as the peer takes, or it does not
                read. It was not made. A call of `reference.method(...)` waits instead, and never raises here.
        """
        handle = _import_of(self._pb_reference)
        link: Link = handle.scope.broker.face
        if link.thread != get_ident() or not link.loop.is_running():
            link.check_thread()
        if handle.scope.broker.calls.would_wait(handle):
            raise Busy("the call was not made: it would wait for its turn")
        return self(*args, **kwargs)

    def send(self, /, *args: Any, **kwargs: Any) -> None:
        """Call the method and want no answer: none is sent, and no error comes back.

        Raises:
            Busy: the peer does not read, and as much waits for it as may: it was not sent. Await
                `connection.drain()` between messages, or call the method and await its answer.
            NotExecuted: the connection has ended.
            jelly.Unjellyable: an argument cannot be sent.
        """
        handle = _import_of(self._pb_reference)
        check_name(self._pb_name)
        link: Link = handle.scope.broker.face
        if link.thread != get_ident() or not link.loop.is_running():
            link.check_thread()
        handle.scope.broker.calls.send(handle, self._pb_name, args, kwargs)

    def __repr__(self) -> str:
        return f"<RemoteMethod {self._pb_name} of {self._pb_reference!r}>"


def call_remote(reference: RemoteReference | Promise, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """Call a method by its name; for names that Python or this library uses itself.

    Args:
        reference: what to call, or the promise of it.

    Raises:
        NoSuchMethod: `name` can be no remote method: it starts with an underscore, say.
    """
    check_name(name)
    if isinstance(reference, Promise):
        return PromisedMethod(reference, name)(*args, **kwargs)
    return remote_method(reference, name)(*args, **kwargs)


def remote_method(reference: object, name: str) -> RemoteMethod:
    """Return a method by its name, which is not looked at.

    Raises:
        TypeError: `reference` is no remote reference.
    """
    if not isinstance(reference, RemoteReference):
        raise TypeError(
            f"a remote reference is expected, such as connection.root, not {a(type(reference).__name__)}"
        )
    make: Callable[[str], RemoteMethod] | None = getattr(reference, "_pb_method", None)
    return RemoteMethod(reference, name) if make is None else make(name)
