"""What those at one address cause fills no log, however often they connect."""

from __future__ import annotations

import asyncio
import logging

import pytest

import pb
from pb.bounds.log_bound import LogBound
from pb.bounds.source_bound import MAX_LINES, MOST_ROWS, WINDOW_S, SourceBound, source_of

from ..aio.loops import run

PEER = "10.0.0.1:4000"


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bound(clock):
    return SourceBound(clock)


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "pb")
    return lambda: [record.getMessage() for record in caplog.records]


def allowed(bound, count, event="incident", peer=PEER):
    """Return how many of so many lines may be written."""
    return sum(bound.allows(logging.ERROR, event, peer) for _ in range(count))


def test_one_address_has_so_many_lines_from_whatever_port(bound, lines):
    """And then it is told that there are more, once, and how many at the end."""
    assert MAX_LINES == sum(
        bound.allows(logging.ERROR, "incident", f"10.0.0.1:{port}") for port in range(3 * MAX_LINES)
    )
    assert [
        "300 lines about this in a minute with connections from 10.0.0.1; more are only counted"
    ] == lines()
    bound.close()
    assert ["600 more of these with connections from 10.0.0.1 were not logged: incident"] == lines()[1:]
    assert 0 == len(bound)


def test_another_address_and_another_event_have_their_own(bound, lines):
    """So a flood hides nothing else."""
    assert MAX_LINES == allowed(bound, 2 * MAX_LINES)
    assert 10 == allowed(bound, 10, "call.refused")
    assert 10 == allowed(bound, 10, peer="10.0.0.2:1")
    bound.close()
    assert 2 == len(lines())


def test_after_a_minute_there_are_as_many_again(bound, clock, lines):
    """And what was left out is told, of an address that says no more too."""
    allowed(bound, MAX_LINES + 5)
    allowed(bound, MAX_LINES + 7, peer="10.0.0.2:1")
    clock.now += WINDOW_S / 2
    allowed(bound, 1, "call.failed")
    clock.now += WINDOW_S / 2
    assert 10 == allowed(bound, 10)
    told = [line for line in lines() if "were not logged" in line]
    assert [
        "5 more of these with connections from 10.0.0.1 were not logged: incident",
        "7 more of these with connections from 10.0.0.2 were not logged: incident",
    ] == told
    assert 2 == len(bound)


def test_a_minute_that_is_over_between_two_sweeps_is_over(bound, clock, lines):
    """Rows that began later are not waited for."""
    clock.now += WINDOW_S - 1
    allowed(bound, MAX_LINES + 5)
    clock.now += 1
    allowed(bound, 1, "call.failed")
    clock.now += WINDOW_S - 1
    assert 10 == allowed(bound, 10)
    assert "5 more of these with connections from 10.0.0.1 were not logged: incident" == lines()[-1]


def test_addresses_without_end_share_one_bound(bound):
    """Whoever has very many takes no more memory, and not much more of the log."""
    for number in range(MOST_ROWS):
        allowed(bound, 1, peer=f"10.1.{number >> 8}.{number & 255}:1")
    assert MAX_LINES == sum(
        allowed(bound, 1, peer=f"10.2.{n >> 8}.{n & 255}:1") for n in range(2 * MAX_LINES)
    )
    assert MOST_ROWS + 1 == len(bound)
    assert 1 == allowed(bound, 1, peer="10.1.0.0:2")


def test_what_is_not_logged_at_all_is_not_counted(bound, caplog):
    """As where the level of the logger is above."""
    caplog.set_level(logging.CRITICAL, "pb")
    assert 0 == allowed(bound, 3)
    assert 0 == len(bound)


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("10.0.0.1:80", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6:80", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1:80", "10.0.0.1"),
        ("fe80::1%eth0:80", "fe80::/64"),
        ("a local peer", "a local peer"),
        ("memory:1", "memory"),
    ],
)
def test_a_source_is_an_address_without_a_port(peer, source):
    """Of IPv6 it is what one customer is given."""
    assert source == source_of(peer)


def test_a_connection_takes_of_both_bounds(bound, clock, lines):
    """What is left out of its own is told once, where the other has room, and else counted there."""
    for number in range(4):
        own = LogBound(clock, bound)
        for _ in range(150):
            if own.allows(logging.ERROR, "incident", f"10.0.0.1:{number}"):
                logging.getLogger("pb").error("incident")
        own.close(f"10.0.0.1:{number}")
    bound.close()

    assert MAX_LINES + 2 == len(lines())
    # 600 were caused; of those written, two connections spent two lines each on saying so.
    written = lines().count("incident")
    told = [int(line.split()[0]) for line in lines() if "were not logged" in line]
    assert 600 <= written + sum(told) <= 610


@pytest.mark.unmeasured
def test_who_breaks_a_rule_on_each_of_many_connections_does_not_fill_the_log(lines):
    """400 connections, each of which ends because of what its peer has sent."""

    async def main():
        async with pb.serve(pb.Root(), "pb://127.0.0.1:0") as server:
            port = int(server.url.rpartition(":")[2])
            for _ in range(MAX_LINES + 20):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"\0\0\0\1\xc0")
                await reader.read(-1)
                writer.close()

    run(main())
    assert MAX_LINES == sum(" ends: " in line for line in lines())
    assert (
        "20 more of these with connections from 127.0.0.1 were not logged: connection.failed" == lines()[-1]
    )
