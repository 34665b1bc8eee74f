"""The workloads for contestants with blocking calls, written once: what differs is in their `Client`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.bench.workloads import CONNECTIONS, DICTS, MEBIBYTE, TEXT

VALUES: dict[str, Any] = {"dicts": DICTS, "bytes": MEBIBYTE}


class Client:
    """One connection to the server, made by the constructor."""

    def __init__(self, port: int) -> None:
        raise NotImplementedError

    def echo(self, workload: str, value: object, n: int) -> object:
        """Call echo n times, one after the other, and return the last answer."""
        raise NotImplementedError

    def outstanding(self, n: int, others: list[Any]) -> None:
        """Call echo(TEXT) n times with as many outstanding as the workload says.

        Args:
            n: calls in all.
            others: the connections to spread them over; empty for this one alone.
        """
        raise NotImplementedError

    def callbacks(self, n: int) -> int:
        """Have the server call back n times; return the sum of the numbers 0..n-1 that it sent."""
        raise NotImplementedError

    def references(self, n: int) -> None:
        """Have the server make n references, each dropped at once."""
        raise NotImplementedError

    def distinct_references(self, n: int) -> int:
        """Have n references made, keep all, return how many different ones came; then drop them."""
        raise NotImplementedError

    def held(self) -> int:
        """Count the made objects that the server still holds."""
        raise NotImplementedError


class Driver:
    """Does the rounds of one contestant."""

    def __init__(self, new: Callable[[int], Client], port: int) -> None:
        self._new = new
        self._port = port
        self._first = new(port)
        self._many: list[Client] = []
        self._idle: list[Client] = []

    def opened(self, n: int) -> list[Client]:
        """Open n connections and make one call on each."""
        clients = []
        for _ in range(n):
            clients.append(self._new(self._port))
            assert clients[-1].echo("sequential", TEXT, 1) == TEXT, "echo answered another value"
        return clients

    def round(self, order: Any) -> None:
        """Do one round."""
        if order.workload == "idle":
            self._idle += self.opened(order.n)
            time.sleep(0.2)
            return
        if order.workload == "connections" and not self._many:
            self._many = self.opened(CONNECTIONS)
        if order.check:
            self.check(order.workload)
            return
        order.start()
        self.work(order.workload, order.n)
        order.stop()
        if order.workload == "references":
            self.empty()

    def work(self, workload: str, n: int) -> None:
        """Do n operations: the timed part, and nothing else."""
        match workload:
            case "outstanding" | "connections":
                self._first.outstanding(n, self._many if workload == "connections" else [])
            case "callbacks":
                total = self._first.callbacks(n)
                assert total == n * (n - 1) // 2, f"the callbacks brought {total}"
            case "references":
                self._first.references(n)
            case _:
                self._first.echo(workload, VALUES.get(workload, TEXT), n)

    def check(self, workload: str) -> None:
        """See that the answers are right."""
        if workload == "callbacks":
            self.work("callbacks", 1000)
        elif workload == "references":
            distinct = self._first.distinct_references(250)
            assert distinct == 250, f"250 calls gave {distinct} references"
            self.empty()
        else:
            value = VALUES.get(workload, TEXT)
            for client in self._many if workload == "connections" else [self._first]:
                assert client.echo(workload, value, 1) == value, "echo answered another value"

    def empty(self) -> None:
        """Wait until the server holds no made object any more; raise when it does not let go."""
        for _ in range(100):
            held = self._first.held()
            if not held:
                return
            time.sleep(0.01)
        raise AssertionError(f"{held} references still held")


def drive_rounds(new: Callable[[int], Client], port: int, rounds: Iterable[Any]) -> None:
    """Do every round."""
    driver = Driver(new, port)
    for order in rounds:
        driver.round(order)
        order.done()
