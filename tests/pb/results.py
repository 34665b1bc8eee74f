"""Results to come, called and named by hand: what a promise of a face does, without a loop."""

from __future__ import annotations

import jelly
from pb.errors import Cancelled
from pb.promises.pipelining import call_promised
from pb.promises.promised import Promised

from .pump import Outcome


class Told(Outcome, jelly.Promising):
    """The outcome of a call, which others may be made on, and which can stand among their arguments."""

    def __init__(self):
        super().__init__()
        self.calls = None
        self.promised = None

    def _pb_settled(self):
        if self.promised is not None:
            return self.promised.settled
        if self.is_given_up:
            return Cancelled("given up")
        if not self.settled:
            return None
        return (self.value,) if self.error is None else self.error

    def _pb_promise(self):
        if self.promised is None:
            self.promised = Promised(self.calls.core, self.id, self._pb_settled())
        return self.promised

    def set_result(self, value):
        if self.promised is not None:
            self.promised.settle((value,))
        super().set_result(value)

    def set_exception(self, error):
        if self.promised is not None:
            self.promised.settle(error)
        super().set_exception(error)

    def call_started(self, id):
        self.id = id
        if self.promised is not None:
            self.promised.id = id

    def call_moved(self, calls):
        self.calls = calls

    def give_up(self):
        """Cancel the call, as who waits for it does."""
        self.is_given_up = True
        self.calls.cancel(self.id, self)
        if self.promised is not None:
            self.promised.settle(Cancelled("given up"))


def tell(target, method, *args, at=None, **kwargs):
    """Call a method of an object of the peer's, or of what another call will return."""
    made = Told()
    if isinstance(target, Told):
        made.calls = target.calls.core
        call_promised(target._pb_promise(), method, args, kwargs, made, at)
        return made
    handle = target._pb_import
    made.calls = handle.scope.broker.calls
    try:
        made.call_started(made.calls.make(handle, method, args, kwargs, made, None, at))
    except Exception as error:
        made.set_exception(error)
    return made
