"""HELLO: what each side tells the other about itself before anything else.

Spec: spec/2-frames.md, HELLO.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from .. import messages
from ..errors import ProtocolError
from ..limits import Limits

_MAX_AGENT_CHARS = 256  # HELLO as a whole must fit 4,096 bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """What the peer said of itself.

    Attributes:
        limits: what it accepts; where HELLO does not tell, it is taken to be as here.
        agent: its name and version, for people.
        features: optional parts of the protocol that it takes part in.
        auth: the mechanisms it lets one log in by.
        bindings: the types of channel binding it can check.
    """

    limits: Limits
    agent: str
    features: frozenset[str]
    auth: tuple[str, ...]
    bindings: tuple[str, ...]


def hello_message(
    limits: Limits, agent: str, auth: Sequence[str] = (), bindings: Sequence[str] = ()
) -> bytes:
    """Return the packed HELLO of this side; `auth` and `bindings` as in `Hello`."""
    info: dict[str, object] = {
        "agent": agent[:_MAX_AGENT_CHARS],
        "features": list(messages.BUILT_FEATURES),
        "max_frame": limits.max_frame,
        "max_calls": limits.max_calls,
        "max_refs": limits.max_refs,
        "max_depth": limits.max_depth,
        "max_exts": limits.max_exts,
        "max_containers": limits.max_containers,
        "max_floodable_keys": limits.max_floodable_keys,
        "window": limits.window,
        "max_streams": limits.max_streams,
        "idle": int(limits.idle_s),
    }
    if auth:
        info["auth"] = list(auth)
    if bindings:
        info["cb"] = list(bindings)
    packed: bytes = msgpack.packb([messages.HELLO, messages.MAGIC, messages.VERSION, info])
    return packed


def read_hello(envelope: list[Any], ours: Limits) -> Hello:
    """Return what the peer's HELLO says.

    What it does not tell (how large an integer may be, say) is taken to be as here: it is fixed by the
    version of the protocol.

    Raises:
        ProtocolError: not a HELLO of a version this side can speak, or a key of the wrong type.
    """
    if len(envelope) != 4 or envelope[1] != messages.MAGIC or type(envelope[3]) is not dict:
        raise ProtocolError('HELLO is [0, "PB", version, info]')
    version, info = envelope[2], envelope[3]
    if type(version) is not int or version < messages.VERSION:
        raise ProtocolError(
            f"HELLO of a version that is not spoken here; expected {messages.VERSION}", messages.BYE_VERSION
        )
    told = {}
    for key, (kind, default) in messages.HELLO_KEYS.items():
        value = info.get(key, default)
        if key in info and type(value) is not kind:
            raise ProtocolError(f"HELLO key {key!r} is no {kind.__name__}")
        if kind is int and not 0 <= value <= messages.MAX_ID:
            raise ProtocolError(f"HELLO key {key!r} is out of range")
        if kind is list and not all(type(item) is str for item in value):
            raise ProtocolError(f"HELLO key {key!r} holds something that is no string")
        told[key] = value
    if told["max_frame"] < messages.HELLO_MAX_FRAME:
        raise ProtocolError(f"HELLO with max_frame below {messages.HELLO_MAX_FRAME}")
    if not told["max_calls"]:
        raise ProtocolError("HELLO with max_calls 0: no call would ever be made")
    if told["max_depth"] < messages.MIN_DEPTH:
        raise ProtocolError(f"HELLO with max_depth below {messages.MIN_DEPTH}: no error could be told")
    if told["max_exts"] < messages.MIN_EXTS:
        raise ProtocolError(f"HELLO with max_exts below {messages.MIN_EXTS}")
    if told["max_containers"] < messages.MIN_CONTAINERS:
        raise ProtocolError(f"HELLO with max_containers below {messages.MIN_CONTAINERS}")
    limits = dataclasses.replace(
        ours,
        # Nor more than this side would take itself: otherwise the peer could choose how much waits here.
        max_frame=min(told["max_frame"], ours.max_frame, messages.MAX_FRAME),
        max_calls=told["max_calls"],
        max_refs=told["max_refs"],
        max_depth=told["max_depth"],
        max_exts=told["max_exts"],
        max_containers=told["max_containers"],
        max_floodable_keys=told["max_floodable_keys"],
        window=told["window"],
        max_streams=told["max_streams"],
        idle_s=told["idle"],
    )
    return Hello(limits, told["agent"], frozenset(told["features"]), tuple(told["auth"]), tuple(told["cb"]))
