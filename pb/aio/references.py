"""The report of who holds which of our objects, for connections, servers and applications."""

from __future__ import annotations

from typing import Any

from jelly._article import a
from pb.auth.application import Application
from pb.references import HeldReference, references_of

from .connection import Connection
from .server import Server


def reference_report(*where: Connection | Server | Application) -> list[HeldReference]:
    """Return which of our objects peers hold, and since when, the oldest first.

        for held in pb.reference_report(server):
            print(held.age_s, held.type, held.holder, held.identity, held.made_at)

    Call it in the thread of the loop.

    Args:
        where: connections; servers, which stand for all of theirs; applications, for all that they serve.

    Raises:
        TypeError: none is named, or something else.
    """
    if not where:
        raise TypeError("reference_report(*where) needs the connections, servers or applications to look at")
    return references_of(face.broker for place in where for face in _faces_of(place))


def _faces_of(place: Any) -> list[Any]:
    if isinstance(place, Connection):
        return [place._link]
    if isinstance(place, Server):
        return list(place._places)
    if isinstance(place, Application):
        return list(place.faces)
    raise TypeError(f"a connection, server or application is expected, not {a(type(place).__name__)}")
