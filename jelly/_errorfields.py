"""Which attributes of an exception cross, and what is said of those that stay behind.

Its args always cross. An exception can be given attributes by anyone and at any time, and only those cross
that its class declares: so what else it has must not be lost without a word. spec/5-errors.md 5.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MemberDescriptorType
from typing import Any, NamedTuple

from ._fields import METHODS, annotated_names, declared_fields


class ErrorFields(NamedTuple):
    """The attributes of an exception class that cross besides its args.

    Attributes:
        names: in the order of their declaration.
        defaults: for those that may be missing, what makes the value.
        is_strict: whether an error that has not got all of them is refused. Not where they are annotated
            only: one that the sender had no value for has none at the receiver.
        known: further attributes, which stay here as declared; None where all others do.
        slots: names of attributes that are in no __dict__.
    """

    names: tuple[str, ...] = ()
    defaults: dict[str, Callable[[], object]] = {}
    is_strict: bool = False
    known: frozenset[str] | None = frozenset()
    slots: tuple[str, ...] = ()

    def left_behind(self, error: BaseException) -> list[str]:
        """Return the names of what an error has and its class has not declared, either way."""
        if self.known is None:
            return []
        held = [*vars(error), *(slot for slot in self.slots if hasattr(error, slot))]
        return [
            name
            for name in held
            if name not in self.known and name not in self.names and not name.endswith("__")
        ]


def error_fields(cls: type[BaseException], chosen: Sequence[str] | None) -> ErrorFields:
    """Return the fields of an exception class: those chosen, those of a dataclass, or those annotated.

    A private annotation is the class's word for what stays here. So does what Python's own exceptions have,
    which comes of the args, and what is computed.

    Raises:
        TypeError: a chosen or declared field is private or hides a method.
    """
    is_declared = "__dataclass_fields__" in vars(cls) or "__attrs_attrs__" in vars(cls)
    if chosen is not None or is_declared:
        declared = declared_fields(cls, chosen)
        assert declared is not None
        known = None if chosen is not None else _kept_here(cls)
        return ErrorFields(declared.names, declared.defaults, True, known, _slots_of(cls))
    annotated = annotated_names(cls)
    known = _kept_here(cls)
    names = tuple(name for name in annotated if not name.startswith("_") and name not in known)
    return ErrorFields(names, {}, False, known.union(annotated), _slots_of(cls))


def _kept_here(cls: Any) -> frozenset[str]:
    """Return the names that are Python's, this library's, or computed."""
    named = {name for base in cls.__mro__ if base.__module__ == "builtins" for name in vars(base)}
    methods = {name for base in cls.__mro__ for name, held in vars(base).items() if isinstance(held, METHODS)}
    return frozenset(named | methods).union(getattr(cls, "_stays_here", ()))


def _slots_of(cls: type) -> tuple[str, ...]:
    return tuple(
        name
        for base in cls.__mro__
        if base.__module__ != "builtins"
        for name, held in vars(base).items()
        if isinstance(held, MemberDescriptorType)
    )


def unsent_parameters(cls: Any, fields: ErrorFields) -> list[str]:
    """Return the parameters of a class's own __init__ which look as if it kept them and are no fields.

    Looked for at registration, before anything is lost: `self.job = job` names an attribute like a parameter.
    What it keeps under other names is found only when such an error is sent.
    """
    code = getattr(cls.__init__, "__code__", None)
    if code is None or fields.known is None:
        return []
    known = {*fields.known, *fields.names}
    parameters = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    return [name for name in parameters if name in code.co_names and name not in known]
