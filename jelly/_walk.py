"""One walk over a value that is to be sent: what msgpack cannot write is replaced by its Ext.

Used for values that are not plain. What comes out are lists, dicts, scalars and ExtTypes only, so the
Packer never calls back into code that could enter it again. Knows nothing of sharing beyond noticing it:
SharedContainer sends the encoder to graph.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgpack import ExtType

from . import _copies
from ._apart import Apart, holds_large, leave_out, wrap
from ._article import a
from ._bulk import BULK_BYTES
from ._errormap import fit_error
from ._exports import take_reference
from ._ext import (
    CONTAINERS,
    ERROR,
    FROZENSET,
    MAP,
    OPAQUE,
    SCALARS,
    SET,
    STR_ONLY,
    TUPLE,
    make_ext,
)
from ._flood import count_floodable
from ._inert import Opaque
from ._unfit import SharedContainer, TooDeep, Unfit
from ._words import PeerText
from .builtins_ import LEAF_WRITERS, write_datetime, write_foreign_datetime
from .errors import Unjellyable

if TYPE_CHECKING:
    from ._encoder import Encoder
    from ._exports import NewCache

_make: Final = partial(tuple.__new__, ExtType)
Fit = Callable[[Any, int], Any]
_MAX_EXPANDED: Final = 1 << 20
_MAX_IN_KEYS: Final = 1 << 16


class Walk:
    """The state of writing one payload.

    Attributes:
        base: levels outside the msgpack object being made.
        top: the deepest level reached in it, counted from the outermost.
        weight: the largest weight of an Ext in it (spec/1-values.md 1.4).
        exts: how many Exts were made, without those that the tables made and those made while packing.
        leaves_before: how many of the latter the encoder had made before.
        seen: ids of the containers met so far; None where sharing is not looked for.
        hashed: above 0 inside a key or a set member.
        caches: those that the payload is the first to hold, by the id of the object.
        states: what copies gave as their state, by id, with the object itself to keep the id its own.
        referred: every ExtType the tables counted, in order.
        given: the same, by the id of the object each stands for.
        spare: of an abandoned attempt, those that were not taken over yet.
        streams: those that the payload begins.
        leaves_out: whether large bytes may be left out of what is packed.
        apart: those that were.
        names_promises: whether results to come have names in it, as in the arguments of a call.
    """

    streams: tuple[ExtType, ...] = ()
    names_promises = False
    leaves_out = False

    def __init__(self, encoder: Encoder, tables: Any) -> None:
        self.encoder = encoder
        self.takers = encoder.takers
        self.pack = encoder.pack
        self.quick = encoder.quick
        self.limits = encoder.limits
        self.max_depth = encoder.limits.max_depth
        self.tables = tables
        self.base = 0
        self.top = 0
        self.weight = 0
        self.exts = 0
        self.leaves_before = encoder.leaves
        self.seen: set[int] | None = set() if encoder.keeps_identity else None
        self.hashed = 0
        self.expanded = 0
        self.floodable = 0
        self.states: dict[int, tuple[object, object]] = {}
        self.caches: dict[int, NewCache] = {}
        self.referred: list[ExtType] = []
        self.given: dict[int, list[ExtType]] = {}
        self.spare: dict[int, list[ExtType]] = {}
        self.apart: Apart = []

    @property
    def perspective(self) -> Any:
        """On whose behalf the payload is made. Asked for only where it matters: see SharedTables."""
        return None if self.tables is None else self.tables.perspective

    @property
    def viewer(self) -> Any:
        """Whom rules are asked about: the perspective, or what stands for nobody."""
        perspective = self.perspective
        return self.encoder.unknown if perspective is None else perspective

    # --- any value

    def fit(self, value: Any, level: int) -> Any:
        """Return what the Packer is to be given for a value that stands at this level."""
        kind = type(value)
        if kind in SCALARS:
            return value
        take = self.takers.get(kind) or self.find_taker(value)
        return take(self, value, level)

    def find_taker(self, value: Any) -> Any:
        """Return what writes values of a type that was not met before; a perspective is written by its id."""
        if self.tables is not None and value is self.perspective:
            return take_reference
        return self.encoder.resolve(type(value), value)

    def enter(self, value: object) -> None:
        """Notice a container, unless it is a value in a key, where identity is not kept."""
        if self.seen is not None:
            if id(value) in self.seen:
                raise SharedContainer
            self.seen.add(id(value))
        else:
            self.expand()

    def expand(self) -> None:
        """Count a container whose identity is not kept: shared ones can multiply without end."""
        self.expanded += 1
        most = _MAX_IN_KEYS if self.hashed else _MAX_EXPANDED
        if self.expanded > most:
            raise Unfit(f"holds more than {most} containers once shared ones are written out")

    def go_down(self, level: int) -> int:
        """Return the level inside a container that stands at this level."""
        level += 1
        if level > self.top:
            if level > self.max_depth:
                raise TooDeep(f"nests deeper than max_depth={self.max_depth}")
            self.top = level
        return level

    def fit_list(self, items: Any, level: int, fit: Fit | None = None) -> Any:
        """Return a list, which stands at this level, with its items replaced by `fit`."""
        level = self.go_down(level)
        kinds = set(map(type, items))
        if kinds <= SCALARS:
            return (
                self.leave_out(items) if bytes in kinds and self.leaves_out and holds_large(items) else items
            )
        if len(kinds) == 1 and level < self.max_depth >> 1:
            copies = self.fit_copies(items, self.quick.get(kinds.pop()))
            if copies is not None:
                return copies
        done: list[Any] = []
        fit = fit or self.fit
        try:
            for item in items:
                done.append(item if type(item) in SCALARS else fit(item, level))
        except Unfit as unfit:
            raise unfit.at(f"[{len(done)}]") from unfit.__cause__
        return self.leave_out(done) if bytes in kinds and self.leaves_out and holds_large(done) else done

    def fit_dict(
        self, items: dict[str, Any], level: int, step: str = "[{!r}]", fit: Fit | None = None
    ) -> Any:
        """Return a dict with str keys, which stands at this level, with its values replaced by `fit`."""
        level = self.go_down(level)
        kinds = set(map(type, items.values()))
        if kinds <= SCALARS:
            if bytes in kinds and self.leaves_out and holds_large(items.values()):
                return dict(zip(items, self.leave_out(items.values()), strict=True))
            return items
        done: dict[str, Any] = {}
        key = ""
        fit = fit or self.fit
        try:
            for key, item in items.items():
                done[key] = item if type(item) in SCALARS else fit(item, level)
        except Unfit as unfit:
            raise unfit.at(step.format(key[:80])) from unfit.__cause__
        if bytes in kinds and self.leaves_out and holds_large(items.values()):
            return dict(zip(done, self.leave_out(done.values()), strict=True))
        return done

    def leave_out(self, items: Iterable[Any]) -> list[Any]:
        """Return these with something in the place of large bytes."""
        if self.hashed:  # members are sorted by what is packed of them
            return list(items)
        apart = self.apart
        return [
            leave_out(apart, item) if type(item) is bytes and len(item) >= BULK_BYTES else item
            for item in items
        ]

    def compose(self, code: int, level: int, fit: Fit, items: Any) -> ExtType:
        """Return an Ext that stands at this level and whose data is what `fit` makes of the items."""
        base, top, weight = self.base, self.top, self.weight
        apart = len(self.apart)
        self.exts += 1
        self.base = self.top = self.go_down(level)
        self.weight = 0
        tree = fit(items, self.base)
        try:
            payload = self.pack_checked(tree)
        except Unfit as unfit:
            raise unfit.seen_in(code, items) from None
        self._close(base, top, weight)
        return make_ext(code, payload) if len(self.apart) == apart else wrap(self.apart, apart, code, payload)

    def _close(self, base: int, top: int, weight: int) -> None:
        """Go back from the data of an Ext to the object it stands in."""
        mine = 1 + self.top - self.base + self.weight
        if mine > self.max_depth:
            raise TooDeep(f"nests deeper than max_depth={self.max_depth}")
        self.base, self.top = base, top
        self.weight = weight if weight > mine else mine

    def pack_checked(self, tree: Any) -> bytes:
        """Pack what fit() returned; find the place of what msgpack refuses."""
        try:
            return self.pack(tree)
        except (UnicodeEncodeError, Unjellyable) as error:
            raise self.blame(tree, error) from None

    def blame(self, tree: Any, error: Exception) -> Unfit:
        """Find the first thing in this tree that cannot be packed."""
        if type(tree) in CONTAINERS:
            # What fails as a whole fails in one of its parts, so the loop does not end by itself.
            for key, item in tree.items() if type(tree) is dict else enumerate(tree):  # pragma: no branch
                for part in (key, item):
                    try:
                        self.pack(part)
                    except Exception as found:
                        unfit = self.blame(part, found)
                        return unfit if part is key else unfit.at(f"[{key!r}]")
        if isinstance(error, UnicodeEncodeError):
            return Unfit("is a str with surrogates, which UTF-8 does not have; encode it to bytes yourself")
        return Unfit(str(error))

    # --- one taker for each kind of value

    def take_list(self, value: list[Any], level: int) -> Any:
        self.enter(value)
        return self.fit_list(value, level)

    def take_dict(self, value: dict[Any, Any], level: int) -> Any:
        self.enter(value)
        if STR_ONLY.issuperset(map(type, value)):
            return self.fit_dict(value, level)
        return self.compose(MAP, level, self.fit_pairs, value)

    def take_listlike(self, value: list[Any], level: int) -> Any:
        self.enter(value)
        return self.fit_list([*value], level)  # a plain one: the Packer is strict

    def take_dictlike(self, value: dict[Any, Any], level: int) -> Any:
        self.enter(value)
        items = dict(value)
        if STR_ONLY.issuperset(map(type, items)):
            return self.fit_dict(items, level)
        return self.compose(MAP, level, self.fit_pairs, items)

    def fit_pairs(self, value: dict[Any, Any], level: int) -> Any:
        level = self.go_down(level)
        self.count_flood(value)
        done: list[Any] = []
        for key, item in value.items():
            done.append(self.fit_hashed(key, level))
            try:
                done.append(self.fit_hard(item, level))
            except Unfit as unfit:
                raise unfit.at(f"[{self.show_key(key)}]") from unfit.__cause__
        return self.leave_out(done) if self.leaves_out and bytes in map(type, value.values()) else done

    def take_tuple(self, value: tuple[Any, ...], level: int) -> Any:
        if self.hashed:
            self.expand()
        elif value:
            self.enter(value)
        if self.encoder.tuples_as_lists and not self.hashed:
            return self.fit_list(list(value), level)
        return self.compose(TUPLE, level, self.fit_items, value)

    def fit_items(self, items: tuple[Any, ...], level: int) -> Any:
        return self.fit_list(list(items), level, self.fit_hard)

    def fit_hard(self, value: Any, level: int) -> Any:
        """Like fit(), where no forward reference may stand."""
        return self.fit(value, level)

    def take_set(self, value: set[Any] | frozenset[Any], level: int) -> Any:
        if self.hashed and type(value) is frozenset:
            self.expand()
        elif value:
            self.enter(value)
        return self.compose(SET if type(value) is set else FROZENSET, level, self.fit_members, value)

    def fit_members(self, value: Any, level: int) -> list[Any]:
        level = self.go_down(level)
        self.count_flood(value)
        # Sorted, so that equal sets give equal bytes whatever the hash seed.
        return sorted((self.fit_hashed(member, level) for member in value), key=self.pack_checked)

    def fit_hashed(self, value: Any, level: int) -> Any:
        """Like fit(), for keys and members."""
        if type(value) in SCALARS:
            return value
        self.hashed += 1
        try:
            return self.fit(value, level)
        except Unfit as unfit:
            raise unfit.at("<a key or member>") from unfit.__cause__
        finally:
            self.hashed -= 1

    def count_flood(self, keys: Any) -> None:
        self.floodable += count_floodable(keys)
        if self.floodable > self.limits.max_floodable_keys:
            raise Unfit(
                "brings the keys and members whose hash a peer could choose over max_floodable_keys="
                f"{self.limits.max_floodable_keys}; send a list of pairs"
            )

    def show_key(self, key: object) -> str:
        return repr(key)[:80] if type(key) in SCALARS else f"<{type(key).__name__}>"

    def take_leaf(self, value: Any, level: int) -> ExtType:
        self.exts += 1
        self.weight = self.weight or 1
        writer = LEAF_WRITERS[type(value)]
        if writer is write_datetime:
            writer = write_foreign_datetime
        try:
            return writer(value, self.limits)
        except Unjellyable as error:
            raise Unfit(str(error)) from None
        except Exception as error:  # a tzinfo is code of others
            raise Unfit(f"is {a(type(value).__name__)} that could not be written: {error!r:.200}") from error

    def take_buffer(self, value: Any, level: int) -> bytes | ExtType:
        made = bytes(value)
        return self.leave_out([made])[0] if self.leaves_out else made

    def take_peer_text(self, value: PeerText, level: int) -> str:
        return value.raw

    def take_opaque(self, value: Opaque, level: int) -> ExtType:
        self.exts += 1
        self.weight = self.weight or 1
        try:
            return make_ext(OPAQUE, value.reason.encode())
        except UnicodeEncodeError:
            raise Unfit("is an Opaque whose reason has surrogates") from None

    # --- copies

    take_copy = _copies.take_copy
    take_relayed = _copies.take_relayed
    take_adapted = _copies.take_adapted
    fit_copy = _copies.fit_copy
    fit_copies = _copies.fit_copies
    state_of = _copies.state_of
    adapted_state_of = _copies.adapted_state_of

    # --- errors

    def take_error(self, value: BaseException, level: int) -> ExtType:
        self.enter(value)
        return self.compose(ERROR, level, self.fit_error, value)

    def fit_error(self, error: BaseException, level: int) -> dict[str, Any]:
        return fit_error(self, error, level)
