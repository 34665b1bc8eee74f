"""A program that stops its tasks before they have begun: whoever waits for what they were to do is told."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc

import pytest

import pb

from .loops import run


def traced(loop, coroutine, **options):
    """Make a task as tools do that trace a program: of a coroutine of theirs, which awaits ours."""

    async def follow():
        return await coroutine

    return asyncio.Task(follow(), loop=loop, **options)


FACTORIES = {"tasks": None, "traced tasks": traced}
if hasattr(asyncio, "eager_task_factory"):
    FACTORIES["eager tasks"] = asyncio.eager_task_factory


class Stops(pb.Root):
    """Stops each task that begins in the same turn of the loop, before its first step."""

    def __init__(self):
        self.begun = []
        self.stopped = 0

    def remote_stop(self):
        self.before = asyncio.all_tasks()
        asyncio.get_running_loop().call_soon(self._stop)

    def _stop(self):
        for task in asyncio.all_tasks() - self.before:
            self.stopped += task.cancel()

    async def remote_slow(self):
        self.begun.append("slow")
        return await asyncio.Event().wait()

    def remote_numbers(self):
        self.remote_stop()
        return self._numbers()

    async def _numbers(self):
        self.begun.append("numbers")
        await asyncio.Event().wait()
        yield 1

    def remote_come(self):
        self.remote_stop()
        return self.remote_slow()

    def remote_peer(self):
        return self.kept

    def remote_keep(self, value):
        self.kept = value


class Level(pb.Cacheable, pb.RemoteCache):
    def __init__(self):
        self._observers = pb.Observers()

    def get_state_to_cache_and_observe_for(self, perspective, observer):
        self._observers.add(observer)
        return {}

    def stopped_observing(self, perspective, observer):
        self._observers.discard(observer)

    def observe_stop(self):
        self.stops.remote_stop()

    async def observe_slow(self):
        await self.stops.remote_slow()


@pytest.fixture(params=list(FACTORIES))
def tasks(request):
    """What makes the tasks of a program."""
    return FACTORIES[request.param]


@pytest.fixture
def stops(tasks):
    """Return what stops tasks; check that it had one to stop, which had begun only if tasks do at once."""
    root = Stops()
    yield root
    assert 1 == root.stopped
    assert (tasks in (None, traced)) == (root.begun == [])


def on(tasks, main, root, **options):
    options.setdefault("limits", pb.Limits(turn_s=60))  # one turn is one, on a busy machine too

    async def whole():
        asyncio.get_running_loop().set_task_factory(tasks)
        async with (
            pb.serve(root, "memory://stops", **options) as server,
            pb.open_connection(server.url, **options) as connection,
        ):
            await main(connection)
            (link,) = server._places
            serving = link.broker.serving
            assert (0, 0, 0) == (serving.count, serving.beginning, link.broker.scope.running)
            gc.collect()  # of what never ran, nothing says that it was never awaited

    run(whole())


def test_a_call_is_answered_whose_task_is_stopped_before_its_first_step(tasks, stops):
    """And leaves nothing: else it would take one of `max_calls`, and the connection would not drain."""

    async def main(connection):
        stopped, slow = connection.root.stop(), connection.root.slow()
        await stopped
        with pytest.raises(pb.Cancelled, match="the program that served the call has stopped it"):
            await slow

    on(tasks, main, stops)


def test_a_stream_ends_whose_task_is_stopped_before_its_first_step(tasks, stops):
    """Its consumer would wait for ever."""

    async def main(connection):
        with pytest.raises(pb.Cancelled, match="the producer of the stream was stopped"):
            async for _ in connection.root.numbers():
                raise AssertionError("an item came")

    on(tasks, main, stops)


def test_a_call_on_what_came_home_ends_whose_task_is_stopped_before_its_first_step(tasks, stops):
    """It is run here; to whoever made it there is no difference."""

    async def main(connection):
        await connection.root.keep(stops)
        come = connection.root.peer().come()
        with pytest.raises(pb.Cancelled, match="the method was cancelled"):
            await come

    on(tasks, main, Stops())


def test_a_replica_is_stale_of_which_an_update_is_stopped_before_its_first_step(tasks, stops):
    """It has missed something."""
    level = Level()
    stale = []

    class Root(pb.Root):
        def remote_level(self):
            return level

        def remote_change(self):
            level._observers.send("stop")
            level._observers.send("slow")

    async def main(connection):
        replica = await connection.root.level()
        replica.stops = stops
        await connection.root.change()
        await connection.root.level()
        stale.append(pb.is_stale(replica))
        assert 0 == connection._link.broker.serving.count

    registry = pb.Registry()
    registry.add(Level, "Level")
    on(tasks, main, Root(), registry=registry)

    assert [True] == stale


def test_what_nobody_stops_runs_to_its_end(tasks):
    """Whatever makes the tasks, and as often as one likes: nothing of a call stays."""

    class Root(Stops):
        async def remote_slow(self):
            await asyncio.sleep(0)
            return "done"

        async def remote_numbers(self):
            yield 1
            await asyncio.sleep(0)
            yield 2

        def remote_come(self):
            return self.remote_slow()

    root = Root()

    async def main(connection):
        far = connection.root
        await far.keep(root)
        for _ in range(3):
            assert ["done"] * 4 == await asyncio.gather(*[far.slow() for _ in range(4)])
            assert [1, 2] == [number async for number in far.numbers()]
            assert "done" == await far.peer().come()

    on(tasks, main, root, limits=pb.Limits(max_calls=4))


def test_a_task_that_never_runs_what_it_was_given_ends_the_call():
    """The caller is told, and the connection has a place again."""

    async def idle():
        pass

    def forgetful(loop, coroutine, **options):
        return asyncio.Task(idle() if "Pacing" in coroutine.__qualname__ else coroutine, loop=loop, **options)

    async def main(connection):
        with pytest.raises(pb.RemoteError, match="internal error"):
            await connection.root.slow()

    on(forgetful, main, Stops())


def test_a_program_that_makes_no_tasks_fails_the_call():
    """It is answered once, with an id that the log has too."""

    def refuse(loop, coroutine, **options):
        if "Pacing" in coroutine.__qualname__:
            raise RuntimeError("no tasks here")
        return asyncio.Task(coroutine, loop=loop, **options)

    async def main(connection):
        slow = connection.root.slow()
        with pytest.raises(pb.RemoteError, match="internal error"):
            await slow

    on(refuse, main, Stops())


class Waits(pb.Root):
    """Waits for what the program itself has cancelled."""

    async def remote_shielded(self):
        work = asyncio.create_task(asyncio.sleep(1000))
        work.cancel()
        await asyncio.shield(work)

    def remote_plain(self):
        work = concurrent.futures.Future()
        work.cancel()
        return work.result()


@pytest.mark.parametrize("method", ["shielded", "plain"])
def test_what_a_method_waits_for_is_stopped_and_its_caller_is_told_so(caplog, method):
    """It is no error of the method's, and no traceback would tell more."""

    async def main(connection):
        with pytest.raises(pb.Cancelled, match="the program that served the call has stopped it"):
            await getattr(connection.root, method)()
        assert "" == caplog.text

    on(None, main, Waits())
