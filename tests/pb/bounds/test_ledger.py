"""What is kept, and what it may take."""

from __future__ import annotations

import msgpack

from pb.bounds.ledger import Ledger
from pb.bounds.source_memory import SourceMemory

MAPS = msgpack.packb([{}] * 1000)
TEXT = msgpack.packb("x" * 1000)


def test_little_is_counted_as_the_worst_and_much_is_weighed():
    """To weigh takes longer than to decode, and is worth it only where much is kept."""
    ledger = Ledger("a", 200_000)

    assert 72 * len(TEXT) == ledger.weigh(TEXT)
    ledger.add(72 * len(TEXT))

    assert 1000 < ledger.weigh(TEXT) < 1200
    assert 72_000 <= ledger.weigh(MAPS) < 73_000


def test_what_fills_half_of_an_address_is_weighed_too():
    """Or a few connections would fill it with little, and shut out the others there."""
    memory = SourceMemory(1_000_000)
    ledgers = [Ledger("a", 1_000_000) for _ in range(20)]
    for number, ledger in enumerate(ledgers):
        ledger.share = memory.of(f"10.0.0.1:{number}")
        ledger.add(ledger.weigh(TEXT))

    assert 6 * 72 * len(TEXT) < memory.bytes["10.0.0.1"] < 500_000 + 20 * 1200
    assert "" == ledgers[0].why_full()


def test_large_bytes_count_as_what_they_are():
    """Blocks of files are most of what is long, and honest."""
    assert 100_000 < Ledger("a", 2**30).weigh(msgpack.packb(bytes(100_000))) < 101_000


def test_what_cannot_be_unpacked_counts_as_the_worst():
    """Another reader may take what msgpack does not."""
    assert 72_000 == Ledger("a", 0).weigh(b"\xc1" * 1000)


def test_full_is_told_with_the_limit_and_what_was_found():
    """The first is always taken."""
    ledger = Ledger("max_things", 1000)
    assert "" == ledger.why_full(5000)
    ledger.add(5000)
    assert "5000 bytes of memory are kept for them, the limit max_things is 1000" == ledger.why_full()
    ledger.less(4500)
    assert "" == ledger.why_full(499)
    assert "500 bytes" in ledger.why_full(500)


def test_what_has_left_counts_with_nobody_else():
    """The connection has ended, and its items are its program's."""
    memory = SourceMemory(1000)
    ledger = Ledger("a", 1000)
    ledger.share = memory.of("10.0.0.1:1")
    ledger.add(300)
    assert {"10.0.0.1": 300} == memory.bytes

    ledger.leave()
    ledger.leave()
    ledger.less(300)

    assert {} == memory.bytes
    assert 0 == ledger.bytes
