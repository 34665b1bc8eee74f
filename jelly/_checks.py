"""Small checks of received data, each with the error it ends in."""

from __future__ import annotations

from typing import Any, Final

from msgpack import unpackb

from ._depth import preflight
from ._ext import quote
from .errors import MalformedJelly

# From here on headers are checked before anything is allocated for what they promise; below, the worst
# is 1.6 MiB for a moment.
PREFLIGHT_BYTES: Final = 1024
_MAX_ID: Final = (1 << 53) - 1


def read_uint(payload: bytes, least: int, name: str) -> int:
    """Read an id, a count or an index."""
    number = int.from_bytes(payload, "big")
    if len(payload) not in (1, 2, 4, 8) or not least <= number <= _MAX_ID:
        raise MalformedJelly(f"{name} is not a uint of {least} to 2**53-1 in 1, 2, 4 or 8 bytes")
    return number


def check_id(number: object, name: str) -> int:
    """Return an id that stands in an array."""
    if type(number) is not int or not 1 <= number <= _MAX_ID:
        raise MalformedJelly(f"{name} has an id that is not 1 to 2**53-1")
    return number


def check_form(payload: bytes | memoryview, max_depth: int) -> None:
    """Raise MalformedJelly unless the headers of an object keep their promises and nest within the limit."""
    problem = preflight(payload, max_depth)
    if problem is not None:
        raise MalformedJelly(problem, too_large=problem.startswith("nests"))


def unpack(payload: bytes | memoryview, hook: Any) -> Any:
    """Unpack one object. What msgpack finds wrong is MalformedJelly; what the hook raises is passed on."""
    try:
        return unpackb(payload, ext_hook=hook, timestamp=3)
    except Exception as error:
        raise blame(error, hook) from None


def blame(error: Exception, hook: Any) -> Exception:
    """Return what to raise for an error that came out of msgpack while it called this hook.

    Malformed bytes end in at least eight types, TypeError among them, so the type does not tell them from
    a fault of ours. Where it was raised does: what msgpack finds itself has not passed through the hook,
    and what it finds inside a hook is MalformedJelly by the time it gets here.
    """
    if isinstance(error, MalformedJelly):
        return error
    if isinstance(error, RecursionError):  # called from far down the stack: neither's fault
        return MalformedJelly("nests deeper than the stack has room for here", too_large=True)
    assert error.__traceback__ is not None
    # The first frame is the caller's, which may be the hook one level further out.
    code, trace = hook.__code__, error.__traceback__.tb_next
    while trace is not None:
        if trace.tb_frame.f_code is code:
            return error
        trace = trace.tb_next
    return MalformedJelly(f"is not msgpack ({type(error).__name__})")


def too_deep(max_depth: int) -> MalformedJelly:
    """Make the error for a payload that nests too deep."""
    return MalformedJelly(f"nests deeper than max_depth={max_depth}", too_large=True)


def too_many(max_exts: int) -> MalformedJelly:
    """Make the error for a payload that holds too many Exts (PB-V48)."""
    return MalformedJelly(f"holds more than max_exts={max_exts} Exts", too_large=True)


def cut_text(error: Exception) -> str:
    """Return the text of an error raised on a peer's value, cut, on one line."""
    try:
        return quote(str(error))
    except Exception:  # a broken __str__, or the text of a value too deep to print
        return "(no text)"
