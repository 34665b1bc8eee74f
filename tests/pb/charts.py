"""A tracked object without rules, and its replicas that come back over the next connection."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from pb.caches.offering import RESYNC, Offering
from pb.tracked import Tracked

from .boards import House, make_registry
from .pump import Outcome, Pump, messages_in


@dataclass
class Chart(Tracked):
    title: str = "a"
    notes: list[Any] = field(default_factory=list)
    seats: dict[Any, Any] = field(default_factory=dict)

    def changed(self, field: str) -> None:
        vars(self).setdefault("_seen", []).append(field)


def registry():
    made = make_registry()
    made.add(Chart, "game.Chart", from_clients=True)
    return made


KEYS = itertools.count()


def join(house, **options):
    pump = Pump(house, registry=registry(), **options)
    pump.server.incident = lambda: f"{next(KEYS):016x}"
    return pump


def come_back(old: Pump, house: House, *, lose: bool = True, **options: Any) -> Pump:
    """Lose a connection, make the next, and offer over it what the first has left."""
    if lose:
        old.lose()
    new = join(house, **options)
    offer(new, old.client.broker.tables.lost)
    return new


def offer(new: Pump, rows: Any) -> list[Any]:
    outcome = Outcome()
    handle = new.root._pb_import
    offering = Offering(rows, new.client.broker.scope, outcome)
    handle.scope.broker.calls.make(handle, RESYNC, (offering.offers,), {}, offering)
    new.run()
    assert None is outcome.result()
    return offering.offers


def fetch(pump: Pump, name: str = "board", of: Any = None) -> Any:
    outcome = (pump.root if of is None else of).thing(name)
    pump.run()
    return outcome.result()


def told(pump: Pump, name: str = "board") -> list[Any]:
    """Fetch a thing and return what the server says for it: codes, and methods of updates."""
    outcome = pump.root.thing(name)
    said = []
    while True:
        up, down = pump.client.output(), pump.server.output()
        if not up and not down:
            break
        said += messages_in(down)
        pump.server.input(up)
        pump.client.input(down)
    outcome.result()
    return [message[3] if message[0] == 7 else message[0] for message in said]


def state(chart: Chart) -> tuple[Any, ...]:
    return (chart.title, list(chart.notes), dict(chart.seats))
