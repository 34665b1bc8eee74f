"""The vocabulary of the wire: message codes, BYE codes, HELLO keys, call options, features.

Tables only. `tests/test_spec_tables.py` compares them with `spec/registry.md` both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HELLO: Final = 0
CALL: Final = 1
ANSWER: Final = 2
ERROR: Final = 3
CANCEL: Final = 4
FINISH: Final = 5
RELEASE: Final = 6
OBSERVE: Final = 7
GONE: Final = 8
PULL: Final = 9
ITEMS: Final = 10
END: Final = 11
STOP: Final = 12
PING: Final = 13
PONG: Final = 14
BYE: Final = 15

VERSION: Final = 1
MAGIC: Final = "PB"

# Before the peer's HELLO has arrived, frames are at most this long (spec/2-frames.md).
HELLO_MAX_FRAME: Final = 4096
MIN_DEPTH: Final = 4  # what a peer must take: less, and it could be told no error
MIN_EXTS: Final = 256  # likewise: with less, ordinary arguments could not be sent
MIN_CONTAINERS: Final = 4096  # no payload that is sent before HELLO can hold more
MAX_FRAME: Final = 2**28 - 1  # the top four bits of the length are reserved
MAX_BATCH: Final = 1024
MAX_ENVELOPE_BYTES: Final = 65_536  # of one, without its payload
MAX_BATCH_BYTES: Final = 1_048_576  # of all of a batch, without their payloads
MAX_BATCH_CONTAINERS: Final = 65_536  # likewise, arrays and maps; itself and its envelopes are some
MAX_ID: Final = 2**53 - 1
MAX_TOKEN_BYTES: Final = 64
MAX_METHOD_BYTES: Final = 128
MAX_BYE_TEXT_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Message:
    """One row of the message table: its code, its name and the array lengths it may have."""

    code: int
    name: str
    arity: tuple[int, ...]
    feature: str | None = None


MESSAGES: Final = (
    Message(HELLO, "HELLO", (4,)),
    Message(CALL, "CALL", (5, 6)),
    Message(ANSWER, "ANSWER", (3,)),
    Message(ERROR, "ERROR", (3,)),
    Message(CANCEL, "CANCEL", (2,)),
    Message(FINISH, "FINISH", (2,), "pipeline"),
    Message(RELEASE, "RELEASE", (2,)),
    Message(OBSERVE, "OBSERVE", (5, 6), "cache"),
    Message(GONE, "GONE", (2,)),
    Message(PULL, "PULL", (3,), "stream"),
    Message(ITEMS, "ITEMS", (3,), "stream"),
    Message(END, "END", (2, 3), "stream"),
    Message(STOP, "STOP", (2,), "stream"),
    Message(PING, "PING", (2,)),
    Message(PONG, "PONG", (2,)),
    Message(BYE, "BYE", (4,)),
)

# Where the payload stands in each message that has one.
PAYLOAD_INDEX: Final = {CALL: 4, ANSWER: 2, ERROR: 2, OBSERVE: 4, ITEMS: 2, END: 2}

BYE_NORMAL: Final = 0
BYE_GOING_AWAY: Final = 1
BYE_VERSION: Final = 2
BYE_PROTOCOL: Final = 3
BYE_MALFORMED: Final = 4
BYE_TOO_LARGE: Final = 5
BYE_LIMIT: Final = 6
BYE_IDLE: Final = 7
BYE_POLICY: Final = 8
BYE_INTERNAL: Final = 9

BYE_CODES: Final = {
    BYE_NORMAL: "normal",
    BYE_GOING_AWAY: "going away",
    BYE_VERSION: "version",
    BYE_PROTOCOL: "protocol violation",
    BYE_MALFORMED: "malformed data",
    BYE_TOO_LARGE: "too large",
    BYE_LIMIT: "limit exceeded",
    BYE_IDLE: "idle timeout",
    BYE_POLICY: "policy",
    BYE_INTERNAL: "internal error",
}
DRAINING_CODES: Final = frozenset({BYE_NORMAL, BYE_GOING_AWAY})

# HELLO key -> (type, what its absence means).
HELLO_KEYS: Final[dict[str, tuple[type, object]]] = {
    "agent": (str, ""),
    "features": (list, ()),
    "max_frame": (int, 65_536),
    "max_calls": (int, 16),
    "max_refs": (int, 1_024),
    "max_depth": (int, 64),
    "max_exts": (int, 20_480),
    "max_containers": (int, 131_072),
    "max_floodable_keys": (int, 4_096),
    "window": (int, 0),
    "max_streams": (int, 16),
    "idle": (int, 0),
    "auth": (list, ()),
    "cb": (list, ()),
}

CALL_OPTIONS: Final[dict[str, type]] = {
    "keep": bool,
    "needs": list,
    "ttl": int,
    "trace": dict,
    "meta": dict,
}

FEATURES: Final[dict[str, str]] = {
    "cache": "built",
    "pipeline": "built",
    "stream": "built",
    "resync": "built",
    "gift": "reserved",
    "resume": "reserved",
    "map": "reserved",
    "http-batch": "reserved",
    "blob": "reserved",
}
BUILT_FEATURES: Final = tuple(name for name, state in FEATURES.items() if state == "built")
