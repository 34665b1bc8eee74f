"""Views: an object together with a perspective, and the actor whom no peer chooses."""

from __future__ import annotations

import pytest

import pb
from pb import messages

from ..cached import REGISTRY, Door, Keeper, Shop, User, Weapon, left_over, messages_of
from ..pump import STEPS, Pump, Script, packed, send


def call(pump, reference, name, /, *args, **kwargs):
    outcome = getattr(reference, name)(*args, **kwargs)
    pump.run()
    return outcome.result()


def enter(pump, *names):
    users = [pump.call("enter", name) for name in names]
    return users if len(users) > 1 else users[0]


@STEPS
def test_a_viewable_tells_its_methods_who_is_acting(step):
    """Before any argument of the caller."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann, bob = enter(pump, "ann", "bob")
    views = [call(pump, user, "get", "weapon") for user in (ann, bob)]

    assert ["ann", [1], {"x": 2}] == call(pump, views[0], "swing", 1, x=2)
    assert ["bob", [], {}] == call(pump, views[1], "swing")
    assert [shop.users["ann"], shop.users["bob"]] == shop.weapon.swung
    assert views[0] is not views[1]
    assert views[0] is call(pump, ann, "get", "weapon") is call(pump, views[0], "other")


@STEPS
def test_the_actor_is_neither_supplied_nor_replaced(step):
    """Not by position, not by name, not by the name of the object itself."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann, bob = enter(pump, "ann", "bob")
    view = call(pump, ann, "get", "weapon")
    attempts = [((bob,), {}), ((), {"actor": bob}), ((), {"self": bob}), ((bob,), {"actor": bob})]
    for args, kwargs in attempts:
        with pytest.raises(pb.BadArguments):
            outcome = view.plain(*args, **kwargs)
            pump.run()
            outcome.result()
    for kwargs in ({"actor": "bob"}, {"self": "bob"}):
        with pytest.raises(pb.BadArguments):
            call(pump, view, "swing", **kwargs)
    assert ["ann", ["bob"], {}] == call(pump, view, "swing", "bob")

    assert [shop.users["ann"]] == shop.weapon.swung


@STEPS
def test_a_view_publishes_no_other_methods(step):
    """What a Referenceable or a perspective would publish stays here."""
    pump = Pump(Shop(), registry=REGISTRY, step=step)
    view = call(pump, enter(pump, "ann"), "get", "weapon")

    for name in ("nope", "view_swing", "swung", "__class__", "remote_swing"):
        with pytest.raises(pb.NoSuchMethod):
            call_raw(pump, view, name)


def call_raw(pump, reference, name):
    """Call whatever name, also one that no program could."""
    from ..peers import ask

    outcome = ask(reference, name)
    pump.run()
    return outcome.result()


@pytest.mark.parametrize("place", ["result", "argument", "send", "nested", "error", "shared"])
def test_where_no_perspective_is_in_force_a_viewable_is_not_sent(place):
    """Refused at the sender, which counts nothing and sends nothing of it."""
    shop = Shop(door=Door())
    pump = Pump(shop, registry=REGISTRY)
    pump.call("keep", Keeper())
    (client,) = shop.kept
    items = [1]
    shop.nested = [shop.door, items, {"x": shop.weapon}]
    shop.shared = [items, items, shop.door, shop.weapon]
    pump.run()
    if place == "argument":
        with pytest.raises(pb.Unjellyable, match="Viewable, and no perspective"):
            client.take(shop.door, shop.weapon).result()
    elif place == "send":
        with pytest.raises(pb.Unjellyable, match="Viewable, and no perspective"):
            send(client, "take", shop.door, shop.weapon)
    else:
        method, name = ("refuse", "weapon") if place == "error" else ("get", place)
        with pytest.raises(Exception, match=r"internal error|refused"):
            pump.call(method, "weapon" if place == "result" else name)

    assert [0] == list(pump.server.broker.tables.exports)
    assert b"" == pump.server.output()


@STEPS
def test_another_users_perspective_crosses_as_a_view(step):
    """So users see each other, and nobody gets the methods of another."""
    pump = Pump(Shop(), registry=REGISTRY, step=step)
    ann, bob = enter(pump, "ann", "bob")
    seen = call(pump, ann, "user", "bob")

    assert seen is not bob
    assert "bob waves at ann" == call(pump, seen, "wave")
    with pytest.raises(pb.NoSuchMethod):
        call(pump, seen, "name")
    with pytest.raises(pb.NoSuchMethod):
        call(pump, bob, "wave")


@STEPS
def test_identity_of_a_viewable_and_of_a_perspective_is_kept_when_they_come_home(step):
    """Under whichever perspective, and under none; no authority comes with them."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann, bob = enter(pump, "ann", "bob")
    view, seen = call(pump, ann, "get", "weapon"), call(pump, ann, "user", "bob")

    assert call(pump, ann, "is", "weapon", view)
    assert call(pump, bob, "is", "weapon", view)
    assert pump.call("is", "weapon", view)
    pump.call("keep", [view, seen, ann, bob])
    assert [[shop.weapon, shop.users["bob"], shop.users["ann"], shop.users["bob"]]] == shop.kept
    # What Bob gets for Ann's view is his own.
    mine = call(pump, bob, "echo", view)
    assert ("bob", "ann") == (call(pump, mine, "plain"), call(pump, view, "plain"))


@STEPS
def test_what_is_known_under_one_perspective_is_another_thing_under_the_next(step):
    """One object, two entries, two ids; releasing one leaves the other."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY, step=step)
    ann, bob = enter(pump, "ann", "bob")
    views = [call(pump, user, "get", "weapon") for user in (ann, bob)]
    ids = [view._pb_import.id for view in views]
    del views[0]
    assert 2 == len({*ids})
    import gc

    gc.collect()
    pump.run()

    assert [ids[1]] == [id for id in ids if id in pump.server.broker.tables.exports]
    assert "bob" == call(pump, views[0], "plain")


def test_ids_of_a_viewable_on_another_connection_are_useless():
    """What a peer names is looked up in the table of its own connection."""
    shop = Shop()
    pump, script = Pump(shop, registry=REGISTRY), Script(shop, registry=REGISTRY)
    view = call(pump, enter(pump, "ann"), "get", "weapon")
    for number, id in enumerate((1, view._pb_import.id), 1):
        script.say([messages.CALL, number, id, "plain", packed([[], {}])])
    heard = messages_of(script.heard(), messages.ERROR)

    assert [1, 2] == [message[1] for message in heard]
    assert all(b"pb.NoSuchObject" in message[2] for message in heard)


def test_a_viewable_is_refused_where_it_comes_home_by_another_connection():
    """A reference of one connection is nothing of the other's."""
    shop = Shop()
    one, two = (Pump(shop, registry=REGISTRY, proxy=False) for _ in range(2))
    view = call(one, enter(one, "ann"), "get", "weapon")
    with pytest.raises(pb.Forbidden):
        two.call("is", "weapon", view)

    assert [] == shop.weapon.swung


def test_a_client_may_have_users_too():
    """The protocol is symmetric: whoever attaches hands out views."""

    class Client(Keeper):
        def remote_enter(self, name):
            return pb.current_call().attach(User(name, self))

    shop, client = Shop(), Client()
    client.weapon = Weapon()
    pump = Pump(shop, client_root=client, registry=REGISTRY)
    outcome = pump.server.broker.root_reference().enter("zoe")
    pump.run()
    view = call(pump, outcome.result(), "get", "weapon")

    assert "zoe" == call(pump, view, "plain")
    del view, outcome
    client.weapon.swung.clear()
    assert [] == left_over(pump)


@STEPS
def test_updates_are_received_under_the_perspective_that_the_cache_was_received_under(step):
    """At a holder that attaches its own users: what an update brings is called on their behalf."""

    class Client(Keeper):
        def remote_enter(self, name):
            return pb.current_call().attach(User(name, self))

    shop, client = Shop(), Client()
    pump = Pump(shop, client_root=client, registry=REGISTRY, step=step)
    outcome = pump.server.broker.root_reference().enter("zoe")
    pump.run()
    call(pump, outcome.result(), "keep", shop.stock)
    keeper = Keeper()
    shop.stock._observers.send("put", "keeper", keeper)
    pump.run()
    (replica,) = client.kept
    send(replica.keeper, "take", Weapon())
    pump.run()

    assert "zoe" == call(pump, keeper.kept[0], "plain")
