"""What may cross, and under which names. An instance is asked, never a global table.

spec/1-values.md PB-V14: only what is in here is built, and nothing is looked up anywhere else.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from ._blueprint import Blueprint, plan_codec, plan_copy
from ._errorplan import ErrorPlan, plan_error
from ._names import check_name
from ._pycopies import PYTHON_COPIES

T = TypeVar("T")


class Registry:
    """Hold the classes that may cross, each under one wire name.

    An Encoder or Decoder takes a snapshot when it is made: what is added later admits nothing on
    connections that are already there.
    """

    def __init__(self) -> None:
        self._plans: dict[str, Blueprint | ErrorPlan] = dict(PYTHON_COPIES)
        self._names: dict[type, str] = {plan.cls: name for name, plan in self._plans.items()}
        self._frozen = False

    def add(
        self,
        cls: type,
        name: str,
        *,
        fields: Sequence[str] | None = None,
        factory: Callable[[Any], object] | None = None,
        check: Callable[[Any], object] | None = None,
    ) -> None:
        """Admit a class: dataclass, attrs class, NamedTuple, Enum, exception, or any with hooks or fields.

        Args:
            name: the wire name, chosen once and for all; not an import path.
            fields: the attributes that cross. None for all the class declares.
            factory: makes the object from the state, instead of an instance being filled.
            check: called with the state before anything is built; whatever it raises refuses the payload.

        Raises:
            TypeError: the class cannot cross like this; the text says what to add.
            ValueError: the name or the class is taken, or the name is no wire name.
        """
        if not isinstance(cls, type):
            raise TypeError(f"a class is registered, not {cls!r}")
        plan: Blueprint | ErrorPlan
        if issubclass(cls, BaseException):
            plan = plan_error(cls, name, fields, factory)
        else:
            plan = plan_copy(cls, name, fields, factory, check)
        self._put(plan)

    def copyable(self, name: str, **options: Any) -> Callable[[type[T]], type[T]]:
        """Return a class decorator that does add(cls, name, **options)."""

        if not isinstance(name, str):
            raise TypeError('copyable needs a wire name: @registry.copyable("app.Name")')

        def admit(cls: type[T]) -> type[T]:
            self.add(cls, name, **options)
            return cls

        return admit

    def add_codec(
        self, cls: type, name: str, encode: Callable[[Any], object], decode: Callable[[Any], object]
    ) -> None:
        """Admit a class one does not own, by two functions.

        Args:
            encode: makes a state of an object.
            decode: makes an object of a state. It is given whatever the peer sent and must check it;
                what it raises refuses the payload.
        """
        self._put(plan_codec(cls, name, encode, decode))

    def include(self, other: Registry) -> None:
        """Admit what another registry admits now."""
        for name, plan in other._plans.items():
            if self._plans.get(name) is not plan:
                self._put(plan)

    def freeze(self) -> None:
        """Refuse every later addition with a TypeError."""
        self._frozen = True

    def snapshot(self) -> dict[str, Blueprint | ErrorPlan]:
        """Return what is admitted now, by wire name. For encoders and decoders."""
        return dict(self._plans)

    @property
    def version(self) -> int:
        """Return a number that grows with every addition: a snapshot of another version is out of date."""
        return len(self._plans)

    def __contains__(self, cls: object) -> bool:
        return cls in self._names

    def _put(self, plan: Blueprint | ErrorPlan) -> None:
        if self._frozen:
            raise TypeError(f"{plan.cls.__name__}: this registry is frozen")
        check_name(plan.name)
        taken = self._plans.get(plan.name)
        if taken is not None:
            raise ValueError(
                f"{plan.name!r} is {taken.cls.__qualname__} already and cannot be {plan.cls.__qualname__} too"
            )
        known = self._names.get(plan.cls)
        if known is not None:
            raise ValueError(f"{plan.cls.__qualname__} is {known!r} already and cannot be {plan.name!r} too")
        self._plans[plan.name] = plan
        self._names[plan.cls] = plan.name


def _admit_builtin_errors() -> Registry:
    registry = Registry()
    for name, cls in vars(builtins).items():
        # IOError and EnvironmentError are further names of OSError.
        if isinstance(cls, type) and issubclass(cls, Exception) and cls.__name__ == name:
            registry.add(cls, f"py.{name}")
    registry.freeze()
    return registry


BUILTIN_ERRORS: Final = _admit_builtin_errors()
