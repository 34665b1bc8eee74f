"""Values to payloads. Knows nothing of frames, calls or how ids are given. spec/1-values.md."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeVar

import msgpack
from msgpack import ExtType

from . import _exports
from ._apart import MarkFound, join
from ._blueprint import Blueprint
from ._bulk import BULK_BYTES, Bulk, bulk_call, bulk_value
from ._containers import has_more_containers, may_hold_more
from ._copies import write_copies
from ._errormap import bare_error, fit_error, why_unsent
from ._errorplan import ErrorPlan
from ._ext import CONTAINERS, SCALARS
from ._extcount import LEAST_BYTES, has_more_exts
from ._losses import Losses
from ._plain import is_plain, too_many_containers
from ._small import MOST, write_small
from ._takers import TAKERS, TAKERS_OF_PLANS
from ._unfit import SharedContainer, TooDeep, Unfit, tell
from ._walk import Walk
from ._why_not import why_not
from .builtins_ import LEAF_WRITERS, NeedsWalk
from .errors import InsecureJelly, Oversized, RemoteError, Unjellyable
from .flavours import ByReference, Cacheable, Copyable, Promising, RemoteCache, check_flavour
from .graph import GraphWalk
from .interfaces import ICopyable, IReferenceable
from .limits import DEFAULT_LIMITS, Limits
from .registry import Plan, Registry
from .visibility import Unknown

# How many Exts there are in a GRAPH is not known from writing it.
_UNKNOWN: Final = 1 << 62
Payload = TypeVar("Payload", bound=bytes | Bulk)
_are_scalars: Final = SCALARS.issuperset


class Encoder:
    """Write values as payloads, for all connections of one thread that have the same options.

    Args:
        registry: what may cross; a snapshot is taken.
        limits: those of the peer, so that what it would refuse is refused here, before it is sent.
        identity: "graph" keeps what is shared shared and cycles cyclic; "tree" writes a container each
            time it is met, which saves the look for it and refuses cycles.
        tuples: "list" sends tuples as lists, which is ten times faster, and changes them.
        by_reference: further types whose instances the tables give ids to.
        max_payload: bytes of a payload that the peer takes.
        losses: is told of errors that are sent as less than they are. None for a UserWarning, once a class.
        unknown: what fields with a rule are shown to where there is no perspective: DIALED or OWNER of
            jelly.visibility; None for a stranger, who is shown none of them.
    """

    def __init__(
        self,
        registry: Registry,
        limits: Limits = DEFAULT_LIMITS,
        *,
        identity: Literal["graph", "tree"] = "graph",
        tuples: Literal["tuple", "list"] = "tuple",
        by_reference: Iterable[type] = (),
        max_payload: int = 0xFFFFFFFF,
        losses: Losses | None = None,
        unknown: Unknown | None = None,
    ) -> None:
        self.limits = limits
        self.unknown = unknown
        self.losses = losses or Losses()
        self.max_payload = max_payload
        self._unchecked = min(max_payload, LEAST_BYTES * limits.max_exts)
        self.keeps_identity = identity == "graph"
        self.tuples_as_lists = tuples == "list"
        self.plans: dict[type, Plan] = {plan.cls: plan for plan in registry.snapshot().values()}
        self.quick: dict[type, Blueprint] = {
            plan.cls: plan
            for plan in self.plans.values()
            if type(plan) is Blueprint and plan.quick is not None
        }
        self.takers: dict[type, Any] = dict(TAKERS)
        for cls, plan in self.plans.items():
            self.takers[cls] = TAKERS_OF_PLANS[type(plan)]
        self._by_reference = (ByReference, *by_reference)
        self.leaves = 0  # written so far, in all payloads
        self._unadapted: weakref.WeakSet[type] = weakref.WeakSet()
        self._bases: dict[type, list[str]] = {}
        # One Packer is enough: nothing it calls packs anything. A second buffer would be 4 KiB more for each.
        self.pack: Callable[[Any], bytes] = msgpack.Packer(
            strict_types=True, default=self._write_leaf, buf_size=4096
        ).pack

    def encode(self, value: object, tables: Any = None, where: str = "value") -> bytes | Bulk:
        """Return what dumps() returns; large bytes stay where they are, as one buffer of a Bulk.

        Raises:
            Oversized, Unjellyable: as dumps().
        """
        kind = type(value)
        if kind in SCALARS and not (kind is bytes and len(value) >= BULK_BYTES):  # type: ignore[arg-type]
            try:
                pack = self.pack
                payload: bytes | Bulk = pack(value)
            except Exception:  # the walk finds it again
                return self._write(value, tables, where, None)
        elif kind is bytes:
            payload = bulk_value(value)  # type: ignore[arg-type]
        elif self.takers.get(kind) is _exports.take_reference and tables is not None:
            try:
                return self.pack(tables.refer(value))
            except Unjellyable:  # the walk names its place
                return self._write(value, tables, where, None)
        elif kind is dict and tables is not None and len(value) <= MOST:  # type: ignore[arg-type]
            payload = write_small(self, value, tables) or self._dumps(value, tables, where)  # type: ignore[arg-type]
        else:
            payload = self._dumps(value, tables, where)
        if len(payload) > self.max_payload:
            raise self._oversized(len(payload))
        return payload

    def encode_call(
        self,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        tables: Any = None,
        method: str = "",
    ) -> bytes | Bulk:
        """Return what dumps_call() returns; large bytes stay where they are. Raises as encode()."""
        payload: bytes | Bulk
        if not kwargs:
            for arg in args:
                kind = type(arg)
                if kind not in SCALARS or (kind is bytes and len(arg) >= BULK_BYTES):  # type: ignore[arg-type]
                    break
            else:
                before = self.leaves  # a large int is one
                try:
                    pack = self.pack
                    payload = pack([[*args], kwargs])
                except Exception:  # the walk finds it again, and its place
                    return self._dumps_call(args, kwargs, tables, method)
                if len(payload) > self._unchecked:
                    self.within_limit(payload, self.leaves - before)
                return payload
        payload = bulk_call(args, kwargs, self.pack) or self._dumps_call(args, kwargs, tables, method)
        if len(payload) > self.max_payload:
            raise self._oversized(len(payload))
        return payload

    def dumps(self, value: object, tables: Any = None, where: str = "value") -> bytes:
        """Return the payload that holds this value.

        Args:
            tables: give ids to what goes by reference; None where nothing may.
            where: how to name the value in an error.

        Raises:
            Unjellyable: something in it cannot be sent; the text says where it is. Nothing was counted.
            Oversized: the payload would exceed max_payload, max_exts or max_containers. Nothing was counted.
        """
        return bytes(self._dumps(value, tables, where))

    def _dumps(self, value: object, tables: Any, where: str) -> bytes | Bulk:
        kind = type(value)
        payload: bytes | None = None
        before = self.leaves
        try:
            if kind in SCALARS or (
                kind in CONTAINERS and is_plain([value], self.limits, self.keeps_identity)
            ):
                payload = self.pack(value)
        except Oversized:
            raise
        except Exception:  # whatever it is, the walk finds it again, and its place
            pass
        if payload is None:
            return self._write(value, tables, where, None)
        return self.within_limit(payload, self.leaves - before)

    def dumps_call(
        self,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        tables: Any = None,
        method: str = "",
    ) -> bytes:
        """Return the payload of a call: [args, kwargs]. Positional and keyword arguments share identity.

        Args:
            method: named in errors.

        Raises:
            Oversized, Unjellyable: as dumps().
        """
        return bytes(self._dumps_call(args, kwargs, tables, method))

    def _dumps_call(
        self, args: tuple[object, ...], kwargs: Mapping[str, object], tables: Any, method: str
    ) -> bytes | Bulk:
        items = [*args]
        payload: bytes | None = None
        before = self.leaves
        try:
            if (not kwargs and _are_scalars(map(type, items))) or is_plain(
                [items, kwargs], self.limits, self.keeps_identity, 1
            ):
                payload = self.pack([items, kwargs])
        except Oversized:
            raise
        except Exception:  # as above
            pass
        if payload is None:
            return self._write([items, kwargs], tables, f" of {method}" if method else "", items)
        return self.within_limit(payload, self.leaves - before)

    def dumps_error(self, error: BaseException, tables: Any = None) -> bytes | None:
        """Return the payload of ERROR for an error the peer may be told about, else None.

        That is a registered one, a RemoteError, or an InsecureJelly. If its data cannot be sent, it goes
        with its args alone, if it has any, and `losses` is told. Sharing is not kept in the data of an error.
        """
        if not self.is_known_error(error):
            return None
        for is_whole in (True, False):
            walk = Walk(self, tables)
            walk.seen = None
            try:
                payload = self._finish(walk, fit_error(walk, error, 0, is_whole=is_whole))
                _seal(walk)
                return bytes(payload)
            except (Unfit, Oversized) as why:
                self._undo(walk, walk.referred)
                if is_whole:
                    self.losses.note(error, "data", f": {why_unsent(why)}")
            except BaseException:
                self._undo(walk, walk.referred)
                raise
        return self.pack(bare_error(self, error))

    def error_map(self, error: BaseException) -> dict[str, Any] | None:
        """Return type, msg, bases and notes of an error the peer may be told about, else None."""
        return bare_error(self, error) if self.is_known_error(error) else None

    # --- for Walk

    def resolve(self, kind: type, value: object) -> Any:
        """Find out how instances of a type that was not met before travel."""
        try:
            check_flavour(kind)
        except TypeError as error:
            raise Unfit(f"is a class that cannot be sent: {error}") from None
        taker: Any = None
        if issubclass(kind, Cacheable | RemoteCache):
            taker = _exports.take_cache
        elif issubclass(kind, self._by_reference):
            taker = _exports.take_reference
        elif issubclass(kind, Promising):
            taker = _exports.take_promise
        elif issubclass(kind, RemoteError | InsecureJelly):
            taker = Walk.take_error
        elif kind not in self._unadapted:
            if ICopyable(value, None) is not None:
                taker = Walk.take_adapted
            elif IReferenceable(value, None) is not None:
                taker = _exports.take_adapted_reference
            elif _exports.is_stream(kind):
                taker = _exports.take_stream
            else:
                self._unadapted.add(kind)
        if taker is None:
            raise Unfit(why_not(kind, self.plans))
        self.takers[kind] = taker
        return taker

    def sends_by_value(self, value: object) -> bool:
        """Tell whether a value crosses as itself, a copy or a cache: not as a reference, or not at all."""
        kind = type(value)
        taker = self.takers.get(kind)
        if kind in SCALARS or isinstance(value, Copyable | Cacheable):
            return True
        if taker is not None:
            return taker not in (_exports.take_reference, _exports.take_adapted_reference)
        return ICopyable(value, None) is not None

    def error_plan(self, error: BaseException) -> ErrorPlan | None:
        """Return the plan of an error's own class."""
        plan = self.plans.get(type(error))
        return plan if type(plan) is ErrorPlan else None

    def is_known_error(self, error: BaseException) -> bool:
        """Tell whether a peer may be told about an error."""
        return self.error_plan(error) is not None or isinstance(error, RemoteError | InsecureJelly)

    def names_of_bases(self, cls: type) -> list[str]:
        """Return the names of the registered errors a class is derived from, nearest first."""
        names = self._bases.get(cls)
        if names is None:
            plans = [self.plans.get(base) for base in cls.__mro__[1:]]
            names = self._bases[cls] = [plan.name for plan in plans if type(plan) is ErrorPlan]
        return list(names)

    # --- within

    def _write_leaf(self, value: Any) -> ExtType:
        """Write, inside the Packer, what it has no format for."""
        writer = LEAF_WRITERS.get(type(value))
        if writer is None:
            raise NeedsWalk
        self.leaves += 1
        return writer(value, self.limits)

    def _write(
        self, value: object, tables: Any, where: str, call: list[object] | None, leaves_out: bool = True
    ) -> bytes | Bulk:
        walk = Walk(self, tables)
        walk.leaves_out = leaves_out
        if call is not None:
            walk.names_promises = True
        try:
            try:
                written = write_copies(walk, value) if type(value) is list and call is None else None
                payload = self._finish(walk, written or walk.fit(value, 0), written is not None)
            except SharedContainer:
                graph = GraphWalk(walk)
                payload = self.within_limit(graph.write(value), _UNKNOWN)
                self._check_containers(payload)
                self._undo(walk, [ext for exts in graph.spare.values() for ext in exts])
                walk.streams = graph.streams
            _seal(walk)
            return payload
        except MarkFound:
            self._undo(walk, walk.referred)
            return self._write(value, tables, where, call, leaves_out=False)
        except Unfit as unfit:
            self._undo(walk, walk.referred)
            raise _refusal(unfit, tell(unfit, where, call is not None)) from unfit.__cause__
        except BaseException:
            self._undo(walk, walk.referred)
            raise

    def _finish(self, walk: Walk, tree: Any, is_packed: bool = False) -> bytes | Bulk:
        if walk.top + walk.weight > self.limits.max_depth:
            raise TooDeep(f"nests deeper than max_depth={self.limits.max_depth}")
        packed: bytes = tree if is_packed else walk.pack_checked(tree)
        # Looked through for heads of arrays and maps is only what can have them.
        payload: bytes | Bulk
        payload, small = join(walk.apart, packed) if walk.apart else (packed, packed)
        self.within_limit(payload, walk.exts + len(walk.referred) + self.leaves - walk.leaves_before)
        if len(small) > self.limits.max_containers and may_hold_more(small, self.limits.max_containers):
            self._check_containers(bytes(payload))
        return payload

    def _check_containers(self, payload: bytes) -> None:
        if has_more_containers(payload, self.limits):
            raise too_many_containers(self.limits.max_containers)

    def within_limit(self, payload: Payload, exts: int) -> Payload:
        """Return the payload unless the peer refuses it. It has at most so many Exts; some counted twice."""
        if len(payload) > self._unchecked:
            if len(payload) > self.max_payload:
                raise self._oversized(len(payload))
            most = self.limits.max_exts
            if exts > most and has_more_exts(bytes(payload), most):
                raise Oversized(
                    f"a payload of more than max_exts={most} values of types that msgpack has not (sets, "
                    "tuples, decimals, copies, references ...), which is what the peer takes; send it in "
                    "pieces, or raise the limit there"
                )
        return payload

    def _oversized(self, size: int) -> Oversized:
        return Oversized(
            f"a payload of {size} bytes exceeds what the peer takes, {self.max_payload} "
            "(the smaller max_frame of the two sides, less its envelope); send it in pieces, or raise both"
        )

    def _undo(self, walk: Walk, exts: list[ExtType]) -> None:
        if exts:
            walk.tables.undo(exts)


def _seal(walk: Walk) -> None:
    """Tell the tables what begins with a payload, now that it is complete."""
    if walk.caches or walk.streams:
        walk.tables.seal([*(new.ext for new in walk.caches.values()), *walk.streams])


def _refusal(unfit: Unfit, text: str) -> Unjellyable:
    """Return what is raised for it. Not by a name where that is done: the error would know it, in a ring."""
    error = (Oversized if isinstance(unfit, TooDeep) else Unjellyable)(text)
    error.steps, error.problem = tuple(unfit.steps[::-1]), unfit.problem
    return error
