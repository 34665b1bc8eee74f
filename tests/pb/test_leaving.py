"""Methods that end the attachment they run under, and what outlives it."""

from __future__ import annotations

import contextvars

import pytest

import pb

from .cached import REGISTRY, Keeper, Shop, Tag, User, name_of
from .peers import ask
from .pump import Pump, send


class Leaver(User):
    """A perspective with methods that end what they run under."""

    def leave(self, how):
        attachment = self.shop.attachments[0]
        if how == "detach":
            attachment.detach()
        else:
            self.shop.revoke(self)
        return [name_of(pb.current_call().perspective), Tag("seen")]

    def perspective_leave(self, how):
        return self.leave(how)

    def perspective_fail(self, how):
        raise ValueError(*self.leave(how)[:1])

    async def perspective_leave_later(self, how):
        return self.leave(how)


@pytest.mark.parametrize("how", ["detach", "revoke"])
@pytest.mark.parametrize("method", ["leave", "leave_later"])
def test_a_method_that_ends_its_own_attachment_runs_on_under_it(method, how):
    """So that what a logout does last is done, and told, for who has logged out; then nothing is kept."""
    shop = Shop()
    shop.users["ann"] = Leaver("ann", shop)
    pump = Pump(shop, registry=REGISTRY)
    shop.revoke = pump.server.broker.holdings.revoke_object
    ann = pump.call("enter", "ann", Keeper())
    outcome = getattr(ann, method)(how)
    pump.run()
    name, tag = outcome.result()
    scope = shop.attachments[0].scope

    assert ("ann", "seen for ann") == (name, tag.text)
    assert (["ann"], None, 0) == (shop.ended, scope.perspective, scope.running)
    assert scope is shop.client._pb_import.scope


def test_a_method_that_ends_its_own_attachment_and_fails_leaves_it_too():
    """Whichever way it is over."""
    shop = Shop()
    shop.users["ann"] = Leaver("ann", shop)
    pump = Pump(shop, registry=REGISTRY)
    ann = pump.call("enter", "ann", Keeper())
    outcome = ann.fail("detach")
    pump.run()
    scope = shop.attachments[0].scope

    with pytest.raises(pb.RemoteError):
        outcome.result()
    assert (["ann"], None, 0) == (shop.ended, scope.perspective, scope.running)


def test_a_task_that_outlives_its_call_keeps_nobody_whose_attachment_has_ended():
    """It knows for whom it runs as long as the attachment lasts."""
    contexts = []

    class Spawning(User):
        def perspective_spawn(self):
            contexts.append(contextvars.copy_context())

    shop = Shop()
    shop.users["ann"] = Spawning("ann", shop)
    pump = Pump(shop, registry=REGISTRY)
    ann = pump.call("enter", "ann")
    send(ann, "spawn")
    pump.run()
    assert shop.users["ann"] is contexts[0].run(pb.current_call).perspective
    shop.attachments[0].detach()

    assert contexts[0].run(pb.current_call).perspective is None


@pytest.mark.parametrize("is_awaited", [True, False])
def test_hooks_are_told_who_it_was_that_left(is_awaited):
    """The audit log above all; and of the event that a hook has kept, later too."""
    calls = []

    class Ends(pb.Hooks):
        def call_ended(self, call):
            calls.append((call, call.names))

    shop = Shop()
    shop.users["ann"] = ann = Leaver("ann", shop)
    ann.perspective_name = "ann"
    pump = Pump(shop, registry=REGISTRY, hooks=Ends())
    reference = pump.call("enter", "ann")
    shop.attachments[0].scope.identity = "anna"
    calls.clear()
    (ask if is_awaited else send)(reference, "leave", "detach")
    pump.run()
    (found,) = [(call, names) for call, names in calls if call.side == "callee"]

    assert "answered" == found[0].outcome
    assert ("anna", "", "ann") == found[1] == found[0].names
