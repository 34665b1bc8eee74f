"""Payloads to values. Builds nothing but what is registered. spec/1-values.md 1.5 to 1.7."""

from __future__ import annotations

from typing import Any, Final

from msgpack import unpackb

from ._accelerated import MOST, copy_reader, plain_reader
from ._blueprint import Blueprint
from ._bulk import BULK_BYTES, cut_bulk
from ._checks import check_form, too_deep, unpack
from ._containers import Containers, may_hold_more
from ._depth import count_openers, depth_of, preflight
from ._errormap import build_error
from ._ext import GRAPH, HOME, REF, STR_ONLY
from ._extcount import EXT_HEADS
from ._holes import Holes
from ._quick import Quick
from ._reading import Reading, unpack_state
from .errors import MalformedJelly, RemoteError
from .limits import DEFAULT_LIMITS, Limits
from .registry import Plan, Registry

# Below this the first bytes of containers are counted instead of skipped over: 0.1 us instead of 3.
_SMALL: Final = 1024
_TINY: Final = 64
# What a payload begins with that is nothing but an id -> which Ext, and how long the payload is then.
_BARE: Final = {
    bytes((0xD4 + width, code)): (code, 2 + (1 << width)) for width in range(3) for code in (REF, HOME)
}
_NOT_BARE: Final = (0, -1)
_LONGEST_BARE: Final = 6
# Where the number of an Ext stands in it.
_CODE_AT: Final = {0xC7: 2, 0xC8: 3, 0xC9: 5, **dict.fromkeys(range(0xD4, 0xD9), 1)}


class Decoder:
    """Read payloads, for all connections of one thread that have the same options.

    Args:
        registry: what may be built; a snapshot is taken.
        limits: ours.
        relay: True carries copies of unknown classes along as Relayed instead of refusing them.
        remote_error: the class made for errors that are not registered.
        serves: whether what it reads comes from clients, of which some caches are not taken.
        accelerate: False leaves all to msgpack, also what msgspec reads faster where it is installed.
    """

    def __init__(
        self,
        registry: Registry,
        limits: Limits = DEFAULT_LIMITS,
        *,
        relay: bool = False,
        remote_error: type[RemoteError] = RemoteError,
        serves: bool = False,
        accelerate: bool = True,
    ) -> None:
        self.limits = limits
        # Now: nothing that a peer sends may import anything.
        self._read_plain = plain_reader(limits.max_depth) if accelerate else None
        self.unpack_copy: Any = (copy_reader() if accelerate else None) or unpack_state
        # What is shorter holds neither too many containers nor large bytes.
        self._unchecked = min(limits.max_containers, BULK_BYTES)
        self._short = min(limits.max_depth, limits.max_containers, _SMALL)
        self.relay = relay
        self.serves = serves
        self.remote_error = remote_error
        self.plans: dict[str, Plan] = registry.snapshot()
        self.quick: dict[str, Quick] = {
            name: plan.quick
            for name, plan in self.plans.items()
            if type(plan) is Blueprint and plan.quick is not None and plan.finish is None
        }
        # A payload of so many bytes cannot nest too deep. Without an Ext it needs no Reading: 0.3 us
        # instead of 1.1 for the arguments of most calls.
        self._tiny = min(_TINY, self._short)

    def loads(self, payload: bytes | memoryview, tables: Any = None) -> Any:
        """Return the value a payload holds.

        Args:
            tables: resolve ids; None where no references are expected.

        Raises:
            InsecureJelly: understood and refused; every reference in it was counted. Fail the call.
            MalformedJelly: no payload; close the connection.
        """
        if len(payload) <= self._tiny:
            if len(payload) <= _LONGEST_BARE and tables is not None:
                code, size = _BARE.get(bytes(payload[:2]), _NOT_BARE)
                if len(payload) == size:  # nothing but a reference
                    id = int.from_bytes(payload[2:], "big")
                    if code == HOME:
                        return tables.home(id)
                    if id:
                        return tables.reference(id, None)
            try:
                return unpackb(payload, ext_hook=_not_plain, timestamp=3)
            except Exception:  # an Ext, or malformed: found again below, with its name
                pass
        # A payload this short cannot nest too deep, and without the first byte of any Ext it is plain.
        if (
            len(payload) <= self._short
            and type(payload) is bytes
            and len(payload.translate(None, EXT_HEADS)) == len(payload)
        ):
            try:
                return unpackb(payload)
            except Exception as error:  # at least eight types come out of msgpack
                raise MalformedJelly(f"is not msgpack ({type(error).__name__})") from None
        reading = Reading(self, tables)
        value = self._read(reading, payload)
        self._conclude(reading)
        return value

    def loads_call(self, payload: bytes | memoryview, tables: Any = None) -> tuple[list[Any], dict[str, Any]]:
        """Return the args and kwargs of a call's payload. Raises as loads()."""
        if len(payload) <= self._tiny:
            try:
                args, kwargs = unpackb(payload, ext_hook=_not_plain, timestamp=3)
                if type(args) is list and type(kwargs) is dict and not kwargs:
                    return args, kwargs
            except Exception:  # as above
                pass
        if (
            len(payload) <= self._short
            and type(payload) is bytes
            and len(payload.translate(None, EXT_HEADS)) == len(payload)
        ):
            return _split_call(self.loads(payload))
        reading = Reading(self, tables)
        value = self._read(reading, payload)
        call = _split_call(value) if reading.violation is None else ([], {})
        self._conclude(reading)
        return call

    def loads_error(self, payload: bytes | memoryview, tables: Any = None) -> BaseException:
        """Return the error a payload of ERROR or END holds: registered, or else a remote_error."""
        reading = Reading(self, tables)
        value = self._read(reading, payload)
        if reading.violation is None and type(value) is not dict:
            raise MalformedJelly("the payload of an error is no map")
        error = build_error(reading, value) if reading.violation is None else None
        self._conclude(reading)
        assert error is not None
        return error

    def _read(self, reading: Reading, payload: bytes | memoryview) -> Any:
        if len(payload) > self._unchecked:
            cut = cut_bulk(payload) if len(payload) > BULK_BYTES else None
            if cut is not None:
                rest, spans = cut
                reading.put_holes([bytes(payload[start:end]) for start, end in spans])
                payload = rest
            most = self.limits.max_containers
            # What is longer is read by msgpack in any case, which counts in less time than looking takes.
            if may_hold_more(payload, most) if len(payload) <= MOST else len(payload) > most:
                reading.containers = Containers(self.limits, payload)
        at = _CODE_AT.get(payload[0]) if payload else None
        if at is not None and len(payload) > at and payload[at] == GRAPH:
            return self._read_graph(reading, payload)
        return self._read_object(reading, payload)

    def _read_object(self, reading: Reading, payload: bytes | memoryview) -> Any:
        """Unpack one msgpack object, unless it nests too deep."""
        limit = reading.max_depth
        containers = reading.containers
        size = len(payload)
        if size <= _SMALL:
            bound = count_openers(bytes(payload)) + 1
            if bound > limit:
                check_form(payload, limit)
        else:
            if size <= MOST and self._read_plain is not None and containers is None:
                try:
                    return self._read_plain(payload)
                except Exception:  # not plain, or malformed: found again below, with its name
                    pass
            bound = limit >> 1
            if preflight(payload, bound) is not None:
                check_form(payload, limit)
                bound = limit
        if containers is None:
            value = unpack(payload, reading.read_ext)
        else:
            value = containers.unpack(payload, reading.read_ext)
        weight = reading.weight
        if weight and bound + weight > limit and (weight > limit or preflight(payload, limit - weight)):
            raise too_deep(limit)
        return value

    def _read_graph(self, reading: Reading, payload: bytes | memoryview) -> Any:
        data: bytes = unpack(payload, _keep_data)
        check_form(data, 1)
        parts = unpack(data, _no_part)
        if type(parts) is not list or not parts or set(map(type, parts)) != {bytes}:
            raise MalformedJelly("GRAPH is no array of parts in bin")
        reading.count(1 + len(parts))
        if reading.containers is not None:
            reading.containers.count(parts)
        holes = reading.holes = Holes(len(parts))
        reading.quick = {}
        for part in parts:
            reading.weight = 0
            marks = holes.marks
            value = self._read_object(reading, part)
            # NODEs count with the true depth: bounds would add up along a chain of parts.
            depth = depth_of(part, value, reading.apart, reading.max_depth) + reading.weight
            if holes.fresh:
                holes.collect(reading, value, True)
            holes.finish_part(reading, value, depth, marks)
        return holes.values[-1]

    def _conclude(self, reading: Reading) -> None:
        """Refuse what was found unacceptable; else run the hooks that wait for the whole payload."""
        for finish, made in reading.finishers or ():
            if reading.violation is not None:
                break
            try:
                finish(made)
            except Exception as error:
                reading.refuse_failed(type(made).__name__, error)
        if reading.violation is not None:
            violation, reading.violation = reading.violation, None
            if reading.begun:
                reading.tables.refuse_caches(reading.begun)
            try:
                raise violation
            finally:
                # The error knows this frame, and must not be known by it: what was decoded, its references
                # among it, would wait for the cycle collector.
                del violation


def _not_plain(code: int, data: bytes) -> object:
    raise MalformedJelly("an Ext")


def _split_call(value: Any) -> tuple[list[Any], dict[str, Any]]:
    if type(value) is list and len(value) == 2:
        args, kwargs = value
        if (
            type(args) is list
            and type(kwargs) is dict
            and (not kwargs or STR_ONLY.issuperset(map(type, kwargs)))
        ):
            return args, kwargs
    raise MalformedJelly("the payload of a call is not [args, kwargs]")


def _keep_data(code: int, data: bytes) -> bytes:
    return data


def _no_part(code: int, data: bytes) -> None:
    """Return for an Ext, whose data are no part, something else than bytes."""
