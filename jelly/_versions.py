"""One class under several wire names: each older name is a version of its state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ._blueprint import Blueprint
from .errors import InsecureJelly

Change = Callable[[Any], object]


def plan_versions(
    plan: Blueprint, upgrades: Mapping[str, Change] | None, downgrade: tuple[str, Change] | None
) -> tuple[Blueprint, ...]:
    """Return the blueprints of a class under all its names. The last is the one to send.

    Args:
        plan: of the newest version.
        upgrades: for each older name, what makes the newest state of the older one.
        downgrade: the older name to send, and what makes its state of the newest one.

    Raises:
        TypeError: an upgrade or the downgrade is no function, or not of the form above.
        ValueError: the newest name is among the older ones.
    """
    changes = dict(upgrades or {})
    if not all(map(callable, changes.values())):
        raise TypeError(f"{plan.name}: upgrades={{name: function}} takes functions of a state")
    if downgrade is not None and (
        type(downgrade) is not tuple or len(downgrade) != 2 or not callable(downgrade[1])
    ):
        raise TypeError(f"{plan.name}: downgrade=(name, function) takes a name and a function of a state")
    if plan.name in changes or (downgrade is not None and plan.name == downgrade[0]):
        raise ValueError(f"{plan.name!r} is the newest name and cannot be an older one too")
    plans = {name: _older(plan, name, change) for name, change in changes.items()}
    if downgrade is None:
        return (*plans.values(), plan)
    name, change = downgrade
    sent = plans.pop(name, None) or _older(plan, name, _refuse(name))
    take = plan.take
    sent.take = lambda value, perspective: change(take(value, perspective))
    return (*plans.values(), plan, sent)


def _older(plan: Blueprint, name: str, upgrade: Change) -> Blueprint:
    """Make the blueprint that takes an older state for what this class is now."""
    fill = plan.fill
    older = Blueprint(
        plan.cls,
        name,
        plan.take,
        lambda state: plan.build(upgrade(state)),
        allocate=plan.allocate,
        fill=None if fill is None else lambda value, state: fill(value, upgrade(state)),
    )
    older.is_personal = plan.is_personal
    return older


def _refuse(name: str) -> Change:
    def refuse(state: object) -> object:
        raise InsecureJelly(f"{name!r} is sent from here and not registered to arrive", "pb.Unregistered")

    return refuse
