"""Which fields a class declares, and which of them a peer may set."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType, MemberDescriptorType
from typing import Any, Final, NamedTuple

# Models are told by the names of their bases, so that pydantic need not be there to be imported.
_MODELS: Final = frozenset({("pydantic.main", "BaseModel"), ("pydantic.v1.main", "BaseModel")})
METHODS: Final = (FunctionType, classmethod, staticmethod, property, functools.cached_property)


class Fields(NamedTuple):
    """The fields of a class that cross.

    Attributes:
        names: in the order of their declaration.
        defaults: for those that may be missing, what makes the value.
    """

    names: tuple[str, ...]
    defaults: dict[str, Callable[[], object]]


def declared_fields(cls: type, chosen: Sequence[str] | None) -> Fields | None:
    """Return the fields of a class: the chosen ones, else those it declares in one of the ways known.

    Returns None for a class that declares none.

    Raises:
        TypeError: a field is private or hides a method.
    """
    defaults: dict[str, Callable[[], object]] = {}
    names: tuple[str, ...]
    if dataclasses.is_dataclass(cls):
        names = tuple(field.name for field in dataclasses.fields(cls))
        for field in dataclasses.fields(cls):
            if field.default is not dataclasses.MISSING:
                defaults[field.name] = _constant(field.default)
            elif field.default_factory is not dataclasses.MISSING:
                defaults[field.name] = field.default_factory
    elif "__attrs_attrs__" in vars(cls):
        names = _read_attrs(cls, defaults)
    elif is_model(cls):
        names = _read_model(cls, defaults)
    elif issubclass(cls, tuple):
        names = cls._fields  # type: ignore[attr-defined]
        defaults.update((name, _constant(value)) for name, value in cls._field_defaults.items())  # type: ignore[attr-defined]
    else:
        names = annotated_names(cls)
        for name in names:
            held = inspect.getattr_static(cls, name, None)
            if held is not None and not isinstance(held, MemberDescriptorType):
                defaults[name] = _constant(held)
    if chosen is not None:
        names = tuple(chosen)
        defaults = {name: make for name, make in defaults.items() if name in names}
        if is_model(cls) and not model_fields_of(cls).keys() >= set(names):
            raise TypeError(f"{cls.__name__} is a model; fields=[...] can only choose among its fields")
    elif not names and not (dataclasses.is_dataclass(cls) or "__attrs_attrs__" in vars(cls) or is_model(cls)):
        return None
    for name in names:
        _check(cls, name)
    return Fields(names, defaults)


def _read_attrs(cls: Any, defaults: dict[str, Callable[[], object]]) -> tuple[str, ...]:
    """Read an attrs class by its own table, so that attrs need not be there to be imported."""
    for attribute in cls.__attrs_attrs__:
        default = attribute.default
        if hasattr(default, "factory") and hasattr(default, "takes_self"):
            if not default.takes_self:
                defaults[attribute.name] = default.factory
        elif getattr(default, "name", None) != "NOTHING":
            defaults[attribute.name] = _constant(default)
    return tuple(attribute.name for attribute in cls.__attrs_attrs__)


def is_model(cls: type) -> bool:
    """Tell whether a class is a model of pydantic."""
    return not _MODELS.isdisjoint((base.__module__, base.__name__) for base in cls.__mro__)


def model_fields_of(cls: Any) -> Mapping[str, Any]:
    """Return the FieldInfo of each field of a model; none for any other class.

    Raises:
        TypeError: a model of pydantic 1, or one with an annotation that cannot be evaluated.
    """
    if not is_model(cls):
        return {}
    if not hasattr(cls, "model_fields"):
        raise TypeError(f"{cls.__name__} is a model of pydantic 1; derive it from BaseModel of pydantic 2.11")
    try:
        cls.model_rebuild()
    except Exception as error:
        raise TypeError(f"{cls.__name__} has an annotation that cannot be evaluated: {error}") from error
    fields: Mapping[str, Any] = cls.model_fields
    return fields


def _read_model(cls: type, defaults: dict[str, Callable[[], object]]) -> tuple[str, ...]:
    """Read a model; what is excluded from its own serialization does not cross here either."""
    fields = {name: field for name, field in model_fields_of(cls).items() if not field.exclude}
    for name, field in fields.items():
        if not field.is_required():
            defaults[name] = functools.partial(field.get_default, call_default_factory=True)
    return tuple(fields)


def annotated_names(cls: type) -> tuple[str, ...]:
    """Return the annotated names of a class and its bases, without those for the class itself."""
    names: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        for name, annotation in inspect.get_annotations(base).items():
            text = annotation if isinstance(annotation, str) else repr(annotation)
            if "ClassVar" not in text:
                names[name] = None
    return tuple(names)


def _check(cls: type, name: object) -> None:
    if type(name) is not str or not name.isidentifier():
        raise TypeError(f"{cls.__name__}: a field must be named by an identifier, not {name!r}")
    if name.startswith("_"):
        raise TypeError(
            f"{cls.__name__}.{name} is private and may not cross; name the fields that may: fields=[...]"
        )
    for base in cls.__mro__:
        held = vars(base).get(name)
        if isinstance(held, METHODS) and not _is_default(base, name, held):
            raise TypeError(
                f"{cls.__name__}.{name} is a field and hides {base.__name__}.{name}, which is a method; "
                "rename one of them"
            )


def _is_default(base: type, name: str, held: object) -> bool:
    """Tell a function that is the default of a dataclass field from a method."""
    fields: Mapping[str, Any] = vars(base).get("__dataclass_fields__", {})
    return name in fields and fields[name].default is held


def _constant(value: object) -> Callable[[], object]:
    return lambda: value
