"""One player: `python -m examples.gameroom.client knight|wizard [url]`."""

import asyncio
import sys
from typing import Any

import pb

from . import shared

registry = pb.Registry()
registry.include(shared.registry)


@registry.cacheable("gameroom.Crowd")
class Crowd(pb.RemoteCache):
    """The replica of who is in the room."""

    names: list[str]

    def post_unjelly(self) -> None:
        """Be complete: no constructor runs for what comes from a peer."""
        self.news = asyncio.Event()

    def observe_came(self, name: str) -> None:
        self.names.append(name)
        self.news.set()
        say(f"the {name} comes")

    def observe_went(self, name: str) -> None:
        self.names.remove(name)
        self.news.set()
        say(f"the {name} goes")

    async def until(self, name: str, is_here: bool) -> None:
        while (name in self.names) != is_here:
            await self.news.wait()
            self.news.clear()


class Senses(pb.Referenceable):
    """What the room calls when a player sees something without having looked."""

    def __init__(self) -> None:
        self.shown: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def remote_show(self, things: dict[str, Any]) -> None:
        self.shown.put_nowait(things)


def say(*words: object) -> None:
    print(f"{NAME}:", *words, flush=True)


async def look_at(things: dict[str, Any]) -> None:
    for name, thing in things.items():
        sight = await thing.look()
        say(f"the {name}:", sight.text)


async def play_knight(me: Any, crowd: Crowd, senses: Senses) -> None:
    things = await me.look_around()
    await look_at(things)
    say("the runes on the lamp:", (await things["lamp"].look()).runes)

    say("waits for a miracle")
    more = await senses.shown.get()
    say("it is the same ivy:", more["ivy"] is things["ivy"])
    await look_at(more)
    try:
        await more["wizard"].enchant()
    except shared.NotNow as error:
        say("is told:", error)
    say("the runes on the lamp:", (await more["lamp"].look()).runes)


async def play_wizard(me: Any, crowd: Crowd, senses: Senses) -> None:
    await crowd.until("knight", is_here=True)
    things = await me.look_around()
    await look_at(things)
    say("the runes on the lamp:", (await things["lamp"].look()).runes)

    say("puts a spell on the knight")
    await things["knight"].enchant()
    await crowd.until("knight", is_here=False)


PLAYS = {"knight": play_knight, "wizard": play_wizard}


async def main(url: str) -> None:
    async with pb.open_connection(url, registry=registry) as connection:
        senses = Senses()
        me = await connection.root.join(NAME, senses)
        crowd = await me.get_crowd()
        say("in the room:", ", ".join(crowd.names))
        play = asyncio.create_task(PLAYS[NAME](me, crowd, senses))
        pb.on_disconnect(me, lambda me: play.cancel())  # who waits to be called would wait for ever
        await play


if __name__ == "__main__":
    NAME = sys.argv[1] if len(sys.argv) > 1 else "knight"
    if NAME not in PLAYS:
        sys.exit(f"no such part; there are: {', '.join(PLAYS)}")
    try:
        asyncio.run(main(sys.argv[2] if len(sys.argv) > 2 else "pb://127.0.0.1:8791"))
    except (OSError, shared.NotNow) as error:
        sys.exit(f"no room: {error}")
    except asyncio.CancelledError:
        sys.exit("no room: the connection to it was lost")
