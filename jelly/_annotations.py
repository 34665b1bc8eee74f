"""Finding marks, such as Rules, in the annotations of a class, also where these are strings.

Knows not what the marks mean. An annotation that cannot be evaluated is looked at by its names, so that a
mark is noticed even where it cannot be had.
"""

from __future__ import annotations

import ast
import inspect
import sys
import typing
from collections.abc import Iterable
from types import ModuleType
from typing import Any, NamedTuple

from ._fields import model_fields_of


class Marks(NamedTuple):
    """What was found in the annotations of a class.

    Attributes:
        found: for each field that has any, its marks, those of the bases first.
        suspect: the fields whose annotation cannot be evaluated and may hold a mark.
        unclear: those whose annotation cannot be evaluated, but shows nothing of a mark.
    """

    found: dict[str, list[Any]]
    suspect: list[str]
    unclear: list[str]


def find_marks(cls: type, kind: type, makers: tuple[object, ...]) -> Marks:
    """Look for instances of `kind` in the annotations of a class and its bases.

    Args:
        makers: functions that return such instances.
    """
    marks = Marks({}, [], [])
    for base in reversed(cls.__mro__[:-1]):
        for field, annotation in inspect.get_annotations(base).items():
            if "ClassVar" in (annotation if isinstance(annotation, str) else repr(annotation)):
                continue
            evaluated = _evaluate(base, field, annotation)
            if evaluated is not None:
                _note(marks, field, evaluated, kind)
            elif _mentions(base, annotation, kind, (*makers, typing.Annotated)):
                marks.suspect.append(field)
            else:
                marks.unclear.append(field)
    for attribute in getattr(cls, "__attrs_attrs__", ()):
        # attr.ib(type=...) leaves it here only.
        _note(marks, attribute.name, _parts_of(getattr(attribute, "type", None)), kind)
    for name, field in model_fields_of(cls).items():
        _note(marks, name, _parts_of((field.annotation, *field.metadata)), kind)
    return marks


def _note(marks: Marks, field: str, parts: Iterable[object], kind: type) -> None:
    for part in parts:
        if type(part) is kind:
            known = marks.found.setdefault(field, [])
            if part not in known:
                known.append(part)


def _evaluate(base: type, field: str, annotation: object) -> list[object] | None:
    """Return all parts of an annotation without its strings, or None if it cannot be evaluated."""
    # One by one: a name that exists for type checkers only must not hide what the others say.
    alone = type(base.__name__, (), {"__annotations__": {field: annotation}, "__module__": base.__module__})
    names = {**vars(base), base.__name__: base}
    try:
        return _parts_of(typing.get_type_hints(alone, localns=names, include_extras=True)[field])
    except Exception:  # whatever a name or a call in it raises
        return None


def _parts_of(annotation: object) -> list[object]:
    """Return an annotation and everything in it."""
    parts: dict[int, object] = {}
    waiting = [annotation]
    while waiting:
        part = waiting.pop()
        if id(part) in parts:
            continue
        parts[id(part)] = part
        if isinstance(part, tuple | list):
            waiting.extend(part)
        waiting.extend(typing.get_args(part))
        # `type Pay = ...` and NewType() name what they stand for.
        waiting.extend(getattr(part, name, None) for name in ("__value__", "__supertype__"))
    return list(parts.values())


def _mentions(base: type, annotation: object, kind: type, makers: tuple[object, ...]) -> bool:
    """Tell whether an annotation that cannot be evaluated holds or makes a mark, as far as is known."""
    waiting = [annotation]
    texts: set[str] = set()
    while waiting:
        try:
            parts = _parts_of(waiting.pop())
        except Exception:  # `type Pay = ...` of a name that is not there
            return True
        for part in parts:
            if type(part) is kind or any(part is maker for maker in makers):
                return True
            text = part if isinstance(part, str) else getattr(part, "__forward_arg__", None)
            if isinstance(text, str) and text not in texts:
                texts.add(text)
                if "Annotated" in text:
                    return True
                waiting.extend(_named_in(base, text))
    return False


def _named_in(base: type, text: str) -> list[object]:
    """Return what the names in a text stand for, as far as they are known, and the strings in it."""
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        return []
    found: list[object] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            found.append(_look_up(base, node))
        elif isinstance(node, ast.Constant):
            found.append(node.value)
    return found


def _look_up(base: type, node: ast.expr) -> object:
    if isinstance(node, ast.Name):
        module = vars(sys.modules.get(base.__module__, object))
        return vars(base).get(node.id, module.get(node.id))
    if isinstance(node, ast.Attribute):
        owner = _look_up(base, node.value)
        return vars(owner).get(node.attr) if isinstance(owner, type | ModuleType) else None
    return None
