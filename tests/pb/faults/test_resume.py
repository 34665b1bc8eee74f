"""What a hundred cuts do to a counter: what the row `resume` of the promise asks, as far as PB/1 has it.

There is no session that is resumed (spec/2-frames.md, PB-F36). What may be made again is made again, and what
may have run is never run twice unasked.
"""

from __future__ import annotations

import asyncio
import random

import pytest

import pb
from pb.testing import Network, run

from ...sizes import exhaustive, sized

CUTS = 100
AT_ONCE = 3


class Counter(pb.Root):
    def __init__(self):
        self.count = 0
        self.keys = set()

    def remote_add(self):
        self.count += 1

    def remote_add_once(self, key):
        if key not in self.keys:
            self.keys.add(key)
            self.count += 1


async def count_through_cuts(add, seed):
    """Make calls while one connection after the other is cut somewhere within them; return how each ended."""
    counter, chance, ended = Counter(), random.Random(seed), []
    async with (
        pb.serve(counter, "memory://resume") as server,
        Network(server.url, seed=seed) as network,
        pb.open_connection(network.url, reconnect=True) as connection,
    ):
        changes = []
        connection.status.watch(changes.append)
        for number in range(CUTS):
            way = chance.choice(["up", "down"])
            (relay,) = network.connections
            carried = getattr(relay, way).carried
            network.cut(carried + chance.randrange(1, 60), way, chance.choice(["rst", "fin"]))
            calls = [asyncio.ensure_future(add(connection.root, (number, each))) for each in range(AT_ONCE)]
            await asyncio.sleep(0.05)
            network.calm()
            ended += await asyncio.gather(*calls, return_exceptions=True)
            if network.connections == [relay]:  # so few bytes were said that it was not reached
                network.drop()
            await asyncio.wait_for(came_back(connection, network, relay), 300)
    lost = sum(change.state is pb.ConnectionState.WAITING for change in changes)
    assert lost >= CUTS
    return counter.count, ended


async def came_back(connection, network, relay):
    """Wait until another connection is there than this one."""
    while relay in network.connections or not network.connections or not connection.is_ready:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@exhaustive
@pytest.mark.parametrize("seed", sized([1], [1, 2, 3]))
def test_resume_of_a_counter_with_keys_counts_each_once(seed):
    """What the caller says may run twice is made again until it is answered: exactly so many are counted."""
    count, ended = run(count_through_cuts(lambda root, key: root.add_once.idempotent(key), seed))

    assert [None] * CUTS * AT_ONCE == ended
    assert CUTS * AT_ONCE == count


@exhaustive
@pytest.mark.parametrize("seed", sized([1], [1, 2, 3]))
def test_resume_of_a_counter_without_keys_counts_none_twice(seed):
    """Of the others it is told which may have run; all the rest ran exactly once."""
    count, ended = run(count_through_cuts(lambda root, key: root.add(), seed))

    unknown = [each for each in ended if isinstance(each, pb.OutcomeUnknown)]
    done = ended.count(None)
    assert CUTS * AT_ONCE == done + len(unknown)
    assert len(unknown) > 10
    assert done <= count <= done + len(unknown)
