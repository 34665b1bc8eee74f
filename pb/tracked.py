"""Cacheables whose fields are followed by their replicas without a line of code for it.

A convention on top of caches. Spec: spec/8-tracked.md.
"""

from __future__ import annotations

from typing import Any

from jelly import Cacheable, RemoteCache
from jelly._article import a
from jelly._blueprint import checked_state
from jelly._cacheplan import asks_rules
from jelly._flood import count_floodable
from jelly.flavours import row_of
from jelly.replicated import ReplicaDict, ReplicaList, hold
from jelly.visibility import HIDDEN

from .caches import tracking
from .caches.resync import HISTORY_OF
from .errors import BadArguments

_ABSENT = object()
_set = object.__setattr__


class Tracked(Cacheable, RemoteCache):
    """Be an object whose public fields every replica follows.

        @registry.cacheable("game.Board")
        @dataclass
        class Board(pb.Tracked):
            title: str
            players: list[str] = field(default_factory=list)
            score: dict[str, int] = field(default_factory=dict)
            secret: Annotated[str, jelly.visible_to("referee")] = ""

            def changed(self, field):       # runs at replicas only
                print(field, "is", getattr(self, field))

        board.title = "final"               # at the owner: every replica is told
        board.players.append("ann")
        board.score["ann"] = 3

    The fields are those of the dataclass, or the annotated names, without private ones, which never cross.

    At the owner, assigning a field tells the replicas, and a list or dict is stored as a copy of its own,
    an ObservedList or ObservedDict, that tells of its changes; the one that was there before tells nothing
    any more. Only such a list or dict itself is watched: for a change within an item, a set or an object
    assign the item again (`board.rows[2] = row`), or the field a new value. `extend` is one change, but
    `update` of a dict is one for each key, and `changed` runs for each; where that is too often, assign the
    field the whole dict. Assigning an equal int, str,
    bytes, bool or None tells nothing, nor does assigning a field the list or dict it has.

    A field with a rule (`jelly.visible_to`, `jelly.visible_if`, or `visible=` of the registry) goes to
    those who may see it, in the first state and in every change. The rules are asked when the field
    changes; if what they depend on changes, call `visibility_changed()`.

    A replica is for reading. It has lists and dicts that only updates change, each the same object until the
    owner assigns the field, and HIDDEN in fields it is not shown. Assigning a field there, or changing a list
    or dict, is an AttributeError: call the owner instead, or change a copy of your own. An item that is a
    list or dict itself is plain, and a change within it is noticed at neither side.

    A change that cannot be sent at all is undone, whoever made it gets the error, and nobody has been told.
    Where only the limits of one peer are in the way, that peer's replica is given up (`pb.is_stale`).
    While anybody follows it, change it in the thread of their connections; elsewhere it is a RuntimeError
    that changes nothing (`pb.on_loop` and `pb.sync.on_loop` make the change in the right one).

    A copy, deep copy or pickle of one, also of a replica, is an owner that nobody observes. Frozen
    dataclasses, attrs classes and __slots__ are refused with a TypeError.
    """

    def changed(self, field: str) -> None:
        """Be told, at a replica, that an update of a field was applied. If this raises, it becomes stale."""

    def visibility_changed(self, perspective: object = None) -> None:
        """Ask the rules of all fields again: send what has come into sight, hide what is no longer.

        Args:
            perspective: whose roles have changed; None for everybody's.

        Raises:
            jelly.Unjellyable: a rule failed, or a value cannot be sent. Nobody was told.
            RuntimeError: a replica is followed in the loop of another thread. Nobody was told.
        """
        tracking.show_anew(self, perspective)

    # --- at the owner

    @asks_rules
    def get_state_to_cache_and_observe_for(self, perspective: object, observer: Any) -> dict[str, Any]:
        """Return the fields that a perspective may see; the observer is told of every change after it."""
        return tracking.followers_of(self).begin(self, perspective, observer)

    def stopped_observing(self, perspective: object, observer: Any) -> None:
        """Tell this observer no more."""
        tracking.followers_of(self).end(observer)

    setattr(get_state_to_cache_and_observe_for, HISTORY_OF, tracking.history_of)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in tracking.fields_of(type(self)).names:
            _set(self, name, value)
            return
        if row_of(self) is not None:
            raise AttributeError(
                f"{type(self).__name__}.{name} is a field of a replica; only its owner can change it: call a "
                "method there that does"
            )
        before = vars(self).get(name, _ABSENT)
        if tracking.are_same(before, value):
            return
        tracking.check_thread(self)
        value = tracking.observe(self, name, value)
        _set(self, name, value)
        try:
            tracking.tell(self, name, "set", tracking.plain(value))
        except BaseException:
            if before is _ABSENT:
                object.__delattr__(self, name)
            else:
                _set(self, name, before)
            raise
        tracking.forget(before)

    def __delattr__(self, name: str) -> None:
        if name in tracking.fields_of(type(self)).names:
            raise AttributeError(f"{type(self).__name__}.{name} is a field and cannot be deleted; assign it")
        object.__delattr__(self, name)

    def __getstate__(self) -> dict[str, Any]:
        return tracking.state_of(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        fields = tracking.fields_of(type(self)).names
        for name, value in state.items():
            _set(self, name, tracking.observe(self, name, value) if name in fields else value)

    # --- at the replica

    def set_copyable_state(self, state: object) -> None:
        """Take over the fields the replica starts with; those it is not shown become HIDDEN.

        Raises:
            jelly.InsecureJelly: a field is not declared, or one without rule or default is missing.
        """
        fields = tracking.fields_of(type(self))
        accept = checked_state(type(self).__name__, None, fields, None, tracking.rules_here(self))
        taken: Any = accept(state)
        for name, value in taken.items():
            _set(self, name, hold(value, type(self), name))

    def observe_set(self, field: str, value: Any) -> None:
        """Give a field a value."""
        cls = type(self)
        if type(field) is not str or field not in tracking.fields_of(cls).names:
            raise _no_field()
        kind = type(value)
        if kind is list or kind is dict:
            value = hold(value, cls, field)
        _set(self, field, value)
        self.changed(field)

    def observe_splice(self, field: str, start: int, removed: int, items: list[Any]) -> None:
        """Put items in the place of `removed` others of a list, from `start` on."""
        target = self._held(field, ReplicaList, list)
        if type(start) is not int or type(removed) is not int or type(items) is not list:
            raise BadArguments("a splice is of two integers and an array")
        if start < 0 or removed < 0 or start + removed > len(target):
            raise BadArguments(f"a splice does not fit the list in {field}")
        if start == len(target):  # appended, as most are: without a slice
            list.extend(target, items)
        else:
            list.__setitem__(target, slice(start, start + removed), items)
        self.changed(field)

    def observe_put(self, field: str, key: Any, value: Any) -> None:
        """Give a key of a dict a value."""
        target = self._held(field, ReplicaDict, dict)
        if type(key) is not str:
            _check_key(key)
        if len(target) >= tracking.MAX_FLOODABLE_PUT and key not in target and count_floodable((key,)):
            raise BadArguments(f"a key whose hash can be chosen, beyond {tracking.MAX_FLOODABLE_PUT} others")
        dict.__setitem__(target, key, value)
        self.changed(field)

    def observe_drop(self, field: str, key: Any) -> None:
        """Remove a key of a dict."""
        target = self._held(field, ReplicaDict, dict)
        _check_key(key)
        if key not in target:
            raise BadArguments(f"a key that is not in {field} cannot be dropped")
        dict.__delitem__(target, key)
        self.changed(field)

    def observe_hide(self, field: str) -> None:
        """Forget what a field was: it is not shown any more."""
        if type(field) is not str or field not in tracking.fields_of(type(self)).names:
            raise _no_field()
        if field not in tracking.rules_here(self):
            raise BadArguments(f"{field} has no rule here and cannot be hidden")
        _set(self, field, HIDDEN)
        self.changed(field)

    def _held(self, field: str, kind: type, plain: type) -> Any:
        if type(field) is not str or field not in tracking.fields_of(type(self)).names:
            raise _no_field()
        target = self.__dict__.get(field)
        if type(target) is not kind and type(target) is not plain:  # which a class's own hook has put there
            raise BadArguments(f"{field} holds no {plain.__name__}")
        return target


def _no_field() -> BadArguments:
    return BadArguments("no field of that name")


def _check_key(key: Any) -> None:
    """Refuse what can be no key: a list, or a copy that has none of its own hash."""
    try:
        hash(key)
    except Exception:
        raise BadArguments(f"{a(type(key).__name__)} cannot be a key") from None
