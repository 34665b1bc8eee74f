"""Whether an object takes the calls that an interface allows, or an older version of it took.

Knows no connection: what the owner takes is what it has told. Spec: spec/3-messages.md, "What may be called".
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from types import FunctionType
from typing import Any, Final

from zope.interface.interface import InterfaceClass
from zope.interface.interface import Method as InterfaceMethod

import jelly
from jelly._article import a

from .description import Description, Method, Parameter

# A text that says more of them helps nobody.
_MOST_SAID: Final = 8
_BY: Final[dict[Any, str]] = {
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "",
    inspect.Parameter.POSITIONAL_ONLY: "position",
    inspect.Parameter.KEYWORD_ONLY: "name",
    inspect.Parameter.VAR_POSITIONAL: "positions",
    inspect.Parameter.VAR_KEYWORD: "names",
}


def check_provides(description: Description, interface: Any, what: str) -> None:
    """Refuse an object of which the description leaves out what an interface promises.

    Args:
        interface: a class, whose public methods say what may be called, as it is called: without a prefix,
            and without the actor of a view; or an Interface of zope.interface.
        what: names the object, for the error.

    Raises:
        TypeError: a call that the interface allows would not fit; or it is no interface.
    """
    found = [*misfits(description, interface)]
    if found:
        more = f"; and {len(found) - _MOST_SAID} more" if len(found) > _MOST_SAID else ""
        raise TypeError(
            f"{what} does not provide {interface.__name__}: {'; '.join(found[:_MOST_SAID])}{more}"
        )


def misfits(description: Description, interface: Any) -> Iterator[str]:
    """Say which calls that an interface allows would not fit. Types are not looked at: nobody enforces them.

    Raises:
        TypeError: it is no interface, or has no methods.
    """
    wanted = dict(_methods(interface))
    if not wanted:
        raise TypeError(
            f"{interface.__name__} has no public methods, so it says nothing of what may be called"
        )
    owned = {method.name: method.parameters for method in description.methods}
    for name, parameters in wanted.items():
        if name not in owned:
            yield f"there is no method {name}"
        else:
            yield from _unfit(name, parameters, owned[name])


def breaks(now: Description, before: Description) -> Iterator[str]:
    """Say which calls that an object took before it takes no longer, and which types are others by now.

    Whether another type is a worse one is not known here: names of types are words.
    """
    methods = {method.name: method for method in now.methods}
    for old in before.methods:
        new = methods.get(old.name)
        if new is None:
            yield f"there is no method {old.name}"
            continue
        yield from _unfit(old.name, old.parameters, new.parameters)
        yield from _retyped(old, new)
    yield from (
        f"it does not say {name} any more" for name in before.interfaces if name not in now.interfaces
    )


def _retyped(old: Method, new: Method) -> Iterator[str]:
    types = {each.name: each.type for each in new.parameters or ()}
    for each in old.parameters or ():
        now = types.get(each.name)
        if each.type and now and now != each.type:
            yield f"{old.name}: {each.name} is {now}, and was {each.type}"
    if old.is_stream != new.is_stream:
        yield f"{old.name}: its result is {'a' if new.is_stream else 'no'} stream"
    elif old.returns and new.returns and old.returns != new.returns:
        yield f"{old.name}: its result is {new.returns}, and was {old.returns}"


def _methods(interface: Any) -> Iterator[tuple[str, Sequence[Parameter]]]:
    if isinstance(interface, InterfaceClass):
        for name in sorted(interface.names(all=True)):
            if isinstance(interface[name], InterfaceMethod):
                yield name, _parameters_of(interface[name])
        return
    if not isinstance(interface, type):
        raise TypeError(f"an interface is expected, a class with methods, not {a(type(interface).__name__)}")
    if issubclass(interface, jelly.ByReference):
        raise TypeError(
            f"{interface.__name__} is what its owner publishes; give a class with the methods as they are "
            "called, without prefix, such as a typing.Protocol"
        )
    for name in dir(interface):
        function = inspect.getattr_static(interface, name)
        if name[0] != "_" and isinstance(function, FunctionType):
            found = [*inspect.signature(function).parameters.values()][1:]  # without `self`
            yield (
                name,
                [Parameter(each.name, "", _BY[each.kind], each.default is not each.empty) for each in found],
            )


def _parameters_of(method: Any) -> Sequence[Parameter]:
    """Return what a method of a zope.interface takes."""
    told = method.getSignatureInfo()
    found = [Parameter(name, "", "", name in told["optional"]) for name in told["positional"]]
    for name, by in ((told["varargs"], "positions"), (told["kwargs"], "names")):
        if name:
            found.append(Parameter(name, "", by, False))
    return found


def _unfit(name: str, wanted: Sequence[Parameter] | None, owned: Sequence[Parameter] | None) -> Iterator[str]:
    """Say what of the calls that one side allows the other does not take; nothing where one does not tell."""
    if wanted is None or owned is None:
        return
    for why in _why_unfit(wanted, owned):
        yield f"{name}: {why}"


def _why_unfit(wanted: Sequence[Parameter], owned: Sequence[Parameter]) -> Iterator[str]:
    places = [each for each in owned if each.by in ("", "position")]
    names = {each.name: each for each in owned if each.by in ("", "name")}
    takes = {each.by for each in owned}
    given: set[str] = set()
    for place, each in enumerate(wanted):
        if each.by in ("positions", "names"):
            if each.by not in takes:
                yield f"it takes no more by {each.by[:-1]}"
            continue
        there: Parameter | None = None
        if each.by != "name":
            if place < len(places):
                there = places[place]
            elif "positions" not in takes:
                yield f"it takes {len(places)} by position, and {each.name} is one more"
                continue
        if each.by != "position":
            by_name = names.get(each.name)
            if by_name is None and (there is not None or "names" not in takes):
                yield f"it takes nothing that is given as {each.name}="
            elif there is not None and by_name is not there:
                yield f"it takes {there.name} in the place of {each.name}"
            there = there or by_name
        if there is not None:
            given.add(there.name)
            if each.is_optional and not there.is_optional:
                yield f"{there.name} must be given"
    for each in owned:
        if each.by not in ("positions", "names") and not (each.is_optional or each.name in given):
            yield f"it needs {each.name}, which is not given"
