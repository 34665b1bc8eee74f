"""What is logged of the beginning and the end of a connection."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pb.errors import Forbidden, ProtocolError
from pb.logfields import fields

from .sparing import Sparing

if TYPE_CHECKING:
    from .places import Places

log = logging.getLogger("pb")


def ends(peer: str, error: ProtocolError, places: Places | None) -> None:
    """Log that a connection ends because of an error, unless many from there just have."""
    if places is not None and not places.source_bound.allows(logging.WARNING, "connection.failed", peer):
        return
    # The text, not the error: it holds on to frames, and so to this connection.
    told = fields("connection.failed", peer=peer, error=error, code=error.code)
    log.warning("connection with %s ends: %s", peer, str(error), extra=told)


def refused(peer: str, error: Exception, places: Places | None) -> None:
    """Log that a connection was refused, as intended or as the program failed, unless many just were."""
    if isinstance(error, Forbidden):
        not_wanted(peer, error, None if places is None else places.sparing)
    elif places is None or places.source_bound.allows(logging.ERROR, "connection.refused", peer):
        told = fields("connection.refused", peer=peer, error=error)
        log.error("connection with %s refused", peer, exc_info=error, extra=told)


def not_wanted(peer: str, error: Forbidden, sparing: Sparing | None) -> None:
    """Log that a connection was refused as intended, unless many were just now."""
    if sparing is None or sparing.may_log():
        omitted = "" if sparing is None else sparing.omitted()
        told = fields("connection.refused", peer=peer, error=error)
        log.info("connection with %s refused: %s%s", peer, error, omitted, extra=told)


def no_handshake(peer: str, kind: str, error: Exception, sparing: Sparing) -> None:
    """Log that a handshake has failed, unless many have just now."""
    if sparing.may_log():
        log.info(
            "connection with %s refused: the handshake of %s failed: %s%s",
            peer,
            kind,
            _why(error),
            sparing.omitted(),
            extra=fields("connection.refused", peer=peer, error=error),
        )


def _why(error: Exception) -> str:
    if getattr(error, "reason", "") == "UNSUPPORTED_PROTOCOL":
        return "the peer speaks an older TLS only; 1.3 is expected"  # OpenSSL does not tell which
    return ascii(str(error)[:200])[1:-1] or type(error).__name__


def closing(peer: str, calls: int, streams: int) -> None:
    """Log that a connection is being closed, and not at once."""
    counts = [f"{count} {what}" for count, what in ((calls, "calls"), (streams, "streams")) if count]
    told = fields("connection.closing", peer=peer)
    log.info("closing %s: %s are awaited", peer, " and ".join(counts), extra=told)
