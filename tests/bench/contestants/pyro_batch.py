"""Pyro5 where calls that are outstanding together go as its batches: one message, one answer for all of them.

Only for a caller who knows all the calls beforehand, so it stands beside pyro.py, not in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import Pyro5.api

from tests.bench.contestants import pyro
from tests.bench.contestants._blocking import drive_rounds
from tests.bench.workloads import OUTSTANDING, OUTSTANDING_EACH, TEXT, shares

WORKLOADS = frozenset({"outstanding", "connections", "callbacks"})


def batches(n: int, size: int) -> Iterable[range]:
    """Divide the numbers 0..n-1 into ranges of that size."""
    return (range(at, min(at + size, n)) for at in range(0, n, size))


@Pyro5.api.expose
class Root(pyro.Root):
    """What the server publishes."""

    def keep(self, callback: Any) -> None:
        self._uri = callback._pyroUri

    def ask(self, n: int) -> None:
        with Pyro5.api.Proxy(self._uri) as callback:
            batch = Pyro5.api.BatchProxy(callback)
            for numbers in batches(n, OUTSTANDING):
                for number in numbers:
                    batch.add(number)
                for _ in batch():
                    pass


class BatchClient(pyro.PyroClient):
    """One connection."""

    def _batch(self, n: int, size: int) -> None:
        batch = Pyro5.api.BatchProxy(self.proxy)
        for numbers in batches(n, size):
            for _ in numbers:
                batch.echo(TEXT)
            for _ in batch():
                pass

    def outstanding(self, n: int, others: list[Any]) -> None:
        if not others:
            self._batch(n, OUTSTANDING)
            return
        for other, share in zip(others, shares(n, len(others)), strict=True):
            other._batch(share, OUTSTANDING_EACH)


def serve(loop: str, announce: Callable[[int], None]) -> None:
    """Serve until the process ends."""
    pyro.serve_root(Root, announce)


def drive(loop: str, port: int, rounds: Iterable[Any]) -> None:
    """Do every round."""
    drive_rounds(BatchClient, port, rounds)
