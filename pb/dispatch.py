"""From a method name a peer sent to the function that may be run, and to nothing else.

The only place where `getattr` meets a peer's string. Which prefix applies is decided by the row of the
export table, so that no caller can pick the authority it is answered with. Spec: spec/3-messages.md, CALL.
"""

from __future__ import annotations

import enum
import functools
import inspect
import weakref
from collections.abc import Callable, Mapping
from sys import intern
from types import FunctionType, MethodType
from typing import Any, Final

from . import messages
from .errors import BadArguments, Gone, NoSuchMethod, PeerError

_MAX_NAME = messages.MAX_METHOD_BYTES
_MOST_KNOWN: Final = 1024
_NONE: Final[Mapping[str, Any]] = {}


class Kind(enum.Enum):
    """The role in which an object was exported, and the prefix of the methods it publishes."""

    REMOTE = "remote_"
    PERSPECTIVE = "perspective_"
    VIEW = "view_", "the methods are told the perspective first"
    REPLICA = "observe_", "at its holder"
    CACHE = "", "at its owner; nobody calls it"
    PROXY = "", "a reference of another connection: calls are passed on"
    GONE = "", "revoked"

    def __init__(self, prefix: str, meaning: str = "") -> None:
        self.prefix = prefix  # "" publishes nothing


def is_method_name(name: str) -> bool:
    """Whether `name` may be called: `[A-Za-z][A-Za-z0-9_]*`, at most 128 characters."""
    return name.isidentifier() and name.isascii() and name[0] != "_" and len(name) <= _MAX_NAME


def _finding(prefix: str, known: dict[str, str]) -> Callable[[object, str], Callable[..., Any]]:
    """Return what finds the methods that are published under a prefix."""

    def attribute_of(target: object, name: str) -> str:
        if not is_method_name(name):
            raise no_such_method(name)
        attribute = prefix + name
        if hasattr(type(target), attribute):
            if len(known) >= _MOST_KNOWN:
                known.clear()
            # Interned, because Python's cache of look-ups in a class knows names by their address only.
            attribute = known[name] = intern(attribute)
        return attribute

    def find(target: object, name: str) -> Callable[..., Any]:
        found = getattr(target, known.get(name) or attribute_of(target, name), None)
        if callable(found):
            return found  # type: ignore[no-any-return]
        raise no_such_method(name)

    return find


# By prefix, names that classes have -> these with the prefix: finding them takes a fourth of the time. Others
# are not kept: a peer may think of any number, and what is interned stays for ever in Python 3.12.
KNOWN: Final[dict[str, dict[str, str]]] = {kind.prefix: {} for kind in Kind if kind.prefix}
# By prefix, what finds the methods that are published under it, as `find_method` does.
FIND: Final = {prefix: _finding(prefix, known) for prefix, known in KNOWN.items()}


def find_method(target: object, prefix: str, name: str) -> Callable[..., Any]:
    """Return what `target` publishes under `name`: methods, instance attributes, its own `__getattr__`.

    Raises:
        NoSuchMethod: nothing callable. The text is the same whatever the reason.
    """
    return FIND[prefix](target, name)


def no_such_method(name: str) -> NoSuchMethod:
    """Return the refusal of a name; the text is the same whatever the reason."""
    return NoSuchMethod(f"no method {name!r}" if is_method_name(name) else "no method of that name")


def why_nothing(export: Any, name: str) -> PeerError | None:
    """Return why a call on what publishes no methods is refused; None where it is passed on."""
    if export.kind is Kind.GONE:
        return Gone(f"object {export.id} was revoked")
    return None if export.kind is Kind.PROXY else no_such_method(name)


def bind_error(
    error: TypeError, function: Callable[..., Any], name: str, has_actor: bool = False
) -> BadArguments | None:
    """Return the refusal where the arguments did not fit `function`; None if the error is its own.

    A call that does not fit fails before the first frame of the function is made: the traceback then
    ends in our own frame.

    Args:
        has_actor: whether the first argument is not the peer's to give.
    """
    traceback = error.__traceback__
    if traceback is None or traceback.tb_next is not None:
        return None
    return _misfit(function, name, has_actor)


def _misfit(function: Callable[..., Any], name: str, has_actor: bool) -> BadArguments:
    return BadArguments(f"the arguments do not fit {name!r}; it takes {signature_of(function, has_actor)}")


def signature_of(function: Callable[..., Any], has_actor: bool = False) -> str:
    """Return the names that a peer may fill, as `(a, b=...)`: of a default, only that there is one."""
    is_bound = isinstance(function, MethodType)
    target = function.__func__ if isinstance(function, MethodType) else function
    try:
        return str(_signature(target, is_bound + has_actor))
    except Exception:  # it does not tell; or is an object that can be called, and runs code of its own here
        return "(...)"


class _Default:
    def __repr__(self) -> str:
        return "..."


def _remembered(look: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
    """Remember what `look` says of a function for as long as the function lives: one may be made per call."""
    known: weakref.WeakKeyDictionary[FunctionType, dict[int, Any]] = weakref.WeakKeyDictionary()

    @functools.wraps(look)
    def find(function: Any, bound: int) -> Any:
        if not isinstance(function, FunctionType):
            return look(function, bound)
        found = known.get(function)
        if found is None:
            found = known[function] = {}
        if bound not in found:
            found[bound] = look(function, bound)
        return found[bound]

    return find


@_remembered
def _signature(function: Callable[..., Any], bound: int) -> str:
    # Remembered: a peer can ask without end, and looking takes longer than refusing.
    found = [*inspect.signature(function).parameters.values()]
    while bound and found and found[0].kind is not inspect.Parameter.VAR_POSITIONAL:
        del found[0]
        bound -= 1
    names = [
        parameter.replace(
            annotation=parameter.empty,
            default=parameter.empty if parameter.default is parameter.empty else _Default(),
        )
        for parameter in found
        if not parameter.name.startswith("_")
    ]
    return str(inspect.Signature(names))


def open_methods_of(cls: type, kind: Kind) -> Mapping[str, Any]:
    """Return the methods that a class publishes and that have no private parameter, by the names they have.

    A parameter whose name starts with an underscore is the method's own affair. What is called under such a
    name need not be that method: an object may publish another by an attribute of its own. Where it is, the
    call needs no look at its parameters.
    """
    return _open_methods(cls, kind.prefix) if kind.prefix else _NONE


@functools.lru_cache(maxsize=4096)
def _open_methods(cls: type, prefix: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name in dir(cls):
        method = inspect.getattr_static(cls, name) if name.startswith(prefix) else None
        # Of others it is known only when they are called what the call itself supplies.
        if isinstance(method, FunctionType):
            actor = prefix == Kind.VIEW.prefix  # which is given, but not by the peer
            if _most_positional(method, 1 + actor) is None:
                found[name.removeprefix(prefix)] = method
    return found


@_remembered
def _most_positional(function: object, bound: int) -> int | None:
    """Return how many positional arguments come before the first private one; None if there is none.

    Args:
        bound: how many the call itself supplies: 1 for `self` or `cls`, whatever it is called.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())[bound:]  # type: ignore[arg-type]
    except Exception:  # no function, or one that does not tell
        return None
    for index, parameter in enumerate(parameters):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.KEYWORD_ONLY):
            return None
        if parameter.name.startswith("_"):
            return index
    return None


def check_arguments(
    export: Any, function: Callable[..., Any] | None, name: str, args: list[Any], kwargs: Mapping[str, Any]
) -> None:
    """Refuse arguments that would reach a private parameter.

    Raises:
        BadArguments: more positional arguments than the method takes from a peer, or a private keyword.
    """
    if function is None:
        return
    is_own = isinstance(function, MethodType) and function.__self__ is export.object
    is_open = is_own and export.open_methods.get(name) is function.__func__  # type: ignore[attr-defined]
    most = None if is_open else _most_taken(export, function, name)
    if (most is not None and len(args) > most) or any(keyword[:1] == "_" for keyword in kwargs):
        raise _misfit(function, name, export.kind is Kind.VIEW)


def _most_taken(export: Any, function: Any, name: str) -> int | None:
    """Return how many positional arguments a call may have, with the actor; None if any number."""
    has_actor = export.kind is Kind.VIEW
    given = has_actor + _hides_self(export.object, export.kind.prefix + name, function)
    # What is said of functions is remembered; of other objects it is found out for each call.
    if isinstance(function, functools.partial):
        given += len(function.args)
        function = function.func
    elif not isinstance(function, MethodType | FunctionType):
        inner = getattr(function, "__dict__", _NONE).get("__wrapped__")
        function = inner if isinstance(inner, MethodType | FunctionType) else function
    if isinstance(function, MethodType):
        given += 1
        function = function.__func__
    most = _most_positional(function, given)
    return None if most is None else most + has_actor


def _hides_self(target: object, attribute: str, function: Any) -> bool:
    """Whether `function` supplies an argument that its signature shows, because it is that of what it wraps.

    So does what `functools.singledispatchmethod` makes of a method, and other descriptors that are no
    methods of Python's own. Where one wraps what needs no object, one argument too many is refused: better
    than one too few.
    """
    if isinstance(function, functools.partial):
        if any(each is target for each in function.args):
            return False
        function = function.func
    if isinstance(function, MethodType):
        return False
    how = inspect.getattr_static(type(target), attribute, None)
    if isinstance(how, FunctionType | staticmethod | classmethod) or not hasattr(type(how), "__get__"):
        return False
    try:
        wrapped = inspect.unwrap(function, stop=lambda each: isinstance(each, MethodType | staticmethod))
    except Exception:  # it runs code of its own here, or wraps itself
        return False
    return wrapped is not function and not isinstance(wrapped, MethodType | staticmethod)
