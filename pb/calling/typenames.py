"""Types of Python as names that other languages can read: `list[int]`, `geo.Point | None`, `stream[str]`.

Spec: spec/3-messages.md, "What may be called".
"""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import fractions
import inspect
import json
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

import jelly

_MAX_DEPTH: Final = 8
_ANY: Final = "any"

# Types that have no parameters, and the origins of those that have.
_PLAIN: Final[dict[Any, str]] = {
    type(None): "nil",
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    bytes: "bytes",
    list: "list",
    dict: "map",
    tuple: "tuple",
    set: "set",
    frozenset: "frozenset",
    datetime.datetime: "datetime",
    datetime.date: "date",
    datetime.time: "time",
    datetime.timedelta: "duration",
    decimal.Decimal: "decimal",
    fractions.Fraction: "py.Fraction",
    complex: "py.complex",
    uuid.UUID: "uuid",
    collections.abc.Sequence: "list",
    collections.abc.Iterable: "list",
    collections.abc.Mapping: "map",
    collections.abc.MutableMapping: "map",
    collections.abc.Set: "set",
    collections.abc.AsyncIterator: "stream",
    collections.abc.AsyncIterable: "stream",
    collections.abc.AsyncGenerator: "stream",
}
_UNIONS: Final = (typing.Union, types.UnionType)


class TypeNames:
    """The names of types, those that a registry knows included.

    Args:
        wire_names: of the registered classes.
    """

    def __init__(self, wire_names: Mapping[type, str]) -> None:
        self._wire_names = wire_names

    def hints(self, function: Callable[..., Any]) -> dict[str, Any]:
        """Return the types that a function declares; none where they cannot be found out."""
        try:
            return typing.get_type_hints(inspect.unwrap(function))
        except Exception:  # an annotation may be any expression, and name what is not there
            return {}

    def put(self, row: dict[str, object], key: str, hint: Any) -> None:
        """Put the name of a type into a row, where there is something to say."""
        name = _ANY if hint is None else self.name(hint)
        if name != _ANY:
            row[key] = name

    def name(self, hint: Any, depth: int = 0) -> str:
        """Return the name of a type; `any` where other languages have no use for it."""
        if depth > _MAX_DEPTH:
            return _ANY
        origin = typing.get_origin(hint)
        arguments = typing.get_args(hint)
        if origin is typing.Annotated:
            return self.name(arguments[0], depth + 1)
        if origin in _UNIONS:
            names = list(dict.fromkeys(self.name(argument, depth + 1) for argument in arguments))
            return _ANY if _ANY in names else " | ".join(names)
        if origin is typing.Literal:
            return " | ".join(map(_literal, arguments))
        if origin is not None:
            return self._generic(origin, arguments, depth)
        if not isinstance(hint, type):
            return _ANY
        name = _PLAIN.get(hint) or self._wire_names.get(hint)
        return name or ("object" if issubclass(hint, jelly.ByReference) else _ANY)

    def _generic(self, origin: Any, arguments: tuple[Any, ...], depth: int) -> str:
        name = _PLAIN.get(origin)
        if name is None:  # a generic class of the program's own
            return self.name(origin, depth + 1)
        if name == "stream":  # of a generator, what it yields
            arguments = arguments[:1]
        kept = [argument for argument in arguments if argument is not Ellipsis]
        inner = [self.name(argument, depth + 1) for argument in kept]
        if name == "tuple" and Ellipsis in arguments:
            inner.append("...")
        return f"{name}[{', '.join(inner)}]" if inner else name


def _literal(value: object) -> str:
    return json.dumps(value) if isinstance(value, str | int | bool) or value is None else _ANY
