"""What is logged of the beginning and the end of a connection: never a reason without a word."""

from __future__ import annotations

import logging

from pb.aio import logged
from pb.aio.sparing import Sparing


def test_a_handshake_that_fails_without_a_text_is_told_by_its_type(caplog):
    """asyncio aborts some with an error that says nothing."""
    caplog.set_level(logging.INFO, "pb")
    for error in (ConnectionAbortedError(), OSError("it was cut\n")):
        logged.no_handshake("192.0.2.7:1", "TLS", error, Sparing(lambda: 0.0))

    refused = "connection with 192.0.2.7:1 refused: the handshake of TLS failed"
    assert [f"{refused}: ConnectionAbortedError", f"{refused}: it was cut\\n"] == caplog.messages
