"""What the conversations and cases about flavours need: objects behind the bytes, and who does what when.

Conversations: spec/vectors/conversations 05, 12, 16, 18 to 24. Cases: spec/vectors/flavours.json.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Annotated

import jelly
import pb
from jelly.visibility import HIDDEN, visible_to
from pb import messages

from ..test_spec import unpack
from .peers import Point, ask, envelopes_in
from .pump import Gate, Side


class Observed(pb.Cacheable, pb.RemoteCache):
    """Have one group of observers, and attributes that make the state."""

    def __init__(self, **state):
        vars(self).update(state)
        self.observers = pb.Observers()

    def get_state_to_cache_and_observe_for(self, perspective, observer):
        self.observers.add(observer)
        return {key: value for key, value in vars(self).items() if key != "observers"}

    def stopped_observing(self, perspective, observer):
        self.observers.discard(observer)


class Stock(Observed):
    def observe_set(self, n):
        if n < 0:
            raise ValueError("fewer than none")
        self.n = n


class Shelf(Observed):
    """Show the cost to Alice only."""

    def get_state_to_cache_and_observe_for(self, perspective, observer):
        state = super().get_state_to_cache_and_observe_for(perspective, observer)
        return state if perspective.name == "alice" else {"n": state["n"]}

    def observe_set_n(self, n):
        self.n = n

    def observe_set_cost(self, cost):
        self.cost = cost


class Room(Observed):
    def observe_joined(self, player):
        self.players.append(player)


class Player(Observed):
    def observe_renamed(self, name):
        self.name = name


@dataclass
class Person(jelly.Copyable, jelly.RemoteCopy):
    name: str
    salary: Annotated[int, visible_to("alice")]


class Door(pb.Referenceable):
    pass


class Weapon(pb.Viewable):
    def view_swing(self, perspective):
        return perspective.name

    def remote_sharpen(self):
        raise AssertionError("a view has no remote_ methods")

    def perspective_sharpen(self):
        raise AssertionError("a view has no perspective_ methods")


class User(pb.Viewable):
    """A perspective that other users see too."""

    def __init__(self, name, root):
        self.name = name
        self.roles = [name]
        self.root = root

    def view_wave(self, perspective):
        return perspective.name

    def perspective_weapon(self):
        return self.root.weapon

    async def perspective_weapon_later(self):
        return self.root.weapon

    def perspective_is_weapon(self, value):
        return value is self.root.weapon

    def perspective_is_me(self, value):
        return value is self

    def perspective_who(self, value):
        return pb.current_call().perspective.name

    def perspective_friend(self, name):
        return self.root.users[name]

    def perspective_door(self):
        return Door()

    def perspective_keep(self, value):
        self.root.held = value

    async def perspective_wait(self):
        await Gate()

    def perspective_shelf(self):
        return self.root.shelf

    def perspective_is_shelf(self, value):
        return value is self.root.shelf

    def perspective_ann(self):
        return Person("Ann", 5)


class FlavourRoot(pb.Root):
    """The root object of the conversations and the cases; their methods have different names."""

    def __init__(self):
        self.weapon = Weapon()
        self.users = {}
        self.attachments = {}
        self.stock = Stock(n=10)
        self.shelf = Shelf(n=10, cost=7)
        self.room = Room(name="hall", players=[])
        self.room.players.append(Player(name="Ann", room=self.room))
        self.board = Board(title="a", notes=["x"], seats={})
        self.held = None

    def remote_echo(self, value):
        return value

    def remote_enter(self, name):
        self.users[name] = User(name, self)
        self.attachments[name] = pb.current_call().attach(self.users[name])
        return self.attachments[name]

    def remote_weapon(self):
        return self.weapon

    def remote_stock(self):
        return self.stock

    def remote_same(self, value):
        return value is self.stock

    def remote_room(self):
        return self.room

    def remote_is_room(self, value):
        return value is self.room

    def remote_name_of(self, player):
        return player.name

    def remote_board(self):
        return self.board

    def remote_matches(self, state):
        return state == state_of(self.board)

    def remote_keep(self, value):
        self.held = value

    def remote_kept(self):
        return self.held

    def remote_drop(self):
        self.held = None

    def remote_state(self):
        return state_of(self.held)

    def remote_is_stale(self):
        return pb.is_stale(self.held)


class Board(pb.Tracked):
    title: str
    notes: list
    seats: dict

    def __init__(self, title, notes, seats):
        self.title, self.notes, self.seats = title, notes, seats


def state_of(thing):
    """Return what a cache or a replica shows, as a plain map."""
    fields = Board.__annotations__ if isinstance(thing, Board) else vars(thing)
    return {
        field: value
        for field, value in sorted(vars(thing).items())
        if field in fields and field != "observers" and value is not HIDDEN
    }


def flavour_registry():
    """Return what both sides of the conversations and the peer of the cases have registered."""
    made = jelly.Registry()
    made.add(Point, "geo.Point")
    add_flavours(made, {field: visible_to("x") for field in ("title", "notes", "seats")})
    return made


def add_flavours(registry, rules=None):
    """Admit the classes; `rules` are for the board: without one a field can be neither missing nor hidden."""
    registry.add(Person, "staff.Person")
    for cls, name in [
        (Stock, "shop.Stock"),
        (Shelf, "shop.Shelf"),
        (Room, "game.Room"),
        (Player, "game.Player"),
    ]:
        registry.add(cls, name, from_clients=True)
    registry.add(Board, "game.Board", visible=rules, from_clients=True)


def question(play, thing, method, *args, **kwargs):
    """Let the owner ask the one holder of a cache."""
    (observer,) = thing.observers
    play.replies.append(ask(observer, method, *args, **kwargs))


def drop(*numbers):
    return lambda play: [play.drop(number) for number in numbers]


def asks(method, *args, of=None):
    """Return an act: call a method; a function among the arguments is given the play."""

    def act(play):
        play.ask(method, *[arg(play) if callable(arg) else arg for arg in args], of=of)

    return act


def result(number):
    return lambda play: play.replies[number].result()


# (conversation, role) -> what a side does of its own, each before the frame of that number.
ACTS = {
    ("05-cacheable", "S"): {2: lambda play: play.root.stock.observers.send("set", n=9)},
    ("05-cacheable", "C"): {
        0: asks("stock"),
        3: asks("same", result(0)),
        5: asks("stock"),
        6: drop(0),
        8: drop(2),
    },
    ("12-view", "C"): {
        0: asks("enter", "conan"),
        2: asks("weapon", of=0),
        4: asks("swing", of=1),
        6: asks("is_weapon", result(1), of=0),
        8: asks("is_me", result(0), of=0),
    },
    ("16-two-perspectives", "C"): {
        0: asks("enter", "alice"),
        2: asks("enter", "bob"),
        4: asks("weapon", of=0),
        6: asks("weapon", of=1),
        8: asks("weapon", of=0),
        10: asks("swing", of=3),
        12: asks("is_weapon", result(3), of=0),
        14: asks("who", result(1), of=0),
        16: asks("friend", "bob", of=0),
        18: asks("wave", of=8),
    },
    ("18-revoke-cache", "S"): {2: lambda play: play.side.broker.holdings.revoke_object(play.root.stock)},
    ("18-revoke-cache", "C"): {
        0: asks("stock"),
        2: asks("same", result(0)),  # before the GONE is read
        5: drop(0),
        6: asks("stock"),
    },
    ("19-stale-cache", "S"): {2: lambda play: play.root.stock.observers.send("paint", "red")},
    ("19-stale-cache", "C"): {0: asks("stock"), 5: asks("stock"), 7: asks("same", result(1))},
    ("20-nested-caches", "S"): {
        4: lambda play: (
            play.root.room.players[0].observers.send("renamed", "Anna")
            or setattr(play.root.room.players[0], "name", "Anna")
        ),
        5: lambda play: play.root.room.observers.send("joined", Player(name="Bob", room=play.root.room)),
    },
    ("20-nested-caches", "C"): {
        0: asks("room"),
        2: asks("is_room", result(0)),
        6: asks("is_room", lambda play: play.replies[0].result().players[-1].room),
        8: asks("name_of", lambda play: play.replies[0].result().players[0]),
    },
    ("21-tracked", "S"): {
        2: lambda play: setattr(play.root.board, "title", "b"),
        3: lambda play: play.root.board.notes.extend(["y", "z"]),
        4: lambda play: play.root.board.notes.__delitem__(0),
        5: lambda play: play.root.board.seats.__setitem__("north", "ann"),
        6: lambda play: play.root.board.seats.__setitem__("south", "bob"),
        7: lambda play: play.root.board.seats.__delitem__("north"),
    },
    ("21-tracked", "C"): {0: asks("board"), 8: asks("matches", lambda play: state_of(result(0)(play)))},
    ("22-answered-observe", "S"): {
        2: lambda play: question(play, play.root.stock, "set", n=9),
        4: lambda play: question(play, play.root.stock, "paint", "red"),
        6: lambda play: play.root.stock.observers.send("set", n=8),
    },
    ("22-answered-observe", "C"): {0: asks("stock"), 7: asks("same", result(0))},
    ("23-cache-under-two-perspectives", "S"): {
        8: lambda play: play.root.shelf.observers.send("set_n", 9),
        10: lambda play: play.root.shelf.observers.tell(
            "set_cost", (8,), shows=lambda perspective: perspective.name == "alice"
        ),
    },
    ("23-cache-under-two-perspectives", "C"): {
        0: asks("enter", "alice"),
        2: asks("enter", "bob"),
        4: asks("shelf", of=0),
        6: asks("shelf", of=1),
        11: asks("is_shelf", result(3), of=0),
    },
    ("24-hidden-field", "C"): {
        0: asks("enter", "alice"),
        2: asks("ann", of=0),
        4: asks("enter", "bob"),
        6: asks("ann", of=2),
        8: asks("echo", result(3)),
    },
}


def assert_same_ids(expected, found):
    """Compare two RELEASEs or GONEs of many ids, in whatever order they stand."""
    (code, told), (found_code, found_told) = unpack(expected), unpack(found)
    assert code == found_code
    step = 2 if code == messages.RELEASE else 1
    pairs, found_pairs = (
        sorted(tuple(ids[at : at + step]) for at in range(0, len(ids), step)) for ids in (told, found_told)
    )
    assert pairs == found_pairs


def play_case(case, hello, step=None):
    """Play one case of flavours.json against a side, and check what it says. Return the side."""
    side = Side("peer", FlavourRoot(), flavour_registry(), pb.Limits())
    side.broker.start()
    side.output()
    side.input(bytes.fromhex(case.get("hello", hello)))
    side.input(bytes.fromhex(case["hex"]), step)
    gc.collect()
    said = envelopes_in(side.output())
    expect = case["expect"]
    owed = dict(expect.get("releases", ()))
    for envelope in [each for each in said if each[1] == messages.RELEASE]:
        said.remove(envelope)
        pairs = unpack(envelope)[1]
        for ref, count in zip(pairs[::2], pairs[1::2], strict=True):
            owed[ref] = owed.get(ref, 0) - count
    for answer in expect.get("answers", ()):
        assert said, f"nothing more is said; expected {answer}"
        assert answer == said.pop(0).hex()
    if "bye" in expect:
        (code,) = [unpack(each)[1] for each in said if unpack(each)[0] == messages.BYE]
        assert code in expect["bye"] and len(said) == 1
        assert side.has_ended
        return side
    if "error" in expect:
        code, id, payload = unpack(said.pop(0))
        assert [messages.ERROR, expect["error"]["id"]] == [code, id]
        assert expect["error"]["type"] == unpack(payload)["type"]
    assert [] == said
    assert not any(owed.values()), owed
    side.input(bytes.fromhex("00000003920d07"))
    assert ["920e07"] == [each.hex() for each in envelopes_in(side.output())]
    return side
