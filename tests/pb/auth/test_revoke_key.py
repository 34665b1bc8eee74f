"""A key that is taken off a keyring: the next call on all that came of it fails, on live connections."""

from __future__ import annotations

import pytest

import pb

from ..aio.loops import Place, run
from .doors import PASSWORD
from .rooms import Client, House, settle


@pytest.mark.parametrize("scheme", ["pb", "pbs", "pb+unix"])
def test_revoke_key_ends_the_perspective_its_views_and_what_it_handed_out(tmp_path, scheme):
    """At once, on every connection it is attached over; what another key opened goes on."""

    async def main():
        house = House()
        await house.fill()
        house.chat.get_perspective_named("bob")
        place = Place(scheme, tmp_path)
        async with place.serve(house.application.root) as server:
            connections = [await pb.open_connection(server.url) for _ in range(2)]
            held = []
            for connection in connections:
                identity = await connection.login("alice", PASSWORD)
                user = await identity.attach("chat", "alice", Client())
                held += [(user, "who"), (await user.room(), "who"), (await user.thing(), "poke")]
                held += [(await user.other("bob"), "wave")]
                ops = await identity.attach("chat", "ops")
            for reference, method in held:
                assert await pb.call_remote(reference, method)

            await (await house.authorizer.get_identity("alice")).remove_key("chat", "alice")
            assert 2 == house.chat.detached_count()
            for reference, method in held:
                with pytest.raises(pb.Gone):
                    await pb.call_remote(reference, method)
            assert "ops" == await ops.who()
            with pytest.raises(pb.Forbidden, match="no key"):
                await identity.attach("chat", "alice")
            for connection in connections:
                await connection.close()
            del held, ops, identity, user
            await settle(house.is_empty)
        assert 2 == house.chat.detached_count()

    run(main())
