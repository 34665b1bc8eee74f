"""The log of the side that refused a call says why; the caller is told as little as ever."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

import pb

from ..pump import Pump


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


class Forgetful(pb.Root):
    """Its author has forgotten the prefix."""

    size = 5

    def buy(self):
        """Be called by nobody."""

    def remote_sell(self):
        """Be published."""


def test_a_method_without_the_prefix_is_a_warning_and_once_each(caplog):
    """A newcomer's program logs warnings, if anything. The peer, which may ask for ever, fills no log."""
    pump = Pump(Forgetful())
    with caplog.at_level(logging.WARNING, "pb"):
        for name in ("buy", "size", "remote_sell", "nothing") * 10:
            with pytest.raises(pb.NoSuchMethod):
                pump.call(name)

    (record,) = caplog.records
    assert logging.WARNING == record.levelno
    said = "Forgetful has no method remote_buy; buy without the prefix is not published"
    assert record.getMessage().endswith(said)


def test_a_class_of_a_thousand_names_warns_of_some(caplog):
    """However many a peer may ask for."""
    crowded = type("Crowded", (pb.Root,), {f"a{number}": print for number in range(100)})
    pump = Pump(crowded())
    with caplog.at_level(logging.WARNING, "pb"):
        for number in range(100):
            with pytest.raises(pb.NoSuchMethod):
                pump.call(f"a{number}")

    assert 64 == len(caplog.records)


@dataclass
class Item:
    price: int = 5


class Shop(pb.Root):
    """Returns what not everybody has registered."""

    def remote_buy(self):
        return Item()

    async def remote_order(self):
        return Item()


def test_an_unsendable_result_names_its_method_in_the_log(caplog):
    """The traceback ends in this library, and tells nobody whose result it was."""
    pump = Pump(Shop())
    for name in ("buy", "order"):
        with pytest.raises(pb.RemoteError, match="internal error"):
            pump.call(name)
        record = caplog.records[-1]
        assert f": the result of Shop.remote_{name} for " in record.getMessage()
        assert "in the registry= of this side" in str(record.exc_info[1])


def test_a_result_that_no_method_here_gave_names_none(caplog):
    """One that another side gave is passed on from wherever it came in."""
    pump = Pump(Shop())
    serving = pump.server.broker.serving
    serving.answer(1, pump.server.broker.scope, Item())

    assert ": the result of a call for " in caplog.records[-1].getMessage()


def test_the_method_of_an_object_that_is_gone_is_named_alone(caplog):
    """What it belonged to is not known any longer: no other is named in its place."""
    given = []

    class Counter(pb.Root):
        def remote_shelf(self):
            return given[0]

    class Shelf(pb.Referenceable):
        async def remote_take(self):
            pump.server.broker.tables.exports.clear()
            return Item()

    given.append(Shelf())
    pump = Pump(Counter())
    outcome = pump.call("shelf").take()
    pump.run()

    assert ": the result of take for " in caplog.records[-1].getMessage()
    with pytest.raises(pb.RemoteError):
        outcome.result()


def test_a_result_that_is_not_registered_here_says_what_to_give_and_where():
    """The class is known at the server; the caller gave its own registry to nobody."""
    registry = pb.Registry()
    registry.add(Item, "shop.Item")
    pump = Pump(Shop(), registry=registry, client_registry=pb.Registry())
    with pytest.raises(pb.Unregistered, match="give open_connection, serve or listen a registry= that has"):
        pump.call("buy")


def test_nothing_is_explained_where_nobody_reads_it(caplog):
    """It costs what a peer could make this side pay."""
    with caplog.at_level(logging.WARNING, "pb"), pytest.raises(pb.NoSuchMethod):
        Pump(Room()).call("entre")

    assert [] == caplog.records
