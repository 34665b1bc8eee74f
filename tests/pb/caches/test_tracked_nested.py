"""What a Tracked holds that has rules of its own: copies with hidden fields, in states and in updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest

import pb
from jelly.visibility import visible_to

from ..boards import Board, House, fetch, make_registry
from ..pump import Pump, run_all


@dataclass(frozen=True)
class Pay:
    """A copy with a field that not everybody may see."""

    name: str
    salary: Annotated[object, visible_to("referee")] = None


WAYS = {
    "first state": lambda board: None,
    "set": lambda board: setattr(board, "title", Pay("b", "SALARY")),
    "splice": lambda board: board.players.append([Pay("b", "SALARY")]),
    "many": lambda board: board.players.extend(Pay(str(n), "SALARY") for n in range(50)),
    "put": lambda board: board.score.update(b={"deep": (Pay("b", "SALARY"),)}),
    "in a set": lambda board: board.score.update(b={Pay("b", "SALARY")}),
    "shared": lambda board: board.players.append([(pay := Pay("b", "SALARY")), {"again": pay}, [pay]]),
    "within another": lambda board: setattr(board, "title", Pay("b", Pay("c", "SALARY"))),
    "within another's name": lambda board: setattr(board, "title", [Pay(Pay("c", "SALARY"))]),
    "in a board": lambda board: setattr(board, "title", Board(title=Pay("b", "SALARY"))),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_hidden_field_of_a_copy_inside_a_cacheable_is_hidden_in_state_and_updates(way):
    """However deep, and for each of the users of one connection."""
    registry = make_registry()
    registry.add(Pay, "x.Pay")
    board = Board(players=[Pay("a", "SALARY")], score={"a": [Pay("a", "SALARY")]})
    house = House(board=board)
    pumps = [Pump(house, registry=registry) for _ in range(3)]
    heard = [listen(pump.server) for pump in pumps]
    held = []
    for pump, users in zip(pumps, (["referee"], ["guest", None], ["guest", "referee"]), strict=True):
        held += [fetch(pump, "board", user) for user in users]
    WAYS[way](board)
    run_all(*pumps)
    shows, hides, both = (said.count(b"SALARY") for said in heard)

    assert not any(map(pb.is_stale, held))
    assert (0, shows) == (hides, both)
    assert shows >= 2


def listen(side):
    """Return all that a side says from now on, as it grows."""
    heard, output = bytearray(), side.output

    def tap():
        data = output()
        heard.extend(data)
        return data

    side.output = tap
    return heard
