"""Results of the peer's calls that it may use before it has them, and the calls that wait for them.

The callee's half of pipelining; the caller's is `pb.promises.promised`. Made when the peer first asks for a
result to be kept, so that connections that do not pipeline pay nothing. Spec: spec/11-pipelining.md.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from jelly import MalformedJelly

from .. import messages
from ..calling.keeping import SHORT, load_of
from ..calling.running import Held, Waiting
from ..context import inherited, serving
from ..errors import NoSuchObject, ProtocolError
from ..holding.export import Export
from ..wire.fields import numbers_of
from ..wire.payloads import ending, put_message, refused
from .broken import NOT_PIPELINABLE, broken_by, row_id_of
from .needing import Needing

if TYPE_CHECKING:
    from ..calling.serving import Serving
    from ..holding.scope import Scope


# What a result takes that is named by a call which waits, in the call and in the list of those who wait.
_NEED_BYTES: Final = 64


class Slot:
    """What became of one call whose result is kept.

    Attributes:
        export: the object that it returned, as the peer holds it.
        broken: the payload of the error that calls on anything else get.
        users: calls that name it among their arguments and wait.
    """

    __slots__ = ("broken", "export", "is_answered", "users")

    def __init__(self) -> None:
        self.is_answered = False
        self.export: Export | None = None
        self.broken: bytes | None = None
        self.users: list[Waiting] = []


class Slots:
    """The kept results of one connection, and the calls that wait for one, in a line for each target."""

    __slots__ = ("_answer", "_due", "_fail", "_is_starting", "_lines", "_number", "_serving", "_slots")

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._slots: dict[int, Slot] = {}
        # By what they are called on: a slot, or from its answer on the object.
        self._lines: dict[Slot | Export | None, deque[Waiting | Held]] = {}
        self._due: deque[Slot | Export | None] = deque()
        self._is_starting = False
        self._number = 0  # of calls that had to wait
        # From here on what this side answers passes by here.
        self._answer, self._fail = serving.answer, serving.fail
        serving.answer = self.answer
        serving.fail = self.fail

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def has_lines(self) -> bool:
        """Whether any call waits."""
        return bool(self._lines)

    # --- what the peer says

    def keep(self, id: int) -> None:
        """Keep what comes of a call, until FINISH."""
        if not id:
            raise ProtocolError("CALL with 'keep' that wants no answer")
        most = self._serving.limits.max_calls
        if len(self._slots) >= most:
            raise ProtocolError(f"more than max_calls={most} results are kept", messages.BYE_LIMIT)
        self._slots[id] = Slot()

    def check(self, id: int, target: int, needs: list[int]) -> None:
        """Refuse a CALL that names what is not kept, before anything is done about it."""
        if (target < 0 or needs) and not id:
            raise ProtocolError("CALL on a result, or with 'needs', that wants no answer")
        for q in (*needs, -target) if target < 0 else needs:
            if q not in self._slots:
                raise ProtocolError(f"CALL {id} names the result of call {q}, which is not kept")

    def receive_call(
        self, id: int, target: int, method: str, payload: bytes, ttl_ms: int | None, needs: list[int]
    ) -> None:
        """Take a call that names results: on one, or among its arguments."""
        of = self._serving
        on: Slot | Export | None
        on = self._slots[-target] if target < 0 else of.base.tables.exports.get(target)
        slots = {q: self._slots[q] for q in needs}
        at = None if ttl_ms is None else of.deadlines.after(ttl_ms / 1000)
        scope = on.scope if type(on) is Export else of.base
        call = Waiting(self, id, on, method, bytes(payload), slots, scope, at)
        # It is kept as it came, and not its payload alone: the rest may be long too.
        size = len(payload) + len(method) + _NEED_BYTES * len(needs)
        load = size if size > SHORT else 0
        is_full = of.count - of.updates >= of.most_calls
        refusal = of.refuse_one_more(id) if is_full else of.why_too_much(load)
        if refusal is not None:
            self._count(call)
            of.fail(id, of.base, refusal)
            return
        of.begin(id, call)
        if load:
            of.keep(call, load)
        if at is not None:
            of.deadlines.add(call, at, call.expire)
        for slot in slots.values():
            if not slot.is_answered:
                slot.users.append(call)
        self._stand_in_line(call)
        self._advance(call.target)

    def receive_finish(self, envelope: list[Any]) -> None:
        """Forget what the peer will not name any more."""
        for q in numbers_of(envelope, "FINISH is [5, [id, …]]"):
            slot = self._slots.get(q)
            if slot is None or not slot.is_answered:
                raise ProtocolError(f"FINISH of call {q}, whose result is not kept, or not there yet")
            del self._slots[q]

    def takes(self, held: Held) -> bool:
        """Take a call that is ready, if others on the same object wait; tell whether it was taken."""
        line = self._lines.get(held.export)  # type: ignore[arg-type]
        if line is None:
            return False
        self._serving.begin(held.id, held)
        self._number += 1
        held.number = self._number
        line.append(held)
        return True

    # --- what this side says

    def answer(self, id: int, scope: Scope, value: object) -> Any:
        """Send the value of a call, then start what waits for it."""
        told = self._answer(id, scope, value)
        self._resolve(id, told)
        return told

    def fail(self, id: int, scope: Scope, error: BaseException, relayed: bool = False) -> Any:
        """Send the error of a call, then fail what waits for its result."""
        told = self._fail(id, scope, error, relayed)
        self._resolve(id, told)
        return told

    def _resolve(self, id: int, told: Any) -> None:
        slot = self._slots.get(id)
        if slot is None or told is None:
            return
        slot.is_answered = True
        if type(told) is tuple:
            slot.broken = broken_by(told[1])
        else:
            number = row_id_of(told)
            slot.export = None if number is None else self._serving.base.tables.exports.get(number)
            if slot.export is None:
                slot.broken = NOT_PIPELINABLE
        users, slot.users = slot.users, []
        self._advance(slot, *dict.fromkeys(call.target for call in users))

    # --- lines

    def _stand_in_line(self, call: Waiting) -> None:
        self._number += 1
        call.number = self._number
        on = call.target
        if type(on) is Slot and on.export is not None:
            on = _turn_to(call, on.export)
        self._lines.setdefault(on, deque()).append(call)
        self._serving.holds = True

    def _advance(self, *targets: Slot | Export | None) -> None:
        """Start the calls on these that need not wait any longer, and what their answers let start.

        A loop, not a recursion: a peer may chain as many calls as it likes.
        """
        self._due.extend(targets)
        if not self._is_starting:
            self._is_starting = True
            self._start_some()

    def _start_some(self) -> None:
        """Start no more in one turn of the loop than of calls that arrive (PB-L6): others wait for theirs.

        What the peer says next waits until all have begun that it may believe to have begun (PB-M8).
        """
        of = self._serving
        left = of.limits.turn_envelopes
        until = of.deadlines.after(of.limits.turn_s)
        is_put_off = False
        # Whoever answers may be a handler with little time; what starts now is none of its calls.
        tokens = serving.set(None), inherited.set(None)
        try:
            while self._due:
                self._start_first(self._due.popleft())
                left -= 1
                if self._due and (left <= 0 or of.deadlines.left_s(until) < 0):
                    is_put_off = True
                    of.base.broker.put_off(self._start_some)
                    break
        finally:
            self._is_starting = is_put_off
            serving.reset(tokens[0])
            inherited.reset(tokens[1])
            of.check_holds()

    def _start_first(self, on: Slot | Export | None) -> None:
        line = self._lines.get(on)
        if line is None:
            return
        if type(on) is Slot:
            if not on.is_answered:
                return
            if on.export is not None:
                self._move(on, on.export)
                return
        call = line[0]
        if type(call) is Waiting and not all(slot.is_answered for slot in call.needs.values()):
            return
        line.popleft()
        if line:
            self._due.appendleft(on)  # all of a line before what their answers let start
        else:
            del self._lines[on]
        self._serving.finish(call.id, call)
        scope = call.export.scope if type(call) is Held else call.scope  # type: ignore[union-attr]
        if type(call) is Held:
            self._serving.run_held(call)
        else:
            inherited.set(call.passed)
            self._start(call)  # type: ignore[arg-type]
        scope.direct.leave()

    def _move(self, slot: Slot, export: Export) -> None:
        """Let the calls on a result wait, if they must, for the object that it has turned out to be."""
        line = self._lines.pop(slot)
        for call in line:
            _turn_to(call, export)  # type: ignore[arg-type]
        # In the order they came: of two results that are one object, one may need what waits for the other.
        self._lines[export] = deque(sorted([*self._lines.get(export, ()), *line], key=_number))
        self._due.appendleft(export)

    def _start(self, call: Waiting) -> None:
        of = self._serving
        on = call.target
        slots = [on] if type(on) is Slot else []
        broken = next((slot.broken for slot in (*slots, *call.needs.values()) if slot.broken), None)
        if broken is not None:
            if self._count(call):
                put_message(of.outbox, of.pack, [messages.ERROR, call.id], broken)
                self._resolve(call.id, (messages.ERROR, broken))
            return
        function: Any = None
        refusal: BaseException | None = None
        scope = call.scope
        if on is None:
            refusal = NoSuchObject("no such object")
            of.refuse_useless(call.id, "a call of an object that is not there")
        else:
            assert type(on) is Export
            function, refusal = of.find(on, call.method)
        load = load_of(call.payload)
        if load:  # what was kept until now is its bytes alone, of which each may become 72
            refusal = of.why_too_much(load) or refusal
        arguments = self._read(call)
        if arguments is None:
            return
        if refusal is None and isinstance(arguments, BaseException):
            refusal = refused(arguments)
        if refusal is not None:
            of.fail(call.id, scope, refusal)
            return
        assert type(on) is Export
        args, kwargs = arguments  # type: ignore[misc]
        of.run_held(Held(of, call.id, on, function, call.method, args, kwargs, call.at, load))

    def _count(self, call: Waiting) -> bool:
        """Count what a call brings that is not run; tell whether the connection lives."""
        return self._read(call) is not None

    def _read(self, call: Waiting) -> tuple[Any, Any] | BaseException | None:
        """Return args and kwargs, or why they cannot be had; None where the connection has ended of it."""
        tables, broker = self._serving.base.tables, self._serving.base.broker
        arguments: tuple[Any, Any]
        try:
            arguments = call.scope.decoder.loads_call(call.payload, Needing(call.scope, call.needs))
            return arguments if tables.is_open else None
        except MalformedJelly as error:
            broker.fail(ending(error))  # nobody above expects it
            return None
        except BaseException as error:  # a hook of a copy may raise anything
            return error if tables.is_open else None
        finally:
            if tables.arrived:
                broker.streams.belong(call.id)

    # --- what ends early

    def drop(self, call: Waiting | Held, error: Exception) -> None:
        """Answer a call that waits and shall not be run."""
        on: Any = call.export if type(call) is Held else call.target  # type: ignore[union-attr]
        line = self._lines.get(on)
        scope = call.export.scope if type(call) is Held else call.scope  # type: ignore[union-attr]
        assert line is not None, "a call that waits stands in the line of its target"
        line.remove(call)
        if not line:
            del self._lines[on]
        self._serving.finish(call.id, call)
        scope.direct.leave()
        if not self._serving.base.tables.is_open:  # nothing to count, nobody to tell, and nothing begins
            return
        if type(call) is Held or self._count(call):  # type: ignore[arg-type]
            self._serving.fail(call.id, self._serving.base, error)
        self._advance(on)
        self._serving.settled()

    def clear(self) -> None:
        """Forget all: the connection has ended."""
        self._slots.clear()
        self._lines.clear()
        self._due.clear()
        self._serving.answer, self._serving.fail = self._answer, self._fail


def _number(call: Waiting | Held) -> int:
    return call.number


def _turn_to(call: Waiting, export: Export) -> Export:
    """Let a call count as one on the object that a result has turned out to be."""
    call.target = export
    export.scope.direct.running += 1
    call.scope.direct.leave()
    call.scope = export.scope
    return export
