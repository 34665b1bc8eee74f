"""What all connections from one address have a server keep."""

from __future__ import annotations

import asyncio

import pytest

import pb
from pb.bounds.ledger import Ledger
from pb.bounds.source_memory import SourceMemory

from ..aio.loops import Place, run
from ..auth.rooms import settle

BLOB = bytes(100_000)


class Holder(pb.Root):
    def __init__(self):
        self.gate = asyncio.Event()
        self.streams = []

    async def remote_hold(self, value):
        await self.gate.wait()

    def remote_take(self, stream):
        self.streams.append(stream)

    def remote_echo(self, value):
        return value


def ledger_of(memory, peer):
    ledger = Ledger("max_call_bytes", 10_000)
    ledger.share = memory.of(peer)
    return ledger


def test_as_much_as_one_address_may_is_kept_of_it_and_then_no_more():
    """Of another address there is still room."""
    memory = SourceMemory(1000)
    first, second, other = (ledger_of(memory, peer) for peer in ("10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1"))
    first.add(600)
    second.add(399)
    assert "" == first.why_full() == second.why_full()

    first.add(1)

    assert "1000 bytes of memory are kept for this address, the limit max_source_bytes" == second.why_full()
    assert "" == other.why_full()
    first.less(601)
    second.less(399)
    assert {} == memory.bytes


def test_the_64_of_an_ipv6_address_is_one():
    """Who has one has all."""
    memory = SourceMemory(1000)
    ledger_of(memory, "2001:db8::1:80").add(1000)
    assert "" != ledger_of(memory, "2001:db8::2:80").why_full()


def test_0_is_no_bound():
    """As for connections."""
    assert SourceMemory(0).of("10.0.0.1:1") is None


async def values():
    while True:
        yield BLOB


def test_who_connects_again_has_no_bound_of_its_own(tmp_path):
    """Calls and streams of several connections share it, and the end of one makes room for the others."""
    limits = pb.Limits(max_source_bytes=250_000)

    async def main():
        root = Holder()
        async with Place("pb", tmp_path).serve(root, limits=limits) as server:
            first, second, third = [await pb.open_connection(server.url) for _ in range(3)]
            held = [asyncio.ensure_future(each.root.hold(BLOB)) for each in (first, second, second)]
            await settle(lambda: 3 == sum(each.usage.calls_served for each in server.connections))
            with pytest.raises(pb.Busy, match="kept for this address, the limit max_source_bytes"):
                await third.root.hold(BLOB)
            await third.root.take(values())
            await settle(lambda: root.streams[0]._pb_row.is_over)
            with pytest.raises(pb.TooLarge, match="max_source_bytes"):
                await anext(root.streams[0])
            assert 1 == await third.root.echo(1)

            first.abort()
            second.abort()
            await settle(lambda: 1 == len(server.connections))
            await asyncio.gather(*held, return_exceptions=True)
            assert BLOB == await third.root.echo(BLOB)
            await third.root.take(values())
            assert BLOB == await anext(root.streams[1])
            third.abort()
            await settle(lambda: not server._places.source_memory.bytes)

    run(main())
