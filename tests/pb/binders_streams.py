"""What the conversations about streams need: objects behind the bytes, and who does what when.

Conversations: spec/vectors/conversations 09 and 32 to 37.
"""

from __future__ import annotations

import itertools

import jelly
import pb

from .peers import Insufficient
from .pump import Gate

# What the peer says of itself: that it takes streams, and nothing before it asks.
HELLO = [0, "PB", 1, {"agent": "vectors/1", "features": ["cache", "stream"]}]


async def endless():
    for number in itertools.count(1):
        yield number


async def letters():
    for letter in "abc":
        yield letter


class StreamRoot(pb.Root):
    """The root object of the conversations about streams."""

    def __init__(self):
        super().__init__()
        self.closed = 0
        self.stream = None

    async def remote_rows(self):
        for number in (10, 20, 30):
            yield number

    def remote_collect(self, stream, other=None):
        self.stream = stream
        return True

    async def remote_count(self):
        try:
            async for number in endless():
                yield number
        finally:
            self.closed += 1

    def remote_closed(self):
        return self.closed

    async def remote_overdraw(self):
        yield 7
        raise Insufficient(5)

    async def remote_read(self, stream):
        await stream._pb_row.wait()
        await Gate()


def pull(count):
    """Ask for items of the stream that the first answer brought."""
    return lambda play: play.replies[0].result()._pb_row.pull(count)


def pull_kept(count):
    """Ask for items of the stream that the server was given."""
    return lambda play: play.root.stream._pb_row.pull(count)


def cancel(play):
    """Give the first call up."""
    play.side.broker.calls.cancel(play.replies[0].id, play.replies[0])


ACTS = {
    ("09-stream", "C"): {0: lambda play: play.ask("rows"), 2: pull(2), 4: pull(2)},
    ("32-stream-argument", "S"): {2: pull_kept(2), 4: pull_kept(2)},
    ("32-stream-argument", "C"): {0: lambda play: play.ask("collect", letters())},
    ("33-stream-stop", "C"): {
        0: lambda play: play.ask("count"),
        2: pull(1),
        4: lambda play: play.replies[0].result().stop(),
        6: lambda play: play.ask("closed"),
    },
    ("34-stream-error", "C"): {0: lambda play: play.ask("overdraw"), 2: pull(4)},
    ("35-stream-cancel", "C"): {0: lambda play: play.ask("read", endless()), 3: cancel},
    ("36-stream-refused", "C"): {
        0: lambda play: play.ask("collect", endless(), jelly.Relayed("os.system", {}))
    },
}
