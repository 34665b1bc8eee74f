"""Pyro5 with its msgpack serializer and its default server, a thread per connection.

A proxy has one call on its way at a time and belongs to one thread, so calls that are outstanding
together need as many threads and connections. (What its batches do is in pyro_batch.py.) It
collects no references: dropped objects are unregistered by a call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import Pyro5.api

from tests.bench.contestants._blocking import Client, drive_rounds
from tests.bench.workloads import OUTSTANDING, OUTSTANDING_EACH, TEXT, shares

WORKLOADS = frozenset(
    {"sequential", "outstanding", "connections", "dicts", "bytes", "callbacks", "references", "idle"}
)

Pyro5.api.config.SERIALIZER = "msgpack"
Pyro5.api.config.SOCK_NODELAY = True
# Its default would refuse the 81st connection.
Pyro5.api.config.THREADPOOL_SIZE = 2000


class Threads:
    """So many threads, each with a proxy of its own for the same object."""

    def __init__(self, uri: Any, n: int) -> None:
        self._proxies = [Pyro5.api.Proxy(uri) for _ in range(n)]
        self._pool = ThreadPoolExecutor(n)

    def work(self, call: Callable[[Any, int], None], n: int) -> None:
        """Do n operations by call(proxy, share) in every thread."""

        def work(proxy: Any, share: int) -> None:
            proxy._pyroClaimOwnership()
            call(proxy, share)

        for _ in self._pool.map(work, self._proxies, shares(n, len(self._proxies))):
            pass


@Pyro5.api.expose
class Made:
    """What the workload of references makes and drops."""

    alive = 0

    def __init__(self) -> None:
        Made.alive += 1

    def __del__(self) -> None:
        Made.alive -= 1

    def ping(self) -> None:
        """Pyro5 makes no proxy for an object that exposes nothing."""


@Pyro5.api.expose
class Root:
    """What the server publishes."""

    def echo(self, value: Any) -> Any:
        return value

    def keep(self, callback: Any) -> None:
        self._kept = Threads(callback._pyroUri, OUTSTANDING)

    def ask(self, n: int) -> None:
        numbers = iter(range(n))

        def call(proxy: Any, share: int) -> None:
            for _ in range(share):
                proxy.add(next(numbers))

        self._kept.work(call, n)

    def make(self) -> Made:
        made = Made()
        self._pyroDaemon.register(made)
        return made

    def drop(self, oid: str) -> None:
        self._pyroDaemon.unregister(oid)

    def held(self) -> int:
        return Made.alive


@Pyro5.api.expose
class Sum:
    """The client's callback object."""

    def __init__(self) -> None:
        self.total = 0
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        with self._lock:
            self.total += number


class PyroClient(Client):
    """One connection; the first client also has the threads, and the daemon that is called back."""

    def __init__(self, port: int) -> None:
        self.proxy = Pyro5.api.Proxy(f"PYRO:root@127.0.0.1:{port}")
        self._daemon: Any = None
        self._threads: dict[int, Threads] = {}

    def echo(self, workload: str, value: object, n: int) -> object:
        proxy = self.proxy
        for _ in range(n):
            answer = proxy.echo(value)
        return answer

    def _in_threads(self, call: Callable[[Any, int], None], n: int, at_once: int) -> None:
        if at_once not in self._threads:
            self._threads[at_once] = Threads(self.proxy._pyroUri, at_once)
        self._threads[at_once].work(call, n)

    def outstanding(self, n: int, others: list[Any]) -> None:
        def call(proxy: Any, share: int) -> None:
            for _ in range(share):
                proxy.echo(TEXT)

        self._in_threads(call, n, OUTSTANDING_EACH * len(others) or OUTSTANDING)

    def publish_sum(self) -> Sum:
        """Make the callback object, and serve it from a thread, at the first time."""
        if self._daemon is None:
            self._daemon = Pyro5.api.Daemon("127.0.0.1")
            self._sum = Sum()
            self._daemon.register(self._sum)
            threading.Thread(target=self._daemon.requestLoop, daemon=True).start()
            self.proxy.keep(self._sum)
        self._sum.total = 0
        return self._sum

    def callbacks(self, n: int) -> int:
        callback = self.publish_sum()
        self.proxy.ask(n)
        return callback.total

    def references(self, n: int) -> None:
        def call(proxy: Any, share: int) -> None:
            for _ in range(share):
                proxy.drop(proxy.make()._pyroUri.object)

        self._in_threads(call, n, OUTSTANDING)

    def distinct_references(self, n: int) -> int:
        oids = [self.proxy.make()._pyroUri.object for _ in range(n)]
        for oid in oids:
            self.proxy.drop(oid)
        return len(set(oids))

    def held(self) -> int:
        return self.proxy.held()


def serve(loop: str, announce: Callable[[int], None]) -> None:
    """Serve until the process ends."""
    serve_root(Root, announce)


def serve_root(root: type, announce: Callable[[int], None]) -> None:
    """Serve an instance of that class until the process ends."""
    daemon = Pyro5.api.Daemon("127.0.0.1")
    daemon.register(root(), "root")
    announce(daemon.sock.getsockname()[1])
    daemon.requestLoop()


def drive(loop: str, port: int, rounds: Iterable[Any]) -> None:
    """Do every round."""
    drive_rounds(PyroClient, port, rounds)
