"""The beginning of a connection: the HELLOs as they were sent, and what a stranger may do after them.

Spec: spec/2-frames.md, HELLO; spec/9-login.md, "Strangers".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from .. import messages
from .frames import head_of
from .hello import Hello, hello_message
from .state import RECEIVES, State
from .stranger import Stranger

if TYPE_CHECKING:
    from ..broker import Broker

Receiver = Callable[[Any], None]  # of a message, which it checks itself

# Looked up for each message of a stranger: a member of an Enum is found five times as slowly as a global.
GREETING, STRANGER, OPEN, DRAINING = State.GREETING, State.STRANGER, State.OPEN, State.DRAINING

_GETTERS: Final = {name: attrgetter(name) for row in RECEIVES.values() for name in row.values()}


class Greeting:
    """What both sides have said of themselves, on one connection.

    Attributes:
        sent, received: the bodies of the HELLOs, byte for byte: a login proves that nobody changed them.
        hello: what the peer's says, once it is there; dropped, as the bodies are, where nobody can log in.
        stranger: counts what the peer sends as long as it has to log in first; else None.
    """

    __slots__ = ("_decoder", "_offers", "broker", "hello", "received", "sent", "stranger")

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._decoder: Any = None  # that of the root, while a stranger has another
        self._offers: tuple[Sequence[str], Sequence[str]] = ((), ())
        self.sent = b""
        self.received = b""
        self.hello: Hello | None = None
        self.stranger: Stranger | None = None

    def say_hello(self) -> None:
        """Queue our HELLO."""
        broker = self.broker
        self.sent = hello_message(broker.limits, broker.agent, *self._offers)
        broker.outbox.put_alone(self.sent)

    def note_frame(self, body: bytes | bytearray | memoryview) -> None:
        """Keep the frame with HELLO; count those of strangers."""
        if self.broker.state is GREETING:
            self.received = bytes(body)
        elif self.stranger is not None:
            self.stranger.count_bytes(len(body))

    def heard(self, hello: Hello) -> None:
        """Take the peer's HELLO. An idle connection without logins is 0.7 KiB smaller for what is dropped."""
        if hello.auth or self.stranger is not None:
            self.hello = hello
        else:
            self.sent = self.received = b""

    def confine(self, auth: Sequence[str] = (), bindings: Sequence[str] = ()) -> None:
        """Let the peer do nothing but log in, until `admit`. To be called before HELLO is said.

        Args:
            auth, bindings: told in HELLO; see `Hello`.
        """
        self.stranger = Stranger()
        self.broker.serving.budget.is_in_force = False
        self._decoder, self.broker.scope.decoder = self.broker.scope.decoder, self.stranger  # type: ignore[assignment]
        self._offers = (auth, bindings)

    def row(self, state: State) -> State:
        """Return the state whose messages are taken: who has not logged in does not get round that by BYE."""
        return STRANGER if state is DRAINING and self.stranger is not None else state

    def receiver(self, code: int) -> Receiver | None:
        """Return what takes messages of a code in this state, and keep it at hand; None if nothing does."""
        broker = self.broker
        name = RECEIVES[self.row(broker.state)].get(code)
        if name is None:
            return None
        found: Receiver = _GETTERS[name](broker)
        broker.receivers[code] = found
        if broker.state is OPEN:
            for size in messages.MESSAGES[code].arity:
                broker.heads[head_of(code, size)] = found
        return found

    def admit(self) -> None:
        """Lift what `confine` put in force: the peer has logged in. Again, it does nothing."""
        broker = self.broker
        if self.stranger is not None:
            self.stranger = None
            broker.serving.budget.is_in_force = True
            broker.scope.decoder = self._decoder
            broker.reader.allow(broker.limits.max_frame)
            broker.enter("login")

    def receive_stranger_call(self, envelope: list[Any]) -> None:
        """Serve one of the few calls that a login takes."""
        assert self.stranger is not None
        self.stranger.count_call()
        self.broker.serving.receive_call(envelope)
