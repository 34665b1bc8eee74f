"""Whether an object does what an interface says: the calls that allows, against what the owner takes.

Knows no connection: what the owner takes is what it has told. Spec: spec/3-messages.md, "What may be called".
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from types import FunctionType
from typing import Any

from zope.interface.interface import InterfaceClass
from zope.interface.interface import Method as InterfaceMethod

import jelly

from .description import Description, Parameter

Wanted = Sequence[inspect.Parameter]

# A text that says more of them helps nobody.
_MOST_SAID = 8


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
        elif (there := owned[name]) is not None:  # else the object does not tell what it takes
            for why in _unfit(parameters, there):
                yield f"{name}: {why}"


def _methods(interface: Any) -> Iterator[tuple[str, Wanted]]:
    if isinstance(interface, InterfaceClass):
        for name in sorted(interface.names(all=True)):
            if isinstance(interface[name], InterfaceMethod):
                yield name, _parameters_of(interface[name])
        return
    if not isinstance(interface, type):
        raise TypeError(f"an interface is expected, a class with methods, not a {type(interface).__name__}")
    if issubclass(interface, jelly.ByReference):
        raise TypeError(
            f"{interface.__name__} is what its owner publishes; give a class with the methods as they are "
            "called, without prefix, such as a typing.Protocol"
        )
    for name in dir(interface):
        function = inspect.getattr_static(interface, name)
        if name[0] != "_" and isinstance(function, FunctionType):
            yield name, [*inspect.signature(function).parameters.values()][1:]  # without `self`


def _parameters_of(method: Any) -> Wanted:
    """Return what a method of a zope.interface takes."""
    told = method.getSignatureInfo()
    either, default = inspect.Parameter.POSITIONAL_OR_KEYWORD, told["optional"]
    found = [
        inspect.Parameter(name, either, default=default.get(name, inspect.Parameter.empty))
        for name in told["positional"]
    ]
    if told["varargs"]:
        found.append(inspect.Parameter(told["varargs"], inspect.Parameter.VAR_POSITIONAL))
    if told["kwargs"]:
        found.append(inspect.Parameter(told["kwargs"], inspect.Parameter.VAR_KEYWORD))
    return found


def _unfit(wanted: Wanted, owned: Sequence[Parameter]) -> Iterator[str]:
    """Say what of a call that one side allows the other does not take."""
    places = [each for each in owned if each.by in ("", "position")]
    names = {each.name: each for each in owned if each.by in ("", "name")}
    takes = {each.by for each in owned}
    given: set[str] = set()
    for place, each in enumerate(wanted):
        there: Parameter | None = None
        if each.kind is each.VAR_POSITIONAL:
            if "positions" not in takes:
                yield f"it takes no more by position, as *{each.name} allows"
            continue
        if each.kind is each.VAR_KEYWORD:
            if "names" not in takes:
                yield f"it takes no more by name, as **{each.name} allows"
            continue
        if each.kind is not each.KEYWORD_ONLY:
            if place < len(places):
                there = places[place]
            elif "positions" not in takes:
                yield f"it takes {len(places)} by position, and {each.name} is one more"
                continue
        if each.kind is not each.POSITIONAL_ONLY:
            by_name = names.get(each.name)
            if by_name is None and (there is not None or "names" not in takes):
                yield f"it takes nothing that is given as {each.name}="
            elif there is not None and by_name is not there:
                yield f"it takes {there.name} in the place of {each.name}"
            there = there or by_name
        if there is not None:
            given.add(there.name)
            if each.default is not each.empty and not there.is_optional:
                yield f"it needs {there.name}, which may be left out here"
    for parameter in owned:
        if parameter.by in ("", "position", "name") and not (
            parameter.is_optional or parameter.name in given
        ):
            yield f"it needs {parameter.name}, which is not given"
