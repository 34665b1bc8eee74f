"""The display that outlives its station, run as the processes its page says."""

from __future__ import annotations

import asyncio

import pb

from .test_examples_flavours import NOBODY, Program


def announce(url, train, platform):
    """Announce a train, as any program could."""

    async def main():
        async with pb.open_connection(url) as connection:
            await connection.root.announce(train, platform)

    asyncio.run(main())


def test_reconnect_a_display_outlives_its_station():
    """The station is killed and started again: the display shows what the new one has, and follows it."""
    stations, display = [Program("reconnect.server", "pb://127.0.0.1:0", "the old station")], None
    try:
        (line,) = stations[0].lines(1)
        url = line.removeprefix("the station is at ")
        display = Program("reconnect.client", url)
        assert ["the display is of the old station {}"] == display.lines(1)
        announce(url, "express", "1")
        assert ["trains: {'express': '1'}"] == display.lines(1)

        stations[0].process.kill()
        assert ["the display has lost its station"] == display.lines(1)
        stations.append(Program("reconnect.server", url, "the new station"))
        assert [f"the station is at {url}"] == stations[1].lines(1)
        assert ["station: the new station", "trains: {}", "the display is connected again"] == display.lines(
            3
        )
        announce(url, "local", "2")
        assert ["trains: {'local': '2'}"] == display.lines(1)

        assert ([], "", 0) == display.stop()
        assert ([], "", 0) == stations[1].stop()
    finally:
        for program in [*stations, *([display] if display else [])]:
            program.clean_up()


def test_reconnect_says_in_one_line_that_nobody_is_there():
    """The first connection is not waited for: an address may be wrong."""
    display = Program("reconnect.client", NOBODY)
    try:
        said, wrong, status = display.end()
    finally:
        display.clean_up()

    assert ([], 1) == (said, status)
    assert wrong.startswith("no station: ") and 1 == wrong.count("\n")
