"""What is still held when it should not be: by one connection, and by the process as a whole."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from pb.aio.connection import Connection
from pb.broker import Broker
from pb.calling.running import Served
from pb.wire.state import State

from .side import Side

__all__ = ["Census", "assert_clean", "held"]

# Objects of these come and go with how the interpreter feels.
_FLUCTUATING: Final = {
    "frame",
    "cell",
    "weakref",
    "ReferenceType",
    "KeyedRef",
    "Context",
    "builtin_function_or_method",
}
# The census before is there when the one after is taken.
_OURS: Final = {"pb.testing.leaks.Census", "collections.Counter"}
_FDS: Final = "/proc/self/fd"
_STATM: Final = "/proc/self/statm"


def held(connection: Connection | Side) -> dict[str, object]:
    """Return what a connection holds, by kind; empty is clean.

    While it is open the roots of both sides are not counted, nor its transport and timer. After its end
    nothing at all may be left. What is garbage but was not collected yet counts.

    Args:
        connection: a `pb.Connection`, or one side of a `Pump`.
    """
    broker: Broker = connection._link.broker if isinstance(connection, Connection) else connection.broker
    is_over = broker.state is State.CLOSED
    tables, calls, serving = broker.tables, broker.calls, broker.serving
    found: dict[str, object] = {
        "objects that the peer holds": [
            _name(export.object) for number, export in tables.exports.items() if number or is_over
        ],
        "references to the peer's objects": sorted(
            str(handle.id) for handle in tables.imports.values() if handle.id or is_over
        ),
        "replicas": sorted(map(str, tables.replicas)),
        "releases to be told": len(tables.dropped),
        "attachments": [_name(scope.perspective) for scope in tables.scopes],
        "calls that wait for an answer": sorted(calls.pending),
        "calls that wait for their turn": len(calls._waiting),
        "calls that are served": sorted(serving.running),
        "calls that are served and want no answer": len(serving._quiet),
        "calls that wait to be served": len(serving._held),
    }
    if isinstance(connection, Connection):
        link = connection._link
        under_way = (*serving.running.values(), *serving._quiet)
        tasks = [one.task for one in under_way if isinstance(one, Served) and one.task is not None]
        found["tasks"] = sorted(task.get_name() for task in (*tasks, *(link._tasks or ())))
        if is_over:
            found["a transport"] = link.transport is not None
            found["a timer of the connection"] = link._pulse._timer is not None
            found["a timer of deadlines"] = link._sweep is not None and not link._sweep.cancelled()
            found["watchers of the end"] = len(link._watchers or ())
            found["a place in the list of its server"] = link.places is not None and link in link.places
    else:
        found["tasks"] = len(connection.tasks)
        if is_over:
            found["watchers of the end"] = len(connection.watchers)
    return {kind: what for kind, what in found.items() if what}


def assert_clean(*connections: Connection | Side) -> None:
    """Check that connections hold nothing they need not; the text says what is held.

    Raises:
        AssertionError: something was not given back. Where that is in order, such as a reference that the
            test still has, drop it first.
    """
    gc.collect()
    for connection in connections:
        found = held(connection)
        if found:
            told = "; ".join(f"{kind}: {what}" for kind, what in found.items())
            raise AssertionError(f"{connection!r} still holds {told}")


def _name(value: object) -> str:
    # Never its repr: it may be a peer's, or a thousand levels deep.
    return type(value).__qualname__


@dataclass(frozen=True)
class Census:
    """How much of everything there is in this process.

        before = Census.take()
        ...                         # connect, work, disconnect, a thousand times
        assert {} == Census.take().growth_since(before)

    Attributes:
        objects: how many of each type the collector knows, by its full name.
        tasks: tasks of the running loop, without the current one; 0 without a loop.
        fds: open files and sockets; 0 where the system does not tell.
        rss_bytes: memory in use; 0 where the system does not tell.
    """

    objects: Counter[str] = field(repr=False)
    tasks: int
    fds: int
    rss_bytes: int

    @classmethod
    def take(cls) -> Census:
        """Count, after everything that is garbage has been collected."""
        for _ in range(3):  # what a finalizer sets free is garbage of the next round
            gc.collect()
        objects = Counter(
            f"{type(each).__module__}.{type(each).__qualname__}"
            for each in gc.get_objects()
            # asyncio keeps what was cancelled until it would have been due, or there are a hundred.
            if not (type(each) is asyncio.TimerHandle and each.cancelled())
        )
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            tasks = 0
        else:
            tasks = len(asyncio.all_tasks(loop) - {asyncio.current_task()})
        return cls(objects, tasks, _fds(), _rss_bytes())

    def growth_since(
        self, before: Census, *, tolerance: int = 0, rss_bytes: int = 5 * 1024 * 1024
    ) -> dict[str, int]:
        """Return what there is more of than before, by name.

        Args:
            tolerance: of each type so many more are no growth.
            rss_bytes: so much more memory is no growth.
        """
        grown = {
            name: count - before.objects[name]
            for name, count in self.objects.items()
            if count - before.objects[name] - (name in _OURS) > tolerance
            and name.rpartition(".")[2] not in _FLUCTUATING
        }
        for name, now, then, most in (
            ("tasks", self.tasks, before.tasks, 0),
            ("open files", self.fds, before.fds, 0),
            ("bytes of memory", self.rss_bytes, before.rss_bytes, rss_bytes),
        ):
            if now - then > most:
                grown[name] = now - then
        return grown


def _fds() -> int:
    return len(os.listdir(_FDS)) - 1 if os.path.isdir(_FDS) else 0  # without the one that lists


def _rss_bytes() -> int:
    if not os.path.exists(_STATM):
        return 0
    with open(_STATM) as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
