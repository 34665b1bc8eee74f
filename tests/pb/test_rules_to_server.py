"""Fields with a rule on the way from a client to its server: sent or refused, not lost silently (PB-V50)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

import jelly
import pb
from pb import sync
from pb.testing import loop as told

from .cached import Refusal, Stock
from .pump import STEPS, Pump


@dataclass
class Item:
    name: str
    price: Annotated[Any, pb.visible_to("boss")] = 42


@dataclass
class Note:
    text: Annotated[Any, pb.visible_to("boss", to_server=True)] = "for the boss"


@dataclass(eq=False)
class Board(pb.Tracked):
    title: str = "a"
    secret: Annotated[Any, pb.visible_to("boss")] = "s"
    open: Annotated[Any, pb.visible_to("boss", to_server=True)] = "o"


REGISTRY = jelly.Registry()
REGISTRY.add(Item, "x.Item")
REGISTRY.add(Note, "x.Note")
REGISTRY.add(Board, "x.Board", from_clients=True)
REGISTRY.add(Refusal, "x.Refusal")
REGISTRY.add(Stock, "x.Stock", visible={"n": pb.visible_to("boss")})

REFUSED = "has a rule on who is shown it, and this side, which has dialed, does not know"


class Store(pb.Root):
    def __init__(self):
        self.saved = []

    def remote_save(self, *values):
        self.saved += values

    def remote_item(self):
        return [Item("lamp"), Note()]

    async def remote_ask(self, client):
        self.saved.append(await client.item())

    def remote_board(self):
        return Board()


class Client(pb.Referenceable):
    def __init__(self, item):
        self.item = item

    def remote_item(self):
        return self.item


class Failing(pb.Referenceable):
    def remote_item(self):
        raise Refusal(Item("lamp"))


@STEPS
@pytest.mark.parametrize("value", [Item("lamp"), Board(), Stock(n=1)], ids=["copy", "tracked", "cache"])
def test_an_object_with_such_a_field_is_refused_at_the_client_and_says_which(step, value):
    """It says what to do, and the server is not given half of it."""
    store = Store()
    pump = Pump(store, registry=REGISTRY, step=step)
    with pytest.raises(pb.Unjellyable, match=REFUSED) as caught:
        pump.call("save", [value])

    field = {Item: "Item.price", Board: "Board.secret", Stock: "Stock.n"}[type(value)]
    assert field in str(caught.value)
    assert [] == store.saved


def test_a_field_whose_rule_says_so_is_sent():
    """And of what the client was not shown itself nothing is."""
    store = Store()
    pump = Pump(store, registry=REGISTRY)
    item, note = pump.call("item")
    assert (pb.HIDDEN, pb.HIDDEN) == (item.price, note.text)
    pump.call("save", item, Note(), note)

    assert [Item("lamp", pb.HIDDEN), Note(), Note(pb.HIDDEN)] == store.saved


def test_a_tracked_object_of_a_client_goes_without_what_it_hides():
    """And gives no field away later: whoever assigns it is told, and nothing has changed."""
    store, board = Store(), Board(secret=pb.HIDDEN)
    pump = Pump(store, registry=REGISTRY)
    pump.call("save", board)
    (replica,) = store.saved
    board.open = "p"
    with pytest.raises(pb.Unjellyable, match=r"Board\.secret has a rule"):
        board.secret = "t"
    pump.run()

    assert ("p", pb.HIDDEN, pb.HIDDEN) == (replica.open, replica.secret, board.secret)


def test_an_answer_of_the_client_is_refused_too(caplog):
    """Its log says why; the server hears of an internal error, as of any."""
    store = Store()
    pump = Pump(store, registry=REGISTRY)
    with pytest.raises(pb.RemoteError):
        pump.call("ask", Client([Item("lamp")]))
    assert any("Item.price has a rule" in str(each.exc_info[1]) for each in caplog.records)
    pump.call("ask", Client(Note()))

    assert [Note()] == store.saved


def test_an_error_of_the_client_goes_without_its_data_and_says_so(caplog):
    """An error is told in any case."""
    store = Store()
    pump = Pump(store, registry=REGISTRY)
    with caplog.at_level(logging.INFO), pytest.raises(pb.RemoteError):
        pump.call("ask", Failing())

    assert any("Item.price has a rule" in each.getMessage() for each in caplog.records)


def test_a_server_hides_from_whom_it_does_not_know():
    """In what it publishes, and in what it is asked back: only who has dialed knows whom."""
    pump = Pump(Store(), registry=REGISTRY)
    board = pump.call("board")

    assert (pb.HIDDEN, pb.HIDDEN) == (board.secret, board.open)


def test_real_connections_know_who_has_dialed():
    """On both sides, and over one that comes back."""

    async def main(reconnect):
        store = Store()
        async with (
            pb.serve(store, "memory://rules", registry=REGISTRY) as server,
            pb.open_connection(server.url, registry=REGISTRY, reconnect=reconnect) as connection,
        ):
            item, _ = await connection.root.item()
            item.price = 99
            with pytest.raises(pb.Unjellyable, match=REFUSED):
                await connection.root.save(item)
            await connection.root.save(Note())
        return store.saved

    for reconnect in (False, True):
        assert [Note()] == told.run(main(reconnect))


def test_blocking_connections_know_it_too():
    """The same rules on the other face."""
    store = Store()
    with (
        sync.serve(store, "pb://127.0.0.1:0", registry=REGISTRY) as server,
        sync.open_connection(server.url, registry=REGISTRY) as connection,
    ):
        with pytest.raises(pb.Unjellyable, match=REFUSED):
            connection.root.save(Item("lamp"))
        connection.root.save(Note())
        assert pb.HIDDEN is connection.root.item()[0].price

    assert [Note()] == store.saved
