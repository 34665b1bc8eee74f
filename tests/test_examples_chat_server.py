"""The server of the chat, by clients that are no page: what it allows, and what it does with the rest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import cred
import pb
from examples.chat.checks import MAX_TEXT
from examples.chat.participant import MAX_WINDOWS, Chat
from examples.chat.rooms import MAX_REMEMBERED, MAX_ROOMS, MAX_ROOMS_OF_ONE
from examples.chat.wire import Message, Refused, registry

LIMIT_S = 20
PASSWORD = "not worth an attack"
HASH = cred.PasswordHash.of(PASSWORD, iterations=4096)
NAMES = ("alice", "bob", *(f"guest{number}" for number in range(9)))


class Ear(pb.Referenceable):
    """What a page is to the server."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[str, Message]] = asyncio.Queue()

    def remote_hear(self, room: str, message: Message) -> None:
        self.heard.put_nowait((room, message))

    async def next(self) -> tuple[str, str, str]:
        room, message = await self.heard.get()
        return room, message.author, message.text


class Town:
    """A running chat, and a way in."""

    def __init__(self, stack: contextlib.AsyncExitStack, now: list[float]) -> None:
        self._stack = stack
        self.now = now
        self.application = pb.Application("chat", registry=registry)
        self.chat = Chat("chat", self.application, clock=lambda: now[0])
        for name in NAMES:
            self.application.authorizer.declare_identity(name, HASH, keys=[("chat", name)])
        self.application.listen("memory://chat")

    async def window(self, name: str) -> tuple[Any, Ear, Any]:
        """Return a perspective, what it calls back, and the connection, which closes in the end."""
        connection = await self._stack.enter_async_context(
            pb.open_connection("memory://chat", registry=registry)
        )
        identity = await connection.login(name, PASSWORD)
        ear = Ear()
        return await identity.attach("chat", client=ear), ear, connection


def in_town(use: Callable[[Town], Awaitable[None]]) -> None:
    """Run a test with a chat."""

    async def main() -> None:
        async with asyncio.timeout(LIMIT_S), contextlib.AsyncExitStack() as stack:
            town = Town(stack, [100.0])
            async with town.application.running():
                await use(town)
                await stack.aclose()
            assert {} == town.chat.windows
            assert {"lobby": 0, "garden": 0, "workshop": 0} == dict(town.chat.house.directory.rooms)

    asyncio.run(main())


def test_two_windows_of_a_user_are_one_person():
    """Both hear; the person is gone with the last of them, and away where one of them says so."""

    async def use(town: Town) -> None:
        one, first, _ = await town.window("alice")
        two, second, other = await town.window("alice")
        bob, _, _ = await town.window("bob")
        for window in (one, two):
            await window.enter("lobby")
        entered = await bob.enter("lobby")
        roster = entered["roster"]
        assert {"alice": "here", "bob": "here"} == roster.people
        await entered["room"].say("hello")
        assert ("lobby", "bob", "hello") == await first.next() == await second.next()

        await two.set_status("away")
        await bob.directory()  # an update is there before the answer to what was asked later
        assert "away" == roster.people["alice"]
        await other.close()
        await bob.directory()
        assert {"alice", "bob"} == set(roster.people)
        await one.leave("lobby")
        await bob.directory()
        assert {"bob"} == set(roster.people)

    in_town(use)


def test_who_enters_later_is_told_what_was_said_of_late():
    """In order, from those who said it, and not more than is kept."""

    async def use(town: Town) -> None:
        alice, _, _ = await town.window("alice")
        room = (await alice.enter("garden"))["room"]
        for number in range(MAX_REMEMBERED + 5):
            town.now[0] += 1.0
            await room.say(f" line {number} ")
        bob, _, _ = await town.window("bob")
        said = (await bob.enter("Garden"))["said"]
        assert [f"line {number}" for number in range(5, MAX_REMEMBERED + 5)] == [each.text for each in said]
        assert {"alice"} == {each.author for each in said}
        assert all(each.at.utcoffset() is not None for each in said)

    in_town(use)


@pytest.mark.parametrize("text", [None, 7, b"x", "", " \n ", "x" * (MAX_TEXT + 1), ["x"], {"x": 1}])
def test_what_cannot_be_said_is_refused_in_words(text):
    """As itself, so that a page can show it; and nobody hears any of it."""

    async def use(town: Town) -> None:
        alice, ear, _ = await town.window("alice")
        room = (await alice.enter("lobby"))["room"]
        with pytest.raises(Refused):
            await room.say(text)
        await room.say("after it")
        assert ("lobby", "alice", "after it") == await ear.next()

    in_town(use)


@pytest.mark.parametrize(
    "name", [None, 7, "", "  ", "a" * 33, "a" * 10_000, "<b>", "../x", "a\u202eb", "a\nb\x00", "__proto__"]
)
def test_what_is_no_name_of_a_room_is_refused(name):
    """It is shown to all, and a name that looks like another could deceive them."""

    async def use(town: Town) -> None:
        alice, _, _ = await town.window("alice")
        for method in (alice.enter, alice.leave):
            with pytest.raises(Refused):
                await method(name)

    in_town(use)


def test_nobody_speaks_where_one_is_not():
    """A view that was kept is worth nothing after one has left; one's own reference is not another's."""

    async def use(town: Town) -> None:
        alice, _, _ = await town.window("alice")
        room = (await alice.enter("attic"))["room"]
        await room.say("here")
        await alice.leave("attic")
        with pytest.raises(Refused, match="not in the attic any more"):
            await room.say("there")
        await alice.leave("attic")  # again: it does nothing
        with pytest.raises(Refused):
            await alice.set_status("hidden")
        with pytest.raises(pb.NoSuchMethod):
            await alice.hear("lobby", "x")

    in_town(use)


def test_who_talks_too_fast_has_to_wait():
    """However many windows that one has."""

    async def use(town: Town) -> None:
        rooms = [(await (await town.window("alice"))[0].enter("lobby"))["room"] for _ in range(2)]
        for number in range(20):
            await rooms[number % 2].say("x")
        for room in rooms:
            with pytest.raises(Refused, match="Not so fast"):
                await room.say("x")
        town.now[0] += 0.5  # of 20 lines in 10 s that is one
        await rooms[0].say("x")
        with pytest.raises(Refused, match="Not so fast"):
            await rooms[0].say("x")

    in_town(use)


def test_who_comes_back_has_no_fresh_lines_and_is_forgotten_in_the_end():
    """Else signing in again would be the way to talk as fast as one likes."""

    async def use(town: Town) -> None:
        window, _, connection = await town.window("alice")
        room = (await window.enter("lobby"))["room"]
        for _ in range(20):
            await room.say("x")
        await connection.close()
        window, _, connection = await town.window("alice")
        room = (await window.enter("lobby"))["room"]
        with pytest.raises(Refused, match="Not so fast"):
            await room.say("x")
        town.now[0] += 10.0
        await connection.close()
        _, _, other = await town.window("bob")
        await other.close()
        _, _, _ = await town.window("bob")
        assert {"bob"} == set(town.chat._people)

    in_town(use)


def test_nobody_uses_up_the_rooms_or_the_windows():
    """What one user may have is bounded below what there is for all."""

    async def use(town: Town) -> None:
        windows = [await town.window("alice") for _ in range(MAX_WINDOWS)]
        with pytest.raises(pb.Forbidden, match="windows of yours already"):
            await town.window("alice")
        for number in range(MAX_ROOMS_OF_ONE):
            await windows[number % 2][0].enter(f"room {number}")
        with pytest.raises(Refused, match="12 rooms already"):
            await windows[3][0].enter("one more")
        await windows[3][0].enter("room 0")  # another window of the same person

        for guest in NAMES[1:]:
            windows.append(await town.window(guest))
            window = windows[-1][0]
            for number in range(MAX_ROOMS_OF_ONE):
                if len(town.chat.house.rooms) == MAX_ROOMS:
                    with pytest.raises(Refused, match="as many rooms as there may be"):
                        await window.enter("one too many")
                    return
                await window.enter(f"{guest} {number}")
        raise AssertionError("there was no end of rooms")

    in_town(use)


def test_a_client_that_hears_nothing_is_refused():
    """Nobody would ever tell that it is there."""

    async def use(town: Town) -> None:
        async with pb.open_connection("memory://chat", registry=registry) as connection:
            identity = await connection.login("alice", PASSWORD)
            with pytest.raises(pb.Forbidden, match="method `hear`"):
                await identity.attach("chat")

    in_town(use)
