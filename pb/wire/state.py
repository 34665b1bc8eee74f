"""The states of a connection, and what may be received in each: one table, looked at for every message.

Spec: spec/2-frames.md, "States". A message that a row does not name is a protocol violation.
"""

from __future__ import annotations

import enum
from typing import Final

from ..messages import (
    ANSWER,
    BYE,
    CALL,
    CANCEL,
    END,
    ERROR,
    FINISH,
    GONE,
    HELLO,
    ITEMS,
    MESSAGES,
    OBSERVE,
    PING,
    PONG,
    PULL,
    RELEASE,
    STOP,
)


class State(enum.Enum):
    """Where a connection stands."""

    GREETING = "waiting for the peer's HELLO"
    STRANGER = "open to logins; nobody has logged in yet"
    OPEN = "open"
    LEAVING = "BYE sent; the peer's BYE has not arrived"
    DRAINING = "both have said BYE; what is under way is finished"
    CLOSED = "closed"

    __hash__ = object.__hash__  # that of Enum hashes the name, each time, in Python


_OPEN: Final = {
    CALL: "serving.receive_call",
    ANSWER: "calls.receive_answer",
    ERROR: "calls.receive_error",
    CANCEL: "serving.receive_cancel",
    FINISH: "serving.receive_finish",
    RELEASE: "holdings.receive_release",
    OBSERVE: "updates.receive_observe",
    GONE: "holdings.receive_gone",
    PULL: "streams.receive_pull",
    ITEMS: "streams.receive_items",
    END: "streams.receive_end",
    STOP: "streams.receive_stop",
    PING: "receive_ping",
    PONG: "receive_pong",
    BYE: "receive_bye",
}

# state -> message code -> what receives it, seen from the broker.
RECEIVES: Final[dict[State, dict[int, str]]] = {
    State.GREETING: {HELLO: "receive_hello"},
    # There is nothing yet that could be observed, answered or gone.
    State.STRANGER: {
        CALL: "greeting.receive_stranger_call",
        CANCEL: "serving.receive_cancel",
        FINISH: "serving.receive_finish",
        RELEASE: "holdings.receive_release",
        PING: "receive_ping",
        PONG: "receive_pong",
        BYE: "receive_bye",
    },
    State.OPEN: _OPEN,
    # A call that crossed our BYE is dropped: the caller learns from `last` that it did not run.
    State.LEAVING: {**_OPEN, CALL: "serving.drop_call", OBSERVE: "updates.receive_update"},
    # Of new ones only those are run that may serve a call of ours (PB-F47).
    State.DRAINING: {**_OPEN, CALL: "receive_late_call", OBSERVE: "receive_late_observe"},
    State.CLOSED: {},
}

# (state, what happened) -> the next state. "bye" and "peer bye" are the two draining codes; any other
# code, a violation, or the loss of the transport is "end", and leads to CLOSED from everywhere.
NEXT: Final[dict[tuple[State, str], State]] = {
    (State.GREETING, "hello"): State.OPEN,
    (State.GREETING, "hello of a stranger"): State.STRANGER,
    (State.STRANGER, "login"): State.OPEN,
    # A login may end after a BYE, or after the connection.
    **{(state, "login"): state for state in (State.LEAVING, State.DRAINING, State.CLOSED)},
    (State.STRANGER, "bye"): State.LEAVING,
    (State.STRANGER, "peer bye"): State.DRAINING,
    (State.OPEN, "bye"): State.LEAVING,
    (State.OPEN, "peer bye"): State.DRAINING,
    (State.LEAVING, "peer bye"): State.DRAINING,
    (State.DRAINING, "bye"): State.DRAINING,
    (State.DRAINING, "peer bye"): State.DRAINING,
    (State.LEAVING, "bye"): State.LEAVING,
    **{(state, "end"): State.CLOSED for state in State},
}


def why_unexpected(code: object, state: State) -> str:
    """Say what is wrong with a message that a row of the table does not name."""
    if type(code) is not int:
        return "a message that is no array starting with its code"
    for message in MESSAGES:
        if message.code == code:
            why = f"; the feature {message.feature!r} was not announced" if message.feature else ""
            return f"{message.name} while {state.value}{why}"
    return f"unknown message code {code}"
