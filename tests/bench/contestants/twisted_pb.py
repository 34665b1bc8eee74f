"""Twisted's Perspective Broker, on the reactor Twisted picks itself, no logins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet import defer, reactor, task
from twisted.spread import banana, pb

from tests.bench.contestants._tally import Tally
from tests.bench.workloads import (
    CHANGES_AHEAD,
    CONNECTIONS,
    DICTS,
    MEBIBYTE,
    OBSERVERS,
    OUTSTANDING,
    OUTSTANDING_EACH,
    TEXT,
    shares,
)

WORKLOADS = frozenset(
    {
        "sequential",
        "outstanding",
        "connections",
        "dicts",
        "bytes",
        "callbacks",
        "references",
        "fan-out",
        "fan-out-ahead",
        "idle",
    }
)
VALUES: dict[str, Any] = {"dicts": DICTS, "bytes": MEBIBYTE}

# Its own limit of 640 KiB would refuse the mebibyte.
banana.SIZE_LIMIT = 2 * len(MEBIBYTE)


class Made(pb.Referenceable):
    """What the workload of references makes and drops."""

    alive = 0

    def __init__(self) -> None:
        Made.alive += 1

    def __del__(self) -> None:
        Made.alive -= 1


class Board(pb.Cacheable):
    """The number that the server's observers watch."""

    def __init__(self) -> None:
        self._number = 0
        self._observers: list[Any] = []

    def getStateToCacheAndObserveFor(self, perspective: object, observer: Any) -> dict[str, int]:
        self._observers.append(observer)
        return {"number": self._number}

    def stoppedObserving(self, perspective: object, observer: Any) -> None:
        self._observers.remove(observer)

    def set(self, number: int) -> None:
        self._number = number
        for observer in self._observers:
            observer.callRemote("set", number)


class BoardReplica(pb.RemoteCache):
    """What the client has of it."""

    number: int
    tally: Tally

    def observe_set(self, number: int) -> None:
        self.number = number
        self.tally.take(number)


pb.setUnjellyableForClass(Board, BoardReplica)
BOARD = Board()


class Root(pb.Root):
    """What the server publishes."""

    def remote_echo(self, value: object) -> object:
        return value

    def remote_keep(self, callback: Any) -> None:
        self._callback = callback

    @defer.inlineCallbacks
    def remote_ask(self, n: int) -> Any:
        call = self._callback.callRemote
        numbers = iter(range(n))

        @defer.inlineCallbacks
        def worker() -> Any:
            for number in numbers:
                yield call("add", number)

        yield defer.gatherResults([worker() for _ in range(OUTSTANDING)])

    def remote_make(self) -> Made:
        return Made()

    def remote_held(self) -> int:
        return Made.alive

    def remote_board(self) -> Board:
        return BOARD

    def remote_change(self, number: int) -> None:
        BOARD.set(number)


class Sum(pb.Referenceable):
    """The client's callback object."""

    total = 0

    def remote_add(self, number: int) -> None:
        self.total += number


class Broker(pb.Broker):
    """A broker whose small messages do not wait for acknowledgements of others."""

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        super().connectionMade()


class ClientFactory(pb.PBClientFactory):
    """Makes connections without delay."""

    protocol = Broker


class ServerFactory(pb.PBServerFactory):
    """Serves connections without delay."""

    protocol = Broker


@defer.inlineCallbacks
def opened(port: int, n: int) -> Any:
    """Open n connections, make one call on each, and give their roots."""
    roots = []
    for _ in range(n):
        factory = ClientFactory()
        reactor.connectTCP("127.0.0.1", port, factory)
        root = yield factory.getRootObject()
        answer = yield root.callRemote("echo", TEXT)
        assert answer == TEXT, "echo answered another value"
        roots.append(root)
    return roots


@defer.inlineCallbacks
def echo(root: Any, value: object, n: int) -> Any:
    """Call echo n times, one after the other."""
    for _ in range(n):
        answer = yield root.callRemote("echo", value)
    return answer


@defer.inlineCallbacks
def references(root: Any, n: int) -> Any:
    """Call make n times, one after the other, dropping each new reference at once."""
    for _ in range(n):
        yield root.callRemote("make")


@defer.inlineCallbacks
def empty(root: Any) -> Any:
    """Wait until the server holds no made object any more."""
    for _ in range(100):
        held = yield root.callRemote("held")
        if not held:
            return
        yield task.deferLater(reactor, 0.01)
    raise AssertionError(f"{held} references still held")


@defer.inlineCallbacks
def observed(port: int) -> Any:
    """Open a connection for each observer; give their replicas, and the tally that all count in."""
    roots = yield opened(port, OBSERVERS)
    replicas = yield defer.gatherResults([root.callRemote("board") for root in roots])
    tally = Tally(OBSERVERS)
    for replica in replicas:
        replica.tally = tally
    return replicas, tally


@defer.inlineCallbacks
def changes(root: Any, tally: Tally, n: int) -> Any:
    """Make n changes, each when all have the last."""
    for _ in range(n):
        complete: defer.Deferred[None] = defer.Deferred()
        yield root.callRemote("change", tally.expect(complete.callback))
        yield complete


class Driver:
    """Does the rounds."""

    def __init__(self, port: int, root: Any) -> None:
        self._port = port
        self._root = root
        self._sum = Sum()
        self._many: list[Any] = []
        self._idle: list[Any] = []
        self._replicas: list[Any] = []

    @defer.inlineCallbacks
    def round(self, order: Any) -> Any:
        if order.workload == "idle":
            self._idle += yield opened(self._port, order.n)
            yield task.deferLater(reactor, 0.2)
            return
        if order.workload == "connections" and not self._many:
            self._many = yield opened(self._port, CONNECTIONS)
        if order.workload == "callbacks":
            yield self._root.callRemote("keep", self._sum)
            self._sum.total = 0
        if order.workload.startswith("fan-out") and not self._replicas:
            self._replicas, self._tally = yield observed(self._port)
        if order.check:
            yield self.check(order)
            return
        order.start()
        yield self.work(order.workload, order.n)
        order.stop()
        if order.workload == "callbacks":
            assert self._sum.total == order.n * (order.n - 1) // 2, f"callbacks brought {self._sum.total}"
        elif order.workload == "references":
            yield empty(self._root)
        elif order.workload.startswith("fan-out"):
            self._tally.check([replica.number for replica in self._replicas])

    def work(self, workload: str, n: int) -> Any:
        """Do n operations: the timed part, and nothing else."""
        root = self._root
        match workload:
            case "outstanding":
                calls = [echo(root, TEXT, share) for share in shares(n, OUTSTANDING)]
            case "connections":
                calls = [
                    echo(other, TEXT, share)
                    for other, part in zip(self._many, shares(n, CONNECTIONS), strict=True)
                    for share in shares(part, OUTSTANDING_EACH)
                ]
            case "callbacks":
                calls = [root.callRemote("ask", n)]
            case "references":
                calls = [references(root, share) for share in shares(n, OUTSTANDING)]
            case "fan-out" | "fan-out-ahead":
                ahead = CHANGES_AHEAD if workload == "fan-out-ahead" else 1
                calls = [changes(root, self._tally, share) for share in shares(n // OBSERVERS, ahead)]
            case _:
                calls = [echo(root, VALUES.get(workload, TEXT), n)]
        return defer.gatherResults(calls)

    @defer.inlineCallbacks
    def check(self, order: Any) -> Any:
        """See that the answers are right."""
        if order.workload == "callbacks":
            yield self.work("callbacks", 1000)
            assert self._sum.total == 499500, f"callbacks brought {self._sum.total}"
        elif order.workload == "references":
            made = yield defer.gatherResults([self._root.callRemote("make") for _ in range(250)])
            assert len(set(map(id, made))) == 250, "the references are not distinct"
            del made
            yield empty(self._root)
        elif order.workload.startswith("fan-out"):
            yield self.work(order.workload, 50 * OBSERVERS)
            self._tally.check([replica.number for replica in self._replicas])
        else:
            value = VALUES.get(order.workload, TEXT)
            for root in self._many if order.workload == "connections" else [self._root]:
                answer = yield echo(root, value, 1)
                assert answer == value, "echo answered another value"


def serve(loop: str, announce: Callable[[int], None]) -> None:
    """Serve until the process ends."""
    listening = reactor.listenTCP(0, ServerFactory(Root()), interface="127.0.0.1")
    announce(listening.getHost().port)
    reactor.run()


def drive(loop: str, port: int, rounds: Iterable[Any]) -> None:
    """Do every round."""
    failures: list[Any] = []

    @defer.inlineCallbacks
    def main() -> Any:
        [root] = yield opened(port, 1)
        driver = Driver(port, root)
        for order in rounds:
            yield driver.round(order)
            order.done()

    def start() -> None:
        main().addErrback(failures.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    if failures:
        failures[0].raiseException()
