"""How registered exceptions are taken apart and rebuilt. spec/5-errors.md has the map they travel as."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import BuiltinFunctionType, WrapperDescriptorType
from typing import Any, Final

from ._blueprint import Take, _find_hooks
from ._depth import all_scalars
from ._errorfields import ErrorFields, error_fields
from ._words import guard, printable, unguard
from .errors import InsecureJelly

_set: Final = object.__setattr__
_ABSENT: Final[Any] = object()
_UNICODE_ERRORS: Final = (UnicodeEncodeError, UnicodeDecodeError, UnicodeTranslateError)
# What these have comes of their args alone: str() of one reads memory where the numbers say, unchecked.
_OF_ARGS: Final = frozenset({"encoding", "object", "start", "end", "reason"})
MAX_NOTES: Final = 64


class ErrorPlan:
    """Take apart and build the exceptions of one class.

    Attributes:
        cls: the class; its subclasses are not meant.
        name: the wire name.
        take: (error, perspective) -> data.
        build: (data, message) -> error. Raises what it likes if the data do not fit.
        finish: the post_unjelly hook, or None.
        has_args: whether what take returns is a dict of ours with the args.
        fields: what else is in it.
    """

    __slots__ = ("build", "cls", "fields", "finish", "has_args", "name", "take")

    def __init__(
        self,
        cls: type[BaseException],
        name: str,
        take: Take,
        build: Callable[[Any, str], BaseException],
        has_args: bool,
        fields: ErrorFields,
    ) -> None:
        self.cls = cls
        self.name = name
        self.take = take
        self.build = build
        self.has_args = has_args
        self.fields = fields
        self.finish: Callable[[Any], object] | None = getattr(cls, "post_unjelly", None)


def plan_error(
    cls: type[BaseException],
    name: str,
    fields: Sequence[str] | None = None,
    factory: Callable[[Any], object] | None = None,
) -> ErrorPlan:
    """Make the plan of an exception class.

    Raises:
        TypeError: it is no Exception (SystemExit and its like end programs), or a field is unusable.
    """
    if not issubclass(cls, Exception):
        raise TypeError(f"{cls.__name__} ends a program or a task and must not be raised by a peer")
    take_hook, set_hook = _find_hooks(cls)
    declared = error_fields(cls, fields)

    def build(data: Any, message: str) -> BaseException:
        if factory is not None:
            error = factory(data)
            if not isinstance(error, BaseException):
                raise InsecureJelly(f"{cls.__name__}: the factory made no exception")
            return error
        if set_hook is not None:
            error = cls.__new__(cls)
            set_hook(error, data)
            return error
        return _rebuild(cls, declared, data, message)

    return ErrorPlan(cls, name, take_hook or _take_args(declared), build, take_hook is None, declared)


def args_of(error: BaseException) -> list[Any]:
    """Return the args that make an error again."""
    args = unguard(error.args)
    if isinstance(error, OSError) and len(args) == 2 and error.filename is not None:
        args.append(error.filename)  # which OSError takes out of its args
    return args


def _take_args(declared: ErrorFields) -> Take:
    names = declared.names

    def take_all(error: Any, perspective: object) -> object:
        return {"args": args_of(error), **{name: getattr(error, name) for name in names}}

    def take_what_is_there(error: Any, perspective: object) -> object:
        state = {"args": args_of(error)}
        for name in names:
            held = getattr(error, name, _ABSENT)
            if held is not _ABSENT:
                state[name] = held
        return state

    return take_all if declared.is_strict else take_what_is_there


def _rebuild(cls: type[Exception], declared: ErrorFields, data: Any, message: str) -> BaseException:
    """Make an exception without running an __init__ written in Python."""
    args: Any = (message,)
    if type(data) is dict and type(data.get("args")) is list:
        args = tuple(data["args"])
    error = _make(cls, guard(args))  # some copy them while they are made
    is_unicode = isinstance(error, _UNICODE_ERRORS)
    for name in declared.names:
        if is_unicode and name in _OF_ARGS:
            continue
        # Data of a class derived from this one hold more than we declared; the rest is ignored.
        if type(data) is dict and name in data:
            _set(error, name, data[name])
        elif name in declared.defaults:
            _set(error, name, declared.defaults[name]())
        elif declared.is_strict:
            raise InsecureJelly(f"{cls.__name__}: the field {name!r} is missing")
    return error


def _make(cls: type[Exception], args: tuple[Any, ...]) -> Exception:
    if cls.__module__ == "builtins" and not (issubclass(cls, _UNICODE_ERRORS) and not _is_sane(args)):
        # Their __init__ is in C; without it OSError.errno or KeyError's text would be missing.
        try:
            error = cls(*args)
            if isinstance(error, SyntaxError):
                # Printed beside its text, and not by str(); the args keep what was sent.
                error.filename, error.text = _plain(error.filename), _plain(error.text)
            if type(error) is cls:
                return error
        except TypeError:
            pass
    error = cls.__new__(cls, *args)
    if type(error) is not cls:  # OSError(2, "x") makes a FileNotFoundError, which may not be registered
        error = cls.__new__(cls)
    if isinstance(error, OSError):
        OSError.__init__(error, *args)  # in C; left out where a class has an __init__ of its own
    elif isinstance(error, _UNICODE_ERRORS) and _is_sane(args):
        kind: Any = next(each for each in _UNICODE_ERRORS if isinstance(error, each))
        *encoding, whole, start, end, reason = args
        try:
            kind.__init__(error, *map(_shown, encoding), whole, start, end, _shown(reason))  # likewise in C
        except TypeError:
            pass
    error.args = args
    return error


def _shown(text: Any) -> Any:
    return printable(text) if isinstance(text, str) else text


def _plain(text: object) -> str | None:
    return printable(text.rstrip("\n")) if type(text) is str else None


def _is_sane(args: tuple[Any, ...]) -> bool:
    """Tell whether str() of a UnicodeError of these args stays inside its object (CPython does not check)."""
    if len(args) < 4 or type(args[-3]) is not int or type(args[-2]) is not int:
        return False
    whole = args[-4]
    return type(whole) in (str, bytes) and 0 <= args[-3] <= args[-2] <= len(whole)


def text_of(error: BaseException, max_bytes: int) -> str:
    """Return the text of an error, whatever it is made of, cut to so many bytes.

    Arguments that are containers are not shown: they may be a peer's, and printing a value with
    shared parts can take time without end.
    """
    text: object = ""
    shows = type(error).__str__
    if isinstance(shows, WrapperDescriptorType | BuiltinFunctionType) and not all_scalars(error.args):
        text = next((each for each in unguard(error.args) if type(each) is str), "")
    else:
        try:
            text = str(error)
        except Exception:  # a broken __str__ must not hide the error it belongs to
            pass
    return cut(text, max_bytes) if type(text) is str else ""


def cut(text: str, max_bytes: int) -> str:
    """Cut a text to so many bytes of UTF-8, at a character, and replace what UTF-8 does not have."""
    return text[:max_bytes].encode("utf-8", "backslashreplace")[:max_bytes].decode("utf-8", "ignore")


def notes_of(error: BaseException, max_bytes: int) -> list[str]:
    """Return the notes of an error that are text."""
    notes = getattr(error, "__notes__", ())
    if type(notes) is not list:
        return []
    return [cut(note, max_bytes) for note in notes[:MAX_NOTES] if type(note) is str]
