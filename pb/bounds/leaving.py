"""How long leaving in good order may take, and what there is to wait for meanwhile.

Spec: spec/2-frames.md, "The end: BYE"; spec/6-limits.md, PB-L8; PB-F47.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..context import serving
from ..wire.state import State

if TYPE_CHECKING:
    from ..broker import Broker


def awaited(broker: Broker) -> int:
    """Return how many calls are under way that somebody waits for; who has given one up does not."""
    if broker.gives_up:
        return broker.serving.count
    asked = sum(not outcome.done() for outcome, _ in broker.calls.pending.values())
    return broker.serving.count + asked


def is_within_call(broker: Broker) -> bool:
    """Whether what runs here serves a call of this peer: who waited for the end would wait for itself."""
    found = serving.get()
    if found is None or found[0].tables is not broker.tables:
        return False
    _, id, _, _ = found
    # A task that outlives its call has this too; nothing waits for that.
    return broker.serving.is_running(id) or broker.streams.is_made_within(found)


def bound_late(broker: Broker) -> None:
    """Let no new calls of the peer run that can serve nothing: it has said BYE, and owes this side nothing.

    To be asked for each of them, because a handler that still runs may call the peer, which may call back.
    """
    calls = broker.calls
    may_serve = calls.pending or broker.streams or calls.has_told
    broker.serving.most_calls = broker.limits.max_calls if may_serve else 0


def bound_drain(broker: Broker) -> None:
    """Let the connection end when its time to leave is over, which begins with the first BYE, whosever it is.

    It is the connection's and not of whoever closes it: who has lost patience must not leave it open.
    """
    if broker.state is State.CLOSED or broker in broker.deadlines.due:
        return
    wait_s = broker.limits.drain_s

    def end() -> None:
        broker.end(None, f"the connection was closed: leaving took longer than {wait_s:g} s")

    broker.deadlines.add(broker, broker.deadlines.after(wait_s), end)


def ends_at(broker: Broker, now: float) -> float:
    """Return when the time to leave is over; where all has ended, when the last output has to be out."""
    found = broker.deadlines.due.get(broker)
    return now + broker.limits.drain_s if found is None else found[0]
