"""Why a call of the peer was refused, in words for the log of this side.

The peer is told as little as possible; who wrote the object may know. Names only, never a value of the
peer's, and no code of the object is run for it. Spec: spec/5-errors.md, spec/3-messages.md.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from jelly._article import a

from ..dispatch import signature_of
from ..errors import NoSuchMethod, printable
from ..logfields import fields

if TYPE_CHECKING:
    from .reserved import Reserved

log = logging.getLogger("pb")

# A peer chooses the name, and comparing it costs up to 17 us for each name of the class. So the number is
# bounded, and callers ask first whether the log is kept at that level.
_MAX_COMPARED = 50
_MAX_NAME_CHARS = 64
_MAX_KEYWORDS = 5
_MAX_WARNED = 64

# As `dispatch.no_such_method` words it; of a peer that words it otherwise the text stays as it is.
_PREFIXED = re.compile(r"no method '(?:remote|perspective|view)_([A-Za-z]\w{0,127})'", re.ASCII)


def why_no_method(target: object, prefix: str, name: str) -> str:
    """Return why `target` publishes nothing under `name`: not there, not published, or misspelled."""
    cls = type(target)
    shown = printable(name)
    attributes = {key: value for base in reversed(cls.__mro__) for key, value in vars(base).items()}
    published = [key.removeprefix(prefix) for key in attributes if key.startswith(prefix)]
    text = f"{cls.__qualname__} has no method {prefix}{shown}"
    bare = name.removeprefix(prefix)
    if bare != name and bare in published:
        return f"{text}; the caller leaves the prefix out: {bare}"
    if name in published:
        kind = type(attributes[prefix + name]).__name__
        return f"{cls.__qualname__}.{prefix}{shown} is {a(kind)}, which cannot be called"
    if name in attributes:
        return f"{text}; {shown} without the prefix is not published"
    if not published:
        return f"{text}, nor any other that starts with {prefix}"
    close = difflib.get_close_matches(name[:_MAX_NAME_CHARS], published[:_MAX_COMPARED])
    return f"{text}; it has {prefix}{f', {prefix}'.join(close)}" if close else text


def note_prefix(error: NoSuchMethod) -> None:
    """Say in a refusal that came here what its name looks like: written with the prefix of its owner.

    Of the peer's words nothing else is known: that there is such a method without the prefix is not said.
    """
    found = _PREFIXED.fullmatch(str(error))
    if found:
        error.args = (f"{error}; callers leave the prefix out: {found[1]!r}",)


def log_no_method(export: Any, method: str, error: BaseException, reserved: Reserved) -> None:
    """Log that a peer has called what is no method.

    A warning where its author forgot the prefix, as newcomers do: once for each method and connection, for
    the peer chooses how often it asks. All else is for who asked for it.
    """
    asked = (type(export.object), method)
    level = logging.INFO
    may_warn = asked not in reserved.warned and len(reserved.warned) < _MAX_WARNED
    if may_warn and log.isEnabledFor(logging.WARNING) and _lacks_prefix(*asked, export.prefix):
        reserved.warned |= {asked}
        level = logging.WARNING
    if export.scope.direct.tables.may_log(level, "call.refused"):
        why = why_no_method(export.object, export.prefix, method)
        log_refusal(export, method, error, why, level)


def _lacks_prefix(cls: type, name: str, prefix: str) -> bool:
    """Whether a class has a method of this very name, that nobody can call."""
    if name.startswith(prefix):
        return False
    found = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
    return callable(found) and not hasattr(cls, prefix + name)


def log_refusal(export: Any, method: str, error: BaseException, why: str, level: int = logging.INFO) -> None:
    """Log that a call of a peer is refused, and in words for this side why."""
    scope = export.scope.direct
    told = fields("call.refused", scope=scope, row=export, method=method, error=error)
    log.log(level, "refused a call of %s: %s", scope.tables.peer_name, why, extra=told)


def why_bad_arguments(function: Callable[..., Any], count: int, keywords: Iterable[str]) -> str:
    """Return what `function` takes from a peer, and what it was given: how many, and under which names.

    Args:
        count: how many positional arguments there were.
        keywords: the names of the others.
    """
    name = getattr(function, "__qualname__", type(function).__qualname__)
    named = list(keywords)
    given = f"{count} positional argument{'' if count == 1 else 's'}"
    if named:
        more = "" if len(named) <= _MAX_KEYWORDS else f" and {len(named) - _MAX_KEYWORDS} more"
        given += f" and {', '.join(printable(keyword) for keyword in named[:_MAX_KEYWORDS])}{more}"
    return f"{name}{signature_of(function)} was given {given}"
