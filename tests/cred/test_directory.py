"""Directory: that a stranger cannot make the store count all its hashes for each login."""

from __future__ import annotations

import cred
from cred import IdentityRecord, PasswordHash
from cred._directory import HISTOGRAM_AGE_S, Directory

from .helpers import ITERATIONS, Clock, run


class Counting(cred.MemoryStore):
    """Counts how often it counts."""

    def __init__(self):
        super().__init__()
        self.counted = 0

    async def iteration_counts(self):
        self.counted += 1
        return await super().iteration_counts()


def test_hashes_are_counted_once_a_minute():
    """However many strangers come by."""

    async def main():
        store, clock = Counting(), Clock()
        directory = Directory(store, clock=clock, iterations=5_000)
        for _ in range(5):
            assert 5_000 == (await directory.mock_hash("nobody")).iterations
        await store.add(IdentityRecord.new("alice", PasswordHash.of("x", iterations=ITERATIONS)))
        clock.now += HISTOGRAM_AGE_S - 1
        assert 5_000 == (await directory.mock_hash("nobody")).iterations
        clock.now += 1
        assert ITERATIONS == (await directory.mock_hash("nobody")).iterations
        return store.counted

    assert 2 == run(main())
