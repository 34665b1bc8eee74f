"""Three users of the backend, each over an own connection: `python -m examples.backend.client [url]`."""

import asyncio
import sys

import pb

from .shared import registry


class Ear(pb.Referenceable):
    """What a chatter hears; one can wait for a line."""

    def __init__(self, name):
        self.name = name
        self.lines = asyncio.Queue()

    def remote_hear(self, text):
        self.lines.put_nowait(text)

    async def until(self, text):
        while (line := await self.lines.get()) != text:
            pass
        print(f"{self.name} hears: {line}")


class User:
    """One login and what was attached with it."""

    def __init__(self, name):
        self.name = name
        self.ear = Ear(name)

    async def enter(self, url):
        self.connection = await pb.open_connection(url, registry=registry)
        self.identity = await self.connection.login(self.name, f"{self.name}'s password")
        self.shop = await self.identity.attach("shop")
        self.chat = await self.identity.attach("chat", client=self.ear)
        return self


async def main(url):
    async with asyncio.timeout(30):
        alice = await User("alice").enter(url)
        bob = await User("bob").enter(url)
        olga = await User("olga").enter(url)

        await alice.shop.put("lamp")
        await alice.shop.put("tea")
        await bob.shop.put("rope")
        for user in (alice, bob):
            basket = await user.shop.basket()
            print(f"{user.name}'s basket: {', '.join(item.name for item in basket)}")

        await bob.chat.say("is the lamp any good?")
        await alice.ear.until("bob: is the lamp any good?")

        try:
            await bob.identity.attach("admin")
        except pb.Forbidden:
            print("bob has no key for admin")

        admin = await olga.identity.attach("admin")
        await admin.kick("bob")
        await alice.ear.until("bob has left")
        try:
            await bob.shop.put("tea")
        except pb.Gone:
            print("bob was thrown out of the shop too; his connection is open:", bob.connection.is_open)
        print("still here:", ", ".join(await alice.chat.names()))

        for user in (alice, bob, olga):
            await user.connection.close()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8787"))
    except pb.LoginFailed:
        sys.exit("could not log in")
    except OSError as error:
        sys.exit(f"no server: {error}")
