"""What went wrong in other systems of this kind, once each: see that it does not here.

The rest has its place where the thing is: bursts (aio/test_link.py), streams, pipelining, pressure
and reconnecting (files of their own), drops during a login (auth/test_sessions.py), AttributeErrors inside a
method (test_calls.py).
"""

from __future__ import annotations

import asyncio
import datetime
import gc
import subprocess
import sys

import pytest

import jelly
import pb
from pb.testing import assert_clean, pair, run

from ..cached import REGISTRY, Shop
from ..cli.processes import ENVIRONMENT, HARD_END_S, ROOT
from ..pump import Pump

UTC = datetime.UTC


class Root(pb.Root):
    def remote_echo(self, /, *args, **kwargs):
        return [list(args), kwargs]

    async def remote_slow(self):
        await asyncio.sleep(1)
        return "slow"

    async def remote_fail(self):
        await asyncio.sleep(0)
        raise ValueError("within")

    async def remote_unsendable(self):
        return object()


def talk(act, **options):
    async def main():
        async with pair(Root(), **options) as (client, server, root):
            await act(root)
            del root
            gc.collect()
            await asyncio.sleep(1)
            assert_clean(client, server)

    return run(main())


def test_an_answer_that_cannot_be_sent_is_an_error_and_no_hang(caplog):
    """The caller is told, and the connection goes on."""

    async def act(root):
        with pytest.raises(pb.RemoteError):
            await root.unsendable()
        assert [[1], {}] == await root.echo(1)

    talk(act)


@pytest.mark.parametrize(
    "value",
    [
        2 + 3j,
        1 << 2_000,
        -(1 << 64),
        "ü" * (1 << 20),
        datetime.datetime(1900, 2, 3, tzinfo=UTC),
        b"\0" * (1 << 20),
    ],
    ids=["complex", "huge int", "below 64 bits", "a MiB of text", "an old date", "a MiB of bytes"],
)
def test_values_that_are_rare_come_back_as_they_are(value):
    """In value and type."""

    async def act(root):
        ((found,), _) = await root.echo(value)
        assert [type(value), value] == [type(found), found]

    talk(act)


def test_keyword_arguments_may_have_any_name():
    """Those of the library's own parameters too."""
    names = [
        "f",
        "name",
        "self",
        "method",
        "timeout",
        "args",
        "kwargs",
        "reference",
        "id",
        "root",
        "cls",
        "call",
    ]
    values = dict(zip(names, range(99), strict=False))

    async def act(root):
        assert [[], values] == await root.echo(**values)
        assert [[], values] == await pb.call_remote(root, "echo", **values)
        root.echo.send(**values)

    talk(act)


def test_a_remote_error_passes_through_coroutines_and_generators():
    """It can be thrown into them, caught there and raised again."""

    registry = jelly.Registry()
    registry.add(ValueError, "py.ValueError")

    async def act(root):
        async def generator():
            try:
                yield 1
            except ValueError as error:
                yield str(error)

        steps = generator()
        await anext(steps)
        try:
            await root.fail()
        except ValueError as error:
            assert "within" == await steps.athrow(error)
        await steps.aclose()

    talk(act, registry=registry)


def test_an_observer_can_be_compared_and_kept_in_a_set():
    """Whoever observes is found again when it stops."""
    shop = Shop()
    pump = Pump(shop, registry=REGISTRY)
    replica = pump.call("get", "stock")
    (observer,) = shop.stock._observers
    del replica
    gc.collect()
    pump.run()
    ((_, stopped),) = shop.stock._stopped

    assert observer == stopped
    assert stopped in {observer}
    assert observer != object()


def test_a_reference_that_is_dropped_while_its_call_is_awaited_is_answered():
    """The call holds what it needs."""

    async def main():
        async with pair(Root()) as (client, server, root):
            call = client.root.slow()
            del root
            gc.collect()
            assert "slow" == await call
            assert server.is_open

    run(main())


def test_the_collector_may_run_at_any_moment():
    """References, streams and objects that were passed end in the middle of whatever is being encoded."""

    class Giver(Root):
        def remote_thing(self, *given):
            return pb.Referenceable()

        async def remote_rows(self):
            yield pb.Referenceable()
            yield 1

    async def main():
        async with pair(Giver()) as (client, server, root):
            usual = gc.get_threshold()
            gc.set_threshold(1, 1, 1)
            try:
                for number in range(30):
                    ring = [await root.thing(), root.rows()]
                    ring.append(ring)  # nothing but the collector ends it
                    del ring
                    values = [[number, {number: "x"}], pb.Referenceable(), {"a": (number, b"y")}]
                    assert [values, {"key": values}] == await root.echo(*values, key=values)
            finally:
                gc.set_threshold(*usual)
            del values, root
            gc.collect()
            await asyncio.sleep(1)
            assert_clean(client, server)

    run(main())


def test_a_disconnect_callback_that_is_registered_twice_is_called_twice_and_taken_back_once():
    """Each registration is its own."""
    told = []

    async def main():
        async with pair(Root()) as (client, _, root):
            first = pb.on_disconnect(root, told.append)
            pb.on_disconnect(root, told.append)
            pb.on_disconnect(root, told.append)
            first()
            first()
            await client.close()
            await asyncio.sleep(0.1)
            assert [root, root] == told
            told.clear()

    run(main())


def test_the_shutdown_of_the_interpreter_is_silent():
    """References and connections that are alive then say nothing; an error defined in __main__ crosses."""
    code = """
import asyncio, pb
registry = pb.Registry()

@registry.copyable("main.Broke")
class Broke(Exception):
    pass

class Root(pb.Root):
    def remote_thing(self):
        return pb.Referenceable()
    def remote_fail(self):
        raise Broke("in main")

async def main():
    global kept
    server = await pb.serve(Root(), "memory://end", registry=registry)
    connection = await pb.open_connection(server.url, registry=registry)
    try:
        await connection.root.fail()
    except Broke as error:
        print(error)
    kept = [server, connection, connection.root, await connection.root.thing()]
    kept.append(kept)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=HARD_END_S,
    )

    assert ["in main\n", "", 0] == [done.stdout, done.stderr, done.returncode]
