"""`pb call` of what returns instances of classes, of which the command has none."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

import pb

from .commands import served


@dataclass
class Chair:
    legs: int = 4


@dataclass
class Board(pb.Tracked):
    title: str = "today"


class Seller(pb.Root):
    def remote_buy(self):
        return Chair()

    async def remote_all(self):
        yield Chair()

    def remote_set(self):
        return [Chair(), Chair()]

    def remote_board(self):
        return Board()


CHAIR = '{"$copy": ["shop.Chair", {"legs": 4}]}'


@pytest.mark.parametrize(
    ("method", "shown"), [("buy", CHAIR), ("all", CHAIR), ("set", f"[{CHAIR}, {CHAIR}]")]
)
def test_an_instance_of_a_class_of_the_server_s_is_shown_by_name_and_state(method, shown, capsys):
    """The call has run by then, and there is no place to give the command a registry."""
    registry = pb.Registry()
    registry.add(Chair, "shop.Chair")

    assert [0] == served(Seller(), ["call", "{url}", method], registry=registry)
    assert f"{shown}\n" == capsys.readouterr().out


def test_a_cache_is_not_shown_and_that_is_said(capsys):
    """It has a state for those only who follow it; that the call has run is told."""
    registry = pb.Registry()
    registry.add(Board, "shop.Board")

    assert [1] == served(Seller(), ["call", "{url}", "board"], registry=registry)
    assert "not registered here" in (err := capsys.readouterr().err)
    assert "the call has run, and pb call cannot show what it returned" in err
