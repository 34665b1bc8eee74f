"""What may cross, and under which names. An instance is asked, never a global table.

spec/1-values.md PB-V14: only what is in here is built, and nothing is looked up anywhere else.
"""

from __future__ import annotations

import builtins
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from ._blueprint import Blueprint, plan_codec, plan_copy
from ._cacheplan import CachePlan, plan_cache
from ._errorfields import unsent_parameters
from ._errorplan import ErrorPlan, plan_error
from ._losses import unsent
from ._names import check_name
from ._pycopies import PYTHON_COPIES
from ._versions import Change, plan_versions
from .flavours import Cacheable, RemoteCache
from .visibility import Rule, visibility_of

T = TypeVar("T")
Plan = Blueprint | ErrorPlan | CachePlan


class Registry:
    """Hold the classes that may cross, each under a wire name, and under those of its older versions.

    An Encoder or Decoder takes a snapshot when it is made: what is added later admits nothing on
    connections that are already there.
    """

    def __init__(self) -> None:
        # Of each class all plans, the one that is sent last: so they are in a snapshot too.
        self._groups: dict[type, tuple[Plan, ...]] = {plan.cls: (plan,) for plan in PYTHON_COPIES.values()}
        self._plans: dict[str, Plan] = dict(PYTHON_COPIES)
        self._frozen = False

    def add(
        self,
        cls: type,
        name: str,
        *,
        fields: Sequence[str] | None = None,
        factory: Callable[[Any], object] | None = None,
        check: Callable[[Any], object] | None = None,
        visible: Mapping[str, Rule] | None = None,
        upgrades: Mapping[str, Change] | None = None,
        downgrade: tuple[str, Change] | None = None,
        from_clients: bool | None = None,
    ) -> None:
        """Admit a class: dataclass, attrs class, pydantic model, NamedTuple, Enum, exception, Cacheable,
        RemoteCache, or any with hooks or fields.

        Args:
            name: the wire name, chosen once and for all; not an import path.
            fields: the attributes that cross, for an error besides its args. None for all the class declares.
            factory: makes the object from the state, instead of an instance being filled.
            check: called with the state before anything is built; whatever it raises refuses the payload.
            visible: who is shown a field, by its name. Adds to what the annotations say.
            upgrades: for each older wire name, what makes the newest state of the state an older peer
                sends. It is given whatever the peer sent; what it raises refuses the payload, and what it
                returns is looked at like any state.
            downgrade: an older wire name to send, until every peer knows the newest, and what makes its
                state of the newest one.
            from_clients: of a cache, whether a server takes replicas of what its clients publish. None: only
                if nothing of the class can be published here, because it is no Cacheable. Else whoever is
                connected could pass an object of his own for one of the server's.

        What arrives in a field may be of any type: annotations are not enforced, `check` is for that. No
        `__init__` or `__post_init__` runs on arrival, but a `factory` and the validators of a pydantic model.

        The attributes of an error class that are annotated are its fields. Of one that has attributes of
        another kind, which its `__init__` sets, only the args cross; a UserWarning says so here where that
        can be seen, and the log when such an error is sent first. `fields=[]` says that it is meant.

        Raises:
            TypeError: the class cannot cross like this; the text says what to add.
            ValueError: the name or the class is taken, or the name is no wire name.
        """
        if not isinstance(cls, type):
            raise TypeError(f"a class is registered, not {cls!r}")
        if issubclass(cls, BaseException):
            _forbid(
                f"{cls.__name__} is an error",
                upgrades=upgrades,
                downgrade=downgrade,
                visible=visible,
                from_clients=from_clients,
            )
            if visibility_of(cls, fields) is not None:
                raise TypeError(f"{cls.__name__} is an error, and rules are not for errors")
            plan = plan_error(cls, name, fields, factory)
            self._put(plan)
            _hint(plan)
        elif issubclass(cls, Cacheable | RemoteCache):
            _forbid(f"{cls.__name__} is a cache", upgrades=upgrades, downgrade=downgrade, factory=factory)
            self._put(plan_cache(cls, name, fields, check, visible, from_clients))
        else:
            _forbid(f"{cls.__name__} is no cache", from_clients=from_clients)
            copies = plan_copy(cls, name, fields, factory, check, visible)
            self._put(*plan_versions(copies, upgrades, downgrade))

    def copyable(self, name: str, **options: Any) -> Callable[[type[T]], type[T]]:
        """Return a class decorator that does add(cls, name, **options), for all but caches."""
        return self._decorator("copyable", name, options, is_cache=False)

    def cacheable(self, name: str, **options: Any) -> Callable[[type[T]], type[T]]:
        """Return a class decorator that does add(cls, name, **options), for a Cacheable or RemoteCache."""
        return self._decorator("cacheable", name, options, is_cache=True)

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
        for cls, group in other._groups.items():
            if self._groups.get(cls) != group:
                self._put(*group)

    def freeze(self) -> None:
        """Refuse every later addition with a TypeError."""
        self._frozen = True

    def snapshot(self) -> dict[str, Plan]:
        """Return what is admitted now, by wire name. For encoders and decoders.

        Of the plans of one class the last is the one to send.
        """
        return dict(self._plans)

    @property
    def version(self) -> int:
        """Return a number that grows with every addition: a snapshot of another version is out of date."""
        return len(self._plans)

    def __contains__(self, cls: object) -> bool:
        return cls in self._groups

    def _decorator(
        self, verb: str, name: str, options: dict[str, Any], is_cache: bool
    ) -> Callable[[type[T]], type[T]]:
        if not isinstance(name, str):
            raise TypeError(f'{verb} needs a wire name: @registry.{verb}("app.Name")')

        def admit(cls: type[T]) -> type[T]:
            if isinstance(cls, type) and is_cache != issubclass(cls, Cacheable | RemoteCache):
                is_what = "is no Cacheable and no RemoteCache" if is_cache else "is a cache"
                other = "copyable" if is_cache else "cacheable"
                raise TypeError(f"{cls.__name__} {is_what}; @registry.{other}({name!r}) is for it")
            self.add(cls, name, **options)
            return cls

        return admit

    def _put(self, *plans: Plan) -> None:
        """Admit one class, under all its names or under none."""
        cls = plans[0].cls
        if self._frozen:
            raise TypeError(f"{cls.__name__}: this registry is frozen")
        for plan in plans:
            check_name(plan.name)
            taken = self._plans.get(plan.name)
            if taken is not None:
                raise ValueError(
                    f"{plan.name!r} is {taken.cls.__qualname__} already and cannot be {cls.__qualname__} too"
                )
        known = self._groups.get(cls)
        if known is not None:
            raise ValueError(
                f"{cls.__qualname__} is {known[-1].name!r} already and cannot be {plans[-1].name!r} too"
            )
        self._groups[cls] = plans
        self._plans.update((plan.name, plan) for plan in plans)


def _forbid(what: str, **options: object) -> None:
    for option, value in options.items():
        if value is not None:
            raise TypeError(f"{what}, which has no {option}=")


def _hint(plan: ErrorPlan) -> None:
    """Warn whoever registers an error class, if it looks as if its errors would arrive without attributes."""
    names = unsent_parameters(plan.cls, plan.fields) if plan.has_args else []
    if names:
        level, frame = 1, sys._getframe()
        while frame.f_back is not None and frame.f_globals.get("__name__") == __name__:
            level, frame = level + 1, frame.f_back
        text = f"{plan.cls.__qualname__} errors will arrive without their attributes{unsent(names)}"
        warnings.warn(text, stacklevel=level)


def _admit_builtin_errors() -> Registry:
    registry = Registry()
    for name, cls in vars(builtins).items():
        # IOError and EnvironmentError are further names of OSError.
        if isinstance(cls, type) and issubclass(cls, Exception) and cls.__name__ == name:
            registry.add(cls, f"py.{name}")
    registry.freeze()
    return registry


BUILTIN_ERRORS: Final = _admit_builtin_errors()
