"""Why a value does not cross, in words for who wanted to send it. spec/1-values.md has what does."""

from __future__ import annotations

import io
import types
from collections.abc import Awaitable
from typing import Final

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
_BUILTIN_VALUES: Final = (str, bytes, int, float, complex, list, tuple, dict, set, frozenset, bytearray)


def why_not(kind: type) -> str:
    """Say why instances of a type do not cross, and what would admit them."""
    name = kind.__qualname__
    if issubclass(kind, _NEVER):
        return f"is a {name}, and code never crosses; pass a Referenceable with a remote_ method"
    if issubclass(kind, Awaitable) and kind.__module__ in ("builtins", "_asyncio"):
        return f"is a {name}: await it first"
    if issubclass(kind, io.IOBase):
        return f"is a {name}, an open file; pb.stream_file sends what is in it"
    add = f'Registry.add({name}, "name") admits it, in the registry= of this side'
    if issubclass(kind, BaseException):
        return f"is a {name}, an error that is not registered; {add}"
    if issubclass(kind, Copyable):
        return f"is a {name}, which is Copyable and not registered; {add}"
    if issubclass(kind, Cacheable):
        return f"is a {name}, which is Cacheable and not registered; {add}"
    if issubclass(kind, RemoteCache):
        return f"is a {name}, a RemoteCache that came from no peer; only what a peer sent can go home"
    for base in _BUILTIN_VALUES:
        if issubclass(kind, base) and not hasattr(kind, "_fields"):
            return (
                f"is a {name}, a subclass of {base.__name__} that is not registered; make it a "
                f"{base.__name__}, "
                f'or Registry.add_codec({name}, "name", ...) admits it, in the registry= of this side'
            )
    if kind.__module__ == "builtins":
        return f"is a {name}, which has no flavour and is one of Python's own; send what it stands for"
    return f"is a {name}, which has no flavour and is not registered; {add}"
