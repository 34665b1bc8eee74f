"""Promises that are forgotten in what a method returns: its author is told where they stand."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

import jelly
import pb
from pb.testing import pair

from .loops import run


class Empty(pb.Error):
    """What both sides know."""


class Hall(pb.Referenceable):
    def remote_look(self):
        return "you are in the hall"

    def remote_empty(self):
        raise Empty("nobody is here")


class Forgetful(pb.Root):
    """Returns what it should have awaited."""

    async def remote_in_a_list(self, peer):
        return [1, {"a": peer.look()}]

    async def remote_twice(self, peer):
        look = peer.look()
        return [[look], look, look]

    async def remote_behind_a_shared_list(self, peer):
        rows = [0]
        return {"a": rows, "b": rows, "c": peer.look()}

    async def remote_in_a_shared_set(self, peer):
        rows = [0]
        return [rows, rows, {peer.look()}]

    async def remote_failed(self, peer):
        empty = peer.empty()
        await asyncio.wait([empty])
        return (empty,)

    async def remote_in_a_copy(self, peer):
        return Seen(peer.look())

    async def remote_in_rows(self, peer):
        yield 0
        yield [peer.look()]

    async def remote_gathered(self, peer):
        return [asyncio.gather(peer.look())]

    async def remote_settled(self, peer):
        look = peer.look()
        await look
        return [look, [look]]


@dataclasses.dataclass
class Seen:
    what: object


TO_COME = "a promise, the result of a call that is not there yet: await it first"
FAILED = "a promise, the result of a call that has failed: await it first"


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        ("in_a_list", f"the result: [1]['a'] is {TO_COME}"),
        ("twice", f"the result: [0][0] is {TO_COME}"),
        ("behind_a_shared_list", f"the result: ['c'] is {TO_COME}"),
        ("in_a_shared_set", f"the result: [2]<a key or member> is {TO_COME}"),
        ("failed", f"the result: [0] is {FAILED}"),
        ("in_a_copy", f"the result: .what is {TO_COME}"),
        ("in_rows", f"the items of the stream: [0][0] is {TO_COME}"),
        ("gathered", "the result: [0] is a _GatheringFuture: await it first"),
    ],
)
def test_a_promise_in_a_result_is_refused_with_its_place(loop, caplog, method, problem):
    """Nobody but the author could await it; the log says what, where, and what to do."""

    async def main():
        made = jelly.Registry()
        made.add(Empty, "rooms.Empty")
        made.add(Seen, "rooms.Seen")
        async with pair(Forgetful(), registry=made) as (_, _, root):
            with pytest.raises(pb.RemoteError, match="internal error"):
                got = getattr(root, method)(Hall())
                async for _ in got if method == "in_rows" else await got:
                    pass
            seen = "you are in the hall"
            assert [seen, [seen]] == await root.settled(Hall())

    run(main(), loop)
    (error,) = [each.exc_info[1] for each in caplog.records if each.levelname == "ERROR"]
    assert isinstance(error, pb.Unjellyable)
    assert problem == str(error)
