"""The conformance object of this implementation. What its methods must do is in spec/conformance.md."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass
from typing import Annotated, Any

import pb

registry = pb.Registry()


@registry.copyable("geo.Point")
@dataclass
class Point:
    x: Any
    y: Any


@registry.copyable("bank.BankError")
class BankError(pb.Error):
    pass


@registry.copyable("bank.Insufficient")
class Insufficient(BankError):
    pass


@registry.cacheable("shop.Stock", from_clients=True)  # the tester publishes one too
class Stock(pb.Cacheable, pb.RemoteCache):
    """At the owner the original, at a holder the replica."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._observers = pb.Observers()

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        self._observers.add(observer)
        return {"n": self.n}

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        self._observers.discard(observer)

    def set_copyable_state(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise TypeError("the state of shop.Stock is a map")
        vars(self).update(state)

    def observe_set(self, n: int) -> None:
        if n < 0:
            raise ValueError("less than nothing")
        self.n = n

    def change(self, n: int) -> None:
        self.n = n
        self._observers.send("set", n)


@registry.cacheable("game.Board", from_clients=True)
class Board(pb.Tracked):
    """Each of its fields may be hidden from the holder."""

    title: Annotated[str, pb.visible_to("all")]
    notes: Annotated[list[Any], pb.visible_to("all")]
    seats: Annotated[dict[Any, Any], pb.visible_to("all")]


class Thing(pb.Referenceable):
    def remote_ping(self) -> str:
        return "pong"

    def remote_itself(self) -> Thing:
        return self


class Subject(pb.Root):
    """The conformance object: one for each connection, so that counts are of that connection."""

    def __init__(self, connection: pb.Connection) -> None:
        self.connection = connection
        self.kept: Any = None
        self.stock = Stock(10)
        self.stopped = 0

    def remote_echo(self, x: Any) -> Any:
        return x

    def remote_type_of(self, x: Any) -> str:
        return "error" if isinstance(x, BaseException) else type(x).__name__

    def remote_make(self) -> Thing:
        return Thing()

    async def remote_slow_make(self, ms: int) -> Thing:
        await asyncio.sleep(ms / 1000)
        return Thing()

    def remote_same(self, a: Any, b: Any) -> bool:
        return a is b

    async def remote_call(self, callback: Any, method: str, args: list[Any]) -> Any:
        return await pb.call_remote(callback, method, *args)

    async def remote_call_later(self, callback: Any, method: str, args: list[Any], ms: int) -> Any:
        await asyncio.sleep(ms / 1000)
        return await pb.call_remote(callback, method, *args)

    async def remote_call_kept(self, method: str, args: list[Any]) -> Any:
        return await pb.call_remote(self.kept, method, *args)

    def remote_keep(self, x: Any, *others: Any) -> None:
        self.kept = x

    def remote_kept(self) -> Any:
        return self.kept

    def remote_drop(self) -> None:
        self.kept = None
        gc.collect()  # what nobody holds is to be released now, not some time

    def remote_stock(self) -> Stock:
        return self.stock

    def remote_bump(self, n: int) -> None:
        self.stock.change(n)

    def remote_state(self) -> dict[str, Any]:
        found = vars(self.kept).items()
        fields = Board.__annotations__ if isinstance(self.kept, Board) else dict(found)
        shown = {name: getattr(self.kept, name, pb.HIDDEN) for name in fields if not name.startswith("_")}
        return {name: _plain(value) for name, value in sorted(shown.items()) if value is not pb.HIDDEN}

    def remote_is_stale(self) -> bool:
        return pb.is_stale(self.kept)

    def remote_fail(self, kind: str) -> Any:
        if kind == "registered":
            raise Insufficient("balance is 5")
        if kind == "unsendable":
            return object()
        raise RuntimeError("hidden")

    async def remote_slow(self, ms: int) -> None:
        await asyncio.sleep(ms / 1000)

    async def remote_stream(self, n: int) -> Any:
        number = 0
        try:
            while number != n:
                yield number
                number += 1
        finally:
            self.stopped += 1

    async def remote_failing_stream(self, n: int) -> Any:
        for number in range(n):
            yield number
        raise Insufficient("balance is 5")

    def remote_stopped(self) -> int:
        return self.stopped

    async def remote_sum(self, stream: Any) -> int:
        return sum([item async for item in stream])

    async def remote_slow_sum(self, stream: Any) -> int:
        await asyncio.sleep(60)
        return sum([item async for item in stream])

    def remote_count(self) -> int:
        return self.connection.usage.references_given


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return list(value)
    return dict(value) if isinstance(value, dict) else value
