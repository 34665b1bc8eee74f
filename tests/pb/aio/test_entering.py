"""Who has gone before it is looked at, and whom a program that fails lets in: neither fills log or memory."""

from __future__ import annotations

import logging
import socket
import struct

import pytest

import pb
from pb.aio.url import Address
from pb.bounds.source_bound import MAX_LINES

from ..auth.rooms import settle
from .loops import Place, run


def connect(server):
    address = Address.parse(server.url)
    return socket.create_connection((address.host, address.port))


def reset_at_once(server):
    """Connect and hang up without a turn of the loop: it has happened when the server looks."""
    raw = connect(server)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


@pytest.mark.parametrize("scheme", ["pb", "pbs", "ws", "wss"])
@pytest.mark.parametrize("asks_for_logins", [True, False], ids=["logins", "none"])
def test_who_hangs_up_before_it_is_looked_at_costs_nothing(scheme, asks_for_logins, tmp_path, loop, caplog):
    """uvloop does not know from where it came then: no line in the log, no open file, no stranger counted."""
    auth = pb.AuthRoot(pb.Application("chat"))

    async def main():
        async with Place(scheme, tmp_path).serve(auth if asks_for_logins else pb.Root()) as server:
            for _ in range(3):
                reset_at_once(server)
            async with pb.open_connection(server.url):
                pass  # who comes behind them is let in
            sockets = getattr(server._listener, "_sockets", ())  # of WebSocket, that are no connections yet
            await settle(lambda: not (sockets or len(auth.strangers) or server.connections))

    run(main(), loop)
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_program_that_lets_nobody_in_by_mistake_fills_no_log(tmp_path, loop, caplog):
    """Anybody can make it fail once more."""
    fails = []

    def make_root(connection):
        fails.append(1)
        raise ZeroDivisionError("of the program")

    async def main():
        async with Place("pb", tmp_path).serve(make_root) as server:
            for number in range(1, MAX_LINES + 51):
                connect(server).close()
                await settle(lambda: len(fails) == number)  # noqa: B023

    run(main(), loop)
    told = [record for record in caplog.records if record.exc_info]
    assert MAX_LINES == len(told)
    assert {"connection.refused"} == {record.pb_event for record in told}
