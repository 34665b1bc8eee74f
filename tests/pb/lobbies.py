"""What servers publish in tests of many kinds: a root that answers, hands out, notes and waits."""

from __future__ import annotations

from typing import Any

import pb

from .pump import Gate


class Noting(pb.Root):
    """Of a pump: notes what it is told, and waits at a gate."""

    def __init__(self):
        self.gate = Gate()
        self.seen = []
        self.thing = pb.Referenceable()

    def remote_note(self, value=None):
        self.seen.append(value)

    def remote_echo(self, value):
        return value

    def remote_thing(self):
        return self.thing

    async def remote_wait(self):
        return await self.gate


class Counter(pb.Referenceable):
    """Something that a call hands out."""

    def __init__(self):
        self.count = 0

    def remote_add(self):
        self.count += 1
        return self.count


class Lobby(pb.Root):
    """Of a server that comes and goes: what ran, and something to hold; faces add how one waits in it."""

    def __init__(self):
        self.ran: list[Any] = []
        self.counter = Counter()

    def remote_echo(self, value):
        self.ran.append(value)
        return value

    def remote_counter(self):
        return self.counter
