"""Limits of time and of what waits for the network: just within, and just over. By a clock that is told."""

from __future__ import annotations

import asyncio

import pytest

import pb
from pb.limits import tick_interval_s
from pb.testing import Network, pair
from pb.testing import run as run_by_clock
from pb.wire.stranger import LOGIN_TIMEOUT_S

from ..auth.doors import PASSWORD
from ..auth.rooms import House
from ..pump import frame, packed

LITTLE_S = 0.01
PATIENT = {"idle_s": 0, "ping_after_s": 1e6, "write_stall_s": 1e6}


class Root(pb.Root):
    def remote_echo(self, value):
        return value

    async def remote_work(self, seconds):
        await asyncio.sleep(seconds)
        return "done"

    def remote_keep(self, callback):
        self.callback = callback


class Sink(pb.Referenceable):
    def remote_note(self, value):
        pass


async def opened_after(url, network, held, seconds, **limits):
    """Connect over a network that holds one direction back for so long; return what comes of it."""
    network.partition(held)
    asyncio.get_running_loop().call_later(seconds, network.heal)
    try:
        async with pb.open_connection(url, limits=pb.Limits(**limits)) as connection:
            return await connection.root.echo("ok")
    except TimeoutError:
        return "local error"
    except pb.ConnectionLost:
        return "close"


async def hello_timeout(over):
    async with (
        pb.serve(Root(), "memory://limit-hello", limits=pb.Limits(hello_timeout_s=5)) as server,
        Network(server.url) as network,
    ):
        wait_s = 5 + (LITTLE_S if over else -LITTLE_S)
        return await opened_after(network.url, network, "up", wait_s, hello_timeout_s=100)


async def connect_timeout(over):
    async with pb.serve(Root(), "memory://limit-connect") as server, Network(server.url) as network:
        wait_s = 5 + (LITTLE_S if over else -LITTLE_S)
        limits = {"hello_timeout_s": 100, "connect_timeout_s": 5}
        return await opened_after(network.url, network, "down", wait_s, **limits)


async def silence(over):
    """What is looked at now and then is noticed so much later."""
    limits = pb.Limits(idle_s=20, ping_after_s=1e6)
    async with pair(Root(), limits=limits, faulty=True) as (_, _, root, network):
        assert "ok" == await root.echo("ok")
        network.partition()
        await asyncio.sleep(20 + (tick_interval_s(limits, limits) + LITTLE_S if over else -LITTLE_S))
        network.heal()
        try:
            return await root.echo("ok")
        except pb.ConnectionLost as error:
            assert "silent for 2" in str(error)
            return "BYE 7"


async def quiet(over):
    """Nothing is said before, and something is soon after."""
    limits = pb.Limits(idle_s=0, ping_after_s=20)
    async with pair(Root(), limits=limits, faulty=True) as (_, _, root, network):
        assert "ok" == await root.echo("ok")
        (relay,) = network.connections
        before = relay.up.carried
        await asyncio.sleep(20 + (2 * tick_interval_s(limits, limits) + LITTLE_S if over else -LITTLE_S))
        return "ok" if relay.up.carried == before else "PING"


async def drain(over):
    async with pair(Root(), limits=pb.Limits(drain_s=5)) as (_, server, root):
        working = root.work(5 + (LITTLE_S if over else -LITTLE_S))
        await root.echo("begun")
        await server.close()
        try:
            return "ok" if "done" == await working else "?"
        except pb.OutcomeUnknown:
            return "close"


async def hang(over):
    """The BYE of ours does not arrive, and nothing else is awaited."""
    async with pair(Root(), limits=pb.Limits(bye_answer_s=5), faulty=True) as (_, server, root, network):
        await root.echo("begun")
        network.partition("down")
        loop = asyncio.get_running_loop()
        loop.call_later(5 + (LITTLE_S if over else -LITTLE_S), network.heal)
        began = loop.time()
        await server.close()
        return "ok" if loop.time() - began < 5 else "close"


async def stall(over):
    """Of a peer that reads nothing; that is looked at now and then."""
    limits = pb.Limits(**PATIENT | {"write_stall_s": 9.0}, write_high_bytes=1000, write_low_bytes=100)
    root = Root()
    async with pair(root, limits=limits, client_limits=pb.Limits(**PATIENT)) as (client, server, remote):
        await remote.keep(Sink())
        client._link.transport.pause_reading()
        root.callback.note.send(bytes(2000))
        await asyncio.sleep(9 + (tick_interval_s(limits, None) + LITTLE_S if over else -LITTLE_S))
        return await what_became(client, server)


async def what_became(client, server):
    """Let a client read again; return whether the connection goes on, or why it does not."""
    if server._link.broker.error is not None:
        return f"BYE {server._link.broker.error.code}"
    client._link.transport.resume_reading()
    return await client.root.echo("ok")


def let_wait(server, callback, size):
    """Let exactly so many bytes wait for a peer that does not read, queued in one turn."""
    link = server._link
    around = len(frame([1, 0, callback._pb_import.id, "note", packed([[bytes(40_000)], {}])])) - 40_000
    whole = 40_000 + around
    sizes = [40_000] * max(0, size // whole - 1)
    sizes.append(size - sum(sizes) - around * len(sizes) - around)
    assert all(300 < each < 65_536 for each in sizes)
    for each in sizes:
        callback.note.send(bytes(each))
    link.write_now()
    return None if link.transport.is_closing() else link.transport.get_write_buffer_size()


async def high_water(over):
    limits = pb.Limits(**PATIENT, write_high_bytes=5000, write_low_bytes=1000)
    root = Root()
    async with pair(root, limits=limits, client_limits=pb.Limits(**PATIENT)) as (client, server, remote):
        await remote.keep(Sink())
        assert (1000, 5000) == server._link.transport.get_write_buffer_limits()
        client._link.transport.pause_reading()
        assert 5000 + over == let_wait(server, root.callback, 5000 + over)
        await asyncio.sleep(1)
        held = server._link.broker.calls.is_held
        client._link.transport.resume_reading()
        await asyncio.sleep(1)
        assert not server._link.broker.calls.is_held
        return "producers wait" if held else "ok"


async def most_waiting(over):
    limits = pb.Limits(
        **PATIENT | {"ping_after_s": 3},
        max_frame=100_000,
        write_max_bytes=300_000,
        write_high_bytes=290_000,
        write_low_bytes=100,
    )
    root = Root()
    async with pair(root, limits=limits, client_limits=pb.Limits(**PATIENT)) as (client, server, remote):
        await remote.keep(Sink())
        client._link.transport.pause_reading()
        assert (None if over else 300_000) == let_wait(server, root.callback, 300_000 + over)
        await asyncio.sleep(0.5)
        return await what_became(client, server)


async def time_to_log_in(over):
    house = House()
    await house.fill()
    async with house.serve("limit-login") as server, pb.open_connection(server.url) as connection:
        (there,) = server.connections
        await asyncio.sleep(LOGIN_TIMEOUT_S + (LITTLE_S if over else -LITTLE_S))
        if there._link.broker.error is not None:
            return f"BYE {there._link.broker.error.code}"
        assert "alice" == (await connection.login("alice", PASSWORD)).name
        return "ok"


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (hello_timeout, "close"),
        (connect_timeout, "local error"),
        (silence, "BYE 7"),
        (quiet, "PING"),
        (drain, "close"),
        (hang, "close"),
        (stall, "BYE 6"),
        (high_water, "producers wait"),
        (most_waiting, "BYE 6"),
        (time_to_log_in, "BYE 8"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_as_long_as_a_limit_says_is_waited_and_no_longer(act, expected):
    """An honest peer may take all of it."""
    assert "ok" == run_by_clock(act(False))
    assert expected == run_by_clock(act(True))
