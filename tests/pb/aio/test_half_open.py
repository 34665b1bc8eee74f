"""Peers that are not there any more without having said so, by a clock that the tests turn."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

import jelly
import pb
from pb.testing import Clock, pair
from pb.testing import run as run_by_clock

from ..auth.doors import PASSWORD
from ..auth.rooms import House
from .loops import run

REGISTRY = jelly.Registry()


@REGISTRY.cacheable("test.Board", from_clients=True)
class Board(pb.Cacheable, pb.RemoteCache):
    def __init__(self):
        self.ended = []

    def get_state_to_cache_and_observe_for(self, perspective, observer):
        return {}

    def set_copyable_state(self, state):
        pass

    def stopped_observing(self, perspective, observer):
        self.ended.append(asyncio.get_running_loop().time())


class Root(pb.Root):
    def __init__(self):
        self.board = Board()
        self.cut = []

    def remote_board(self):
        return self.board

    def remote_keep(self, callback):
        pb.on_disconnect(callback, lambda reference: self.cut.append(asyncio.get_running_loop().time()))
        self.callback = callback

    async def remote_work(self, seconds):
        await asyncio.sleep(seconds)
        return "done"


@pytest.mark.parametrize("silent_after_s", [0.0, 7.0, 29.9, 31.0, 100.0])
def test_half_open_connections_are_found_by_both_sides_in_two_intervals(silent_after_s):
    """What waits is settled, observers are told, disconnect callbacks run: on both sides, in 60 seconds."""
    limits = pb.Limits()

    async def main():
        root = Root()
        told = []
        loop = asyncio.get_running_loop()
        async with pair(root, registry=REGISTRY, limits=limits, faulty=True) as (_client, _, remote, network):
            board = await remote.board()
            await remote.keep(pb.Referenceable())
            pb.on_disconnect(remote, lambda reference: told.append(loop.time()))
            waiting = remote.work(10_000)
            await asyncio.sleep(silent_after_s)
            network.half_open()
            began = loop.time()
            with pytest.raises(pb.OutcomeUnknown, match="silent for"):
                await waiting
            await asyncio.sleep(2 * limits.ping_after_s - (loop.time() - began))
            assert pb.is_stale(board)
            found = [*told, *root.cut, *root.board.ended]
            assert 3 == len(found)
            assert all(limits.idle_s <= at - began + limits.ping_after_s for at in found)
            assert all(at - began <= 2 * limits.ping_after_s for at in found)

    run_by_clock(main())


class Guest(pb.Referenceable):
    """A client object that offers what a server does: a cache, and a perspective of its own."""

    def __init__(self):
        self.board = Board()
        self.held = None
        self.ended = []

    def remote_board(self):
        return self.board

    def remote_hold(self, replica):
        self.held = replica

    def remote_enter(self):
        return pb.current_call().attach(self, lambda: self.ended.append(asyncio.get_running_loop().time()))

    def perspective_work(self):
        return asyncio.Event().wait()


@pytest.mark.parametrize("directions", [(), ("up",), ("down",)], ids=["both", "up", "down"])
def test_half_open_ends_logins_attachments_and_observers_on_both_sides(directions, caplog):
    """`detached` and `stopped_observing` run once each, whichever side offers what the other one has, and
    whichever way was lost: in two intervals."""
    limits = pb.Limits()

    async def main():
        loop = asyncio.get_running_loop()
        house, guest, board, there = House(), Guest(), Board(), []
        await house.fill()
        house.chat.on_attach = lambda user, client: there.append(client)
        async with pair(house.application.root, registry=REGISTRY, faulty=True) as ends:
            connection, _, _, network = ends
            identity = await connection.login("alice", PASSWORD)
            alice = await identity.attach("chat", client=guest)
            replica, member = await there[0].board(), await there[0].enter()
            await there[0].hold(board)
            working = member.work()
            await asyncio.sleep(1)
            network.half_open(*directions)
            began = loop.time()
            await asyncio.sleep(2 * limits.ping_after_s)
            assert [("attached", "alice"), ("detached", "alice")] == house.chat.seen
            assert {} == house.application.root.attachments
            for times in (board.ended, guest.board.ended, guest.ended):
                (at,) = times
                assert at - began <= 2 * limits.ping_after_s
            assert pb.is_stale(replica) and pb.is_stale(guest.held)
            with pytest.raises(pb.OutcomeUnknown):
                await working
            for dead in (alice.who, there[0].board, member.work):
                with pytest.raises(pb.DeadReference):
                    await dead()
            await asyncio.sleep(600)
            assert [1, 1, 1] == [len(each) for each in (board.ended, guest.board.ended, guest.ended)]
            assert 1 == house.chat.detached_count()

    run_by_clock(main())


def test_half_open_is_not_what_a_busy_peer_is():
    """A call may take an hour: the peer answers for itself meanwhile, as a handler in a thread lets it."""

    async def main():
        async with pair(Root()) as (_, _, remote):
            assert "done" == await remote.work(3600)

    run_by_clock(main())


@pytest.mark.parametrize("seconds", [45, 60, 600])
def test_half_open_is_not_what_a_loop_finds_that_was_held_up(seconds):
    """A handler that blocks, or a process that was stopped: what came meanwhile is read before it judges."""
    clock = Clock()

    async def main():
        async with pair(Root(), faulty=True) as (client, _, remote, network):

            def held_up():
                clock.advance(seconds)  # nothing runs meanwhile
                network.heal()  # what was said before lies there, and is read in the turns to come

            asyncio.get_running_loop().call_later(17, network.partition)
            asyncio.get_running_loop().call_later(26, held_up)  # after a look, before the next
            await asyncio.sleep(27)
            await asyncio.sleep(200)
            assert client.is_open
            assert "done" == await remote.work(1)

    run_by_clock(main(), clock=clock)


def test_half_open_connections_are_given_up_by_the_system_too(loop):
    """Where TCP can be told: it counts from the first byte that was not confirmed."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is None:
        pytest.skip("TCP cannot be told here")

    async def main():
        for idle_s, expected in ((50, 60_000), (0, 0)):
            limits = pb.Limits(idle_s=idle_s)
            async with (
                pb.serve(Root(), "pb://127.0.0.1:0", limits=limits) as server,
                pb.open_connection(server.url, limits=limits) as connection,
            ):
                for end in (connection, server.connections[0]):
                    sock = end._link.transport.get_extra_info("socket")
                    assert expected == sock.getsockopt(socket.IPPROTO_TCP, option)

    run(main(), loop)
    gc.collect()
