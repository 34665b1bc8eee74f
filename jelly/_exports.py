"""What stays here and is sent as an id: references now, caches one day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgpack import ExtType

from ._ext import REFX
from ._unfit import Unfit
from .errors import Unjellyable
from .flavours import ByReference
from .interfaces import IReferenceable

if TYPE_CHECKING:
    from ._walk import Walk


def take_reference(walk: Walk, value: Any, level: int) -> ExtType:
    """Write an object that stays here."""
    if walk.tables is None:
        raise Unfit(f"is a {type(value).__qualname__}, which goes by reference, and there is no connection")
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


def take_adapted_reference(walk: Walk, value: Any, level: int) -> ExtType:
    """Write what an adapter to IReferenceable answers for an object."""
    adapter = IReferenceable(value)
    if not isinstance(adapter, ByReference):
        raise Unfit(f"is a {type(value).__qualname__} whose adapter to IReferenceable is no ByReference")
    walk.states[id(adapter)] = (adapter, None)  # kept, so that its id stays its own
    return take_reference(walk, adapter, level)


def take_cache(walk: Walk, value: Any, level: int) -> ExtType:
    """Write an object with replicas, CACHE and then CACHED: the place for it, not there yet."""
    raise Unfit(f"is a {type(value).__qualname__}, which is Cacheable; this encoder cannot send caches")
