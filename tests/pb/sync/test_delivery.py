"""Callbacks of blocking programs: an error that nobody asked for is logged, but fills no log."""

from __future__ import annotations

import logging

import pb
from pb.bounds.log_bound import MAX_LINES


class Root(pb.Root):
    """Has nothing but this."""

    def remote_echo(self, value):
        return value


def test_a_peer_that_lets_every_call_fail_fills_no_log(connect, caplog):
    """Each would be a line of what it says."""
    caplog.set_level(logging.ERROR, "pb")
    connection, _ = connect(Root())
    for _ in range(MAX_LINES + 50):
        connection.root.nope(pbcallback=print)
    assert 1 == connection.root.echo(1)

    assert MAX_LINES == sum(record.exc_info is not None for record in caplog.records)
