"""Events on asyncio: a slow subscriber holds up nobody."""

from __future__ import annotations

import asyncio

import pytest

import pb

from .loops import run


class Hub(pb.Root):
    def __init__(self):
        self.listeners = {}
        self.seen = []

    def remote_subscribe(self, name, callback, policy):
        self.listeners[name] = pb.events(callback, policy, max_queued=4, window=1)


class Listener(pb.Referenceable):
    def __init__(self):
        self.seen = []
        self.gate = asyncio.Event()

    async def remote_hear(self, value):
        self.seen.append(value)
        await self.gate.wait()


def test_event_policy_of_a_slow_subscriber_is_nobody_elses_matter(place, loop):
    """Two subscribers, one of which never answers until the end."""

    async def main():
        hub = Hub()
        async with place.serve(hub) as server, pb.open_connection(server.url) as connection:
            slow, quick = Listener(), Listener()
            quick.gate.set()
            await connection.root.subscribe("slow", slow, "latest")
            await connection.root.subscribe("quick", quick, "wait")
            for number in range(200):
                assert None is hub.listeners["slow"].hear(number)
                await hub.listeners["quick"].hear(number)
            await pb.events_delivered(hub.listeners["quick"])
            assert list(range(200)) == quick.seen
            assert 1 == pb.event_usage(hub.listeners["slow"]).unanswered
            slow.gate.set()
            await pb.events_delivered(hub.listeners["slow"])
            assert [0, 199] == slow.seen
            assert 198 == pb.event_usage(hub.listeners["slow"]).dropped

    run(main(), loop)


def test_event_policy_wait_makes_the_sender_wait_and_wakes_it_at_the_end(loop):
    """Ten senders, a queue of four, and then the subscriber is lost."""

    async def main():
        hub = Hub()
        async with pb.serve(hub, "memory://events") as server:
            connection = await pb.open_connection(server.url)
            listener = Listener()
            await connection.root.subscribe("one", listener, "wait")
            listen = hub.listeners["one"]
            senders = [asyncio.create_task(listen.hear(number)) for number in range(10)]
            await asyncio.sleep(0)
            assert 5 == sum(sender.done() for sender in senders)
            assert 4 == pb.event_usage(listen).queued
            senders[5].cancel()
            connection.abort()
            outcomes = await asyncio.gather(*senders, return_exceptions=True)
            assert [type(None)] * 5 + [asyncio.CancelledError] == [type(each) for each in outcomes[:6]]
            assert all(isinstance(each, pb.ConnectionLost) for each in outcomes[6:])
            with pytest.raises(pb.ConnectionLost):
                await listen.hear(1)
            await pb.events_delivered(listen)

    run(main(), loop)


def test_event_policy_is_checked_when_it_is_chosen(loop):
    """A name that is misspelt would otherwise wait for ever."""

    async def main():
        async with (
            pb.serve(Hub(), "memory://events") as server,
            pb.open_connection(server.url) as connection,
        ):
            with pytest.raises(ValueError, match="wait, drop_oldest, latest, not 'lastest'"):
                pb.events(connection.root, "lastest")
            with pytest.raises(ValueError, match="at least 1, not 0 and 16"):
                pb.events(connection.root, max_queued=0)
            with pytest.raises(TypeError, match="not a Hub"):
                pb.events(Hub())
            with pytest.raises(AttributeError):
                _ = pb.events(connection.root)._private

    run(main(), loop)
