"""`check_transport` over every transport there is, and over some that are wrong."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from pb.aio import memory, tls, transports
from pb.aio.url import Address
from pb.limits import Limits
from pb.testing import check_transport

from ..aio.loops import SCHEMES, Place, run


def over(scheme, tmp_path):
    """Return listen and connect of a transport of ours."""
    place = Place(scheme, tmp_path)
    key = place.options.get("tls")
    context = None if key is None else tls.client_context(tls.fingerprint(key.read_bytes()))

    async def listen(factory):
        wanted = transports.Wanted(Address.parse(place.url), lambda: limited(factory()), key, None, Limits())
        return await transports.listen(wanted)

    async def connect(where, factory):
        await transports.connect(where, lambda: limited(factory()), context)

    return listen, connect


def limited(end):
    """Give an end the limits of a link, which WebSocket asks for: how long a message may be."""
    limits = Limits()
    end.broker = SimpleNamespace(limits=limits, reader=SimpleNamespace(max_frame=limits.max_frame))
    return end


@pytest.mark.parametrize("scheme", SCHEMES)
def test_ours_pass(scheme, loop, tmp_path):
    """What a connection relies on, on each loop."""
    run(check_transport(*over(scheme, tmp_path), framed=scheme.startswith("ws")), loop)


class Wrong(memory.MemoryTransport):
    """To be made wrong in one way."""


def forgets(self, data):
    memory.MemoryTransport._take(self, 1)


WRONG = {
    "loses bytes": ("_take", lambda self, limit: memory_take(self, limit)[1:], "arrived|written one by one"),
    "keeps a view of what is written": ("write", lambda self, data: keep(self, data), "as they were written"),
    "forgets what was written before close": ("close", lambda self: self.abort(), "written before close"),
}
memory_take = memory.MemoryTransport._take


def keep(self, data):
    if data:
        self._peer._inbox.append(data)
        self._peer._inbox_bytes += len(data)
        self._peer._wake()
        self._pause_over_high_water()


@pytest.mark.parametrize("name", WRONG)
def test_wrong_ones_are_found(name, monkeypatch, tmp_path):
    """One fault at a time."""
    method, fault, text = WRONG[name]
    monkeypatch.setattr("pb.testing.transport.LIMIT_S", 1.0)
    monkeypatch.setattr(memory.MemoryTransport, method, fault)

    with pytest.raises(AssertionError, match=text):
        asyncio.run(check_transport(*over("memory", tmp_path)))


def test_a_listener_that_stays_open_is_found(tmp_path):
    """Who closes it believes that nobody gets in."""
    listen, connect = over("memory", tmp_path)

    class Stays:
        def close(self):
            pass

    async def listen_for_ever(factory):
        listener, where = await listen(factory)
        opened.append(listener)
        return Stays(), where

    opened = []

    async def main():
        try:
            # Its names are taken as long as it listens: one check after the other is as good.
            from pb.testing import transport

            ends = []

            def accept():
                ends.append(transport._End())
                return ends[-1]

            listener, where = await listen_for_ever(accept)
            await transport._serves_many(listener, where, connect, ends, bytes)
        finally:
            opened[0].close()

    with pytest.raises(AssertionError, match="listener that was closed"):
        asyncio.run(main())
