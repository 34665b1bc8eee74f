"""Deliberate faults of a broker, each to be found by a case of the kit.

The text of a row has to stand exactly once in its file, so a row that no longer fits is noticed.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """What is broken, how, and which case must find it.

    Attributes:
        case: the beginning of its name, as `--only` takes it.
    """

    name: str
    file: str
    text: str
    instead: str
    case: str


FAULTS = (
    Fault(
        "a length beyond the limit is waited for",
        "pb/wire/frames.py",
        "        if not 1 <= length <= self.max_frame:\n"
        "            raise _bad_length(length, self.max_frame)\n",
        "",
        "framing.14",
    ),
    Fault(
        "a batch is taken in the other order",
        "pb/wire/frames.py",
        "            return iter(frame)\n",
        "            return iter(frame[::-1])\n",
        "framing.10",
    ),
    Fault(
        "a later version is refused",
        "pb/wire/hello.py",
        "version < messages.VERSION",
        "version != messages.VERSION",
        "framing.03",
    ),
    Fault(
        "what the peer did not announce is sent to it",
        "pb/caches/observing.py",
        "        if not self.peer_holds_caches:\n",
        "        if False:\n",
        "framing.16",
    ),
    Fault(
        "ids of calls may fall",
        "pb/calling/serving.py",
        "            if not self.last_id < id <= messages.MAX_ID:\n"
        '                raise ProtocolError(f"CALL',
        '            if not 0 < id <= messages.MAX_ID:\n                raise ProtocolError(f"CALL',
        "calls.04",
    ),
    Fault(
        "a malformed payload fails its call only",
        "pb/wire/payloads.py",
        "    if isinstance(error, MalformedJelly):\n        raise error\n",
        "",
        "calls.12",
    ),
    Fault(
        "arguments that do not fit are an internal error",
        "pb/dispatch.py",
        "    if traceback is None or traceback.tb_next is not None:\n        return None\n",
        "    if traceback is not None:\n        return None\n",
        "calls.09",
    ),
    Fault(
        "payloads of refused calls are not decoded",
        "pb/calling/serving.py",
        "        # Decoded even when refused",
        "        if type(refusal) is NoSuchMethod:\n"
        "            self.fail(id, scope, refusal)\n"
        "            return\n"
        "        # Decoded even when refused",
        "calls.10",
    ),
    Fault(
        "CANCEL does nothing",
        "pb/calling/cancelling.py",
        "            self.base.broker.streams.stop_of_call(id)\n            served.cancel()\n",
        "            pass\n",
        "calls.16",
    ),
    Fault(
        "a call whose time is over goes on",
        "pb/calling/pacing.py",
        "            self.deadlines.add(served, at, served.expire)\n",
        "            pass\n",
        "calls.20",
    ),
    Fault(
        "max_calls is not looked at",
        "pb/calling/serving.py",
        "if self.count - self.updates >= self.most_calls:",
        "if False:",
        "calls.22",
    ),
    Fault(
        "a release of too much is taken",
        "pb/holding/export_table.py",
        "        if export is None or not 1 <= count <= export.count:\n",
        "        if export is None:\n",
        "references.04",
    ),
    Fault(
        "a release counts one, whatever it says",
        "pb/holding/export_table.py",
        "        self._subtract(export, count)\n\n    def _subtract",
        "        self._subtract(export, 1)\n\n    def _subtract",
        "references.02",
    ),
    Fault(
        "ids are used again",
        "pb/holding/export_table.py",
        "        number = self._next_id\n        self._next_id = number + 1\n        return number\n",
        "        number = next(n for n in range(1, 10**9) if n not in self.exports)\n"
        "        self._next_id = max(self._next_id, number + 1)\n        return number\n",
        "references.03",
    ),
    Fault(
        "an occurrence of what is held already is not counted",
        "pb/holding/import_table.py",
        "            if reference is not None:\n"
        "                handle.count += 1\n"
        "                return reference\n",
        "            if reference is not None:\n                return reference\n",
        "references.07",
    ),
    Fault(
        "what is dropped is not released",
        "pb/holding/import_table.py",
        "        if self.is_open:\n            self.dropped.append(owed)\n            self._wake()\n",
        "        if self.is_open and owed is None:\n            self.dropped.append(owed)\n",
        "references.11",
    ),
    Fault(
        "a peer's own object is sent back as ours",
        "pb/reference.py",
        "        self.home = id_ext(HOME, self.id)\n",
        "        self.home = id_ext(1, self.id)\n",
        "references.06",
    ),
    Fault(
        "errors that are not registered are told",
        "pb/calling/answers.py",
        "        if self._debug:\n",
        "        if not self._debug:\n",
        "errors.03",
    ),
    Fault(
        "all incidents have one id",
        "pb/aio/link.py",
        "        return os.urandom(8).hex()\n",
        '        return "0" * 16\n',
        "errors.04",
    ),
    Fault(
        "a cache is sent whole each time",
        "pb/holding/export_table.py",
        "            export.count += 1\n            return export.ext, None\n",
        "            export.count += 1\n"
        "            return export.ext, (export.object.get_state_to_cache_and_observe_for("
        "scope.perspective, export.observer),)\n",
        "caches.01",
    ),
    Fault(
        "GONE is not said when the last count of a cache is back",
        "pb/caches/observing.py",
        "            self.outbox.put(self._pack((messages.GONE, [export.id])))\n",
        "            pass\n",
        "caches.04",
    ),
    Fault(
        "observers are told after the peer has released the cache",
        "pb/caches/observing.py",
        "        self.end(export)\n        if export.is_unsent:",
        "        if export.is_unsent:",
        "caches.04",
    ),
    Fault(
        "a replica that missed an update is not given up",
        "pb/holding/import_table.py",
        "        row.is_stale = True\n"
        "        if row.count:\n"
        "            owed, row.count = (row.id, row.count), 0\n",
        "        if row.count:\n            owed, row.count = (row.id, row.count), 0\n",
        "caches.13",
    ),
    Fault(
        "a replica sent twice counts once",
        "pb/holding/import_table.py",
        "        row.count += 1\n        self.zombies.drop(row)\n",
        "        self.zombies.drop(row)\n",
        "caches.10",
    ),
    Fault(
        "last of BYE is 0",
        "pb/broker.py",
        "            self._last = self.serving.last_id\n",
        "            self._last = 0\n",
        "closing.02",
    ),
    Fault(
        "what serves a call of its own is dropped while both sides drain",
        "pb/wire/state.py",
        '    State.DRAINING: {**_OPEN, CALL: "receive_late_call", OBSERVE: "receive_late_observe"},\n',
        '    State.DRAINING: {**_OPEN, CALL: "drop_call"},\n',
        "closing.10",
    ),
    Fault(
        "what serves nothing is run after both have said BYE",
        "pb/bounds/leaving.py",
        "    broker.serving.most_calls = broker.limits.max_calls if may_serve else 0\n",
        "    broker.serving.most_calls = broker.limits.max_calls\n",
        "closing.11",
    ),
    Fault(
        "a producer does not wait for credit",
        "pb/streams/producer.py",
        "        while (not self.credit or self.streams.is_held) and not self._is_cancelled:\n",
        "        while self.streams.is_held and not self._is_cancelled:\n",
        "streams.02",
    ),
    Fault(
        "items beyond the credit are taken",
        "pb/streams/streams.py",
        "        if len(items) > row.credit:\n",
        "        if False:\n",
        "streams.10",
    ),
    Fault(
        "what waits for a failed call fails without its cause",
        "pb/promises/slots.py",
        "            slot.broken = broken_by(told[1])\n",
        "            slot.broken = NOT_PIPELINABLE\n",
        "pipelining.05",
    ),
    Fault(
        "FINISH is taken before the answer",
        "pb/promises/slots.py",
        '            if slot is None or not slot.is_answered:\n                raise ProtocolError(f"FINISH',
        '            if slot is None:\n                raise ProtocolError(f"FINISH',
        "pipelining.09",
    ),
    Fault(
        "the arrays of a payload are not counted",
        "jelly/_decoder.py",
        "                reading.containers = Containers(self.limits, payload)\n",
        "                pass\n",
        "limits.04",
    ),
    Fault(
        "more arrays are sent than the peer takes",
        "pb/wire/hello.py",
        '        max_containers=told["max_containers"],\n',
        "",
        "limits.03",
    ),
    Fault(
        "fractions of a second are lost",
        "jelly/builtins_.py",
        "    nanoseconds = value.microseconds * 1000\n",
        "    nanoseconds = 0\n",
        "values",
    ),
    Fault(
        "what was counted for an answer that is not sent stays counted",
        "pb/holding/export_table.py",
        "        if export is not None:  # else a hook has ended the connection meanwhile\n"
        "            self._subtract(export, 1)\n",
        "",
        "references.18",
    ),
    Fault(
        "ids are four bytes long",
        "pb/wire/ids.py",
        "    size = 1 if id < 0x100 else 2 if id < 0x10000 else 4 if",
        "    size = 4 if",
        "references.06",
    ),
    Fault(
        "nobody is counted",
        "examples/conformance/subject.py",
        "        return self.connection.usage.references_given\n",
        "        return 0\n",
        "references.01",
    ),
    Fault(
        "more Exts are sent than the peer takes",
        "pb/wire/hello.py",
        '        max_exts=told["max_exts"],\n',
        "",
        "limits.12",
    ),
    Fault(
        "what is left of the time is not passed on",
        "pb/calling/options.py",
        '        options["ttl"] = ',
        "        _ = ",
        "calls.26",
    ),
    Fault(
        "a trace ends at the first callback",
        "pb/calling/options.py",
        '        options["trace"] = passed.trace.option\n',
        "        pass\n",
        "calls.27",
    ),
    Fault(
        "a call given up is forgotten",
        "pb/calling/calls.py",
        "                self.outbox.put(self.pack((messages.CANCEL, id)))\n",
        "                self.outbox.put(self.pack((messages.CANCEL, id)))\n"
        "                del self.pending[id]\n",
        "calls.28",
    ),
    Fault(
        "arguments by names that nobody knows are dropped",
        "examples/conformance/subject.py",
        "    def remote_echo(self, x: Any) -> Any:\n",
        "    def remote_echo(self, x: Any, **others: Any) -> Any:\n",
        "calls.09",
    ),
    Fault(
        "a batch may be as long as a frame",
        "pb/wire/frames.py",
        '    _check_bytes(total, messages.MAX_BATCH_BYTES, "a batch")\n',
        "",
        "frames-reject",
    ),
    Fault(
        "something is said after an aborting BYE was seen",
        "pb/broker.py",
        "            self.outbox.clear()  # nothing is sent after an aborting BYE was seen\n",
        "            self.ping()\n",
        "closing.06",
    ),
    Fault(
        "the text of a BYE is as long as it likes",
        "pb/broker.py",
        "msgpack.packb([messages.BYE, code, text, self._last])",
        'msgpack.packb([messages.BYE, code, text + "x" * 5000, self._last])',
        "closing.01",
    ),
    Fault(
        "a second BYE is a violation",
        "pb/broker.py",
        "            return  # a second one (F27): what it says of calls is no longer true\n",
        '            raise ProtocolError("a second BYE")\n',
        "closing.13",
    ),
    Fault(
        "a BYE repeats what the peer sent",
        "pb/wire/fields.py",
        'raise ProtocolError(f"CALL option {name!r} is no {expected.__name__}")',
        'raise ProtocolError(f"CALL option {name!r} is {value}")',
        "closing.12",
    ),
    Fault(
        "floats that are whole are sent as ints",
        "examples/conformance/subject.py",
        "    def remote_echo(self, x: Any) -> Any:\n        return x\n",
        "    def remote_echo(self, x: Any) -> Any:\n"
        "        return int(x) if type(x) is float and x == 1 else x\n",
        "values",
    ),
    Fault(
        "STOP is not heard",
        "pb/streams/streams.py",
        "            row.stop()\n\n    def _sent",
        "            pass\n\n    def _sent",
        "streams.04",
    ),
)
