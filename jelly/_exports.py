"""What stays here and is sent as an id: references, caches and streams."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, Any

from msgpack import ExtType

from ._article import a
from ._cacheplan import CachePlan
from ._ext import CACHE, REFX
from ._unfit import Unfit
from ._why_not import why_not
from .errors import Unjellyable
from .flavours import ByReference, Cacheable, Promising, RemoteCache, row_of
from .interfaces import IReferenceable

if TYPE_CHECKING:
    from ._walk import Walk


def take_reference(walk: Walk, value: Any, level: int) -> ExtType:
    """Write an object that stays here."""
    if walk.tables is None:
        raise Unfit(f"is {a(type(value).__qualname__)}, which goes by reference, and there is no connection")
    waiting = walk.spare.get(id(value))
    if waiting:
        ext = waiting.pop(0)
    else:
        try:
            ext = walk.tables.refer(value)
        except Unjellyable as error:
            raise Unfit(str(error)) from error
        walk.referred.append(ext)
    walk.given.setdefault(id(value), []).append(ext)
    # REFX holds [id, {"iface": [name]}], all else only a number.
    walk.weight = max(walk.weight, 4 if ext.code == REFX else 1)
    return ext


def settled_value(walk: Walk, value: Promising) -> Any:
    """Return the value that a promise has become, or the ExtType that names what it will be."""
    if walk.tables is None:
        raise Unfit(f"is {a(type(value).__qualname__)}, and there is no connection that could know of it")
    found = walk.tables.promise(value) if walk.names_promises else value._pb_settled()
    if type(found) is tuple:
        return found[0]
    if type(found) is ExtType:
        return found
    how = "is not there yet" if found is None else "has failed"
    raise Unfit(f"is a promise, the result of a call that {how}: await it first")


def take_promise(walk: Walk, value: Promising, level: int) -> Any:
    """Write a promise as what it has become, or as the name of what it will be."""
    found = settled_value(walk, value)
    if type(found) is ExtType:
        walk.exts += 1
        walk.weight = walk.weight or 1
        return found
    return walk.fit(found, level)


def take_adapted_reference(walk: Walk, value: Any, level: int) -> ExtType:
    """Write what an adapter to IReferenceable answers for an object."""
    adapter = IReferenceable(value)
    if not isinstance(adapter, ByReference):
        raise Unfit(f"is {a(type(value).__qualname__)} whose adapter to IReferenceable is no ByReference")
    walk.states[id(adapter)] = (adapter, None)  # kept, so that its id stays its own
    return take_reference(walk, adapter, level)


class NewCache:
    """A cache that this payload is the first to hold.

    Attributes:
        value: the Cacheable, kept so that its id stays its own.
        ext: CACHED, with its id.
        name: the wire name of its class.
        state: what the replica starts with.
    """

    __slots__ = ("ext", "name", "state", "value")

    def __init__(self, value: object, ext: ExtType, name: str, state: Any) -> None:
        self.value = value
        self.ext = ext
        self.name = name
        self.state = state


def take_cache(walk: Walk, value: Any, level: int) -> ExtType:
    """Write an object with replicas: CACHE where the peer has none, CACHED where it has one."""
    is_met = id(value) in walk.caches
    found = find_cache(walk, value)
    if not isinstance(found, NewCache):
        return found
    if is_met:
        return count_again(walk, found)
    return walk.compose(CACHE, level, partial(fit_cache, walk), found)


def fit_cache(walk: Walk, new: NewCache, level: int) -> list[Any]:
    """Return [id, name, state] of a cache, as the data of its Ext."""
    level = walk.go_down(level)
    try:
        return [int.from_bytes(new.ext.data, "big"), new.name, walk.fit(new.state, level)]
    except Unfit as unfit:
        raise unfit.at(".<state>") from unfit.__cause__


def find_cache(walk: Walk, value: Any) -> NewCache | ExtType:
    """Return the Ext of a cache that the peer has, or comes home; else what starts the replica there.

    Asked more than once for a new one, it gives the same answer and counts nothing.
    """
    new = walk.caches.get(id(value))
    if new is not None:
        return new
    waiting = walk.spare.get(id(value))
    if waiting:
        ext = waiting.pop()
        walk.weight = walk.weight or 1
        walk.given.setdefault(id(value), []).append(ext)
        return ext
    if walk.tables is None:
        raise Unfit(f"is {a(type(value).__qualname__)}, which is cached, and there is no connection")
    plan = walk.encoder.plans.get(type(value))
    is_replica = isinstance(value, RemoteCache) and row_of(value) is not None
    if not is_replica and (type(plan) is not CachePlan or not isinstance(value, Cacheable)):
        raise Unfit(why_not(type(value), walk.encoder.plans))
    try:
        ext, states = (walk.tables.home_of(value), None) if is_replica else walk.tables.observe(value)
    except Unjellyable as error:
        raise Unfit(str(error)) from error.__cause__ or error
    walk.weight = walk.weight or 1
    walk.referred.append(ext)
    walk.given.setdefault(id(value), []).append(ext)
    if states is None:
        return ext
    assert type(plan) is CachePlan
    new = walk.caches[id(value)] = NewCache(value, ext, plan.name, None)
    if plan.selection is None:
        new.state = states[0]
    else:
        try:
            new.state = plan.selection.select(states[0], value, walk.viewer)
        except Exception as error:
            raise Unfit(f"is {a(type(value).__qualname__)}; {error}") from error
    return new


def count_again(walk: Walk, new: NewCache) -> ExtType:
    """Return CACHED for one more occurrence of what this payload is the first to hold."""
    walk.weight = walk.weight or 1
    waiting = walk.spare.get(id(new.value))
    if waiting:
        waiting.pop()
    else:
        walk.tables.count(new.ext)
        walk.referred.append(new.ext)
    walk.given.setdefault(id(new.value), []).append(new.ext)
    return new.ext


def is_stream(kind: type) -> bool:
    """Tell whether instances of a type give items one after the other, so that they can travel as STREAM.

    An awaitable is none, whatever else it can do: it stands for what it will be.
    """
    gives = hasattr(kind, "__anext__") or hasattr(kind, "__aiter__") or hasattr(kind, "__next__")
    return gives and not hasattr(kind, "__await__") and not issubclass(kind, io.IOBase)


def take_stream(walk: Walk, value: Any, level: int) -> ExtType:
    """Write something whose items are sent later. Unlike a reference it has one consumer."""
    what = f"is {a(type(value).__qualname__)}, which is sent as a stream"
    if walk.tables is None:
        raise Unfit(f"{what}, and there is no connection")
    waiting = walk.spare.get(id(value))
    if waiting:
        ext = waiting.pop()
    elif id(value) in walk.given:
        raise Unfit(f"{what}, and stands twice in one payload; a stream has one consumer")
    else:
        try:
            ext = walk.tables.produce(value)
        except Unjellyable as error:
            raise Unfit(str(error)) from error
        walk.referred.append(ext)
    walk.given.setdefault(id(value), []).append(ext)
    walk.streams = (*walk.streams, ext)
    walk.weight = walk.weight or 1
    return ext
