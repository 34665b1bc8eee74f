"""What the first release promises, row by row, where no other file has the name of the row.

`pytest -k NAME` runs one: callback_both_ways, url_pinning, copy_upgrade, head_of_line. See also test_rows.py.
"""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

import pb
from pb import tls
from pb.testing import pair, run


class Caller(pb.Root):
    """Calls whoever calls it, before it answers."""

    def __init__(self):
        self.depth = 0

    async def remote_through(self, other, depth):
        self.depth = max(self.depth, depth)
        return await other.back(self, depth + 1) if depth < 6 else depth

    async def remote_bare(self, other):
        with pytest.raises(pb.NoSuchMethod):
            await other.hidden()
        return "told"

    def hidden(self):
        raise AssertionError("no prefix, and called all the same")


class CalledBack(pb.Referenceable):
    def __init__(self):
        self.pending = []
        self.called = asyncio.Event()

    async def remote_back(self, caller, depth):
        self.called.set()
        assert isinstance(caller, pb.RemoteReference)
        self.pending.append(depth)
        return await caller.through(self, depth + 1)

    def hidden(self):
        raise AssertionError("no prefix, and called all the same")


def test_callback_both_ways_while_the_first_call_is_pending():
    """Each side calls the other within its call, six deep, on objects that were only passed."""

    async def main():
        ours = CalledBack()
        async with pair(Caller()) as (_, _, root):
            call = root.through(ours, 0)
            await ours.called.wait()
            assert not call.done()
            assert 6 == await call
            assert [1, 3, 5] == ours.pending

    run(main())


def test_callback_both_ways_reaches_nothing_without_the_prefix():
    """Neither at the server nor at the client."""

    async def main():
        async with pair(Caller()) as (_, _, root):
            with pytest.raises(pb.NoSuchMethod):
                await root.hidden()
            assert "told" == await root.bare(CalledBack())

    run(main())


def test_url_pinning_refuses_another_key_before_any_object_byte(tmp_path):
    """What is at the address has a certificate, and hears nothing beyond the handshake."""
    for name in ("ours.pem", "theirs.pem"):
        tls.create(tmp_path / name)
    heard = []

    async def main():
        async def listen(reader, writer):
            heard.append(await reader.read(1 << 16))
            writer.close()

        context = tls.server_context(tmp_path / "theirs.pem")
        server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        ours, theirs = (
            tls.fingerprint((tmp_path / name).read_bytes()) for name in ("ours.pem", "theirs.pem")
        )
        with pytest.raises(tls.PinMismatch) as caught:
            await pb.open_connection(f"pbs://{ours}@127.0.0.1:{port}")
        assert (ours, theirs) == (caught.value.expected, caught.value.found)
        server.close()

        async with (
            pb.serve(Caller(), "pbs://127.0.0.1:0", tls=tmp_path / "ours.pem") as honest,
            pb.open_connection(honest.url) as connection,
        ):
            assert 6 == await connection.root.through(CalledBack(), 0)

    run(main())
    assert b"" == b"".join(heard)


@dataclasses.dataclass
class Place:
    """A place, as the first release of a program has it."""

    x: int
    y: int


@dataclasses.dataclass
class PlaceWithUnit:
    """The same, as the second has it."""

    at: list[int]
    unit: str = "m"


def first():
    registry = pb.Registry()
    registry.add(Place, "town.Place")
    return registry


def second():
    registry = pb.Registry()
    registry.add(
        PlaceWithUnit,
        "town.Place.2",
        upgrades={"town.Place": lambda state: {"at": [state["x"], state["y"]]}},
        downgrade=("town.Place", lambda state: {"x": state["at"][0], "y": state["at"][1]}),
    )
    return registry


class Town(pb.Root):
    """Takes a place and gives it back one further, in the terms of its own release."""

    def remote_step(self, place):
        if isinstance(place, Place):
            return Place(place.x + 1, place.y)
        assert isinstance(place, PlaceWithUnit)
        return PlaceWithUnit([place.at[0] + 1, place.at[1]])


@pytest.mark.parametrize(
    ("here", "there", "sent", "expected"),
    [
        (first, second, Place(1, 2), Place(2, 2)),
        (second, first, PlaceWithUnit([1, 2]), PlaceWithUnit([2, 2])),
        (second, second, PlaceWithUnit([1, 2]), PlaceWithUnit([2, 2])),
    ],
    ids=["an old client", "an old server", "both new"],
)
def test_copy_upgrade_both_ways(here, there, sent, expected):
    """Programs of both releases talk to each other, and each sees its own class."""

    async def main():
        async with pair(Town(), registry=there(), client_registry=here()) as (_, _, root):
            assert expected == await root.step(sent)

    run(main())


class Store(pb.Root):
    """Has something large, and answers small questions."""

    def remote_film(self):
        return pb.stream_file(self.file)

    def remote_ping(self):
        return "pong"


def test_head_of_line_pings_stay_quick_during_a_transfer(tmp_path):
    """64 MiB over a line of 50 MB/s: 99 of 100 calls take less than 50 ms, as the line sees it."""
    file, taken = tmp_path / "film", tmp_path / "taken"
    with file.open("wb") as out:
        out.truncate(64 << 20)
    store = Store()
    store.file = file

    async def main():
        loop = asyncio.get_running_loop()
        async with pair(store, faulty=True) as (_, _, root, network):
            network.slow(50e6)
            began = loop.time()
            transfer = asyncio.ensure_future(pb.receive_file(root.film(), taken))
            waits = []
            while not transfer.done():
                asked = loop.time()
                assert "pong" == await root.ping()
                waits.append(loop.time() - asked)
                await asyncio.sleep(0.005)
            await transfer
            return loop.time() - began, sorted(waits)

    took_s, waits = run(main())
    assert took_s > (64 << 20) / 50e6
    assert len(waits) > 30
    assert waits[len(waits) * 99 // 100] < 0.05
    assert (64 << 20) == taken.stat().st_size
