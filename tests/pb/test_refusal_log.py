"""The log of the side that refused a call says why; the caller is told as little as ever."""

from __future__ import annotations

import logging

import pytest

import pb

from .pump import Pump


class Room(pb.Root):
    """A root with one method."""

    def remote_enter(self, guest, _door=None):
        """Be published."""


@pytest.mark.parametrize(
    ("method", "args", "said"),
    [
        ("entre", ("secret",), "Room has no method remote_entre; it has remote_enter"),
        ("enter", (), "Room.remote_enter(guest) was given 0 positional arguments"),
        ("enter", ("secret", "secret"), "Room.remote_enter(guest) was given 2 positional arguments"),
    ],
    ids=["no such method", "too few", "one too many"],
)
def test_a_refused_call_is_explained_in_the_log(method, args, said, caplog):
    """Who wrote the object reads it there, and never a value of the peer's."""
    pump = Pump(Room())
    with caplog.at_level(logging.INFO, "pb"), pytest.raises((pb.NoSuchMethod, pb.BadArguments)) as caught:
        pump.call(method, *args)

    assert caplog.records[-1].getMessage().endswith(f": {said}")
    assert "Room" not in str(caught.value)
    assert "secret" not in caplog.text


def test_nothing_is_explained_where_nobody_reads_it(caplog):
    """It costs what a peer could make this side pay."""
    with caplog.at_level(logging.WARNING, "pb"), pytest.raises(pb.NoSuchMethod):
        Pump(Room()).call("entre")

    assert [] == caplog.records
