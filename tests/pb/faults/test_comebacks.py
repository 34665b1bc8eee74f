"""A conversation whose connection comes back, cut after every byte of its first connections."""

from __future__ import annotations

import gc
import os

import pytest

from pb.testing import Network, run

from ...sizes import exhaustive, sized
from .comebacks import Site

# Every how many bytes it is cut: each cut costs five times what one costs without a loop.
STRIDE = int(os.environ.get("PB_FAULTS_STRIDE", sized("61", "1")))
CUTS = [(direction, how) for direction in ("up", "down") for how in ("fin", "rst")]


def test_the_whole_conversation_goes_through_one_connection():
    """Or the cuts would prove nothing: nothing is lost, asked again or unknown."""

    async def main():
        async with Site() as site, Network(site.server.url) as network:
            await site.converse(network)
            calls = [f"{what} {number}" for number in range(2) for what in ("once", "look", "see", "ask")]
            assert sorted([*calls, "look last"]) == sorted(site.chat.ran)
            assert ["attached", "detached"] == site.chat.seen
            assert [0, 1] == site.chat.page.lines

    run(main())


@exhaustive
@pytest.mark.parametrize("losses", [1, 2], ids=["once", "and again while it comes back"])
@pytest.mark.parametrize(("direction", "how"), CUTS)
def test_a_cut_after_any_byte_is_lived_through(direction, how, losses, caplog):
    """What may be made again is, what may not is never made twice, and its caller is told that nobody knows;
    references and replicas are the same objects, and right; nobody is there twice; nothing is left."""
    caplog.set_level("CRITICAL", "pb")

    async def main():
        async with Site() as site:
            async with Network(site.server.url) as network:
                size = (await site.converse(network))[direction == "down"]
            # Each begins elsewhere, so that together they see more of the bytes.
            stride = STRIDE if losses == 1 else 3 * STRIDE  # what comes first was cut already
            first = (2 * CUTS.index((direction, how)) + losses) * 7 % stride
            for at in range(first, size + 1, stride):
                async with Network(site.server.url) as network:
                    network.cut(at, direction, how)
                    try:
                        await site.converse(network, losses)
                    except BaseException as error:
                        raise AssertionError(
                            f"{how} after byte {at} of {size} {direction}: {error!r}"
                        ) from error
            gc.collect()
            assert {None} == {each() for each in site.alive}

    run(main())
