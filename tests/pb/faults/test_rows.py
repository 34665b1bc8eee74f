"""What users of such systems ask for, from end to end: containment, negotiation, and the pains of others.

The other rows have files and tests of their names: cancel, deadline, stream, backpressure, event_policy,
head_of_line, limits, transport, half_open, reconnect, pipelining, third_party, ordering, fork, sync_facade.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc

import msgpack
import pytest

import jelly
import pb
from pb import messages
from pb.testing import assert_clean, pair, run

from ..peers import frame, hello


class Unfit(Exception):
    """Something whose state cannot be sent."""

    def __init__(self):
        super().__init__("unfit")
        self.lock = object()


class Odd(BaseException):
    """Not even an Exception."""


class Root(pb.Root):
    def __init__(self):
        self.ended = asyncio.Event()
        self.kept = None

    def remote_echo(self, value):
        return value

    def remote_fail(self, kind):
        raise {"unfit": Unfit, "odd": Odd, "cancelled": asyncio.CancelledError, "exit": GeneratorExit}[kind]()

    async def remote_fail_later(self, kind):
        await asyncio.sleep(0)
        self.remote_fail(kind)

    def remote_give(self, kind):
        return {"object": object(), "loop": loop_of(), "big": bytes(200_000)}[kind]

    async def remote_numbers(self):
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            self.ended.set()

    async def remote_take(self, numbers):
        async for _ in numbers:
            await self.ended.wait()

    def remote_thing(self):
        self.kept = Thing()
        return self.kept

    async def remote_never(self):
        await asyncio.Event().wait()


class Thing(pb.Referenceable):
    def remote_look(self):
        return "here"


def loop_of():
    made: list = []
    made.append((made, object()))
    return made


def talk(act, limits=None):
    """Run `act(root, client)`, and see that nothing is left over."""

    async def main():
        async with pair(Root(), limits=limits) as (client, server, root):
            await act(root, client)
            del root
            gc.collect()
            await asyncio.sleep(1)
            assert_clean(client, server)

    return run(main())


REFUSED = {
    "an argument that nothing admits": (lambda root, client: root.echo(object()), jelly.Unjellyable),
    "an argument that is too large": (lambda root, client: root.echo(bytes(200_000)), pb.TooLarge),
    "an answer that nothing admits": (lambda root, client: root.give("object"), pb.Error),
    "an answer in a ring": (lambda root, client: root.give("loop"), pb.Error),
    "an answer that is too large": (lambda root, client: root.give("big"), pb.TooLarge),
    "an error whose state cannot be sent": (lambda root, client: root.fail("unfit"), pb.RemoteError),
    "an error that is no Exception": (lambda root, client: root.fail("odd"), pb.RemoteError),
    "one raised later": (lambda root, client: root.fail_later("odd"), pb.RemoteError),
    "the end of a generator": (lambda root, client: root.fail("exit"), pb.RemoteError),
    "a method that is not there": (lambda root, client: root.nothing(), pb.NoSuchMethod),
    "too few arguments": (lambda root, client: root.echo(), pb.BadArguments),
    "a method of a number": (lambda root, client: root.echo(1).look(), pb.NotPipelinable),
}


@pytest.mark.parametrize("name", REFUSED)
def test_containment_of_what_is_wrong_with_one_value(name, caplog):
    """The caller is told, always; and the connection goes on, with all its other calls."""
    make, kind = REFUSED[name]

    async def act(root, client):
        other = asyncio.ensure_future(root.never())
        await asyncio.sleep(0.01)
        with pytest.raises(kind):
            await make(root, client)
        assert "ping" == await root.echo("ping")
        assert not other.done()
        other.cancel()
        await asyncio.wait([other])

    talk(act, pb.Limits(max_frame=100_000))


@pytest.mark.parametrize("kind", ["cancelled", "exit", "odd"])
def test_containment_of_what_handlers_raise_that_is_no_error(kind, caplog):
    """The loop of the server outlives its handlers, also where nobody hears of it."""

    async def act(root, client):
        for method in (root.fail, root.fail_later):
            with pytest.raises(pb.Error):
                await method(kind)
            method.send(kind)
        assert "alive" == await root.echo("alive")

    talk(act)


def test_containment_of_an_object_that_is_gone():
    """Released here, revoked there: two calls that fail, and one connection that lives."""

    async def main():
        served = Root()
        async with pair(served) as (_, server, root):
            thing = await root.thing()
            assert "here" == await thing.look()
            pb.revoke(served.kept, server)
            with pytest.raises(pb.Gone):
                await thing.look()
            thing = await root.thing()
            pb.release(thing)
            with pytest.raises(pb.DeadReference):
                await thing.look()
            assert "ping" == await root.echo("ping")

    run(main())


async def against(said, act):
    """Let a scripted server say something, and `act` on what a client makes of its URL."""
    heard = asyncio.get_running_loop().create_future()

    async def answer(reader, writer):
        writer.write(said)
        data = await reader.read(1 << 16)
        try:
            while True:
                more = await asyncio.wait_for(reader.read(1 << 16), 0.3)
                if not more:
                    break
                data += more
        except TimeoutError:
            pass
        heard.set_result(data)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await act(f"pb://127.0.0.1:{port}")
        return await heard


def test_negotiation_ignores_what_it_does_not_know():
    """Keys and features of later versions; what both know is used, and nothing else."""

    async def main():
        async def act(url):
            async with pb.open_connection(url, limits=pb.Limits(drain_s=0.1)) as connection:
                assert 7 == connection.peer_limits.max_calls
                calls = [connection.root.look().more() for _ in range(2)]
                await asyncio.sleep(0.1)
                for call in calls:
                    call.cancel()

        said = hello(max_calls=7, features=["teleport", "keepalive-in-verse"], colour={"any": ["value"]})
        data = await against(said, act)
        envelopes = [envelope for body in bodies(data) for envelope in flat(body)]
        methods = [envelope[3] for envelope in envelopes if envelope[0] == messages.CALL]
        assert ["look", "look"] == methods, "the peer does not pipeline: `more` waits here"

    asyncio.run(main())


def test_negotiation_refuses_another_version_with_a_reason():
    """Both sides are told; nothing is called first."""

    async def main():
        async def act(url):
            with pytest.raises(pb.ProtocolError, match="version"):
                await pb.open_connection(url)

        said = frame([messages.HELLO, messages.MAGIC, 0, {}])
        data = await against(said, act)
        *_, last = [envelope for body in bodies(data) for envelope in flat(body)]
        assert [messages.BYE, messages.BYE_VERSION] == last[:2]

    asyncio.run(main())


def test_negotiation_of_limits_binds_the_sender():
    """What the peer does not take is refused where it is called, before anything is sent."""

    async def main():
        async with (
            pb.serve(Root(), "memory://negotiation", limits=pb.Limits(max_frame=5000)) as server,
            pb.open_connection(server.url) as connection,
        ):
            assert 5000 == connection.peer_limits.max_frame
            with pytest.raises(pb.TooLarge):
                await connection.root.echo(bytes(6000))
            assert 4000 == len(await connection.root.echo(bytes(4000)))

    asyncio.run(main())


def bodies(data):
    """Return the bodies of the frames in data."""
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def flat(body):
    """Return the envelopes of a body, which has one or a list of them."""
    value = msgpack.unpackb(body, strict_map_key=False)
    return value if type(value[0]) is list else [value]


@pytest.mark.parametrize("name", ["constructor", "__class__", "__init__", "pb.__dict__", "builtins.exit"])
def test_the_name_of_an_error_is_a_name_and_nothing_else(name):
    """Whatever a peer calls its error, it reaches no attribute and no class of ours."""

    async def main():
        async def act(url):
            async with pb.open_connection(url, limits=pb.Limits(drain_s=0.1)) as connection:
                with pytest.raises(pb.RemoteError) as failed:
                    await connection.root.look()
                assert name == failed.value.remote_type
                assert pb.RemoteError is type(failed.value)

        payload = msgpack.packb({"type": name, "msg": "it says", "bases": [name], "data": {name: 1}})
        reply = frame([messages.ERROR, 1, payload])

        async def answer(reader, writer):
            writer.write(hello())
            data = b""
            while b"look" not in data:
                data += await reader.read(1 << 16)
            writer.write(reply)
            try:
                with contextlib.suppress(ConnectionError):  # the end comes as it likes
                    await reader.read()
                    writer.close()
                    await writer.wait_closed()
            finally:
                writer.transport.abort()
                ended.set()

        ended = asyncio.Event()
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            await act(f"pb://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            await ended.wait()

    asyncio.run(main())


def test_a_promise_that_is_settled_is_an_argument_like_its_value():
    """Also twice in one call, and inside of a list."""

    async def act(root, client):
        settled = root.echo([1, 2])
        await settled
        assert [[1, 2], [[1, 2]]] == await root.echo([settled, [settled]])
        failed = root.nothing()
        with pytest.raises(pb.NoSuchMethod):
            await failed
        with pytest.raises(pb.BrokenPromise):
            await root.echo(failed)

    talk(act)


def test_senders_that_wait_are_let_go_when_the_other_end_dies():
    """Of a stream for its credit, of a call for its turn, of messages for room: none waits for ever."""

    async def main():
        served, stopped = Root(), asyncio.Event()

        async def numbers():
            try:
                while True:
                    yield 1
            finally:
                stopped.set()

        async with pair(served, limits=pb.Limits(max_calls=2)) as (client, _, root):
            calls = [root.take(numbers()), root.never(), root.echo("waits for its turn")]
            await asyncio.sleep(0.1)
            drained = asyncio.ensure_future(client.drain())
            assert not calls[2].done()
            client._link.transport.abort()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert [pb.OutcomeUnknown, pb.OutcomeUnknown, pb.NotExecuted] == [type(each) for each in outcomes]
            await asyncio.wait_for(stopped.wait(), 5)
            await asyncio.wait_for(drained, 5)

    run(main())


def test_two_programs_that_connect_to_each_other_at_once_have_two_connections():
    """Neither takes the place of the other, and a call may go round both of them."""

    class Node(pb.Root):
        other = None

        async def remote_round(self, depth):
            return 0 if depth == 0 else 1 + await self.other.round(depth - 1)

    async def main():
        left, right = Node(), Node()
        async with pb.serve(left, "memory://left") as a, pb.serve(right, "memory://right") as b:
            to_b, to_a = await asyncio.gather(*(pb.open_connection(server.url)._open() for server in (b, a)))
            left.other, right.other = to_b.root, to_a.root
            assert [5, 6] == await asyncio.gather(left.remote_round(5), right.remote_round(6))
            assert [1, 1] == [len(a.connections), len(b.connections)]
            await to_a.close()
            with pytest.raises(pb.NotExecuted):
                await right.remote_round(1)
            assert 1 == await left.remote_round(1), "the one that is left goes on"
            await to_b.close()

    asyncio.run(main())


def test_a_redundant_hello_ends_the_connection_and_no_other():
    """Whoever says hello twice is asked for nothing more."""

    async def main():
        async with pb.serve(Root(), "pb://127.0.0.1:0") as server:
            port = int(server.url.rpartition(":")[2])
            async with pb.open_connection(server.url) as other:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(hello() + hello())
                data = await asyncio.wait_for(reader.read(), 10)
                *_, last = [envelope for body in bodies(data) for envelope in flat(body)]
                assert [messages.BYE, messages.BYE_PROTOCOL] == last[:2]
                assert "hello" in last[2].lower()
                writer.close()
                assert 1 == await other.root.echo(1)

    asyncio.run(main())
