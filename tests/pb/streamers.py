"""What tests of streams share: a root that gives and takes them, and how one looks at both ends."""

from __future__ import annotations

import jelly
import pb

from .peers import BankError
from .pump import Gate

REGISTRY = jelly.Registry()
REGISTRY.add(BankError, "bank.BankError")


class Source:
    """An endless stream of integers that counts what it was asked for."""

    def __init__(self, fails_at=None):
        self.made = 0
        self.closed = 0
        self.fails_at = fails_at

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.made == self.fails_at:
            raise BankError("no more")
        self.made += 1
        return self.made

    async def aclose(self):
        self.closed += 1


class Server(pb.Root):
    def __init__(self):
        self.source = Source()
        self.gate = Gate()
        self.log = []
        self.kept = []

    def remote_ints(self):
        return self.source

    async def remote_rows(self, count):
        try:
            for number in range(count):
                yield number
        finally:
            self.log.append("finally")

    def remote_plain(self, count):
        return iter(list(range(count)))

    async def remote_waits(self):
        try:
            yield "first"
            yield await self.gate
        finally:
            self.log.append("finally")

    async def remote_fails(self):
        yield 1
        raise BankError("overdrawn")

    async def remote_bug(self):
        yield 1
        raise ZeroDivisionError("secret")

    async def remote_things(self, *things):
        for thing in things:
            yield thing

    def remote_take(self, *values):
        self.kept += values
        return len(values)

    async def remote_wait(self, *values):
        self.kept += values
        await self.gate

    async def remote_sum(self, stream):
        return sum([number async for number in stream])

    def remote_echo(self, value):
        return value

    def remote_both(self):
        same = [1]
        return [same, same, self.source]


def server_of(pump):
    return pump.server.broker.tables.exports[0].object


def streams_of(pump):
    """How many streams each side knows of."""
    return len(pump.client.broker.streams), len(pump.server.broker.streams)


def taken(stream, pump):
    """Take all that there is of a stream."""
    found = []
    while True:
        pump.run()
        some = stream.taken()
        if not some:
            return found
        found += some


def run(pump, coroutine, side=None):
    """Run a coroutine of the client to its end; return its value or raise its error."""
    found = []

    async def catch():
        try:
            found.append((await coroutine, None))
        except BaseException as error:
            found.append((None, error))

    task = (side or pump.client).spawn(catch())
    pump.run()
    assert task.is_done
    ((value, error),) = found
    if error is not None:
        raise error
    return value
