"""One conversation over networks that hold back, mix up and falsify, on a loop whose clock is told."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

import cred
import jelly
import pb
from pb.testing import Census, Network, assert_clean, run

from ...sizes import exhaustive, sized
from ..aio.loops import Place
from ..aio.loops import run as run_for_real
from ..auth.doors import PASSWORD
from ..auth.rooms import Client, House

SEEDS = range(*map(int, os.environ.get("PB_FAULTS_SEEDS", sized("0:4", "0:12")).split(":")))
FLIPS = int(os.environ.get("PB_FAULTS_FLIPS", sized("16", "150")))
# What may come of a connection on which bits are wrong: each says something.
TYPED = (pb.Error, jelly.JellyError, cred.CredError, OSError, TypeError)


async def conversation(url):
    """Log in, attach, call, be called, hand out; return what came of it."""
    async with pb.open_connection(url) as connection:
        identity = await connection.login("alice", PASSWORD)
        client = Client()
        user = await identity.attach("chat", "alice", client)
        room, thing = await asyncio.gather(user.room(), user.thing())
        said = [await room.who(), await thing.poke(), await user.take(client), await user.take([thing])]
        said += await asyncio.gather(*(user.who() for _ in range(20)))
        keys = await identity.keys()
    assert_clean(connection)
    return [said, keys]


EXPECTED = [
    ["alice", "poked", "Reference", "list", *["alice"] * 20],
    [("chat", "alice"), ("chat", "ops")],
]


def over(act, seed=0):
    """Run `act(house, network)` and check that the server is left as it was."""

    async def main():
        house = House()
        await house.fill()
        async with house.serve(f"weather-{seed}") as server, Network(server.url, seed=seed) as network:
            result = await act(house, network)
            network.drop()
            async with asyncio.timeout(600):
                while server._places or not house.is_empty():  # noqa: ASYNC110 - others change it
                    await asyncio.sleep(1)
        assert house.chat.seen.count(("attached", "alice")) == house.chat.detached_count()
        await house.authorizer.close()
        return result

    return run(main())


@exhaustive
@pytest.mark.parametrize("seed", SEEDS)
def test_a_conversation_comes_out_the_same_in_any_weather(seed):
    """Delays, jitter, segments, slowness and partitions that heal: each seed another mixture."""

    async def act(house, network):
        chance = random.Random(seed)
        network.delay(chance.random(), chance.choice([0.0, 0.5]))
        network.segment(chance.choice([0, 1, 7, 100]), is_random=chance.random() < 0.5)
        network.slow(chance.choice([0, 2_000, 50_000]))

        async def flaps():
            while True:
                await asyncio.sleep(chance.random())
                network.partition(*chance.choice([(), ("up",), ("down",)]))
                await asyncio.sleep(chance.random())
                network.heal()

        flapping = asyncio.create_task(flaps())
        try:
            return await conversation(network.url)
        finally:
            flapping.cancel()
            network.heal()

    assert EXPECTED == over(act, seed)


@exhaustive
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_flipped_bit_is_an_error_that_says_something_or_nothing_at_all(direction, caplog):
    """Never a hang, a crash of the server, or something left behind; without TLS a value may be another."""
    caplog.set_level("CRITICAL", "pb")
    caplog.set_level("CRITICAL", "cred")
    sizes = []

    async def whole(house, network):
        task = asyncio.ensure_future(conversation(network.url))
        relays = []
        while not task.done():
            relays = network.connections or relays
            await asyncio.sleep(0)
        sizes.append(8 * getattr(relays[0], direction).carried)
        return await task

    over(whole)
    chance = random.Random(direction)
    bits = sorted(chance.sample(range(sizes[0]), min(FLIPS, sizes[0])))

    async def flipped(house, network, bit):
        network.flip(bit, direction)
        try:
            async with pb.deadline(60):  # an id that has become 0 asks for no answer, and none comes
                await conversation(network.url)
        except TYPED as error:
            return str(error)
        return ""

    for bit in bits:
        try:
            over(lambda house, network, bit=bit: flipped(house, network, bit), seed=bit)
        except BaseException as error:
            raise AssertionError(f"bit {bit} {direction}: {error!r}") from error


def test_a_flipped_bit_under_tls_never_reaches_anybody(tmp_path):
    """It ends the connection, whatever bit it is, and nothing else happens."""

    class Root(pb.Root):
        def remote_echo(self, value):
            return value

    async def main():
        place = Place("pbs", tmp_path)
        limits = pb.Limits(idle_s=1.0, ping_after_s=0.25)  # a wrong length in a record looks like silence
        async with place.serve(Root(), limits=limits) as server, Network(server.url) as network:
            chance = random.Random(1)
            for direction in ("up", "down"):
                for _ in range(5):
                    network.calm()
                    connection = await pb.open_connection(network.url, limits=limits)
                    assert "x" == await connection.root.echo("x")
                    # In what follows: a call, or its answer. No two handshakes are of the same length.
                    relay = network.connections[-1]
                    network.flip(8 * getattr(relay, direction).carried + chance.randrange(40), direction)
                    with pytest.raises(pb.ConnectionLost):
                        await connection.root.echo("x" * 30)
                    await connection.close()

    run_for_real(main())


def test_a_storm_of_clients_comes_back_after_the_server_was_lost():
    """Forty connections are lost at once and made again: none is left over, on either side."""

    async def act(house, network):
        before = Census.take()
        for _ in range(3):
            connections = await asyncio.gather(*(_opened(network.url) for _ in range(40)))
            network.drop()
            await asyncio.gather(*(each.wait_closed() for each in connections))
            assert_clean(*connections)
            del connections
            await asyncio.sleep(10)
        return Census.take().tasks - before.tasks

    assert 0 == over(act)


async def _opened(url):
    connection = await pb.open_connection(url)
    identity = await connection.login("alice", PASSWORD)
    await identity.attach("chat", "alice")
    return connection
