"""What a peer may do before it has logged in: very little. spec/9-login.md, "Strangers".

A stranger meets one object, whose methods take plain values. Nothing is looked up, built or counted for it
beyond that, and how much it may send is bounded in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgpack

from jelly import InsecureJelly, MalformedJelly, preflight
from jelly._depth import count_openers

from .. import messages
from ..errors import ProtocolError

if TYPE_CHECKING:
    from ..holding.scope import Scope

MAX_CALLS: Final = 8
MAX_BYTES: Final = 16 * 1024
MAX_DEPTH: Final = 4
LOGIN_TIMEOUT_S: Final = 30.0


class Stranger:
    """Count what a peer sends before it has logged in, and read its calls. Takes the place of a decoder."""

    __slots__ = ("_bytes", "_calls")

    def __init__(self) -> None:
        self._calls = 0
        self._bytes = 0

    def count_bytes(self, size: int) -> None:
        """Count a frame.

        Raises:
            ProtocolError: it was one too many; the connection ends.
        """
        self._bytes += size
        if self._bytes > MAX_BYTES:
            raise ProtocolError(f"more than {MAX_BYTES} bytes before login", messages.BYE_POLICY)

    def count_call(self) -> None:
        """Count a call. Raises as count_bytes()."""
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise ProtocolError(f"more than {MAX_CALLS} calls before login", messages.BYE_POLICY)

    def loads_call(self, payload: bytes | memoryview, scope: Scope) -> tuple[list[Any], dict[str, Any]]:
        """Return args and kwargs of a call that holds plain values only.

        Raises:
            InsecureJelly: it holds something else, or it nests deeper than a login does.
            MalformedJelly: it is no payload of a call.
        """
        payload = bytes(payload)
        # What a login sends cannot nest deeper, empty containers included. To look costs 8 us, to count 0.4.
        if count_openers(payload) >= MAX_DEPTH:
            problem = preflight(payload, MAX_DEPTH)
            if problem is not None:
                raise MalformedJelly(problem, too_large=problem.startswith("nests"))
        try:
            content = msgpack.unpackb(payload, ext_hook=_refuse)
        except _AnExt:
            raise InsecureJelly("only plain values may be sent before login", "pb.Forbidden") from None
        except Exception as error:  # at least eight types come out of msgpack
            raise MalformedJelly(f"is not msgpack ({type(error).__name__})") from None
        # msgpack reads Ext -1, whose code is the byte 0xff, itself, and does not ask the hook.
        if b"\xff" in payload and _holds_time(content):
            raise InsecureJelly("only plain values may be sent before login", "pb.Forbidden")
        if type(content) is list and len(content) == 2:
            args, kwargs = content
            is_formed = type(args) is list and type(kwargs) is dict
            if is_formed and (not kwargs or all(type(key) is str for key in kwargs)):
                return args, kwargs
        raise MalformedJelly("the payload of a call is not [args, kwargs]")


class _AnExt(Exception):
    """There is an Ext."""


def _holds_time(value: object) -> bool:
    """Look through what nests at most MAX_DEPTH deep."""
    if type(value) is list:
        return any(map(_holds_time, value))
    if type(value) is dict:
        return any(map(_holds_time, value.values()))
    return type(value) is msgpack.Timestamp


def _refuse(code: int, data: bytes) -> object:
    raise _AnExt
