"""The implementation under test, as one case meets it: frames to it, frames from it, and what is expected.

Spec: spec/2-frames.md, spec/3-messages.md.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, Final

from . import values
from .streams import Closed, FrameStream, Silence

(HELLO, CALL, ANSWERED, ERROR, CANCEL, FINISH, RELEASE, OBSERVE) = range(8)
(GONE, PULL, ITEMS, END, STOP, PING, PONG, BYE) = range(8, 16)
NAMES: Final = (
    *("HELLO", "CALL", "ANSWER", "ERROR", "CANCEL", "FINISH", "RELEASE", "OBSERVE"),
    *("GONE", "PULL", "ITEMS", "END", "STOP", "PING", "PONG", "BYE"),
)
FEATURES: Final = ["cache", "pipeline", "stream"]


class Unmet(AssertionError):
    """The implementation did something else than it must; the text says what and what was expected."""


class Missing(Exception):
    """The implementation did not announce what a case needs."""


class Peer:
    """One connection of one case.

    Attributes:
        info: of the peer's HELLO.
        released: how many counts of each id of ours it has given back.
        stopped: streams of ours that it has stopped.
        log: what has passed, for the report.
    """

    def __init__(self, stream: FrameStream, timeout_s: float) -> None:
        self.stream = stream
        self.timeout_s = timeout_s
        self.info: dict[str, Any] = {}
        self.released: Counter[int] = Counter()
        self.stopped: set[int] = set()
        self.log: list[str] = []
        self._arrived: deque[list[Any]] = deque()
        self._last_call = 0
        self._token = 0
        self._had_hello = False
        self._next_id = 0

    # --- saying things

    def send_bytes(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        self.log.append(f"> {data[:200].hex()}{'…' if len(data) > 200 else ''}")
        self.stream.send(data)

    def send(self, *envelope: Any) -> None:
        """Send one message in a frame of its own."""
        body = values.pack(list(envelope))
        self.send_bytes(len(body).to_bytes(4, "big") + body)

    def send_batch(self, *envelopes: list[Any]) -> None:
        """Send several messages in one frame."""
        self.send(*envelopes)

    def hello(self, **info: Any) -> None:
        """Say HELLO, with all features unless told otherwise, and read the peer's."""
        self.hello_only(**info)
        self.read_hello()

    def hello_only(self, **info: Any) -> None:
        """Say HELLO and read nothing."""
        told = {"agent": "pb-conformance", "features": FEATURES, "max_frame": 4 << 20, "window": 4, **info}
        self.send(HELLO, "PB", 1, {key: value for key, value in told.items() if value is not None})

    def read_hello(self) -> None:
        """Read the peer's HELLO."""
        envelope = self._read()
        if envelope[:1] != [HELLO] or len(envelope) != 4 or envelope[1] != "PB" or envelope[2] != 1:
            raise Unmet(f"its first message is {shown(envelope)}, not [0, 'PB', 1, info]")
        if not isinstance(envelope[3], dict):
            raise Unmet("the info of its HELLO is no map")
        self.info = envelope[3]

    def need(self, *features: str) -> None:
        """Skip the case where the peer has not announced them.

        Raises:
            Missing: it has not.
        """
        lacking = [feature for feature in features if feature not in self.info.get("features", [])]
        if lacking:
            raise Missing(f"does not announce {', '.join(lacking)}")

    def need_lengths(self) -> None:
        """Skip the case over WebSocket, where frames have no lengths.

        Raises:
            Missing: it is so.
        """
        if not self.stream.has_lengths:
            raise Missing("is about the lengths of frames, which WebSocket has not")

    def call(
        self, target: int, method: str, *args: Any, opts: dict[str, Any] | None = None, **kwargs: Any
    ) -> int:
        """Make a call and return its id."""
        call = self.next_call()
        payload = values.pack([list(args), kwargs])
        self.send(CALL, call, target, method, payload, *([] if opts is None else [opts]))
        return call

    def next_call(self) -> int:
        """Return the id of the next call, CALL and OBSERVE together."""
        self._last_call += 1
        return self._last_call

    def skip_calls(self, count: int) -> None:
        """Leave out so many ids: calls that were sent as bytes may have used them."""
        self._last_call += count

    def tell(self, target: int, method: str, *args: Any) -> None:
        """Make a call that wants no answer."""
        self.send(CALL, 0, target, method, values.pack([list(args), {}]))

    def new_id(self) -> int:
        """Return an id for an object of ours."""
        self._next_id += 1
        return self._next_id

    # --- hearing things

    def _read(self) -> list[Any]:
        if self._arrived:
            return self._arrived.popleft()
        body = self.stream.receive(self.timeout_s)
        try:
            frame = values.unpack(body)
        except Exception as error:
            raise Unmet(f"it sent a frame that is no msgpack ({error}): {body[:100].hex()}") from None
        if not isinstance(frame, list) or not frame:
            raise Unmet(f"it sent a frame that is neither message nor batch: {body[:100].hex()}")
        self._arrived.extend(frame if isinstance(frame[0], list) else [frame])
        return self._arrived.popleft()

    def next_of_any_kind(self, timeout_s: float) -> list[Any] | None:
        """Return the next message as it is, None where none comes in time."""
        usual, self.timeout_s = self.timeout_s, timeout_s
        try:
            return self._read()
        except Silence:
            return None
        finally:
            self.timeout_s = usual

    def read(self) -> list[Any]:
        """Return the next message; RELEASE, STOP and PING are noted and answered, and not returned."""
        while True:
            envelope = self._read()
            self.log.append(f"< {shown(envelope)}")
            code = envelope[0]
            if code == RELEASE:
                pairs = envelope[1]
                if not isinstance(pairs, list) or not pairs or len(pairs) % 2:
                    raise Unmet(f"a RELEASE that is none: {shown(envelope)}")
                for id, count in zip(pairs[::2], pairs[1::2], strict=True):
                    self.released[id] += count
            elif code == STOP:
                if envelope[1] in self.stopped:
                    raise Unmet(f"it stopped stream {envelope[1]} twice")
                self.stopped.add(envelope[1])
            elif code == PING:
                self.send(PONG, envelope[1])
            else:
                if code == BYE:
                    _check_bye(envelope)
                return envelope

    def expect(self, code: int, what: str = "") -> list[Any]:
        """Return the next message, which must be of that kind."""
        try:
            envelope = self.read()
        except Silence:
            raise Unmet(f"nothing came; expected {NAMES[code]}{' ' + what if what else ''}") from None
        except Closed as error:
            raise Unmet(f"it closed ({error}); expected {NAMES[code]}{' ' + what if what else ''}") from None
        if envelope[0] != code:
            raise Unmet(f"{shown(envelope)} came; expected {NAMES[code]}{' ' + what if what else ''}")
        return envelope

    def settled(self, call: int) -> list[Any]:
        """Return the ANSWER or ERROR of a call, which must come next."""
        try:
            envelope = self.read()
        except (Silence, Closed) as error:
            raise Unmet(f"call {call} was not answered: {error}") from None
        if envelope[0] not in (ANSWERED, ERROR) or envelope[1] != call or len(envelope) != 3:
            raise Unmet(f"{shown(envelope)} came; expected the answer to call {call}")
        return envelope

    def result(self, call: int) -> Any:
        """Return the value of a call, which must have succeeded."""
        envelope = self.settled(call)
        value = values.unpack(envelope[2])
        if envelope[0] == ERROR:
            raise Unmet(f"call {call} failed with {value!r}; expected an ANSWER")
        return value

    def ask(self, target: int, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call and return the value."""
        return self.result(self.call(target, method, *args, **kwargs))

    def fails(self, call: int, *types: str) -> dict[str, Any]:
        """Return the error of a call, which must be one of these."""
        envelope = self.settled(call)
        value = values.unpack(envelope[2])
        if envelope[0] != ERROR:
            raise Unmet(f"call {call} was answered with {value!r}; expected {' or '.join(types)}")
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise Unmet(f"the error of call {call} is no error map: {value!r}")
        if types and value["type"] not in types:
            raise Unmet(f"call {call} failed with {value['type']}; expected {' or '.join(types)}")
        return value

    def fence(self) -> list[list[Any]]:
        """PING, and return what came before the PONG: so it is known that nothing else was sent."""
        self._token += 1
        token = f"fence {self._token}"
        self.send(PING, token)
        seen: list[list[Any]] = []
        while True:
            try:
                envelope = self.read()
            except (Silence, Closed) as error:
                raise Unmet(f"a PING was not answered: {error}") from None
            if envelope == [PONG, token]:
                return seen
            seen.append(envelope)

    def alive(self) -> None:
        """It must live on, and have sent nothing else."""
        others = self.fence()
        if others:
            raise Unmet(f"{shown(others[0])} came; expected nothing")

    def bye(self, *codes: int, may_be_silent: bool = False) -> list[Any] | None:
        """It must say BYE with one of these codes, and close."""
        said = None
        before = "nothing"
        expected = f"BYE {' or '.join(map(str, codes))}"
        while True:
            try:
                envelope = self.read()
            except Silence:
                found = "nothing came after its BYE" if said else f"{before} came"
                raise Unmet(f"{found}; expected {expected}, and that it closes") from None
            except Closed:
                if said is None and not may_be_silent:
                    raise Unmet(f"{before} came, and it closed without BYE; expected {expected}") from None
                return said
            if envelope[0] == BYE:
                if envelope[1] not in codes:
                    raise Unmet(f"{shown(envelope)} came; expected {expected}")
                said = envelope
            elif said is not None:
                raise Unmet(f"{shown(envelope)} came after its BYE")
            else:
                before = shown(envelope)

    def closes(self) -> None:
        """It must close, and send nothing at all, of whatever kind."""
        try:
            envelope = self._read()
        except Closed:
            return
        except Silence:
            raise Unmet("it has not closed") from None
        raise Unmet(f"{shown(envelope)} came; expected that it closes, and says nothing")

    def object_of(self, value: Any) -> int:
        """Return the id of an object of the peer's."""
        id = values.number_of(value, values.REF)
        if id is None:
            found = values.array_of(value, 4)
            id = found[0] if found else None
        if not isinstance(id, int):
            raise Unmet(f"{value!r} came; expected a reference to an object")
        if isinstance(value, values.ExtType):
            shortest(value)
        return id

    def released_all(self, expected: dict[int, int], tries: int = 20) -> None:
        """It must have given back exactly so many counts of these ids of ours, by now or soon."""
        for _ in range(tries):
            self.ask(0, "drop")
            if all(self.released[id] >= count for id, count in expected.items()):
                break
        found = {id: self.released[id] for id in expected}
        if found != expected:
            raise Unmet(f"it has released {found}; expected {expected}")


def shortest(value: Any) -> None:
    """An id must be in as few of 1, 2, 4 and 8 bytes as hold it (PB-V10)."""
    if value.code not in (values.REF, values.HOME, values.ANSWER, values.STREAM, values.CACHED):
        return
    wanted = values.uint(int.from_bytes(value.data, "big"))
    if value.data != wanted:
        raise Unmet(f"the id in Ext {value.code} is {value.data.hex()}; PB-V10 asks for {wanted.hex()}")


def _check_bye(envelope: list[Any]) -> None:
    if len(envelope) != 4 or [type(field) for field in envelope[1:]] != [int, str, int]:
        raise Unmet(f"{shown(envelope)} came, which is no BYE: expected [15, code, text, last]")
    if len(envelope[2].encode()) > 4096:
        raise Unmet(f"a BYE of {len(envelope[2].encode())} bytes of text came; PB-M38 allows 4,096")


def shown(envelope: list[Any]) -> str:
    """Return a message in short."""
    code = envelope[0] if envelope else None
    name = NAMES[code] if isinstance(code, int) and 0 <= code < len(NAMES) else repr(code)
    fields = []
    for field in envelope[1:]:
        if isinstance(field, bytes):
            try:
                field = values.unpack(field)
            except Exception:
                pass
            fields.append(f"«{str(field)[:200]}»")
        else:
            fields.append(str(field)[:200])
    return " ".join([name, *fields])
