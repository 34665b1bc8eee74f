"""Caches, users and roots that the tests of caches, views and perspectives share."""

from __future__ import annotations

import gc

import jelly
import pb

from .pump import Gate


class Stock(pb.Cacheable, pb.RemoteCache):
    """A cache whose state is its public attributes; one class for both sides."""

    def __init__(self, **state):
        vars(self).update(state)
        self._observers = pb.Observers()
        self._stopped = []  # [perspective, observer] of each that has stopped

    def get_state_to_cache_and_observe_for(self, perspective, observer):
        self._observers.add(observer)
        return {key: value for key, value in vars(self).items() if key[0] != "_"}

    def stopped_observing(self, perspective, observer):
        self._stopped.append([perspective, observer])
        self._observers.discard(observer)

    def tell(self, method, *args):
        """Run a method here, and at every replica."""
        getattr(self, "observe_" + method)(*args)
        self._observers.send(method, *args)

    def observe_set(self, n):
        self.n = n

    def observe_add(self, item):
        self.items.append(item)

    def observe_put(self, name, value):
        setattr(self, name, value)

    def observe_double(self, n):
        return 2 * n

    def observe_fail(self):
        raise ZeroDivisionError("of the replica")

    async def observe_fail_later(self):
        raise ZeroDivisionError("of the replica, later")

    async def observe_wait(self, gate):
        self.n = await gate


class Room(Stock):
    pass


class Unregistered(Stock):
    pass


class Refusal(Exception):
    """An error with a thing in its state."""

    def __init__(self, thing):
        super().__init__("refused")
        self.thing = thing

    def get_state_to_copy(self):
        return {"thing": self.thing}

    def set_copyable_state(self, state):
        self.thing = state["thing"]


class Ware(jelly.Copyable, jelly.RemoteCopy):
    """A copy that counts how often its state was asked for."""

    n: int

    def __init__(self, n):
        self.n = n
        self._asked = 0

    def get_state_to_copy(self):
        self._asked += 1
        return {"n": self.n}


class Tag(jelly.Copyable, jelly.RemoteCopy):
    """A copy that differs between perspectives."""

    text: str

    def __init__(self, text):
        self.text = text

    def get_state_to_copy_for(self, perspective):
        return {"text": f"{self.text} for {getattr(perspective, 'name', None)}"}


REGISTRY = jelly.Registry()
REGISTRY.add(Stock, "shop.Stock", from_clients=True)
REGISTRY.add(Room, "game.Room", from_clients=True)
REGISTRY.add(Ware, "shop.Ware")
REGISTRY.add(Tag, "shop.Tag")
REGISTRY.add(Refusal, "shop.Refusal")


class Door(pb.Referenceable):
    """Something that is handed out, and tells who knocks."""

    def __init__(self, inside=None):
        self.inside = inside

    def remote_who(self):
        return name_of(pb.current_call().perspective)

    def remote_enter(self):
        return self.inside

    def remote_take(self, value):
        self.inside = value


class Weapon(pb.Viewable):
    """Something that is seen through a view."""

    def __init__(self):
        self.swung = []

    def view_swing(self, actor, *args, **kwargs):
        self.swung.append(actor)
        return [actor.name, list(args), kwargs]

    def view_plain(self, actor):
        return actor.name

    def view_other(self, actor):
        return self

    def remote_swing(self):
        raise AssertionError("a view has no remote_ methods")

    perspective_swing = remote_swing


class User(pb.Viewable):
    """A perspective, whom other users see as a view."""

    def __init__(self, name, shop):
        self.name = name
        self.shop = shop

    def perspective_name(self):
        return self.name

    def perspective_self(self):
        return self

    def perspective_echo(self, value):
        return value

    def perspective_is(self, name, value):
        return value is getattr(self.shop, name)

    def perspective_get(self, name):
        return getattr(self.shop, name)

    def perspective_user(self, name):
        return self.shop.users[name]

    def perspective_door(self):
        return Door(Door(self.shop.weapon))

    def perspective_give(self, callback, *values):
        self.shop.outcomes.append(callback.take(*values))

    def perspective_keep(self, value):
        self.shop.kept.append(value)

    async def perspective_get_later(self, name):
        await self.shop.gate
        return getattr(self.shop, name)

    def view_wave(self, actor):
        return f"{self.name} waves at {actor.name}"


def name_of(perspective):
    return None if perspective is None else perspective.name


class Shop(pb.Root):
    """A root that hands out whatever it has, and lets users in."""

    def __init__(self, **things):
        self.stock = Stock(n=1)
        self.weapon = Weapon()
        self.users = {}
        self.attachments = []
        self.ended = []
        self.outcomes = []
        self.kept = []
        self.gate = Gate()
        vars(self).update(things)

    def remote_enter(self, name, client=None):
        user = self.users.setdefault(name, User(name, self))
        attachment = pb.current_call().attach(user, lambda: self.ended.append(name))
        self.attachments.append(attachment)
        if client is not None:
            self.client = attachment.adopt(client)
        return attachment

    def remote_get(self, name):
        return getattr(self, name)

    async def remote_get_later(self, name):
        await self.gate
        return getattr(self, name)

    def remote_pair(self, name):
        return [getattr(self, name), getattr(self, name)]

    def remote_is(self, name, value):
        return value is getattr(self, name)

    def remote_echo(self, value):
        return value

    def remote_keep(self, value):
        self.kept.append(value)

    def remote_refuse(self, name):
        raise Refusal(getattr(self, name))

    def remote_tell(self, name, method, *args):
        getattr(self, name).tell(method, *args)
        return getattr(self, name).n

    async def remote_wait(self):
        return await self.gate


class Keeper(pb.Referenceable):
    """A client's object that keeps what it is given."""

    def __init__(self):
        self.kept = []
        self.gate = Gate()

    def remote_take(self, *values):
        self.kept += values

    def remote_echo(self, value):
        return value

    async def remote_wait(self):
        return await self.gate


def cross(pump, act, *calls, told=True):
    """Make calls of the root whose answers are under way when `act` runs; return the outcomes.

    Args:
        told: whether the client wrote what follows from the act before it read the answers.
    """
    outcomes = [getattr(pump.root, name)(*args) for name, *args in calls]
    pump.server.input(pump.client.output(), pump.step)
    down = pump.server.output()
    act()
    gc.collect()
    up = pump.client.output() if told else b""
    pump.client.input(down, pump.step)
    pump.server.input(up, pump.step)
    pump.run()
    return outcomes


def left_over(pump):
    """Return what is still in the tables of either side, once all is quiet; nothing is as it should be."""
    gc.collect()
    pump.run()
    found = []
    for side in (pump.client, pump.server):
        broker, tables = side.broker, side.broker.tables
        found += [number for number in tables.exports if number]
        found += [*tables.imports, *tables.replicas, *tables.scopes, *tables.fresh, *tables.dropped]
        found += [*broker.calls.pending, *broker.serving.running]
        assert len(tables._by_object) == len([number for number in tables.exports if number])
    return found


def messages_of(frames, code):
    """Return the messages of one code among those that were heard."""
    return [message for message in frames if message[0] == code]
