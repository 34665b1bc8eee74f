"""Closing so that the reason arrives: the sending half first, and the rest when the peer has closed.

To close a socket that holds bytes not read yet resets the connection, and a reset overtakes the BYE: whoever
is refused while it sends would not learn why. For those who send to a server whatever it says there are
bounds, in bytes, in time and in number. Spec: spec/2-frames.md, "Aborting".
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any, Final

from ._thread import shared

if TYPE_CHECKING:
    from .link import Link

LINGER_S: Final = 1.0
# As much as a frame may have by default: it can be on its way.
MOST_BYTES: Final = 4 << 20
MOST_LINGERING: Final = 64  # of one server; others are closed at once


def close(link: Link) -> None:
    """Close the transport of a link whose broker has ended; what was written still goes out.

    At once, but for a socket over which a server has told its peer why.
    """
    transport, places = link.transport, link.places
    may_linger = places is not None and len(places.lingering) < MOST_LINGERING and _tells_why(link)
    if may_linger and _is_of_socket(transport) and not transport.is_closing():
        try:
            if transport.can_write_eof():  # with TLS it cannot: there only the BYE says that it is the end
                transport.write_eof()
        except OSError:
            pass  # it was reset already
        else:
            Lingering(link)
            return
    transport.close()


def _is_of_socket(transport: Any) -> bool:
    """Whether it is that of a socket, with TLS or not: WebSocket says goodbye, and memory loses nothing."""
    is_own = type(transport).set_protocol is not asyncio.BaseTransport.set_protocol
    return is_own and transport.get_extra_info("socket") is not None


def _tells_why(link: Link) -> bool:
    """Whether a BYE was said that tells the peer what it has not brought about itself."""
    broker = link.broker
    if broker.error is None:
        return broker.peer_limits is None  # refused, before its HELLO was read
    return broker.speaks_pb


class Lingering(asyncio.BufferedProtocol):
    """The protocol of such a transport in the place of its link: it drops what comes.

    The link does not count as one of its server's any longer: who is refused must take no place.
    """

    __slots__ = ("_left_bytes", "_link", "_timer", "_transport")

    def __init__(self, link: Link) -> None:
        self._link: Any = link
        self._transport = transport = link.transport
        self._left_bytes = MOST_BYTES
        self._timer = link.loop.call_later(LINGER_S, transport.close, context=contextvars.Context())
        link.places.discard(link)  # type: ignore[union-attr]  # of a server
        link.places.lingering.add(self)  # type: ignore[union-attr]
        link.reads_no_more()
        transport.set_protocol(self)
        transport.resume_reading()

    def abort(self) -> None:
        """End it at once."""
        self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to."""
        return shared.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Drop what came; close where it does not end."""
        self._left_bytes -= nbytes
        if self._left_bytes < 0:
            self._transport.close()

    def eof_received(self) -> bool:
        """Close: the peer has, or says nothing more."""
        return False

    def pause_writing(self) -> None:
        """Do nothing: nothing more is written."""

    def resume_writing(self) -> None:
        """Do nothing."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the link settle everything."""
        self._timer.cancel()
        link, self._link = self._link, None
        link.places.lingering.discard(self)
        link.connection_lost(exc)
