"""The asyncio face, over every transport and under every loop: what a program sees."""

from __future__ import annotations

import asyncio
import gc

import pytest

import jelly
import pb

from .loops import run


class Watcher(pb.Referenceable):
    def __init__(self):
        self.seen = []

    def remote_saw(self, value):
        self.seen.append(value)
        return len(self.seen)


class Counter(pb.Referenceable):
    def __init__(self):
        self.count = 0

    def remote_add(self, number):
        self.count += number
        return self.count


class Root(pb.Root):
    def __init__(self):
        self.cancelled = asyncio.Event()
        self.notes = []
        self.kept = None

    def remote_echo(self, value):
        return value

    def remote_counter(self):
        return Counter()

    async def remote_watch(self, watcher, times):
        for number in range(times):
            await watcher.saw(number)
        return times

    def remote_note(self, value):
        self.notes.append(value)

    def remote_keep(self, value):
        self.kept = value

    def remote_give(self):
        return self.kept

    async def remote_forever(self):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    @pb.in_thread
    def remote_block(self, value):
        return value

    def remote_divide(self, a, b):
        return a / b

    def remote_peer(self):
        return pb.current_call().connection.peer


def test_echo_callback_reference_and_a_clean_end(place, loop):
    """The main job, from the first byte to the last."""

    async def main():
        async with place.serve(Root()) as server:
            async with pb.open_connection(server.url) as connection:
                root = connection.root
                assert "hello" == await root.echo("hello")

                watcher = Watcher()
                assert 3 == await root.watch(watcher, 3)
                assert [0, 1, 2] == watcher.seen

                counter = await root.counter()
                assert 5 == await counter.add(5)
                assert 7 == await counter.add(2)
                assert counter is await root.echo(counter)
                assert watcher is await root.echo(watcher)

                assert 2_000_000 == len(await root.echo(b"x" * 2_000_000))
                assert "in a thread" == await root.block("in a thread")
                assert isinstance(await root.peer(), str)
            assert [] == server.connections
        with pytest.raises(pb.DeadReference):
            await root.echo(1)

    run(main(), loop)


def test_dropped_references_leave_both_tables_empty(place, loop):
    """What nobody holds any longer is given back without being asked for."""

    async def main():
        async with place.serve(Root()) as server, pb.open_connection(server.url) as connection:
            root = connection.root
            for _ in range(20):
                counters = await asyncio.gather(*(root.counter() for _ in range(50)))
            del counters
            gc.collect()
            await root.echo(1)
            (served,) = server.connections
            assert 1 == served.usage.references_given
            assert 1 == connection.usage.references_held

    run(main(), loop)


def test_the_papers_form_of_a_call(loop):
    """`pbcallback` and `pberrback` get the outcome, and are never sent."""

    async def main():
        async with pb.serve(Root(), "memory://paper") as server, pb.open_connection(server.url) as connection:
            worked, failed = asyncio.Queue(), asyncio.Queue()
            root = connection.root
            assert None is root.echo("hi", pbcallback=worked.put_nowait, pberrback=failed.put_nowait)
            assert None is root.nope(pbcallback=worked.put_nowait, pberrback=failed.put_nowait)
            assert "hi" == await worked.get()
            assert isinstance(await failed.get(), pb.NoSuchMethod)

    run(main(), loop)


def test_a_call_without_an_answer(loop):
    """`send` returns None, and the call is made in its order."""

    async def main():
        root = Root()
        async with pb.serve(root, "memory://send") as server, pb.open_connection(server.url) as connection:
            remote = connection.root
            assert None is remote.note.send(1)
            await remote.note(2)
            assert [1, 2] == root.notes
            with pytest.raises(pb.Unjellyable):
                remote.note.send(object())

    run(main(), loop)


def test_a_result_is_a_future_as_it_is(loop):
    """gather, wait_for, TaskGroup and done callbacks need no task around it."""

    async def main():
        async with (
            pb.serve(Root(), "memory://future") as server,
            pb.open_connection(server.url) as connection,
        ):
            root = connection.root
            assert [1, 2] == await asyncio.gather(root.echo(1), root.echo(2))
            assert 3 == await asyncio.wait_for(root.echo(3), 10)
            promise = root.echo(4)
            assert asyncio.isfuture(promise)
            assert 4 == await promise
            assert 4 == promise.result()
            assert 5 == await pb.call_remote(root, "echo", 5)
            with pytest.raises(pb.NoSuchMethod):
                pb.call_remote(root, "_secret")

    run(main(), loop)


def test_cancelling_the_awaiting_task_cancels_the_callee(place, loop):
    """Both ends stop, and the connection goes on."""

    async def main():
        root = Root()
        async with place.serve(root) as server, pb.open_connection(server.url) as connection:
            task = asyncio.create_task(_await(connection.root.forever()))
            await connection.root.echo(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await root.cancelled.wait()
            assert 1 == await connection.root.echo(1)
            assert 0 == connection.usage.calls_made

    run(main(), loop)


async def _await(awaitable):
    return await awaitable


def test_errors_of_both_kinds(place, loop):
    """A registered one is itself; another is an incident."""

    async def main():
        async with (
            place.serve(Root(), registry=jelly.BUILTIN_ERRORS) as server,
            pb.open_connection(server.url, registry=jelly.BUILTIN_ERRORS) as connection,
            pb.open_connection(server.url) as stranger,
        ):
            with pytest.raises(ZeroDivisionError):
                await connection.root.divide(1, 0)
            with pytest.raises(pb.RemoteError) as caught:
                await stranger.root.divide(1, 0)
            assert "py.ZeroDivisionError" == caught.value.remote_type

    run(main(), loop)


def test_get_object_at_closes_with_its_last_reference(place, loop):
    """Nobody has to hold a connection for one object."""

    async def main():
        async with place.serve(Root()) as server:
            root = await pb.get_object_at(server.url, timeout=20)
            counter = await root.counter()
            del root
            gc.collect()
            assert 1 == await counter.add(1)
            connection = pb.connection_of(counter)
            ended = asyncio.Event()
            pb.on_disconnect(counter, lambda _: ended.set())
            assert connection.is_open
            link = connection._link
            link.lost = asyncio.get_running_loop().create_future()
            del counter
            gc.collect()
            await link.lost
            assert not connection.is_open

    run(main(), loop)


def test_disconnect_callbacks_are_isolated_removable_and_never_late(place, loop, caplog):
    """One that fails keeps no other from running; one registered on the dead runs soon."""

    async def main():
        told = []
        async with place.serve(Root()) as server:
            connection = await pb.open_connection(server.url)
            root = connection.root
            failures = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
            pb.on_disconnect(root, lambda _: 1 / 0)
            pb.on_disconnect(root, told.append)
            removed = pb.on_disconnect(root, told.append)
            removed()
            removed()
            await connection.close()
            await asyncio.sleep(0)
            assert [root] == told
            assert 1 == len(failures)
            pb.on_disconnect(root, told.append)
            await asyncio.sleep(0)
            assert [root, root] == told

    run(main(), loop)


def test_losing_the_server_settles_every_call(place, loop):
    """Each pending call fails with one kind of error; none hangs."""

    async def main():
        async with place.serve(Root()) as server:
            connection = await pb.open_connection(server.url)
            calls = [connection.root.forever() for _ in range(50)]
            await connection.root.echo(1)
            for served in server.connections:
                served.abort()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert {pb.OutcomeUnknown} == {type(outcome) for outcome in outcomes}
            with pytest.raises(pb.DeadReference):
                connection.root  # noqa: B018

    run(main(), loop)


def test_third_party_references_are_passed_on_and_come_home(place, loop):
    """A's object reaches C through B, and is itself again when it comes back."""

    async def main():
        middle = Root()
        async with place.serve(middle) as server:
            async with pb.open_connection(server.url) as a, pb.open_connection(server.url) as c:
                mine = Counter()
                await a.root.keep(mine)
                passed_on = await c.root.give()
                assert 3 == await passed_on.add(3)
                assert 3 == mine.count
                await c.root.keep(passed_on)
                assert mine is await a.root.give()
                middle.kept = None
            with pytest.raises(pb.NotExecuted):
                await passed_on.add(1)

    run(main(), loop)


def test_third_party_references_are_gone_when_their_owner_is(loop):
    """Not a hang, not another's object."""

    async def main():
        middle = Root()
        async with pb.serve(middle, "memory://owner") as server, pb.open_connection(server.url) as c:
            async with pb.open_connection(server.url) as a:
                await a.root.keep(Counter())
                passed_on = await c.root.give()
                assert 3 == await passed_on.add(3)
            for _ in range(100):
                if passed_on._pb_import.dead is not None:
                    break
                await c.root.echo(1)
            with pytest.raises(pb.Gone):
                await passed_on.add(1)

    run(main(), loop)


def test_proxy_false_refuses_at_the_sender(loop):
    """Where policy is that references stay on their connection."""

    async def main():
        middle = Root()
        async with (
            pb.serve(middle, "memory://refuse", proxy=False) as server,
            pb.open_connection(server.url) as a,
            pb.open_connection(server.url) as c,
        ):
            await a.root.keep(Counter())
            with pytest.raises(pb.Forbidden):
                await c.root.give()
            assert 1 == await c.root.echo(1)

    run(main(), loop)


def test_release_gives_back_now(loop):
    """The reference is dead from there on; the object may come again."""

    async def main():
        async with (
            pb.serve(Root(), "memory://release") as server,
            pb.open_connection(server.url) as connection,
        ):
            counter = await connection.root.counter()
            pb.release(counter)
            with pytest.raises(pb.DeadReference):
                await counter.add(1)
            with pytest.raises(jelly.Unjellyable, match=r"argument 0 of echo is a reference that is dead"):
                await connection.root.echo(counter)
            assert (False, True) == (pb.is_live(counter), pb.is_live(connection.root))
            await connection.root.echo(1)
            assert 1 == server.connections[0].usage.references_given

    run(main(), loop)


def test_nobody_listens(place, loop):
    """An OSError at once, whatever the transport."""

    async def main():
        async with place.serve(Root()) as server:
            url = server.url
        with pytest.raises(OSError):
            await pb.get_object_at(url, timeout=20)

    run(main(), loop)


def test_a_server_that_never_answers_is_a_timeout(loop):
    """The paper's timeout: the host is there and says nothing."""

    async def main():
        ended = asyncio.Event()

        async def silent(reader, writer):
            await reader.read()
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            ended.set()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError, match=r"127\.0\.0\.1"):
            await pb.get_object_at(f"pb://127.0.0.1:{port}", timeout=0.05)
        await ended.wait()
        server.close()

    run(main(), loop)
