"""What an object answers when it is asked what may be called here: `pb:describe` and `pb:interfaces`.

Tells what the class of an object publishes in the role in which it was exported, in neutral words and never
under a Python path: names, parameters, types as far as they are declared. No code of the object is run for
it, except what `dir` runs. Spec: spec/3-messages.md, "What may be called".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, Final

from zope.interface import providedBy

from ..dispatch import Kind, is_method_name
from .typenames import TypeNames

_MAX_METHODS: Final = 1000
_MAX_DOC_CHARS: Final = 200
_KINDS: Final = {Kind.REMOTE: "object", Kind.PERSPECTIVE: "perspective", Kind.VIEW: "view"}
_PARAMETER: Final[dict[Any, str]] = {
    inspect.Parameter.POSITIONAL_ONLY: "position",
    inspect.Parameter.KEYWORD_ONLY: "name",
    inspect.Parameter.VAR_POSITIONAL: "positions",
    inspect.Parameter.VAR_KEYWORD: "names",
}


def interfaces_of(export: Any) -> list[str]:
    """Return the names of the interfaces that an object provides, without their modules."""
    return sorted({interface.__name__ for interface in providedBy(export.object)})


def describe(export: Any) -> dict[str, object]:
    """Return a plain map that says what may be called."""
    cls = type(export.object)
    known = export.scope.broker.codec.described
    names: TypeNames | None = None
    prefix = export.prefix
    has_actor = export.kind is Kind.VIEW
    found: list[dict[str, object]] = []
    for attribute in sorted(dir(export.object)):
        name = attribute.removeprefix(prefix)
        if attribute.startswith(prefix) and is_method_name(name) and len(found) < _MAX_METHODS:
            function = _published(export.object, attribute)
            if function is None:
                continue
            # To look at a method takes 50 us, and anybody may ask on and on. Which methods there are is found
            # out each time: that is of the instance as much as of the class.
            of = function.__func__ if type(function) is MethodType else None
            rows: dict[bool, dict[str, Any]] = known.setdefault(of, {}) if type(of) is FunctionType else {}
            row = rows.get(has_actor)
            if row is None:
                if names is None:
                    names = TypeNames({cls: plan.name for cls, plan in export.scope.encoder.plans.items()})
                row = rows[has_actor] = _method(function, has_actor, names)
            found.append(_named(name, row))
    return {
        "kind": _KINDS[export.kind],
        "doc": _first_line(cls),
        "interfaces": interfaces_of(export),
        "methods": found,
    }


def _published(target: object, attribute: str) -> Callable[..., Any] | None:
    """Return what is called under a name, without running a property or `__getattr__`."""
    found = inspect.getattr_static(target, attribute, None)
    if isinstance(found, FunctionType):
        return found.__get__(target)
    if isinstance(found, staticmethod | classmethod):
        return found.__get__(target, type(target))
    return found if callable(found) else None


def _named(name: str, told: dict[str, Any]) -> dict[str, object]:
    """Return what is told of a function under a name. A copy: what is there twice crosses as shared."""
    row: dict[str, object] = {"name": name, **told}
    if "params" in told:
        row["params"] = [dict(parameter) for parameter in told["params"]]
    return row


def _method(function: Callable[..., Any], has_actor: bool, names: TypeNames) -> dict[str, object]:
    told: dict[str, object] = {"doc": _first_line(function)}
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # it does not tell
        return told
    hints = names.hints(function)
    parameters = list(signature.parameters.values())[has_actor:]
    told["params"] = params = []
    for parameter in parameters:
        if parameter.name.startswith("_"):  # the method's own affair: no peer can fill it
            break
        row: dict[str, object] = {"name": parameter.name}
        kind = _PARAMETER.get(parameter.kind)
        if kind is not None:
            row["by"] = kind
        if parameter.default is not parameter.empty:
            row["optional"] = True
        names.put(row, "type", hints.get(parameter.name))
        params.append(row)
    names.put(told, "returns", hints.get("return"))
    target = inspect.unwrap(function)
    if inspect.isasyncgenfunction(target) or str(told.get("returns", "")).startswith("stream"):
        told["stream"] = True
    return told


def _first_line(documented: object) -> str:
    doc = getattr(documented, "__doc__", None)
    line = inspect.cleandoc(doc).partition("\n")[0] if isinstance(doc, str) else ""
    return line if len(line) <= _MAX_DOC_CHARS else line[: _MAX_DOC_CHARS - 1] + "…"
