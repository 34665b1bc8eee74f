"""Who is calling: what a handler may know about the call it is serving, and what its own calls inherit.

Spec: spec/3-messages.md, CALL; all else is not on the wire, and the caller cannot
influence it.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .wire.state import State

if TYPE_CHECKING:
    from .attachment import Attachment
    from .holding.scope import Scope
    from .tracing import Trace

# What the handler runs under: (scope, call id, object's id, method). A plain tuple, because it is made for
# every call and looked at by few; `current_call` dresses it up. Not the object itself, which a task that
# outlives the call would keep.
serving: contextvars.ContextVar[tuple[Scope, int, int, str] | None] = contextvars.ContextVar(
    "pb_serving", default=None
)


class Inherited(NamedTuple):
    """What calls made from here inherit.

    Attributes:
        at: by when they have to be over, as face.clock() counts; None: they may take their time.
        trace: the trace they belong to, if any.
        call: what hooks are told of the call that is being served; None where there are none.
    """

    at: float | None = None
    trace: Trace | None = None
    call: Any = None

    def due(self, at: float | None) -> float | None:
        """Return the earlier of two times, None being never."""
        return self.at if at is None or (self.at is not None and self.at < at) else at


# One variable for all of it: None costs a call one look-up.
inherited: contextvars.ContextVar[Inherited | None] = contextvars.ContextVar("pb_inherited", default=None)

_NOTHING: Final = Inherited()
_ENDING: Final = (State.LEAVING, State.DRAINING, State.CLOSED)


class _Lent(Inherited):
    """What is inherited in a block; once that was thrown away, what was before."""

    before: Inherited = _NOTHING
    is_over = False

    @property
    def at(self) -> float | None:
        return self.before.at if self.is_over else self[0]

    @property
    def trace(self) -> Trace | None:
        return self.before.trace if self.is_over else self[1]

    @property
    def call(self) -> Any:
        return self.before.call if self.is_over else self[2]

    def _replace(self, **changed: Any) -> Inherited:  # type: ignore[override]  # it goes on as any other
        return Inherited(self.at, self.trace, self.call)._replace(**changed)


class Block:
    """A block in which calls inherit something else than around it."""

    __slots__ = ("_lent", "_token")

    def __init__(self, **changed: Any) -> None:
        before = inherited.get() or _NOTHING
        while type(before) is _Lent and before.is_over:
            before = before.before
        self._lent = _Lent(*before._replace(**changed))
        self._lent.before = before
        self._token = inherited.set(self._lent)

    def end(self, kind: type[BaseException] | None) -> None:
        """Let calls inherit what they did before.

        Args:
            kind: what the block ends with.
        """
        if kind is GeneratorExit:
            # Thrown away, perhaps while Python collects garbage: nothing may be set there, in whatever
            # context that is. CPython 3.11 crashes where it is in the middle of setting another variable.
            self._lent.is_over = True
        else:
            inherited.reset(self._token)


# Bound once, for every call: Python makes a new one whenever what is imported is asked for its method.
enter_call: Final = serving.set
leave_call: Final = serving.reset
inherited_here: Final = inherited.get


def due(at: float) -> Inherited:
    """Return what is inherited here, with this time instead of what was there."""
    found = inherited.get()
    return Inherited(at) if found is None else found._replace(at=at)


def due_at() -> float | None:
    """Return by when what is called from here has to be over; None: it may take its time."""
    found = inherited.get()
    return None if found is None else found.at


@dataclass(frozen=True, slots=True)
class CurrentCall:
    """The call that is being served.

    Attributes:
        connection: the connection it came over, as the face made it: `connection.peer` says who is at the
            other end, and `connection.abort()` ends it. As long as the call runs it is the same
            object, even if it ends meanwhile; a task that outlives its call may be given another then.
        perspective: on whose behalf it is made; None where no one has logged in. A method has it until it is
            answered, even if the attachment ends meanwhile. A task that outlives its call has it no longer
            than the attachment lasts, for it would keep all that belongs to a user who has left; what needs
            to know it later takes it along.
        answer_wanted: whether the caller waits for a result.
        trace: the trace that the caller says it belongs to, or that a hook has put it in; None for none.
    """

    connection: Any
    perspective: Any
    answer_wanted: bool
    trace: Trace | None = None
    _scope: Any = field(default=None, repr=False, compare=False)
    _id: int = field(default=0, repr=False, compare=False)
    _at: float | None = field(default=None, repr=False, compare=False)

    @property
    def left_s(self) -> float | None:
        """Seconds that are left for the call, at each look fewer; None where it may take its time.

        It is the earliest of the caller's deadline and of those in force where `current_call()` was called.
        At 0.0 the time is over: the caller has been told so, and the method is being stopped; one that runs
        in a thread, or on without waiting, sees it here only. What it calls in turn has no more than this.
        """
        return None if self._at is None else max(0.0, self._scope.broker.deadlines.left_s(self._at))

    @property
    def is_stopping(self) -> bool:
        """Whether the connection is being closed, by this side or the other, or has ended.

        The answer is still sent, for as long as `Limits.drain_s`: a method that waits for news, or a stream
        without an end, had better end now. `Application.on_stop` is called before it is so.
        """
        return self._scope is None or self._scope.broker.state in _ENDING

    def attach(self, perspective: object = None, ended: Callable[[], object] | None = None) -> Attachment:
        """Attach a perspective to the connection of this call; return it to give the caller a reference.

        Whoever calls this has made sure that the caller may have the perspective.

        Args:
            perspective: any object; its perspective_* methods are what the peer may call. None where it is
                settled later, by assigning the attachment's `perspective`.
            ended: called without arguments, exactly once, however the attachment ends.

        Raises:
            ConnectionLost: the connection has ended meanwhile.
            ValueError: the call wants no answer, so nobody would get the reference.
        """
        if not self.answer_wanted:
            raise ValueError("the call wants no answer, so nobody would get a reference to the perspective")
        attached: Attachment = self._scope.broker.holdings.attach(perspective, ended, self._id)
        return attached


def current_call() -> CurrentCall | None:
    """Return the call that the running handler serves, or None outside of one."""
    found = serving.get()
    if found is None:
        return None
    scope, id, _, _ = found
    passed = inherited.get() or _NOTHING
    return CurrentCall(
        scope.broker.connection, scope.perspective, id != 0, passed.trace, scope, id, passed.at
    )
