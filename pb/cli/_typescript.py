"""A description as an interface of TypeScript. Spec: spec/3-messages.md, "What may be called"."""

from __future__ import annotations

import re
from typing import Final

from pb.description import Description, Method, Parameter

__all__ = ["interface"]

_NAMES: Final = {
    "nil": "null",
    "bool": "boolean",
    "int": "number",
    "float": "number",
    "str": "string",
    "bytes": "Uint8Array",
    "list": "unknown[]",
    "map": "Record<string, unknown>",
    "tuple": "unknown[]",
    "set": "Set<unknown>",
    "frozenset": "Set<unknown>",
    "datetime": "Date",
    "stream": "AsyncIterable<unknown>",
    "object": "RemoteReference",
    "any": "unknown",
}
_TOKEN: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[A-Za-z][A-Za-z0-9_.-]*|-?\d+|\.\.\.|[\[\],|])')


def interface(name: str, description: Description) -> str:
    """Return the text of an interface whose methods return promises, or streams.

    Raises:
        ValueError: the name can be none in TypeScript.
    """
    if not re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", name):
        raise ValueError(f"{name!r} can be no name of an interface")
    lines = [*_comment(description.doc, ""), f"export interface {name} {{"]
    for method in description.methods:
        lines += [*_comment(method.doc, "  "), f"  {method.name}({_parameters(method)}): {_result(method)};"]
    text = "\n".join([*lines, "}", ""])
    if "RemoteReference" in text:
        text = f'import type {{ RemoteReference }} from "perspective-broker";\n\n{text}'
    return text


def _comment(doc: str, indent: str) -> list[str]:
    return [f"{indent}/** {doc.replace('*/', '* /')} */"] if doc else []


def _parameters(method: Method) -> str:
    if method.parameters is None:
        return "...args: unknown[]"
    shown = []
    named = []
    required_after = False
    for parameter in reversed(method.parameters):  # an optional one cannot stand before one that is not
        if parameter.by in ("name", "names"):
            named.append(parameter)
            continue
        optional = parameter.is_optional and not required_after
        required_after = required_after or (not optional and parameter.by != "positions")
        shown.append(_positional(parameter, optional))
    shown.reverse()
    if named and not any(parameter.by == "positions" for parameter in method.parameters):
        fields = [
            "[name: string]: unknown"
            if one.by == "names"
            else f"{one.name}{'?' * one.is_optional}: {_type(one.type)}"
            for one in reversed(named)
        ]
        optional = all(one.is_optional or one.by == "names" for one in named)
        shown.append(f"named{'?' * optional}: {{ {'; '.join(fields)} }}")
    return ", ".join(shown)


def _positional(parameter: Parameter, is_optional: bool) -> str:
    if parameter.by == "positions":
        return f"...{parameter.name}: {_array(_type(parameter.type))}"
    return f"{parameter.name}{'?' * is_optional}: {_type(parameter.type)}"


def _result(method: Method) -> str:
    found = _type(method.returns)
    if method.is_stream:
        return found if found.startswith("AsyncIterable<") else "AsyncIterable<unknown>"
    return f"Promise<{'void' if found == 'null' else found}>"


def _type(text: str) -> str:
    tokens = _TOKEN.findall(text)
    if not tokens or ("".join(tokens) != re.sub(r"\s", "", text) and '"' not in text):
        return "unknown"
    found, rest = _union(tokens, 0)
    return found if rest == len(tokens) else "unknown"


def _union(tokens: list[str], at: int) -> tuple[str, int]:
    found, at = _one(tokens, at)
    members = [found]
    while at < len(tokens) and tokens[at] == "|":
        found, at = _one(tokens, at + 1)
        members.append(found)
    return " | ".join(dict.fromkeys(members)), at


def _one(tokens: list[str], at: int) -> tuple[str, int]:
    name = tokens[at] if at < len(tokens) else ""
    inner: list[str] = []
    after = at + 1
    if after < len(tokens) and tokens[after] == "[":
        found, after = _union(tokens, after + 1)
        inner.append(found)
        while after < len(tokens) and tokens[after] == ",":
            found, after = _union(tokens, after + 1)
            inner.append(found)
        after += 1  # the bracket
    return _generic(name, inner), after


def _generic(name: str, inner: list[str]) -> str:
    if name[:1] == '"' or name in ("true", "false", "null") or name.lstrip("-").isdigit():
        return name
    if not inner:
        return _NAMES.get(name, "unknown")
    if name == "map":
        key, value = (*inner, "unknown")[:2]
        return f"Record<string, {value}>" if key == "string" else f"Map<{key}, {value}>"
    if name == "tuple":
        return _array(inner[0]) if inner[-1] == "unknown" and len(inner) == 2 else f"[{', '.join(inner)}]"
    if name in ("set", "frozenset"):
        return f"Set<{inner[0]}>"
    if name == "stream":
        return f"AsyncIterable<{inner[0]}>"
    return _array(inner[0]) if name == "list" else "unknown"


def _array(item: str) -> str:
    return f"({item})[]" if " | " in item else f"{item}[]"
