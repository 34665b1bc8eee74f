"""Tracked objects, the house that hands them out, and who fetches them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import jelly
import pb
from jelly.visibility import visible_if, visible_to
from pb.tracked import Tracked

from .pump import Pump


@dataclass
class Board(Tracked):
    title: str = "a"
    players: list[Any] = field(default_factory=list)
    score: dict[Any, Any] = field(default_factory=dict)
    secret: Annotated[list[Any], visible_to("referee")] = field(default_factory=list)
    code: Annotated[int, visible_to("referee")] = 0
    log: ClassVar[list[str]] = []
    _note: str = "never sent"

    def changed(self, field: str) -> None:
        vars(self).setdefault("_seen", []).append(field)
        if self.title == "refused by the replica":
            raise ValueError(field)


class Ticket(Tracked):
    """Plain annotations, no constructor, and one field without a value."""

    price: int
    owner: str = "nobody"
    show: bool = False
    seat: Annotated[str, visible_if(lambda ticket, perspective: ticket.show)] = "1a"


class Door(pb.Referenceable):
    pass


class User:
    def __init__(self, house: House, *roles: str) -> None:
        self.house = house
        self.roles = list(roles)

    def perspective_thing(self, name: str) -> Any:
        return self.house.things[name]


class House(pb.Root):
    def __init__(self, **things: Any) -> None:
        self.things = things
        self.users = {name: User(self, name) for name in ("referee", "guest")}
        self.held: list[Any] = []

    def remote_enter(self, name: str) -> Any:
        return pb.current_call().attach(self.users[name])

    def remote_thing(self, name: str) -> Any:
        return self.things[name]

    def remote_is(self, name: str, thing: Any) -> bool:
        return thing is self.things[name]


def make_registry(**options: Any) -> jelly.Registry:
    registry = jelly.Registry()
    registry.add(Board, "game.Board", from_clients=True, **options)
    registry.add(Ticket, "game.Ticket", from_clients=True)
    return registry


def join(house: House, **options: Any) -> Pump:
    return Pump(house, registry=make_registry(), **options)


def fetch(pump: Pump, name: str, user: str | None = None) -> Any:
    """Return a thing of the house as a user sees it; without one, as nobody in particular."""
    if user is None:
        return pump.call("thing", name)
    outcome = pump.call("enter", user).thing(name)
    pump.run()
    return outcome.result()


def move_away(pump: Pump, asked: Callable[[], object]) -> None:
    """Make the server of a pump one whose loop runs in another thread."""

    def check_thread() -> None:
        asked()
        raise RuntimeError("in another thread")

    side: Any = pump.server
    side.thread = 1
    side.broker.outbox.move(1)
    side.check_thread = check_thread


def shown(thing: Any) -> dict[str, Any]:
    """Return the fields of a board."""
    return {name: vars(thing)[name] for name in ("title", "players", "score", "secret", "code")}


def follow(board: Board, *users: str | None, **options: Any) -> tuple[list[Pump], list[Any]]:
    """Return for each user a connection and a replica of the board."""
    house = House(board=board)
    pumps = [join(house, **options) for _ in users]
    return pumps, [fetch(pump, "board", user) for pump, user in zip(pumps, users, strict=True)]
