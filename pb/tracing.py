"""Trace context: which piece of work a call belongs to, for those who follow it from process to process.

It is carried, not interpreted: who makes spans of calls does that by hooks. Spec: spec/3-messages.md, CALL,
"Traces"; the form of both texts is that of the W3C Recommendation "Trace Context".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from .context import Block, Inherited, inherited

_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_KEY: Final = r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
_MEMBER: Final = re.compile(rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_MOST_MEMBERS: Final = 32
_LONG_MEMBER: Final = 128
# What is passed on of tracestate; so much at least is asked for, and more would be paid for by every call.
MAX_STATE: Final = 512
# No member is longer than 513 characters, and there are at most 32: what is longer need not be looked at.
_LONGEST: Final = 32 * 520


@dataclass(frozen=True, slots=True)
class Trace:
    """The place of a call in a trace, in the words of W3C Trace Context.

    Attributes:
        traceparent: such as `"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"`.
        tracestate: what tracing systems keep for themselves, such as `"congo=t61rcWkgMzE"`; "" for nothing.

    Raises:
        ValueError: `traceparent` is none. A `tracestate` that is none counts as "", as W3C has it.
    """

    traceparent: str
    tracestate: str = ""

    def __post_init__(self) -> None:
        parent = _parent_of(self.traceparent)
        if parent is None:
            raise ValueError(
                f"traceparent is {ascii(self.traceparent)[:80]}; expected is "
                "00-TRACE-PARENT-FLAGS of 32, 16 and 2 lower-case hexadecimal digits, the ids not all zero"
            )
        object.__setattr__(self, "traceparent", parent)
        object.__setattr__(self, "tracestate", _state_of(self.tracestate))

    @property
    def trace_id(self) -> str:
        """The trace: 32 hexadecimal digits."""
        return self.traceparent[3:35]

    @property
    def parent_id(self) -> str:
        """The span that what is done here is part of: 16 hexadecimal digits."""
        return self.traceparent[36:52]

    @property
    def is_sampled(self) -> bool:
        """Whether the caller may have recorded it."""
        return bool(int(self.traceparent[53:55], 16) & 1)

    @property
    def option(self) -> dict[str, str]:
        """The value of the option `trace` of a call."""
        option = {"traceparent": self.traceparent}
        if self.tracestate:
            option["tracestate"] = self.tracestate
        return option


def trace_of(option: Mapping[str, object]) -> Trace | None:
    """Return the trace that the option of a call tells; None where it tells none that can be understood."""
    try:
        return Trace(option.get("traceparent", ""), option.get("tracestate", ""))  # type: ignore[arg-type]
    except ValueError:
        return None


def receive_traced(receive: Callable[[list[Any]], None], envelope: list[Any]) -> None:
    """Receive a call that has the option `trace`: what comes of it belongs to that trace."""
    options = dict(envelope[5])
    token = inherited.set(Inherited(None, trace_of(options.pop("trace"))))
    try:
        receive([*envelope[:5], options])
    finally:
        inherited.reset(token)


class trace:
    """Let everything that is called in a block, here and at whoever is called, belong to a trace.

        with pb.trace(request.headers["traceparent"]):
            await shop.order(7)

    A handler runs in the trace of its caller already: `pb.current_call().trace`. Both `with` and
    `async with` do.

    Args:
        traceparent: as W3C has it; a `pb.Trace`; or None: the calls in the block belong to no trace.
        tracestate: likewise; where it is not as W3C has it, it counts as "".

    Raises:
        ValueError: `traceparent` is none.
    """

    __slots__ = ("_block", "_trace")

    def __init__(self, traceparent: str | Trace | None, tracestate: str = "") -> None:
        self._trace = Trace(traceparent, tracestate) if isinstance(traceparent, str) else traceparent
        self._block: Block | None = None

    def __enter__(self) -> Trace | None:
        self._block = Block(trace=self._trace)
        return self._trace

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._block is not None
        self._block.end(kind)

    async def __aenter__(self) -> Trace | None:
        return self.__enter__()

    async def __aexit__(self, *exc: Any) -> None:
        self.__exit__(*exc)


def _parent_of(text: object) -> str | None:
    """Return a traceparent in the form that is passed on; None for what is none."""
    found = _PARENT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    if version != "00":  # of a later version only what this one has is understood, and so passed on
        flags = f"{int(flags, 16) & 1:02x}"
    return f"00-{trace_id}-{parent_id}-{flags}"


def _state_of(text: object) -> str:
    """Return a tracestate in the form that is passed on; "" for what is none."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return ""
    members = [member for each in text.split(",") if (member := each.strip(" \t"))]
    keys = [found[1] for member in members if (found := _MEMBER.fullmatch(member))]
    if len(members) > _MOST_MEMBERS or len(keys) < len(members) or len(set(keys)) < len(keys):
        return ""
    if len(",".join(members)) > MAX_STATE:
        members = [member for member in members if len(member) <= _LONG_MEMBER]
    while len(",".join(members)) > MAX_STATE:
        members.pop()
    return ",".join(members)
