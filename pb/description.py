"""What may be called on a remote object, as its owner describes it: text for people, data for tools.

A description comes from the peer, so it is looked at like everything of the peer's: whatever is not of the
form that the specification gives is refused, and texts are printed without what a terminal would act on.
Spec: spec/3-messages.md, "What may be called".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

from jelly._article import a

from .dispatch import is_method_name
from .errors import BadPayload, printable

__all__ = ["Description", "Method", "Parameter"]

T = TypeVar("T")
# How a parameter is shown: what stands before its name.
_MARKS: Final = {"": "", "position": "", "name": "", "positions": "*", "names": "**"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method.

    Attributes:
        name: what it is called.
        type: the name of its type, such as `list[int]`; "" where none was declared.
        by: "" by position or by name; else "position", "name", "positions" (any number), "names" (likewise).
        is_optional: whether it may be left out.
    """

    name: str
    type: str
    by: str
    is_optional: bool

    def __str__(self) -> str:
        text = _MARKS[self.by] + self.name
        if self.type:
            text += f": {self.type}"
        return f"{text} = ..." if self.is_optional else text


@dataclass(frozen=True, slots=True)
class Method:
    """One method.

    Attributes:
        name: what it is called by, without a prefix.
        doc: the first line of what its author says of it.
        parameters: in order; None where the object does not tell.
        returns: the name of the type of its result; "" where none was declared.
        is_stream: whether its result is a stream of items.
    """

    name: str
    doc: str
    parameters: tuple[Parameter, ...] | None
    returns: str
    is_stream: bool

    def __str__(self) -> str:
        if self.parameters is None:
            return f"{self.name}(?)"
        shown: list[str] = []
        before = ""
        for parameter in self.parameters:
            if before == "position" != parameter.by:
                shown.append("/")
            if parameter.by == "name" and before not in ("name", "positions"):
                shown.append("*")
            shown.append(str(parameter))
            before = parameter.by
        if before == "position":
            shown.append("/")
        return f"{self.name}({', '.join(shown)})" + (f" -> {self.returns}" if self.returns else "")


@dataclass(frozen=True, slots=True)
class Description:
    """What an object publishes, to whom holds this reference to it.

    Attributes:
        kind: "object", "perspective" or "view".
        doc: the first line of what its author says of it.
        interfaces: names of the interfaces that it provides.
        methods: in the order of their names.
    """

    kind: str
    doc: str
    interfaces: tuple[str, ...]
    methods: tuple[Method, ...]

    @classmethod
    def of(cls, told: object) -> Description:
        """Read what a peer has answered to `pb:describe`.

        Raises:
            BadPayload: it is not of the form that is expected.
        """
        row = _map(told)
        return cls(
            kind=_text(row, "kind"),
            doc=_text(row, "doc"),
            interfaces=tuple(printable(_is(name, str)) for name in _list(row, "interfaces")),
            methods=tuple(_method(_map(method)) for method in _list(row, "methods")),
        )

    def __str__(self) -> str:
        lines = []
        for method in self.methods:
            lines.append(str(method))
            if method.doc:
                lines.append(f"    {method.doc}")
        return "\n".join(lines)


def _method(row: dict[str, Any]) -> Method:
    parameters = _list(row, "params")
    return Method(
        name=_name(row),
        doc=_text(row, "doc"),
        parameters=tuple(_parameter(_map(told)) for told in parameters) if "params" in row else None,
        returns=_text(row, "returns"),
        is_stream=_is(row.get("stream", False), bool),
    )


def _parameter(row: dict[str, Any]) -> Parameter:
    by = _text(row, "by")
    if by not in _MARKS:
        raise BadPayload(f"a description with a parameter that is given by {by!r}")
    return Parameter(_name(row), _text(row, "type"), by, _is(row.get("optional", False), bool))


def _name(row: dict[str, Any]) -> str:
    name = _is(row.get("name"), str)
    if not is_method_name(name):
        raise BadPayload("a description with a name that is none")
    return name


def _text(row: dict[str, Any], key: str) -> str:
    return printable(_is(row.get(key, ""), str))


def _list(row: dict[str, Any], key: str) -> list[Any]:
    return _is(row.get(key, []), list)


def _map(told: object) -> dict[str, Any]:
    return _is(told, dict)


def _is(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise BadPayload(f"a description with {a(type(value).__name__)} where {a(kind.__name__)} is expected")
    return value
