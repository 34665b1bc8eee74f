"""Calls of the peer that do not begin at once: while nobody reads answers, and while results are missing.

Spec: spec/2-frames.md, PB-F25 and PB-F26; spec/11-pipelining.md.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from .. import messages
from ..errors import Busy, Cancelled
from ..promises.slots import Slots
from .ending import NOTHING
from .pacing import Pacing

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..bounds.budget import Budget
    from .answers import Told
    from .keeping import Load
    from .running import Held, Served


class Postponing(Pacing):
    """What `Serving` knows of calls whose turn has not come.

    Attributes:
        is_held: whether the peer does not read: calls are decoded, counted and in order, but not run. So the
            answers that wait for it are bounded, and reading goes on.
        holds: whether anything keeps calls from beginning at once, this or others that wait.
        most_calls: how many may run at once: `max_calls`, and 0 where no new ones are run (PB-F47).
        updates: how many of the running want no answer: they do not count toward max_calls.
        slots: the results that are kept for the peer; made when it first asks for that.
    """

    __slots__ = ("_held", "budget", "holds", "is_held", "slots", "taken", "updates")

    if TYPE_CHECKING:
        settled: Callable[[], None]
        fail: Callable[..., Told]
        begin: Callable[..., None]
        finish: Callable[..., None]
        taken: int
        budget: Budget
        count: int
        most_calls: int
        running: dict[int, Any]

    def __init__(self) -> None:
        super().__init__()
        self.is_held = False
        self.holds = False
        self.slots: Slots | None = None
        self.updates = 0
        self._held = NOTHING

    def pipelines(
        self, id: int, target: int, method: str, payload: bytes, ttl_ms: int | None, options: dict[str, Any]
    ) -> bool:
        """Take a call that has to do with results of others; return False for one that is to be run now."""
        needs = options.get("needs", [])
        keeps = options.get("keep", False)
        if not (needs or keeps or -messages.MAX_ID <= target < 0):
            return False
        slots = self._slots()
        slots.check(id, target, needs)
        if keeps:
            slots.keep(id)
        if target >= 0 and not needs:
            return False
        slots.receive_call(id, target, method, payload, ttl_ms, needs)
        return True

    def refuse_useless(self, id: int, why: str) -> None:
        """Count a call that its sender could know to be useless; it earns nothing."""
        self.taken -= bool(id)
        self.budget.draw(self.taken, why)

    def refuse_one_more(self, id: int) -> Busy:
        """Return why no more calls are run now; count it, where the sender could know that."""
        if not self.most_calls:
            self.refuse_useless(id, "a call after BYE")
            return Busy(
                "both sides have said BYE, and this one awaits nothing that the call could serve; it was not "
                "run, and may be made over another connection"
            )
        # Not where messages that want no answer take the places: their sender does not count those.
        if len(self.running) >= self.most_calls and id:
            self.refuse_useless(id, "a call over max_calls")
        return Busy(f"{self.count} calls are running, the limit max_calls; it was not run")

    def count_update(self, served: Served) -> None:
        """Count an update in that goes on. Raises Busy where as many are running as calls may be."""
        if self.updates >= self.limits.max_calls:
            served.drop()
            raise Busy(f"{self.updates} updates are running, the limit max_calls")
        self.updates += 1

    def run_update(self, served: Served, load: Load) -> None:
        """Go on with an update that takes its time. Raises Busy where there is no place for it."""
        too_much = self.why_too_much(load)
        if too_much is not None:
            served.drop()
            raise too_much
        self.run_on(served)
        if load:
            self.keep_on(served, load)

    def receive_finish(self, envelope: list[Any]) -> None:
        """The peer will not name some results any more."""
        self._slots().receive_finish(envelope)

    def _slots(self) -> Slots:
        if self.slots is None:
            self.slots = Slots(self)  # type: ignore[arg-type]
        return self.slots

    def postpone(self, held: Held) -> None:
        """Run a call when its turn has come, which it may have."""
        if self.slots is None or not self.slots.takes(held):
            self.run_held(held)

    def hold(self) -> None:
        """Begin no calls: the peer does not read what those before them answered."""
        self.is_held = self.holds = True

    def check_holds(self) -> None:
        """Note whether anything keeps calls from being run as they come."""
        self.holds = self.has_held or (self.slots is not None and self.slots.has_lines)

    @property
    def has_held(self) -> bool:
        """Whether a call that comes now has to wait because of what the peer has not read."""
        return self.is_held or bool(self._held)

    def run_held(self, held: Held) -> None:
        """Run a call whose turn has come, or later, if the peer does not read what is answered."""
        if self.has_held:
            self.begin(held.id, held)
            if self._held is NOTHING:
                self._held = deque()
            self._held.append(held)
            return
        held.run()

    def start_held(self) -> None:
        """Run the calls that were held, in their order, as long as the peer takes their answers.

        No more in one turn of the loop than of calls that arrive (PB-L6): others wait for theirs. What comes
        meanwhile stands behind them.
        """
        self.is_held = False
        self._start_some()

    def _start_some(self) -> None:
        left = self.limits.turn_envelopes
        until = self.deadlines.after(self.limits.turn_s)
        while self._held and not self.is_held:
            if left <= 0 or self.deadlines.left_s(until) < 0:
                self.deadlines.add(self, self.deadlines.after(0), self._start_some)
                break
            held = self._held.popleft()
            self.finish(held.id, held)
            held.run()
            held.export.scope.direct.leave()
            left -= 1
        self.check_holds()
        self.settled()

    def drop_held(self, held: Held) -> None:
        """Answer a held call that was cancelled; it never ran."""
        if held not in self._held:  # but in a line
            assert self.slots is not None
            self.slots.drop(held, Cancelled("cancelled by caller"))
            return
        self._held.remove(held)
        self.finish(held.id, held)
        self.fail(held.id, held.export.scope, Cancelled("cancelled by caller"))
        held.export.scope.direct.leave()
