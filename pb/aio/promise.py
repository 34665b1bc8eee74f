"""The result of a remote call, before it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from jelly import Promising
from pb.calling.deadlines import seconds_of
from pb.errors import Cancelled
from pb.promises.pipelining import call_promised
from pb.promises.promised import Promised

from .delivery import check_name, deliver_to, may_log_failed
from .stream import Rows

if TYPE_CHECKING:
    from .link import Link

_wait: Final = asyncio.Future.__await__


class Promise(asyncio.Future[Any], Promising):
    """What a remote call returns: await it for the value, or call it before that is there.

    `await room_of("lobby").look()` is one round trip: whatever is called on a promise, or given it among its
    arguments, leaves at once, and the peer does the rest. Where that cannot be (it was made in an earlier
    turn of the loop, or the arguments hold a cache), the call waits here for the answer. If the first call
    fails, those on it fail with BrokenPromise, whose `__cause__` says why.

    Calls on one reference begin in the order in which they are made, and so do those on one promise. But a
    call with a promise among its arguments begins when that is there: what is called on the same object
    behind it may wait with it (where the peer does the waiting), or may begin first (where it is done here,
    or the promise has become a plain value, with which the call is made anew). Where the order matters await
    the promise, and hand over its value.

    Names that a Future has, such as `result` and `cancel`, are those of the Future: for a remote method of
    such a name there is `pb.call_remote(promise, "result")`.

    It is an `asyncio.Future`, so that `gather`, `wait_for`, `wait` and `ensure_future` take it as it is,
    without a task around it. A TaskGroup takes coroutines only: there it is
    `group.create_task(asyncio.wait_for(promise, None))`. It has no truth value, so a forgotten `await` is
    not taken for a yes. Cancelling it asks the callee to stop. One that nobody awaits is not cancelled; its
    error is logged once, with the name of the method, up to 100 of a peer in a minute.
    """

    __slots__ = ("_pb_calls", "_pb_id", "_pb_name", "_pb_promised", "_pb_reference")

    _pb_calls: Any  # `Calls`, or who stands in for them: has `awaited`, `cancel`, `core`
    _pb_id: int
    _pb_name: str
    _pb_promised: Promised  # made by who first calls it, or names it
    _pb_reference: object  # kept: what is called must not be released while it answers

    def __getattr__(self, name: str) -> PromisedMethod:
        # Asked for what a Future has not got.
        if name[0] == "_":
            raise AttributeError(f"a Promise has no {name!r}, and no remote method is called that")
        return PromisedMethod(self, name)

    def call_started(self, id: int) -> None:
        """Note the id of a call that had to wait for its turn."""
        self._pb_id = id

    def call_moved(self, calls: Any) -> None:
        """Note who carries the call now: another connection, or this side."""
        self._pb_calls = calls

    def _pb_settled(self) -> tuple[Any] | BaseException | None:
        if not self.done():
            return None
        if self.cancelled():
            return Cancelled("the call was cancelled")
        error = self.exception()
        return (self.result(),) if error is None else error

    def _pb_promise(self) -> Promised:
        """Return what the core knows of it. From here on it hears of the outcome before anybody else."""
        try:
            return self._pb_promised
        except AttributeError:
            promised = self._pb_promised = Promised(self._pb_calls.core, self._pb_id, self._pb_settled())
            if promised.settled is None:
                self.__class__ = Followed
            return promised

    def set_exception(self, error: Any, /) -> None:
        """Take the error."""
        super().set_exception(error)
        self.__class__ = Failed

    def cancel(self, msg: Any | None = None) -> bool:
        """Ask the callee to stop, and give up waiting. Returns False if the outcome is already there."""
        if not super().cancel(msg):
            return False
        self._pb_calls.cancel(self._pb_id, self)
        return True

    def __bool__(self) -> bool:
        """Refuse: `if reference.is_allowed():` without `await` would be true whatever the answer is."""
        raise TypeError(
            f"{self!r} is neither true nor false: await it, as in `if await reference.method():`; to see "
            "whether there is a promise at all, compare with None"
        )

    def __aiter__(self) -> Rows:
        """Go through the stream that the call returns: `async for row in reference.rows():`."""
        return Rows(self)

    def __repr__(self) -> str:
        # Not asyncio's, which shows the value: that is the peer's, and what is shown may be logged.
        name = getattr(self, "_pb_name", "a call")
        return f"<Promise of {name}, {self._state_in_words()}>"

    def _state_in_words(self) -> str:
        if not self.done():
            return "no answer yet" if getattr(self, "_pb_id", 0) else "not sent yet"
        if self.cancelled():
            return "cancelled"
        # exception() would count as having looked at it, and then nobody logs it.
        error: BaseException | None = self._exception
        return "done" if error is None else f"failed with {type(error).__name__}"


class Prompt(Promise):
    """A promise whose call may be all that comes of what has arrived. To await others costs less."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for the value.

        What is called on this in the expression that made it was called before. So its call is sent here, if
        nothing else is to be sent. Until the task has gone to sleep, and the loop would send it, takes a
        tenth of the time from one answer to the next call.
        """
        self._pb_calls.awaited(self._pb_id)
        return _wait(self)


class Failed(Promise):
    """A promise with an error, which the loop logs where nobody looks at it. Others cost nothing for that."""

    __slots__ = ()

    def __del__(self) -> None:
        """Have it logged, unless the peer has made many such lines in the last minute."""
        if self._log_traceback and not may_log_failed(self._pb_calls):
            self._log_traceback = False
        super().__del__()


# The loop's log says what was never looked at by the name of its class.
Failed.__name__ = Prompt.__name__ = "Promise"


class Followed(Promise):
    """A promise that others wait for. Promises become such, so that those that do not cost nothing for it."""

    __slots__ = ()

    def _pb_settled(self) -> tuple[Any] | BaseException | None:
        return self._pb_promised.settled  # which has it first

    def call_started(self, id: int) -> None:
        """Note the id of the call."""
        super().call_started(id)
        self._pb_promised.id = id

    def set_result(self, value: Any, /) -> None:
        """Take the value, and make the calls that wait for it."""
        self._pb_promised.settle((value,))
        super().set_result(value)

    def set_exception(self, error: Any, /) -> None:
        """Take the error, which those who wait are told too: so it does not go unseen."""
        self._pb_promised.settle(error)
        asyncio.Future.set_exception(self, error)
        self.exception()

    def cancel(self, msg: Any | None = None) -> bool:
        """Ask the callee to stop, and fail what was called on it."""
        if not super().cancel(msg):
            return False
        self._pb_promised.settle(Cancelled("the call was cancelled"))
        return True


class PromisedMethod:
    """A method of what a call will return; to be used like a `RemoteMethod`."""

    __slots__ = ("_pb_name", "_pb_promise", "_pb_within_s")

    def __init__(self, promise: Promise, name: str, within_s: float | None = None) -> None:
        self._pb_promise = promise
        self._pb_name = name
        self._pb_within_s = within_s

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method, as soon as it can be; see `RemoteMethod`.

        Returns:
            A `Promise`, out of which every error comes; or None where `pbcallback` or `pberrback` is given.
        """
        deliver = None
        if "pbcallback" in kwargs or "pberrback" in kwargs:
            deliver = deliver_to(kwargs, self._pb_name)
        link = self._check_thread()
        at = None if self._pb_within_s is None else link.loop.time() + self._pb_within_s
        promised = self._pb_promise._pb_promise()
        made = Promise(loop=link.loop)
        made._pb_calls = promised.calls  # not who carries the first call: to cancel one is not to cancel both
        made._pb_name = self._pb_name
        made._pb_id = 0
        call_promised(promised, self._pb_name, args, kwargs, made, at)
        if deliver is None:
            return made
        made.add_done_callback(deliver)
        return None

    def within(self, seconds: float) -> PromisedMethod:
        """Return this method with a deadline, which counts from the call on; see `RemoteMethod.within`."""
        return PromisedMethod(self._pb_promise, self._pb_name, seconds_of(seconds, "within"))

    @property
    def idempotent(self) -> PromisedMethod:
        """This method, as `RemoteMethod.idempotent` is: whoever pipelines can write the same.

        What a call returns ends with its connection, and a call on it is not made again over the next.
        """
        return self

    def send(self, /, *args: Any, **kwargs: Any) -> None:
        """Call the method and hear nothing of it, in order with what else is called on the promise."""
        check_name(self._pb_name)
        self._check_thread()
        call_promised(self._pb_promise._pb_promise(), self._pb_name, args, kwargs, None)

    def _check_thread(self) -> Link:
        link: Link = self._pb_promise._pb_calls.core.face
        if link.thread != get_ident() or not link.loop.is_running():
            link.check_thread()
        return link

    def __repr__(self) -> str:
        return f"<PromisedMethod {self._pb_name} of {self._pb_promise!r}>"
