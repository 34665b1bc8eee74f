"""What the tests of the core share beside `pb.testing`: frames written by hand, and a peer that says them."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

import jelly
from pb.limits import Limits
from pb.testing.pump import Pump, run_all
from pb.testing.side import Reference, Side, cancel, send
from pb.testing.tasks import Cancelled, Gate, Outcome, Task

__all__ = [
    "STEPS",
    "Cancelled",
    "Gate",
    "Outcome",
    "Pump",
    "Reference",
    "Script",
    "Side",
    "Task",
    "cancel",
    "frame",
    "messages_in",
    "packed",
    "run_all",
    "send",
]

# Every conversation must come out the same, however the network cuts it.
STEPS = pytest.mark.parametrize("step", [None, 1, 7], ids=["whole", "bytewise", "by 7"])


def packed(value: Any) -> bytes:
    """Return the payload of a value written by hand."""
    return msgpack.packb(value)


def frame(message: Any) -> bytes:
    """Return the frame of a message, or of a batch, written by hand."""
    body = msgpack.packb(message)
    return len(body).to_bytes(4, "big") + body


def messages_in(stream: bytes) -> list[Any]:
    """Return the messages of a stream of whole frames, those of batches one by one."""
    found: list[Any] = []
    while stream:
        end = 4 + int.from_bytes(stream[:4], "big")
        assert end <= len(stream), "the stream ends within a frame"
        message = msgpack.unpackb(stream[4:end], timestamp=0)
        found += message if type(message[0]) is list else [message]
        stream = stream[end:]
    return found


class Script:
    """A broker and a peer that says what the test writes, right or wrong."""

    def __init__(
        self,
        root: Any = None,
        *,
        limits: Limits | None = None,
        registry: jelly.Registry | None = None,
        step: int | None = None,
        greet: bool = True,
        info: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.step = step
        self.side = Side("side", root, registry, limits or Limits(), **options)
        self.broker = self.side.broker
        self.broker.start()
        if greet:
            self.say([0, "PB", 1, info or {}])
            self.heard()

    def say(self, *messages: Any) -> None:
        """Send messages, each in a frame of its own."""
        self.side.input(b"".join(map(frame, messages)), self.step)

    def heard(self) -> list[Any]:
        """Return the messages that came since the last time."""
        return messages_in(self.side.output())
