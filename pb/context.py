"""Who is calling: what a handler may know about the call it is serving.

Spec: none of this is on the wire; the caller cannot influence it.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._scope import Scope
    from .attachment import Attachment

# What the handler runs under: (scope, call id). A plain tuple, because it is made for every call and
# looked at by few; `current_call` dresses it up.
serving: contextvars.ContextVar[tuple[Scope, int] | None] = contextvars.ContextVar("pb_serving", default=None)

# By when what is called from here has to be over, as face.clock() counts; None: it may take its time.
deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("pb_deadline", default=None)


@dataclass(frozen=True, slots=True)
class CurrentCall:
    """The call that is being served.

    Attributes:
        connection: the connection it came over, as the face made it.
        perspective: on whose behalf it is made; None where no one has logged in.
        answer_wanted: whether the caller waits for a result.
    """

    connection: Any
    perspective: Any
    answer_wanted: bool
    _scope: Any = field(default=None, repr=False, compare=False)
    _id: int = field(default=0, repr=False, compare=False)

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
    scope, id = found
    return CurrentCall(scope.broker.connection, scope.perspective, id != 0, scope, id)
