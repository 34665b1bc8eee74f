"""One connection under a loop: silence, bursts, pressure, threads, and who is let in."""

from __future__ import annotations

import asyncio
import threading

import msgpack
import pytest

import pb

from .loops import Place, Writes, run


class Root(pb.Root):
    def __init__(self):
        self.gate = asyncio.Event()
        self.seen = []

    def remote_echo(self, value):
        return value

    def remote_note(self, value):
        self.seen.append(value)

    async def remote_wait(self):
        await self.gate.wait()
        return "waited"

    async def remote_now(self, value):
        asyncio.get_running_loop().call_soon(lambda: self.seen.append(self.written()))
        return value

    def remote_end(self):
        pb.current_call().connection.abort()


def frame(message):
    body = msgpack.packb(message)
    return len(body).to_bytes(4, "big") + body


def test_a_peer_that_falls_silent_is_found_out(loop, caplog):
    """A half-open connection looks just like this: calls must not wait for ever."""

    async def main():
        ended = asyncio.Event()
        heard = []

        async def silent(reader, writer):
            writer.write(frame([0, "PB", 1, {"max_calls": 10}]))
            heard.append(await reader.read())
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            ended.set()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        url = f"pb://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        limits = pb.Limits(idle_s=0.2, ping_after_s=0.05)
        connection = await pb.open_connection(url, limits=limits)
        with pytest.raises(pb.OutcomeUnknown, match="silent for"):
            await connection.root.echo(1)
        await ended.wait()
        assert frame([13, 0]) in heard[0]
        server.close()

    run(main(), loop)
    assert 1 == len(caplog.records)


def test_a_call_that_takes_long_does_not_look_like_silence():
    """The peer answers for itself while its handler is at work; an hour is over at once by a told clock."""

    async def main():
        root = Root()
        limits = pb.Limits(idle_s=20, ping_after_s=5)
        async with pb.testing.pair(root, limits=limits) as (_, _, there):
            waiting = there.wait()
            asyncio.get_running_loop().call_later(3600, root.gate.set)
            assert "waited" == await waiting

    pb.testing.run(main())


def test_who_says_nothing_at_all_is_sent_away(loop, caplog):
    """A connection costs something; HELLO is due in time."""

    async def main():
        limits = pb.Limits(hello_timeout_s=0.05)
        async with pb.serve(Root(), "pb://127.0.0.1:0", limits=limits) as server:
            host, port = server.url.removeprefix("pb://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            await reader.read()
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    run(main(), loop)
    assert ["no HELLO arrived in time"] == [record.args[-1] for record in caplog.records]


def test_a_burst_does_not_starve_another_connection(place, loop):
    """3,000 calls in one write; somebody else's single call is answered long before the last of them."""

    async def main():
        root = Root()
        async with (
            place.serve(root) as server,
            pb.open_connection(server.url) as busy,
            pb.open_connection(server.url) as other,
        ):
            for number in range(3_000):
                busy.root.note.send(number)
            await asyncio.gather(busy.root.echo("first"), other.root.note("other"))
            assert "last" == await busy.root.echo("last")
            assert list(range(3_000)) == [each for each in root.seen if each != "other"]
            assert root.seen.index("other") < 3_000

    run(main(), loop)


def test_calls_wait_while_the_network_takes_no_more(place, loop):
    """More than may wait for the network, all at once: none is lost and nobody is cut off."""

    async def main():
        limits = pb.Limits(write_max_bytes=1 << 20, write_high_bytes=1 << 16, write_low_bytes=1 << 14)
        async with (
            place.serve(Root(), limits=limits) as server,
            pb.open_connection(server.url, limits=limits) as connection,
        ):
            blocks = [bytes([number]) * 300_000 for number in range(40)]
            echoed = await asyncio.gather(*(connection.root.echo(block) for block in blocks))
            assert blocks == echoed

    run(main(), loop)


def test_async_handlers_that_wait_for_nothing_are_answered_in_the_turn_in_which_they_begin(place, loop):
    """A turn of the loop costs a system call, and a login has two such handlers. One write takes all."""

    async def main():
        root = Root()
        limits = pb.Limits(turn_s=60)  # on a busy machine too
        async with place.serve(root, limits=limits) as server, pb.open_connection(server.url) as connection:
            await connection.root.echo(1)  # else its greeting is counted too
            (link,) = server._places
            written = Writes(link)
            root.written = lambda: written.count
            assert "one" == await connection.root.now("one")
            assert [1] == root.seen
            assert [1, 2, 3] == await asyncio.gather(*map(connection.root.now, [1, 2, 3]))
            assert [1, 2, 2, 2] == root.seen

    run(main(), loop)


def test_a_reference_used_in_another_thread_says_what_to_do(loop):
    """Sometimes working is worse than never."""

    async def main():
        async with (
            pb.serve(Root(), "memory://threads") as server,
            pb.open_connection(server.url) as connection,
        ):
            root = connection.root
            errors = []

            def misuse():
                for call in (root.echo, root.echo.send):
                    try:
                        call(1)
                    except RuntimeError as error:
                        errors.append(str(error))

            thread = threading.Thread(target=misuse)
            thread.start()
            await asyncio.to_thread(thread.join)
            assert 2 == len(errors)
            assert all("pb.from_thread(" in error for error in errors)

    run(main(), loop)


def test_references_dropped_in_another_thread_are_given_back(loop):
    """The collector runs where it likes."""

    async def main():
        class Giver(pb.Root):
            def remote_give(self):
                return pb.Referenceable()

        async with pb.serve(Giver(), "memory://drop") as server, pb.open_connection(server.url) as connection:
            held = [await connection.root.give() for _ in range(10)]
            await asyncio.to_thread(held.clear)
            for _ in range(100):
                if server.connections[0].usage.references_given == 1:
                    break
                await asyncio.sleep(0)
            assert 1 == server.connections[0].usage.references_given

    run(main(), loop)


def test_each_connection_may_get_a_root_of_its_own(place, loop):
    """A callable is given the connection and returns what that peer may call."""

    async def main():
        roots = []

        def make(connection):
            roots.append(connection)
            return Root()

        async with place.serve(make) as server:
            async with pb.open_connection(server.url) as one, pb.open_connection(server.url) as two:
                assert 1 == await one.root.echo(1)
                assert 2 == await two.root.echo(2)
            assert 2 == len(set(map(id, roots)))

    run(main(), loop)


def test_a_root_that_cannot_be_made_refuses_that_peer_only(loop, caplog):
    """Somebody who may not come in is told nothing, and the listener lives."""

    async def main():
        refuse = [True]

        def make(connection):
            if refuse:
                refuse.clear()
                raise PermissionError("not you")
            return Root()

        async with pb.serve(make, "pb://127.0.0.1:0") as server:
            with pytest.raises((OSError, pb.Error)):
                await pb.open_connection(server.url)
            async with pb.open_connection(server.url) as connection:
                assert 1 == await connection.root.echo(1)

    run(main(), loop)
    assert "not you" in caplog.text


def test_a_client_may_publish_a_root_too(place, loop):
    """The protocol is symmetric."""

    async def main():
        class Asker(pb.Root):
            async def remote_ask(self, question):
                connection = pb.current_call().connection
                return await connection.root.echo(question)

        async with (
            place.serve(Asker()) as server,
            pb.open_connection(server.url, root=Root()) as connection,
        ):
            assert "who are you" == await connection.root.ask("who are you")

    run(main(), loop)


def test_a_handler_may_end_its_own_connection(place, loop):
    """Its caller gets one kind of error, and the server goes on."""

    async def main():
        async with place.serve(Root()) as server:
            connection = await pb.open_connection(server.url)
            with pytest.raises(pb.OutcomeUnknown):
                await connection.root.end()
            await connection.close()
            await connection.close()
            async with pb.open_connection(server.url) as again:
                assert 1 == await again.root.echo(1)

    run(main(), loop)


def test_an_error_without_pberrback_is_logged_once(loop, caplog):
    """Nobody waits for it, so somebody must be able to find it."""

    async def main():
        async with pb.serve(Root(), "memory://log") as server, pb.open_connection(server.url) as connection:
            done = asyncio.Event()
            connection.root.nope(pbcallback=print)
            connection.root.echo(1, pbcallback=lambda _: done.set())
            connection.root.echo(2, pberrback=print)
            await done.wait()
            await connection.root.echo(3)

    run(main(), loop)
    assert ["nope failed and has no pberrback"] == [record.getMessage() for record in caplog.records]


def test_a_disconnect_callback_may_be_a_coroutine(loop):
    """It is run to its end."""

    async def main():
        told = asyncio.Event()

        async def tell(reference):
            await asyncio.sleep(0)
            told.set()

        async with pb.serve(Root(), "memory://coroutine") as server:
            connection = await pb.open_connection(server.url)
            root = connection.root
            pb.on_disconnect(root, tell)
            await connection.close()
            await told.wait()

    run(main(), loop)


def test_a_connection_tells_what_it_is(place, loop):
    """For people at a prompt, and for logs."""

    async def main():
        limits = pb.Limits(max_calls=7)
        async with place.serve(Root(), limits=limits) as server:
            async with pb.open_connection(server.url) as connection:
                assert 7 == connection.peer_limits.max_calls
                assert 1024 == connection.limits.max_calls
                assert connection.is_open
                assert "open" in repr(connection)
                root = connection.root
                assert repr(root).endswith("live>")
                assert "echo" in repr(root.echo)
                assert connection is pb.connection_of(root)
                assert 0 == connection.usage.calls_made
            assert repr(root).endswith("dead>")
            assert not connection.is_open
            pb.release(root)

    run(main(), loop)


def test_a_server_closes_once_and_its_waiter_goes_on(place, loop):
    """Twice does nothing; `serve_forever` ends with it."""

    async def main():
        server = await place.serve(Root())
        forever = asyncio.ensure_future(server.serve_forever())
        connection = await pb.open_connection(server.url)
        await server.close()
        await server.close()
        await forever
        assert not connection.is_open

    run(main(), loop)


def test_a_stale_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path, loop):
    """A server that was killed leaves its file behind."""

    async def main():
        place = Place("pb+unix", tmp_path)
        (tmp_path / "plain").write_text("a file of somebody's")
        async with place.serve(Root()) as server:
            with pytest.raises(OSError):
                await place.serve(Root())
            async with pb.open_connection(server.url) as connection:
                assert 1 == await connection.root.echo(1)
        with pytest.raises(OSError):
            await pb.serve(Root(), f"pb+unix://{tmp_path}/plain")
        assert "a file of somebody's" == (tmp_path / "plain").read_text()

    run(main(), loop)


def test_another_key_than_the_urls_is_refused_before_the_first_byte(tmp_path, loop):
    """The address says who is to answer."""

    async def main():
        place = Place("pbs", tmp_path)
        other = tmp_path / "other"
        other.mkdir()
        pin = pb.tls.create(other / "other.pem")
        async with place.serve(Root()) as server:
            wrong = f"pbs://{pin}@" + server.url.split("@")[1]
            with pytest.raises(pb.tls.PinMismatch):
                await pb.open_connection(wrong)
            async with pb.open_connection(server.url) as connection:
                assert 1 == await connection.root.echo(1)

    run(main(), loop)
