"""Classes whose instances are nothing but their fields: many are read at once, and made without a check each.

The state they cross with, and what is refused, are the same as everywhere.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from itertools import repeat
from operator import attrgetter
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final

_new: Final[Any] = object.__new__

TakeMany = Callable[[Sequence[Any]], list[dict[str, Any]] | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Quick:
    """How instances of one such class are read and made.

    Attributes:
        take_many: makes the states of many objects. Returns None, or raises what reading a field raises,
            where one of them has not exactly the fields.
        cls: the class.
        count: how many fields it has.
        covers: tells whether there are no keys but the fields in a state.
        put: gives a new instance its state, which it may keep; None where that becomes its __dict__.
    """

    take_many: TakeMany
    cls: type
    count: int
    covers: Callable[[dict[str, Any]], bool]
    put: Callable[[Any, dict[str, Any]], object] | None

    def make(self, state: dict[str, Any]) -> Any:
        """Make an object of a state, which it may keep. Raises KeyError for any fields but the right ones."""
        if len(state) != self.count or not self.covers(state):
            raise KeyError
        value = _new(self.cls)
        if self.put is None:
            value.__dict__ = state
        else:
            self.put(value, state)
        return value


def find_quick(cls: type, names: tuple[str, ...]) -> Quick | None:
    """Return how instances of a class are read and made, None if they may be more than these fields."""
    if not names or not _inherits(cls, "__new__"):
        return None
    if _lives_in_dict(cls, names):
        return _in_dict(cls, names)
    held = [inspect.getattr_static(cls, name, None) for name in names]
    if cls.__dictoffset__ == 0 and all(type(each) is MemberDescriptorType for each in held):
        return _in_slots(cls, names, [each.__set__ for each in held])
    return None


def _inherits(cls: type, name: str) -> bool:
    return getattr(cls, name) is getattr(object, name)


def _lives_in_dict(cls: type, names: tuple[str, ...]) -> bool:
    """Tell whether the fields of instances live in a __dict__ and nowhere else."""
    if cls.__dictoffset__ == 0 or not _inherits(cls, "__getattribute__"):
        return False
    if type(inspect.getattr_static(cls, "__dict__", None)) is not GetSetDescriptorType:
        return False
    held = [vars(base).get(name) for name in names for base in cls.__mro__]
    return not any(hasattr(type(each), "__set__") for each in held)


def _in_dict(cls: type, names: tuple[str, ...]) -> Quick:
    count = len(names)
    known = frozenset(names)

    def take_many(values: Sequence[Any]) -> list[dict[str, Any]] | None:
        states = [value.__dict__ for value in values]
        is_right = set(map(len, states)) == {count} and set().union(*states) == known
        return states if is_right else None

    if _inherits(cls, "__setattr__"):
        return Quick(take_many, cls, count, known.issuperset, None)
    # Assigning would run code of the class, which in a frozen one refuses.
    adopt = next(vars(base)["__dict__"] for base in cls.__mro__ if "__dict__" in vars(base)).__set__
    return Quick(take_many, cls, count, known.issuperset, adopt)


def _in_slots(cls: type, names: tuple[str, ...], sets: list[Callable[[Any, object], None]]) -> Quick:
    count = len(names)
    get = attrgetter(*names)
    setters = tuple(zip(names, sets, strict=True))

    def take_many(values: Sequence[Any]) -> list[dict[str, Any]]:
        if count == 1:
            return [{names[0]: item} for item in map(get, values)]
        return list(map(dict, map(zip, repeat(names), map(get, values))))

    def put(value: Any, state: dict[str, Any]) -> None:
        for name, set_slot in setters:
            set_slot(value, state[name])

    # Of as many keys as there are slots none can be wrong if each slot finds its own.
    return Quick(take_many, cls, count, bool, put)
