"""Blocks of blocking programs that are left by an exception: at once, and with that very exception."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import pb
from pb import sync

from .spots import Lobby, Spot, quick, settle

HOLD_S = 20
# The watchdog of these tests does not wait so long.
FOR_EVER = pb.Limits(drain_s=3600, idle_s=0)


class Root(pb.Root):
    """Answers when it is told to, or never."""

    def __init__(self):
        self.heard = []
        self.asked = threading.Event()
        self.may_answer = threading.Event()

    async def remote_hang(self):
        self.asked.set()
        await asyncio.Event().wait()

    def remote_ask(self, hand):
        self.asked.set()
        assert self.may_answer.wait(HOLD_S)
        return hand.echo("asked")

    def remote_echo(self, value):
        return value

    def remote_hear(self, value):
        self.heard.append(value)


@pytest.mark.parametrize("kind", [LookupError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_at_once(url, kind):
    """What another thread has called fails there; what was sent goes out."""
    root, mine = Root(), kind("mine")
    with sync.serve(root, url, limits=FOR_EVER) as server, ThreadPoolExecutor(1) as pool:
        with (
            pytest.raises(kind) as caught,
            sync.open_connection(server.url, limits=FOR_EVER) as connection,
        ):
            hangs = pool.submit(connection.root.hang)
            assert root.asked.wait(HOLD_S)
            for value in range(3):
                connection.root.hear.send(value)
            raise mine
        assert (mine, None) == (caught.value, mine.__context__)
        assert isinstance(hangs.exception(HOLD_S), pb.OutcomeUnknown)
        assert not connection.is_open
        settle(lambda: [0, 1, 2] == root.heard)
        settle(lambda: not server.connections)


def test_what_has_ended_before_is_left_in_peace(url):
    """There is nothing to give up."""
    with sync.serve(Root(), url) as server:
        for end in (sync.Connection.close, sync.Connection.abort):
            with pytest.raises(LookupError), sync.open_connection(server.url) as connection:
                end(connection)
                raise LookupError


def test_a_connection_that_comes_back_is_not_made_again():
    """Also where it is down, and calls wait for it."""
    with Spot(Lobby()) as spot, ThreadPoolExecutor(1) as pool:
        with pytest.raises(LookupError), sync.open_connection(spot.url, reconnect=quick()) as connection:
            root = connection.root
            assert 1 == root.echo(1)
            spot.stop()
            connection.status.wait_for("waiting", "connecting")
            waits = pool.submit(root.echo, 2)
            settle(lambda: len(connection._home.calls))
            raise LookupError
        assert isinstance(waits.exception(HOLD_S), pb.NotExecuted)
        assert pb.ConnectionState.CLOSED is connection.status.state


def test_a_server_that_is_left_finishes_what_it_serves_and_waits_for_no_more(url):
    """The method may still call its client back; what else this side has asked clients may take for ever."""
    root, other = Root(), Root()
    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(LookupError), sync.serve(root, url, limits=FOR_EVER) as server:
            connection = sync.open_connection(server.url, root=other, limits=FOR_EVER)
            asked = pool.submit(connection.root.ask, Root())
            assert root.asked.wait(HOLD_S)
            hangs = pool.submit(server.connections[0].root.hang)
            assert other.asked.wait(HOLD_S)
            threading.Timer(0.01, root.may_answer.set).start()
            raise LookupError
        assert "asked" == asked.result(HOLD_S)
        assert isinstance(hangs.exception(HOLD_S), pb.OutcomeUnknown)
        connection.wait_closed()
