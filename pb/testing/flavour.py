"""Whether classes cross as they should: `check_flavour`. Over a `Pump`, so it needs no loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final

import msgpack

import jelly
from jelly._article import a
from pb.errors import Error, ProtocolError
from pb.root import Root

from .pump import Pump

__all__ = ["check_flavour"]

# Instead of a value somewhere in a state: what a peer would try.
JUNK: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 1 << 63, 1.5, float("nan"), "", "x" * 5_000, "__class__", b"", b"\xff" * 9,
    [], [[]] * 3, {}, {"__class__": "x"}, {1: 2}, msgpack.ExtType(0, b""), msgpack.ExtType(99, b"\0"),
)  # fmt: skip


def check_flavour(
    registry: jelly.Registry,
    instances: Iterable[object],
    *,
    receiver: jelly.Registry | None = None,
    same: Callable[[Any, Any], object] | None = None,
    attempts: int = 200,
    seed: int = 0,
) -> None:
    """Check that instances cross whole, that nobody gets them unasked, and what wrong states come to.

    Each is sent as an argument, and

    * what arrives is the same;
    * who did not register its class cannot send it, and cannot be made to take it: that call fails, and the
      connection goes on;
    * for any state that a peer makes up the call fails, or the connection ends with a reason, or an instance
      is made that has a `repr` and can be sent again: half an object is refused.

    Args:
        registry: what the sender admits.
        instances: at least one of each class, the more different the better.
        receiver: what the receiver admits, where that is another class for the same name.
        same: tells whether what arrived, the second argument, is what was sent. None: they are equal, or have
            equal attributes where the class does not say what equal is.
        attempts: how many wrong states of each are tried.
        seed: of them.

    Raises:
        AssertionError: one of these does not hold; the text says which, and the seed.
    """
    chance = Random(seed)
    receiving = receiver or registry
    is_empty = True
    for instance in instances:
        is_empty = False
        name = type(instance).__qualname__
        arrived = _sent(instance, registry, receiving)
        if not (same or _are_same)(instance, arrived):
            raise AssertionError(
                f"{name} arrives as another: sent {vars_of(instance)}, got {vars_of(arrived)}"
            )
        _refused_unregistered(instance, registry, name)
        for attempt in range(attempts):
            try:
                _survives(instance, registry, receiving, chance)
            except AssertionError as error:
                raise AssertionError(f"{name}, seed {seed}, attempt {attempt}: {error}") from error.__cause__
    if is_empty:
        raise AssertionError("there is no instance to check; give at least one of each class")


class _Taker(Root):
    """Keep what is sent."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def remote_take(self, value: Any) -> None:
        self.taken.append(value)

    def remote_ping(self) -> str:
        return "pong"


def _pump(
    taker: _Taker, registry: jelly.Registry | None, receiving: jelly.Registry | None
) -> tuple[Pump, Any]:
    """Return a pump, and whom its server sends to: from a client not everything is sent, nor taken."""
    pump = Pump(registry=registry, client_root=taker, client_registry=receiving)
    return pump, pump.server.broker.root_reference()


def _call(pump: Pump, reference: Any, name: str, *args: object) -> Any:
    outcome = getattr(reference, name)(*args)
    pump.run()
    return outcome.result()


def _sent(instance: object, registry: jelly.Registry, receiving: jelly.Registry) -> Any:
    taker = _Taker()
    _call(*_pump(taker, registry, receiving), "take", instance)
    return taker.taken[0]


def _refused_unregistered(instance: object, registry: jelly.Registry, name: str) -> None:
    try:
        _call(*_pump(_Taker(), None, None), "take", instance)
    except jelly.Unjellyable:
        pass
    else:
        if not isinstance(instance, BaseException):  # what is not registered of errors travels as a text
            raise AssertionError(f"{name} was sent without having been registered")
    taker = _Taker()
    pump, reference = _pump(taker, registry, jelly.Registry())
    outcome = reference.take(instance)
    pump.run()
    if outcome.error is None and type(taker.taken[0]) is type(instance):
        raise AssertionError(f"{name} was made by a side that has not registered it")
    if "pong" != _call(pump, reference, "ping"):  # pragma: no cover - it would have raised
        raise AssertionError(f"{name} ended the connection of who had not registered it")


def _survives(instance: object, registry: jelly.Registry, receiving: jelly.Registry, chance: Random) -> None:
    taker = _Taker()
    pump, reference = _pump(taker, registry, receiving)
    reference.take(instance)
    size = int.from_bytes((written := pump.server.output())[:4], "big")
    envelope = msgpack.unpackb(written[4 : 4 + size], strict_map_key=False)
    envelope[4] = _mutated(envelope[4], chance)
    body = msgpack.packb(envelope)
    try:
        pump.client.input(len(body).to_bytes(4, "big") + body)
    except Exception as error:
        raise AssertionError(
            f"a wrong state let {type(error).__name__} out of the broker: {error}"
        ) from error
    if pump.client.error is not None:
        if not isinstance(pump.client.error, ProtocolError):
            raise AssertionError(f"the connection ended with {pump.client.error!r}")
        return
    for value in taker.taken:
        try:
            repr(value)
            _call(*_pump(_Taker(), receiving, receiving), "take", value)
        except (jelly.JellyError, Error, RecursionError):
            continue  # refused by name is as good
        except Exception as error:
            raise AssertionError(
                f"a wrong state made {a(type(value).__qualname__)} that is of no use: "
                f"{type(error).__name__}: {error}; declare the fields, or give check="
            ) from error


def _mutated(payload: bytes, chance: Random) -> bytes:
    """Return a payload with something wrong in it: a value somewhere, or a byte."""
    if not chance.randrange(4):
        at = chance.randrange(len(payload))
        return payload[:at] + bytes([chance.randrange(256)]) + payload[at + 1 :]
    tree = msgpack.unpackb(payload, strict_map_key=False, timestamp=0)
    packed: bytes = msgpack.packb(_wrong(tree, chance))
    return packed


def _wrong(node: Any, chance: Random) -> Any:
    """Return a node of a payload with one value in or below it replaced, left out, or put in."""
    inner: Any = None
    if isinstance(node, msgpack.ExtType):
        try:
            inner = msgpack.unpackb(node.data, strict_map_key=False, timestamp=0)
        except Exception:
            return chance.choice(JUNK)  # no msgpack within
        return msgpack.ExtType(node.code, msgpack.packb(_wrong(inner, chance)))
    if isinstance(node, list) and node and chance.randrange(6):
        at = chance.randrange(len(node))
        return [*node[:at], _wrong(node[at], chance), *node[at + 1 :]]
    if isinstance(node, dict) and node and chance.randrange(6):
        key = chance.choice(list(node))
        changed = {other: value for other, value in node.items() if other != key}
        how = chance.randrange(3)
        if how == 0:
            return changed
        changed[key if how == 1 else chance.choice(["__class__", "_x", "more", 7])] = _wrong(
            node[key], chance
        )
        return changed
    return chance.choice(JUNK)


def _are_same(sent: Any, arrived: Any) -> bool:
    if "__eq__" in {name for cls in type(sent).__mro__[:-1] for name in vars(cls)}:
        return bool(sent == arrived)
    if isinstance(sent, BaseException):
        return type(sent) is type(arrived) and str(sent) == str(arrived)
    theirs = vars_of(arrived)
    mine = {name: value for name, value in vars_of(sent).items() if name in theirs}
    return bool(mine == theirs)


def vars_of(value: Any) -> dict[str, Any]:
    """Return the attributes of an object, those in slots too."""
    slots = [slot for cls in type(value).__mro__ for slot in getattr(cls, "__slots__", ())]
    names = [*getattr(value, "__dict__", ()), *(slot for slot in slots if hasattr(value, slot))]
    return {name: getattr(value, name) for name in names if not name.startswith("_")}
