"""RPyC: a service of ours, a thread per connection, asynchronous calls where calls are outstanding.

Containers stay behind as netrefs there, so the dicts cross as pickles, which is what its own
obtain() and deliver() do.
"""

from __future__ import annotations

import pickle
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import rpyc
from rpyc.core.stream import SocketStream
from rpyc.utils.server import ThreadedServer

from tests.bench.contestants._blocking import Client, drive_rounds
from tests.bench.workloads import OUTSTANDING, OUTSTANDING_EACH, TEXT, shares

WORKLOADS = frozenset(
    {"sequential", "outstanding", "connections", "dicts", "bytes", "callbacks", "references", "idle"}
)


def windowed(call: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], window: int) -> None:
    """Make all the calls, never more than `window` without their answer, and drop every value."""
    waiting: deque[Any] = deque()
    for args in arguments:
        if len(waiting) == window:
            # Half the window at a time: answers come in bursts, and so may the next calls.
            for _ in range(window // 2):
                waiting.popleft().wait()
        waiting.append(call(*args))
    for result in waiting:
        result.wait()


class Made:
    """What the workload of references makes and drops."""

    alive = 0

    def __init__(self) -> None:
        Made.alive += 1

    def __del__(self) -> None:
        Made.alive -= 1


class Root(rpyc.Service):
    """What the server publishes."""

    def exposed_echo(self, value: Any) -> Any:
        return value

    def exposed_echo_pickled(self, pickled: bytes) -> bytes:
        return pickle.dumps(pickle.loads(pickled))

    def exposed_keep(self, callback: Any) -> None:
        self._callback = rpyc.async_(callback)

    def exposed_ask(self, n: int) -> None:
        windowed(self._callback, ((number,) for number in range(n)), OUTSTANDING)

    def exposed_make(self) -> Made:
        return Made()

    def exposed_held(self) -> int:
        return Made.alive


class RpycClient(Client):
    """One connection."""

    def __init__(self, port: int) -> None:
        # Without nodelay every window waits 40 ms for an acknowledgement.
        stream = SocketStream.connect("127.0.0.1", port, nodelay=True)
        self._connection = rpyc.connect_stream(stream, config={"sync_request_timeout": 60})
        self._root = self._connection.root
        self.async_echo = rpyc.async_(self._root.echo)
        self._total = 0
        self._keeps_callback = False

    def echo(self, workload: str, value: object, n: int) -> object:
        root = self._root
        if workload != "dicts":
            for _ in range(n):
                answer = root.echo(value)
            return answer
        for _ in range(n):
            answer = pickle.loads(root.echo_pickled(pickle.dumps(value)))
        return answer

    def outstanding(self, n: int, others: list[Any]) -> None:
        if not others:
            windowed(self.async_echo, ((TEXT,) for _ in range(n)), OUTSTANDING)
            return
        left = shares(n, len(others))
        while any(left):
            waiting = []
            for i, other in enumerate(others):
                now = min(left[i], OUTSTANDING_EACH)
                left[i] -= now
                waiting += [other.async_echo(TEXT) for _ in range(now)]
            for result in waiting:
                result.wait()

    def _add(self, number: int) -> None:
        self._total += number

    def callbacks(self, n: int) -> int:
        if not self._keeps_callback:
            self._root.keep(self._add)
            self._keeps_callback = True
        self._total = 0
        self._root.ask(n)
        return self._total

    def references(self, n: int) -> None:
        windowed(rpyc.async_(self._root.make), ((),) * n, OUTSTANDING)

    def distinct_references(self, n: int) -> int:
        return len({id(made) for made in [self._root.make() for _ in range(n)]})

    def held(self) -> int:
        return self._root.held()


def without_delay(connected: socket.socket) -> tuple[socket.socket, None]:
    """Switch Nagle's algorithm off; the place of an authenticator is where a server lets one."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected, None


def serve(loop: str, announce: Callable[[int], None]) -> None:
    """Serve until the process ends."""
    server = ThreadedServer(
        Root,
        hostname="127.0.0.1",
        port=0,
        authenticator=without_delay,
        protocol_config={"sync_request_timeout": 60},
    )
    threading.Thread(target=announce, args=[server.port]).start()
    server.start()


def drive(loop: str, port: int, rounds: Iterable[Any]) -> None:
    """Do every round."""
    drive_rounds(RpycClient, port, rounds)
