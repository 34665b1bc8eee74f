"""How objects of one registered class are taken apart and put together again.

A blueprint is made when the class is registered. Everything that could be looked up on a peer's word is
looked up then: hooks on the class, fields, defaults. Nothing is looked up on an instance.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from ._ext import quote
from ._fields import Fields, declared_fields, is_model
from ._pydantic import model_builder
from ._quick import Quick, find_quick
from .errors import InsecureJelly
from .flavours import ByReference, Copyable, RemoteCopy, check_flavour
from .visibility import HIDDEN, Rule, Unknown, Visibility, visibility_of

_set: Final = object.__setattr__
_NONE_HIDDEN: Final = frozenset[str]()
_VALUES: Final = (int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset)

Take = Callable[[Any, object], object]
Build = Callable[[Any], object]


class Blueprint:
    """Take apart and build the objects of one class.

    Attributes:
        cls: the class; its subclasses are not meant.
        name: the wire name.
        take: (object, perspective) -> state.
        build: state -> object. Raises InsecureJelly if the state is refused; a hook may raise anything.
        allocate: makes an object without state, for cycles; None if it cannot be had before its state.
        fill: (object, state) -> None, for what allocate made.
        quick: how objects are taken and built if they are nothing but their declared fields, else None.
        is_personal: True if what take returns can depend on the perspective.
        stores: True if build does nothing with what is in the state but store it.
        has_rules: whether what take is given may be an Unknown too.
        finish: the post_unjelly hook, or None.
        is_value: True if equal objects are as good as one, so that identity need not be kept.
    """

    __slots__ = (
        "allocate",
        "build",
        "cls",
        "fill",
        "finish",
        "has_rules",
        "is_personal",
        "is_value",
        "name",
        "quick",
        "stores",
        "take",
    )

    def __init__(
        self,
        cls: type,
        name: str,
        take: Take,
        build: Build,
        *,
        allocate: Callable[[], object] | None = None,
        fill: Callable[[Any, Any], None] | None = None,
    ) -> None:
        self.cls = cls
        self.name = name
        self.take = take
        self.build = build
        self.allocate = allocate
        self.fill = fill
        self.quick: Quick | None = None
        self.is_personal = False
        self.has_rules = False
        self.stores = False
        self.finish: Callable[[Any], object] | None = getattr(cls, "post_unjelly", None)
        self.is_value = getattr(cls, "__hash__", None) is not object.__hash__


def plan_codec(cls: type, name: str, encode: Callable[[Any], object], decode: Build) -> Blueprint:
    """Make the blueprint of a class whose state is made and used by two functions.

    Raises:
        TypeError: a field of the class has a rule that cannot be understood.
    """
    visibility = visibility_of(cls, None)
    plan = Blueprint(cls, name, _shown(_without_perspective(encode), visibility), decode)
    plan.is_personal = plan.has_rules = visibility is not None
    return plan


def plan_copy(
    cls: type,
    name: str,
    fields: Sequence[str] | None = None,
    factory: Build | None = None,
    check: Callable[[Any], object] | None = None,
    visible: Mapping[str, Rule] | None = None,
) -> Blueprint:
    """Make the blueprint of a class that travels by value, from what the class says of itself.

    Raises:
        TypeError: it goes by reference, declares neither fields nor hooks, or a rule cannot be kept.
    """
    check_flavour(cls)
    if issubclass(cls, ByReference):
        raise TypeError(f"{cls.__name__} goes by reference; it needs no wire name")
    if issubclass(cls, enum.Enum):
        if visible:
            raise TypeError(f"{cls.__name__} is an enum and crosses by name; visible={{...}} is for fields")
        return _plan_enum(cls, name)
    take_hook, set_hook = _find_hooks(cls)
    is_named_tuple = issubclass(cls, tuple) and hasattr(cls, "_fields")
    if issubclass(cls, _VALUES) and not is_named_tuple and not (take_hook and (set_hook or factory)):
        raise TypeError(
            f"{cls.__name__} holds more than its fields; Registry.add_codec({cls.__name__}, ...) says what"
        )
    declared = declared_fields(cls, fields)
    if declared is None and not (take_hook and (set_hook or factory)):
        raise _undeclared(cls, take_hook, set_hook or factory)
    visibility = visibility_of(cls, None if declared is None or take_hook else declared.names, visible)
    hidden = _NONE_HIDDEN if visibility is None else visibility.names
    take = _shown(take_hook or _take_fields(cls, declared), visibility)
    if factory is not None:
        plan = Blueprint(cls, name, take, checked_state(cls.__name__, factory, declared, check, hidden))
    elif set_hook is None and is_model(cls):
        assert declared is not None
        names = frozenset(declared.names)
        plan = Blueprint(cls, name, take, model_builder(cls, names, hidden & names, check))
    elif set_hook is None and is_named_tuple:
        assert declared is not None
        new: Any = tuple.__new__
        order = declared.names
        make = checked_state(
            cls.__name__, lambda state: new(cls, [state[n] for n in order]), declared, check, hidden
        )
        plan = Blueprint(cls, name, take, make)
        plan.stores = check is None
    else:
        plan = _plan_object(cls, name, take, set_hook, declared, check, hidden)
        if not (take_hook or set_hook or check or visibility or declared is None):
            plan.quick = find_quick(cls, declared.names)
    plan.has_rules = visibility is not None
    plan.is_personal = plan.has_rules or _asks_perspective(cls)
    return plan


def _plan_object(
    cls: type,
    name: str,
    take: Take,
    set_hook: Callable[[Any, Any], object] | None,
    declared: Fields | None,
    check: Callable[[Any], object] | None,
    hidden: frozenset[str],
) -> Blueprint:
    """Make the blueprint of a class whose instances are made empty and then filled. __init__ never runs."""
    new: Any = cls.__new__
    put: Any = set_hook or set_fields
    accept = checked_state(cls.__name__, None, declared if set_hook is None else None, check, hidden)

    def allocate() -> object:
        return new(cls)

    def fill(value: object, state: object) -> None:
        put(value, accept(state))

    def build(state: object) -> object:
        state = accept(state)
        value = new(cls)
        put(value, state)
        return value

    return Blueprint(cls, name, take, build, allocate=allocate, fill=fill)


def _plan_enum(cls: type[enum.Enum], name: str) -> Blueprint:
    """Enums cross by the name of the member, flags (which may be combined) by their number."""
    if issubclass(cls, enum.Flag):
        mask = 0
        for member in cls.__members__.values():
            mask |= member.value

        def build_flag(state: object) -> object:
            if type(state) is not int:
                raise InsecureJelly(f"{name}: a flag is sent as its int")
            # An IntFlag would take any int, and enum keeps every value it was ever asked for.
            if state & ~mask:
                raise InsecureJelly(f"{name}: the int has bits that are none of its flags")
            try:
                return cls(state)
            except ValueError:
                raise InsecureJelly(f"{name}: the int is no combination of its flags") from None

        return Blueprint(cls, name, lambda value, perspective: value.value, build_flag)
    members = dict(cls.__members__)

    def build(state: object) -> object:
        if type(state) is not str or state not in members:
            raise InsecureJelly(f"{name}: an enum is sent as the name of one of its members")
        return members[state]

    return Blueprint(cls, name, lambda value, perspective: value.name, build)


def _find_hooks(cls: type) -> tuple[Take | None, Callable[[Any, Any], object] | None]:
    """Return the hooks a class defines beyond those it inherits from the flavours."""
    for_one: Any = getattr(cls, "get_state_to_copy_for", None)
    for_all: Any = getattr(cls, "get_state_to_copy", None)
    put: Any = getattr(cls, "set_copyable_state", None)
    take: Take | None = None
    if for_one is not None and for_one is not Copyable.get_state_to_copy_for:
        take = for_one
    elif for_all is not None and for_all is not Copyable.get_state_to_copy:
        take = _without_perspective(for_all)
    return take, None if put is RemoteCopy.set_copyable_state else put


def _asks_perspective(cls: type) -> bool:
    hook: Any = getattr(cls, "get_state_to_copy_for", None)
    return hook is not None and hook is not Copyable.get_state_to_copy_for


def _shown(take: Take, visibility: Visibility | None) -> Take:
    """Return what takes only the fields that a perspective is shown."""
    if visibility is None:
        return take
    select = visibility.select

    def take_shown(value: Any, viewer: object) -> object:
        return select(take(value, None if type(viewer) is Unknown else viewer), value, viewer)

    return take_shown


def _without_perspective(hook: Callable[[Any], object]) -> Take:
    return lambda value, perspective: hook(value)


def _undeclared(cls: type, takes: object, puts: object) -> TypeError:
    missing = "get_state_to_copy" if puts else "set_copyable_state (or factory=)" if takes else ""
    remedy = f"define {missing}" if missing else "or define get_state_to_copy and set_copyable_state"
    return TypeError(
        f"{cls.__name__} declares no fields; name those that may cross, fields=[...], or annotate them, "
        f"{remedy}; for a class of others there is Registry.add_codec({cls.__name__}, name, encode, decode)"
    )


def _take_fields(cls: type, declared: Fields | None) -> Take:
    assert declared is not None
    names = declared.names
    if not names:
        return lambda value, perspective: {}
    get = attrgetter(*names)
    if len(names) == 1:
        return lambda value, perspective: {names[0]: get(value)}
    return lambda value, perspective: dict(zip(names, get(value), strict=True))


def set_fields(value: object, state: Mapping[str, object]) -> None:
    # Not setattr(): frozen classes refuse it, and the class may have made it do more.
    for name, item in state.items():
        _set(value, name, item)


def checked_state(
    title: str,
    make: Build | None,
    declared: Fields | None,
    check: Callable[[Any], object] | None,
    hidden: frozenset[str] = _NONE_HIDDEN,
) -> Build:
    """Return a function that refuses a state unless it has the declared fields and passes the check.

    Args:
        hidden: fields that may be missing because of a rule; HIDDEN takes their place.
    """
    names = None if declared is None else frozenset(declared.names)
    defaults = {} if declared is None else declared.defaults

    def build(state: Any) -> object:
        if names is not None:
            if type(state) is not dict:
                raise InsecureJelly(f"{title}: the state is not a map")
            if state.keys() != names:
                state = _complete(title, state, names, defaults, hidden)
        if check is not None:
            check(state)
        return state if make is None else make(state)

    return build


def _complete(
    title: str,
    state: dict[str, object],
    names: frozenset[str],
    defaults: Mapping[str, Callable[[], object]],
    hidden: frozenset[str],
) -> dict[str, object]:
    for key in state:
        if key not in names:
            shown = quote(key) if type(key) is str else "of another type"
            raise InsecureJelly(f"{title}: the field {shown} is not declared")
    for name in sorted(names.difference(state)):
        if name in hidden:
            state[name] = HIDDEN
        elif name in defaults:
            state[name] = defaults[name]()
        else:
            raise InsecureJelly(f"{title}: the field {name!r} is missing")
    return state
