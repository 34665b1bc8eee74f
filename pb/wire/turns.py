"""Turns: what arrives is acted on, message after message, and nobody keeps the loop for itself.

Knows what is received when, and nothing of what a message means. Spec: spec/2-frames.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgpack

from jelly import MalformedJelly

from .. import messages
from ..errors import ProtocolError
from ..logfields import log_fault
from .frames import PREFLIGHT_FROM, FrameReader, head_of, unpack_frame
from .payloads import ending
from .state import State, why_unexpected

if TYPE_CHECKING:
    from ..holding.tables import Tables
    from ..limits import Limits
    from .greeting import Greeting, Receiver
    from .outbox import Outbox

# Looked up for every read: a member of an Enum is found five times as slowly as a global.
GREETING, OPEN, CLOSED = State.GREETING, State.OPEN, State.CLOSED

# Longer frames are looked at before they are unpacked; these are within any max_frame.
_LONGEST: Final = 4 + PREFLIGHT_FROM
_SHORTEST: Final = 4 + 2
# How a frame of one message begins: its length, and the head of the message. That as a number: bytes would be
# hashed anew for each message.
_beginning: Final = struct.Struct(">IH").unpack_from
_WITH_OPTIONS: Final = head_of(0, 6)
_unpackb: Final = msgpack.unpackb
# So much is kept of what comes while others have their turn, but for the read that exceeds it.
_MOST_UNTAKEN: Final = 64 * 1024
_NONE: Final[dict[int, Any]] = {}


class Turns:
    """What a `Broker` does with the bytes that come.

    Attributes:
        state: where the connection stands.
        receivers: what takes the messages of a code; bound when a message first needs it: most never do.
        heads: the same by the heads of such messages, those that an open connection takes.
        usual: `heads`, while the connection is open and nothing that came is left to be done; else none.
        heard: whether bytes came since the last tick of the keepalive.
    """

    __slots__ = (
        "_batch",
        "_is_turn_due",
        "_rest",
        "_turn_envelopes",
        "heads",
        "heard",
        "limits",
        "reader",
        "receivers",
        "state",
        "usual",
    )

    state: State
    limits: Limits

    if TYPE_CHECKING:
        face: Any
        outbox: Outbox
        tables: Tables
        greeting: Greeting

        def fail(self, error: ProtocolError) -> None:
            """End the connection."""

        def check_settled(self) -> None:
            """Close the transport if nothing is under way any longer."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.reader = FrameReader()
        self.heard = False
        self._turn_envelopes = limits.turn_envelopes
        self._batch: Iterator[Any] | None = None  # what the last turn left of its last frame
        self._rest: Callable[[], None] | None = None  # what a message began, to be done before the next one
        self._is_turn_due = False  # the face was asked for one
        self._enter(GREETING)

    def _enter(self, state: State) -> None:
        self.state = state
        self.receivers: dict[int, Receiver] = {}
        self.heads: dict[int, Receiver] = {}
        self.usual = _NONE

    def receive_data(self, data: bytes | memoryview, size: int | None = None) -> None:
        """Take bytes from the peer and act on them, for one turn; then write `take_output()`.

        Any split of the stream will do. `data` is not referred to after the return. What one turn
        leaves over is done in later ones: the face is asked for them by `wants_turn`. Of a buffer that is
        not full, `size` says how many bytes were received.
        """
        if size is None:
            size = len(data)
        # The usual case: one small message, whole and by itself, of a known form. Its way is as short as can
        # be, for after each wake-up it is run cold: half of the instructions from the socket to the method.
        if _SHORTEST <= size <= _LONGEST:
            length, head = _beginning(data)
            receive = self.usual.get(head)
            if receive is not None and length == size - 4:
                try:
                    # To refuse an Ext here is a fourth of the time that unpacking takes. Where there are no
                    # options it can be in no field: each is looked at by its type, and `_broken` looks again.
                    if head < _WITH_OPTIONS:
                        envelope = _unpackb(data[4:size])
                    else:
                        envelope = next(unpack_frame(data[4:size]))
                except Exception:
                    pass  # the right words for it are found below
                else:
                    self.heard = True
                    outbox = self.outbox
                    outbox.at_once = None if outbox.frames else outbox.direct  # nothing overtakes (PB-M6)
                    try:
                        receive(envelope)
                    except Exception as error:
                        self._broken(error, data[4:size])
                    if self.state is not OPEN:
                        self._left()
                    return
        self._receive(data, size)

    def _receive(self, data: bytes | memoryview, size: int) -> None:
        """Take bytes that are something else: many messages, part of one, something long, or wrong."""
        if self.state is CLOSED:
            return
        self.outbox.at_once = None
        reader = self.reader
        reader.feed(data[:size])
        if self._is_turn_due:  # what came before has not had its turn yet
            self.heard = True
        else:
            self.turn()
        if reader.left:
            reader.hold()

    def turn(self) -> None:
        """Act on what has arrived, in its order, at most as long as one turn may take."""
        self.heard = True
        self._is_turn_due = False
        try:
            rest, self._rest = self._rest, None
            if rest is not None:
                rest()
            if self._rest is None:
                self._act()
        except Exception as error:
            self._broken(error)
        if self.state is not OPEN:
            self._left()
        reader = self.reader
        if self.is_cut:
            self._ask_for_a_turn()
        elif self.state is OPEN and not reader.left and reader.frame is None:
            self.usual = self.heads
        else:
            self.usual = _NONE

    def put_off(self, rest: Callable[[], None]) -> None:
        """Let others have their turn, then go on with `rest`, and only then with what has arrived."""
        self._rest = rest
        self._ask_for_a_turn()

    def _ask_for_a_turn(self) -> None:
        self.usual = _NONE
        if not self._is_turn_due:
            self._is_turn_due = True
            self.face.wants_turn()

    def _act(self) -> None:
        """Act on one message after the other; what the turn has no time for stays in `_batch`."""
        reader = self.reader
        left = self._turn_envelopes
        clock = self.face.clock
        deadline = clock() + self.limits.turn_s
        batch = self._batch
        while True:
            if batch is None:
                # A large payload is a view of the receive buffer: its message is acted on in this turn.
                body = reader.next_body()
                if body is None:
                    return
                if self.state is not OPEN:
                    self.greeting.note_frame(body)
                batch = unpack_frame(body, self.state is GREETING)
            for envelope in batch:
                code = envelope[0] if type(envelope) is list and envelope else None
                receive = self.receivers.get(code) if type(code) is int else None
                if receive is None:
                    receive = self.greeting.receiver(code) if type(code) is int else None
                    if receive is None:
                        raise ProtocolError(why_unexpected(code, self.state))
                receive(envelope)
                left -= 1
                # Looked at each time, at 60 ns: one method may take as long as a turn.
                if not left or clock() > deadline or self._rest is not None:
                    self._batch = batch  # an iterator: what is left of it
                    return
            batch = self._batch = None
            if not reader.left:
                return

    def _broken(self, error: Exception, body: bytes | memoryview | None = None) -> None:
        """End the connection because of what was raised; nothing where a handler has ended it meanwhile.

        Args:
            body: of the frame in question, where nobody has looked for an Ext in it.
        """
        if isinstance(error, ProtocolError):
            if body is not None:
                try:
                    unpack_frame(body)
                except ProtocolError as found:
                    error = found
            self.fail(error)
        elif isinstance(error, MalformedJelly):
            self.fail(ending(error))
        else:
            log_fault(self.tables.peer_name)
            self.fail(ProtocolError("internal error", messages.BYE_INTERNAL))

    def _left(self) -> None:
        """Go on with the end, if that is what has come, or what was waited for."""
        if self.state is CLOSED:
            self._batch = self._rest = None
        self.check_settled()

    @property
    def reads_on(self) -> bool:
        """Whether more is to be read while a turn is due, so as to learn of the end of the connection.

        What has waited for a result begins by itself, turn after turn, and must not once the peer has gone
        (PB-P23). What has arrived is as good as done: there the end can wait, and is behind it.
        """
        return self._rest is not None and self.reader.left < _MOST_UNTAKEN

    @property
    def is_cut(self) -> bool:
        """Whether the last turn left anything over for later ones."""
        return self._batch is not None or self._rest is not None
