"""Why a value does not cross, in words for who wanted to send it. spec/1-values.md has what does."""

from __future__ import annotations

import io
import sys
import types
from collections.abc import Awaitable, Iterable
from typing import Final

from ._article import a
from ._blueprint import plan_copy
from .flavours import Cacheable, Copyable, RemoteCache

_NEVER: Final = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    types.CodeType,
    types.FrameType,
    types.TracebackType,
    type,
)
_LOOPS: Final = ("builtins", "_asyncio", "asyncio", "uvloop")  # whose awaitables nobody would register
_BUILTIN_VALUES: Final = (str, bytes, int, float, complex, list, tuple, dict, set, frozenset, bytearray)


def why_not(kind: type, registered: Iterable[type] = ()) -> str:
    """Say why instances of a type do not cross, and what would admit them.

    Args:
        registered: the classes that do, among which may be another of the same name.
    """
    name = kind.__qualname__
    one = f"is {a(name)}"
    if issubclass(kind, _NEVER):
        return f"{one}, and code never crosses; pass a Referenceable with a remote_ method"
    if issubclass(kind, Awaitable) and kind.__module__.partition(".")[0] in _LOOPS:
        return f"{one}: await it first"
    if issubclass(kind, io.IOBase):
        return f"{one}, an open file; pb.stream_file sends what is in it"
    if any(each.__qualname__ == name and each.__module__ == kind.__module__ for each in registered):
        return (
            f"{one}, but of another class than the {name} that is registered: a decorator that makes a class "
            "anew, as @dataclass(slots=True) does, belongs below the one that registers it, so swap them; or "
            "else its module was loaded twice"
        )
    if issubclass(kind, BaseException):
        return f'{one}, an error that is not registered; Registry.add({name}, "name") admits it{_WHERE}'
    if issubclass(kind, Cacheable):
        return f'{one}, which is Cacheable and not registered; Registry.add({name}, "name") admits it{_WHERE}'
    if issubclass(kind, RemoteCache):
        return f"{one}, a RemoteCache that came from no peer; only what a peer sent can go home"
    for base in _BUILTIN_VALUES:
        if issubclass(kind, base) and not hasattr(kind, "_fields"):
            return (
                f"{one}, a subclass of {base.__name__} that is not registered; make it {a(base.__name__)}, "
                f'or Registry.add_codec({name}, "name", encode, decode) admits it{_WHERE}'
            )
    if kind.__module__ == "builtins":
        return f"{one}, one of Python's own types, which does not cross; send what it stands for"
    what = "is Copyable and" if issubclass(kind, Copyable) else "is"
    return f"{one}, which {what} not registered; {_how_to_admit(kind)}"


_WHERE: Final = ", in the registry= of this side"


def _how_to_admit(kind: type) -> str:
    """Say what would admit copies of a class, and what it would be if it were to stay here."""
    name = kind.__qualname__
    codec = f'Registry.add_codec({name}, "name", encode, decode) admits copies of it{_WHERE}'
    try:
        plan_copy(kind, "name")
    except Exception:  # it declares no fields, or its annotations cannot be read
        if kind.__module__.partition(".")[0] in sys.stdlib_module_names:
            return f"{codec}, or send what it stands for"
        add = f'Registry.add({name}, "name", fields=[...]) or {codec}'
    else:
        add = f'Registry.add({name}, "name") admits copies of it{_WHERE}'
    return f"{add}; derived from Referenceable it would stay here and be called"
