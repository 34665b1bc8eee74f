"""Faults: what each does to a connection, and that it does the same each time."""

from __future__ import annotations

import asyncio

import pytest

import pb
from pb.aio import memory
from pb.testing import Network, pair, run


class Root(pb.Root):
    def __init__(self):
        self.seen = []
        self.gate = asyncio.Event()

    def remote_echo(self, value):
        return value

    def remote_note(self, value):
        self.seen.append(value)

    async def remote_wait(self):
        await self.gate.wait()
        return "waited"

    def remote_none(self, value):
        return None


def now():
    return asyncio.get_running_loop().time()


def faulty(act, **options):
    """Run `act(root object, client, server, ref, network)` over a network."""

    async def main():
        served = Root()
        async with pair(served, faulty=True, **options) as (client, server, root, network):
            return await act(served, client, server, root, network)

    return run(main())


def test_a_pair_is_both_ends_and_the_root():
    """The shortest way to two real brokers."""

    async def main():
        async with pair(Root(), client_root=Root()) as (client, server, root):
            assert 1 == await root.echo(1)
            assert 2 == await server.root.echo(2)
            assert client.root is root
            assert server.is_open
        assert not server.is_open

    run(main())


def test_without_faults_it_carries_everything_both_ways():
    """Large things too: what is under way is bounded, and nobody waits for ever."""

    async def act(served, client, server, root, network):
        big = bytes(range(256)) * 4096
        assert [big] * 3 == await asyncio.gather(*(root.echo(big) for _ in range(3)))
        (relay,) = network.connections
        assert relay.up.carried > 3 * len(big) < relay.down.carried
        await client.close()
        await asyncio.sleep(1)
        assert [] == network.connections

    faulty(act)


def test_a_partition_holds_everything_back_until_it_heals():
    """Nothing is lost and nobody is told, as with a cable that is pulled and put back."""

    async def act(served, client, server, root, network):
        network.partition()
        calls = [root.echo(n) for n in range(5)]
        await asyncio.sleep(10)
        assert not any(call.done() for call in calls)
        network.heal()
        assert list(range(5)) == await asyncio.gather(*calls)

    faulty(act)


def test_a_partition_may_be_of_one_direction():
    """The calls arrive, and the answers do not."""

    async def act(served, client, server, root, network):
        network.partition("down")
        call = root.note(1)
        await asyncio.sleep(10)
        assert [[1], False] == [served.seen, call.done()]
        network.heal()
        await call

    faulty(act)


def test_a_partition_holds_the_end_back_too():
    """Who closes behind it is not heard of before it heals."""

    async def act(served, client, server, root, network):
        network.partition()
        client.abort()
        await asyncio.sleep(10)
        assert server.is_open
        network.heal()
        await server.wait_closed()

    faulty(act)


def test_a_half_open_connection_is_found_out_by_both_sides():
    """In two intervals of silence, and what waited is settled."""

    async def act(served, client, server, root, network):
        waiting = root.wait()
        await asyncio.sleep(0.1)
        began = now()
        network.half_open()
        with pytest.raises(pb.OutcomeUnknown, match="silent"):
            await waiting
        await server.wait_closed()
        return now() - began

    limits = pb.Limits(idle_s=40.0, ping_after_s=15.0)
    assert faulty(act, limits=limits) <= 2 * 40.0


def test_delay_is_the_same_both_ways():
    """A round trip takes two."""

    async def act(served, client, server, root, network):
        network.delay(0.5)
        began = now()
        await root.echo(1)
        assert 1.0 == pytest.approx(now() - began)
        network.delay(0.25, 0.0, "up")
        began = now()
        await root.echo(1)
        assert 0.75 == pytest.approx(now() - began)

    faulty(act)


def test_jitter_keeps_the_order_of_a_connection_and_not_that_of_two():
    """What is independent may come in any order; the seed says in which."""

    async def main(seed):
        served = Root()
        async with pb.serve(served, "memory://jitter") as server, Network(server.url, seed=seed) as network:
            network.delay(0.01, 1.0)
            one, two = await pb.open_connection(network.url), await pb.open_connection(network.url)
            for number in range(20):
                one.root.note.send(("one", number))
                two.root.note.send(("two", number))
                await asyncio.sleep(0.05)
            await asyncio.gather(one.root.echo(1), two.root.echo(1))
            await one.close()
            await two.close()
        for name in ("one", "two"):
            assert list(range(20)) == [number for who, number in served.seen if who == name]
        return served.seen

    orders = [run(main(seed)) for seed in (1, 1, 2)]

    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_a_slow_reader_makes_the_writer_wait():
    """What is under way stays bounded, at the writer as in between."""

    async def act(served, client, server, root, network):
        network.slow(10_000, "up")
        began = now()
        sending = [root.none(b"x" * 100_000) for _ in range(10)]
        await asyncio.sleep(1)
        waiting = client.usage.bytes_waiting
        await asyncio.gather(*sending)
        assert 100 < now() - began < 105
        assert waiting > 65_536

    faulty(act, limits=pb.Limits(write_stall_s=1000.0, write_high_bytes=1 << 16, write_low_bytes=1 << 14))


@pytest.mark.parametrize(("size", "is_random"), [(1, False), (7, False), (40, True)])
def test_segments_arrive_one_by_one(size, is_random):
    """And say the same."""

    async def act(served, client, server, root, network):
        network.segment(size, is_random=is_random)
        assert {"a": [1, "two", b"three" * 50]} == await root.echo({"a": [1, "two", b"three" * 50]})

    faulty(act)


@pytest.mark.parametrize("ending", ["fin", "rst"])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_cut_ends_it_for_both(direction, ending):
    """After exactly so many bytes; what was called is settled."""

    async def act(served, client, server, root, network):
        (relay,) = network.connections
        carried = getattr(relay, direction).carried
        network.cut(carried + 9, direction, ending)
        calls = [root.note(n) for n in range(3)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {pb.OutcomeUnknown} == set(map(type, results))
        await server.wait_closed()
        assert carried + 9 == getattr(relay, direction).carried
        return len(served.seen)

    assert (0 if direction == "up" else 3) == faulty(act)


def test_a_cut_behind_what_has_passed_is_a_cut_now():
    """It need not wait for somebody to write."""

    async def act(served, client, server, root, network):
        network.cut(1, "up", "rst")
        await server.wait_closed()
        await client.wait_closed()

    faulty(act)


def test_after_fin_the_reader_is_still_heard():
    """Which a reset would have lost."""

    async def main(ending):
        served = Root()
        async with pair(served, faulty=True) as (_client, _server, root, network):
            await root.echo(0)
            (relay,) = network.connections
            network.partition("down")
            call = root.echo("said before the end")
            await asyncio.sleep(1)
            network.cut(relay.up.carried, "up", ending)
            await asyncio.sleep(1)
            network.heal()
            return await asyncio.gather(call, return_exceptions=True)

    assert ["said before the end"] == run(main("fin"))
    assert [pb.OutcomeUnknown] == list(map(type, run(main("rst"))))


def test_a_flipped_bit_is_one_wrong_bit():
    """Of the direction that was named."""

    async def act(served, client, server, root, network):
        await root.echo(0)
        (relay,) = network.connections
        payload = b"\0" * 100
        # The call's frame ends with the payload: a bit in it changes the value, and nothing else.
        start = relay.up.carried
        await root.echo(payload)
        size = relay.up.carried - start
        network.flip(8 * (relay.up.carried + size - 20) + 3, "up")
        return await root.echo(payload)

    assert 1 == sum(faulty(act).count(1 << bit) for bit in range(8))


def test_dropping_ends_what_there_is_and_refusing_what_would_be():
    """A server that dies, and is gone for a while."""

    async def act(served, client, server, root, network):
        network.drop()
        await client.wait_closed()
        network.refuse()
        with pytest.raises(OSError):
            await pb.open_connection(network.url)
        network.calm()
        async with pb.open_connection(network.url) as again:
            assert 1 == await again.root.echo(1)
            network.drop("fin")
            await again.wait_closed()

    faulty(act)


def test_a_server_that_is_not_there_is_refused_through_it_too():
    """As without it."""

    async def main():
        async with Network("memory://nobody") as network:
            with pytest.raises(OSError):
                await pb.open_connection(network.url)

    run(main())


def test_a_client_that_leaves_before_the_server_is_there_leaves_nothing():
    """Its connection to the server is closed as soon as there is one."""

    async def main():
        async with pb.serve(Root(), "memory://late") as server, Network(server.url) as network:
            transport = raw(network.url)
            transport.abort()
            await asyncio.sleep(1)
            assert [] == network.connections
            assert [] == server.connections

    def raw(url):
        name = url.removeprefix("memory://")
        transport, _ = memory.connect(name, asyncio.Protocol, asyncio.get_running_loop())
        return transport

    run(main())


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/", "wss://127.0.0.1:1/"])
def test_what_it_does_not_carry_is_refused(url):
    """With what it does."""
    with pytest.raises(ValueError, match="carries pb, pbs"):
        Network(url)


def test_there_are_two_directions():
    """A typing error must not mean both."""
    with pytest.raises(ValueError, match="'up' or 'down'"):
        Network("memory://x").partition("upwards")


@pytest.mark.parametrize("scheme", ["pb", "pbs", "pb+unix"])
def test_it_stands_before_sockets_too(scheme, tmp_path):
    """On the loop of every day; a key is still the server's own."""
    from ..aio.loops import Place
    from ..aio.loops import run as run_for_real

    async def main():
        place = Place(scheme, tmp_path)
        async with place.serve(Root()) as server, Network(server.url) as network:
            network.segment(3)
            async with pb.open_connection(network.url) as connection:
                assert "through" == await connection.root.echo("through")
                network.drop()
                await connection.wait_closed()

    run_for_real(main())


def test_a_frame_that_is_longer_than_it_should_be_is_found_out():
    """One flipped bit in a length: what follows is taken for the rest of it, signs of life too."""

    async def act(served, client, server, root, network):
        await root.echo(0)
        (relay,) = network.connections
        network.flip(8 * (relay.down.carried + 1), "down")  # 65,536 bytes longer
        began = now()
        with pytest.raises(pb.OutcomeUnknown, match="silent"):
            await root.echo("x")
        return now() - began

    limits = pb.Limits(idle_s=40.0, ping_after_s=15.0)
    assert faulty(act, limits=limits) <= 3 * 40.0


def test_a_long_frame_over_a_slow_network_is_not_silence():
    """It takes minutes, and every look finds more of it."""

    async def act(served, client, server, root, network):
        network.slow(200, "down")
        return len(await root.echo(b"x" * 60_000))

    assert 60_000 == faulty(act, limits=pb.Limits(idle_s=40.0, ping_after_s=15.0, write_stall_s=1_000.0))
