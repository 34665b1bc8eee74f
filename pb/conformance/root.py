"""Whether what is to be judged publishes the conformance object at all. Spec: spec/conformance.md."""

from __future__ import annotations

from . import values
from .peer import CALL, ERROR, Peer, Unmet
from .streams import Closed, FrameStream, Silence

__all__ = ["check_root"]

WORD = "is this the conformance object"


def check_root(stream: FrameStream, timeout_s: float) -> None:
    """Ask the root for an echo, over a connection of its own.

    Only a root that says it has no such method is refused: what else may be wrong is for the cases to find.

    Raises:
        ValueError: it is another object, of which every case would say no more than that.
    """
    peer = Peer(stream, timeout_s)
    try:
        peer.hello()
        peer.send(CALL, 1, 0, "echo", values.pack([[WORD], {}]))
        envelope = peer.settled(1)
        told = values.unpack(envelope[2])
    except (Silence, Closed, OSError, Unmet, ValueError):
        return
    finally:
        stream.close()
    if envelope[0] == ERROR and isinstance(told, dict) and told.get("type") == "pb.NoSuchMethod":
        wants = "; it wants a login first, which this asks nobody for" if peer.info.get("auth") else ""
        raise ValueError(
            "the root is not the conformance object: it has no method echo. spec/conformance.md says what "
            f"that has to do, examples/conformance has one{wants}"
        )
