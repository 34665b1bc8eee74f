"""A shop with a user who is put out: what the tests of attachments that end share."""

from __future__ import annotations

from .cached import REGISTRY, Shop, User
from .pump import Cancelled, Gate, Pump


class Waiting(User):
    """Has methods that wait, and tell how they ended."""

    async def perspective_wait(self, value="a secret"):
        try:
            await self.shop.gate
        except Cancelled:
            self.shop.ended.append("stopped")
            raise
        return value

    async def perspective_deaf(self):
        try:
            await self.shop.gate
        except Cancelled:
            await self.shop.other
        return "a secret"

    async def perspective_fail_when_stopped(self):
        try:
            await self.shop.gate
        finally:
            raise ZeroDivisionError

    async def perspective_leave(self):
        self.shop.attachments[0].detach()
        await self.shop.other
        self.shop.ended.append("left")

    async def perspective_ask(self, reference):
        return await reference.wait()


def enter(shop=None, step=None, **options):
    """Return a shop, its pump, and ann's perspective."""
    shop = shop or Shop()
    shop.other = Gate()
    shop.users["ann"] = Waiting("ann", shop)
    pump = Pump(shop, registry=REGISTRY, step=step, **options)
    return shop, pump, pump.call("enter", "ann")


def call(pump, reference, name, *args):
    outcome = getattr(reference, name)(*args)
    pump.run()
    return outcome.result()


def detach(shop, pump, number=0):
    shop.attachments[number].detach()
    pump.run()
