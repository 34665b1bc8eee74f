"""Reading copies that need more than a look: others than those of nothing but fields, and what is malformed.

Knows nothing of how a class is put together: that is in its Blueprint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._blueprint import Blueprint
from ._checks import PREFLIGHT_BYTES, too_deep, unpack
from ._depth import depth_of
from ._ext import CONTAINERS, SCALARS, quote
from ._holes import Holes
from ._inert import Relayed
from ._plain import is_flat
from .errors import InsecureJelly, MalformedJelly

if TYPE_CHECKING:
    from ._reading import Reading


def read_copy(reading: Reading, payload: bytes) -> Any:
    """Return what a COPY stands for."""
    outer, reading.weight = reading.weight, 0
    level = reading.level = reading.level + 1
    if level > reading.max_depth or len(payload) > PREFLIGHT_BYTES:
        reading.check_going_down(payload)
    holes = reading.holes
    marks = 0 if holes is None else holes.marks
    content = unpack(payload, reading.read_ext)
    reading.level = level - 1
    if type(content) is not list or len(content) != 2 or type(content[0]) is not str:
        raise MalformedJelly("the data of COPY are not [name, state]")
    name, state = content
    if (type(state) is dict and (is_flat(state) or SCALARS.issuperset(map(type, state.values())))) or (
        type(state) is list and SCALARS.issuperset(map(type, state))
    ):
        weight = 3 + reading.weight
    else:
        weight = 1 + depth_of(payload, content, reading.apart, reading.max_depth) + reading.weight
    if weight > reading.max_depth:
        raise too_deep(reading.max_depth)
    reading.weight = outer if outer > weight else weight
    if holes is not None and holes.fresh:
        holes.collect(reading, content, False)
    if reading.violation is not None:
        return None
    quick = reading.quick.get(name)
    if quick is not None and type(state) is dict:
        try:
            return quick.make(state)
        except KeyError:  # a field is missing or not declared; build() says which
            pass
    plan = reading.decoder.plans.get(name)
    if type(plan) is not Blueprint:
        return _read_unknown(reading, name, state)
    if holes is not None and holes.marks != marks and (not plan.stores or holes.are_in(state)):
        return _build_late(reading, plan, state, holes)
    try:
        made = plan.build(state)
    except Exception as error:
        return reading.refuse_failed(name, error)
    if type(made) in CONTAINERS:
        reading.set_apart(made)
    if plan.finish is not None:
        reading.finish_later(plan.finish, made)
    return made


def _read_unknown(reading: Reading, name: str, state: object) -> Any:
    """Refuse a copy of an unknown class, or carry it along."""
    if (
        reading.decoder.relay
        and name not in reading.decoder.plans
        and 0 < len(name.encode()) <= reading.limits.max_name_bytes
    ):
        return Relayed(name, state)
    return reading.refuse(InsecureJelly(f"{quote(name)} is not registered here", "pb.Unregistered"))


def _build_late(reading: Reading, plan: Blueprint, state: Any, holes: Holes) -> Any:
    """Make a copy whose state waits for what comes later in the GRAPH."""
    if plan.allocate is None or plan.fill is None:
        return reading.refuse(InsecureJelly(f"{plan.name} cannot be part of a cycle", "pb.Unsupported"))
    try:
        made = plan.allocate()
    except Exception as error:
        return reading.refuse_failed(plan.name, error)
    holes.late.append((plan.name, plan.fill, made, state))
    if plan.finish is not None:
        reading.finish_later(plan.finish, made)
    return made
