"""A connection that comes back logs in and attaches again, once, or is given up."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref

import pytest

import cred
import pb

from ..auth.doors import PASSWORD
from ..auth.rooms import Client, settle
from .keys import Liar, filled
from .loops import run
from .lost import Spot, back, quick, record


def test_it_logs_in_and_attaches_again(tmp_path, loop):
    """The same identity, perspectives and client object, in this order: detached before attached."""

    async def main():
        house = await filled()
        async with (
            Spot(house.application.root, tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
        ):
            identity = await connection.login("alice", PASSWORD)
            client = Client()
            alice = await identity.attach("chat", client=client)
            ops = await identity.attach("chat", "ops")
            gone = await identity.attach("chat", "ops")
            await identity.detach(gone)
            for _ in range(20):
                spot.cut()
                await back(connection)
                assert ["alice", "ops"] == [await alice.who(), await ops.who()]
            assert [("chat", "alice"), ("chat", "ops")] == await identity.keys()
            at_alice = [what for what, name in house.chat.seen if name == "alice"]
            assert ["attached", "detached"] * 20 + ["attached"] == at_alice

            del ops
            gc.collect()
            spot.cut()
            await back(connection)
            assert 1 == sum({"attached": 1, "detached": -1}[what] for what, name in house.chat.seen), (
                "what nobody holds is not attached again"
            )

            await identity.logout()
            spot.cut()
            await back(connection)
            with pytest.raises(pb.Gone):
                await alice.who()

    run(main(), loop)


def test_nothing_is_kept_of_attachments_that_were_dropped(tmp_path):
    """A program that attaches for each of its tasks, with a client of its own, does not fill up."""

    async def main():
        house = await filled()
        async with (
            Spot(house.application.root, tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
        ):
            identity = await connection.login("alice", PASSWORD)
            stays = await identity.attach("chat", client=Client())
            clients = []
            for _ in range(20):
                client = Client()
                clients.append(weakref.ref(client))
                await identity.attach("chat", client=client)
            del client

            def are_gone():
                gc.collect()
                return sum(each() is not None for each in clients) <= 3

            await settle(are_gone)
            spot.cut()
            await back(connection)
            assert "alice" == await stays.who()

    run(main())


def test_a_login_waits_for_the_connection_as_calls_do(tmp_path):
    """Or a program that tries until it succeeds would keep the loop from ever hearing of the next one."""

    async def main():
        house = await filled()
        async with (
            Spot(house.application.root, tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
            pb.open_connection(spot.url, reconnect=quick(calls="fail")) as impatient,
        ):
            await spot.stop()
            for each in (connection, impatient):
                await each.status.wait_for("waiting")
            with pytest.raises(pb.NotExecuted):
                await impatient.login("alice", PASSWORD)
            waiting = asyncio.ensure_future(connection.login("alice", PASSWORD))
            await asyncio.sleep(0)
            await spot.start()
            assert "alice" == await (await (await waiting).attach("chat")).who()
            connection.abort()
            with pytest.raises(pb.NotExecuted):
                await connection.login("alice", PASSWORD)

    run(main())


def test_a_session_that_the_server_takes_for_alive_is_ended_by_the_next(tmp_path):
    """Half-open connections are found in minutes; until then one user must not be there twice."""

    async def main():
        house = await filled()
        async with (
            Spot(house.application.root, tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
        ):
            identity = await connection.login("alice", PASSWORD)
            alice = await identity.attach("chat")
            async with pb.open_connection(spot.url) as other:
                second = await (await other.login("alice", PASSWORD)).attach("chat")
                halves = list(spot.server._places)
                half = connection._link.transport
                half.pause_reading()
                connection._link.connection_lost(None)  # it knows, the server does not
                await back(connection)
                assert "alice" == await alice.who()
                assert all(half.transport is not None for half in halves)
                assert ["attached", "attached", "detached", "attached"] == [
                    what for what, _ in house.chat.seen
                ]
                assert "alice" == await second.who(), "another device of the same user stays"
                half.abort()

    run(main())


def test_two_clients_of_one_identity_do_not_end_each_other(tmp_path):
    """One has a telephone and a computer: each chooses a session that nobody else has (PB-K7)."""

    async def main():
        house = await filled()
        async with (
            Spot(house.application.root, tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as first,
            pb.open_connection(spot.url, reconnect=quick()) as second,
        ):
            identities = [await connection.login("alice", PASSWORD) for connection in (first, second)]
            identities.append(await second.login("alice", PASSWORD))
            users = [await identity.attach("chat") for identity in identities]
            for _ in range(3):
                assert ["alice"] * 3 == [await user.who() for user in users]
                assert 3 == house.authorizer.attach_count("chat", "alice")
                spot.cut()
                await asyncio.gather(back(first), back(second))
            assert ["alice"] * 3 == [await user.who() for user in users]

    run(main())


def test_what_may_not_be_attached_any_longer_is_gone(tmp_path, caplog):
    """And the rest of the connection is there all the same."""

    async def main():
        house = await filled()
        async with (
            Spot(house.application.root, tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
        ):
            identity = await connection.login("alice", PASSWORD)
            alice, ops = await identity.attach("chat"), await identity.attach("chat", "ops")
            spot.cut()
            await connection.status.wait_for("waiting")
            await (await house.authorizer.get_identity("alice")).remove_key("chat", "ops")
            # The key was taken while nobody was there: the login itself goes on.
            await connection.status.wait_for("connected")
            assert "alice" == await alice.who()
            said = "'ops' of 'chat' could not be attached again for 'alice': .*key"
            with pytest.raises(pb.Forbidden, match=said) as raised:
                await ops.who()
            ((lost, why),) = connection.status.kept_lost
            assert lost is ops and raised.value.__cause__ is why
            assert "'chat' of 'alice' cannot be attached again" in caplog.text

    run(main())


def test_a_login_that_is_refused_ends_it_for_good(tmp_path, caplog):
    """Every further try would be one more wrong guess (PB-K2)."""

    async def main():
        house = await filled()
        async with Spot(house.application.root, tmp_path) as spot:
            connection = await pb.open_connection(spot.url, reconnect=quick())
            states = record(connection)
            identity = await connection.login("alice", PASSWORD)
            alice = await identity.attach("chat")
            with pytest.raises(pb.LoginFailed):
                await connection.login("alice", "wrong")
            spot.cut()
            await connection.status.wait_for("waiting")
            waiting = alice.who()
            await (await house.authorizer.get_identity("alice")).disable()
            await connection.wait_closed()
            assert "failed" == states[-1] and not connection.is_open
            assert isinstance(connection.status.error, pb.LoginFailed)
            with pytest.raises(pb.NotExecuted, match="the connection was given up: login failed"):
                await waiting
            with pytest.raises(pb.NotExecuted):
                await alice.who()
            with pytest.raises(TypeError, match="takes credentials= alone"):
                await connection.login("alice", credentials=7)
            await connection.close()
            assert "failed" == connection.status.state.value

    run(main())


def test_a_login_that_the_server_has_ended_is_not_repeated(tmp_path, caplog):
    """Who has changed his password logs in anew; the login before could only be refused (PB-K2)."""

    async def main():
        house = await filled()
        async with (
            Spot(house.application.root, tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
        ):
            before = await (await connection.login("alice", PASSWORD)).attach("chat")
            await (await house.authorizer.get_identity("alice")).set_password(
                cred.PasswordHash.of("new", iterations=4096)
            )
            with pytest.raises(pb.Gone):
                await before.who()
            after = await (await connection.login("alice", "new")).attach("chat")
            for _ in range(3):
                spot.cut()
                await back(connection)
                assert "alice" == await after.who()
                assert {} == connection.status.logins_lost
            assert "refused" not in caplog.text
            with pytest.raises(pb.Gone):
                await before.who()

            account = await house.authorizer.get_identity("alice")
            await account.disable()
            await account.enable()
            with pytest.raises(pb.Gone):
                await after.who()
            spot.cut()
            await back(connection)
            assert ["alice"] == list(connection.status.logins_lost), "it was ended, and not had anew"
            assert isinstance(connection.status.logins_lost["alice"], pb.Gone)
            again = await (await connection.login("alice", "new")).attach("chat")
            assert "alice" == await again.who()
            assert {} == connection.status.logins_lost

    run(main())


def test_one_of_two_identities_that_is_refused_does_not_end_the_other(tmp_path, caplog):
    """It was disabled while nobody was there: it is left out, its references are gone, and status tells."""

    async def main():
        house = await filled()
        async with (
            Spot(house.application.root, tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
        ):
            alice = await (await connection.login("alice", PASSWORD)).attach("chat")
            bob = await (await connection.login("bob", PASSWORD)).attach("chat")
            told = []
            connection.status.watch(
                lambda change: told.append((change.state, set(connection.status.logins_lost)))
            )
            for _ in range(2):
                spot.cut()
                await connection.status.wait_for("waiting")
                await (await house.authorizer.get_identity("alice")).disable()
                await connection.status.wait_for("connected", "failed")
                assert "bob" == await bob.who()
                with pytest.raises(
                    pb.Gone, match="'alice' could not be logged in again: login failed"
                ) as raised:
                    await alice.who()
                assert raised.value.__cause__ is connection.status.logins_lost["alice"]
                assert (pb.ConnectionState.CONNECTED, {"alice"}) == told[-1]
                assert isinstance(connection.status.logins_lost["alice"], pb.LoginFailed)
            assert 1 == caplog.text.count("'alice' is not logged in again")

    run(main())


def test_a_server_without_the_reserved_methods_will_do(tmp_path, caplog):
    """Then nothing is known to be safe, and nothing is superseded."""

    async def main():
        house = await filled()
        async with (
            Spot(house.application.root, tmp_path) as spot,
            pb.open_connection(spot.url, reconnect=quick()) as connection,
        ):
            identity = await connection.login("alice", PASSWORD)
            await pb.call_remote(identity._reference, "supersede", b"s" * 16)
            for wrong in (b"short", b"x" * 65, "text" * 4, None):
                with pytest.raises(pb.Forbidden, match="a session is 16 to 64 bytes"):
                    await pb.call_remote(identity._reference, "supersede", wrong)

    with caplog.at_level(logging.WARNING):
        run(main())


def test_a_server_that_does_not_prove_itself_ends_it_for_good(tmp_path):
    """It is the same whether it is found out at the first login or at the twentieth."""

    async def main():
        async with Spot(Liar((await filled()).authorizer), tmp_path) as spot:
            connection = await pb.open_connection(spot.url, reconnect=quick())
            with pytest.raises(cred.UntrustedServer):
                await connection.login("alice", PASSWORD)
            assert "failed" == connection.status.state.value
            assert isinstance(connection.status.error, cred.UntrustedServer)
            await settle(lambda: not spot.server.connections)

    run(main())


def test_a_crowd_from_one_address_gets_in_without_waiting_long(tmp_path):
    """More than may wait there at a time: who is too many is told by BYE 6, and comes again soon (PB-A51)."""
    slept = set()

    async def sleep(seconds):
        slept.add(seconds)
        await asyncio.sleep(0.001)

    async def main():
        house = await filled()
        house.application.root.throttle = cred.Throttle(strangers_of_source=2)
        crowd = quick(retries_first=True, refused_s=3600.0, sleep=sleep)
        async with Spot(house.application.root, tmp_path, "pb") as spot:

            async def come():
                async with pb.open_connection(spot.url, reconnect=crowd) as connection:
                    return (await connection.login(credentials=credentials)).name

            credentials = cred.Password("alice", PASSWORD)
            assert ["alice"] * 12 == await asyncio.gather(*(come() for _ in range(12)))

    run(main())
    assert {0.0} == slept
