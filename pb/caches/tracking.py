"""What stands behind `pb.Tracked`: which fields it has, who follows them, and what each of these is told.

Spec: spec/8-tracked.md. Knows nothing of how a replica applies what it is told.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import weakref
from typing import TYPE_CHECKING, Any, Final

from jelly import SCALARS, Unjellyable
from jelly._fields import Fields, annotated_names, declared_fields, is_model
from jelly._flood import count_floodable
from jelly.flavours import row_of
from jelly.observed import ObservedDict, ObservedList
from jelly.replicated import DICTS, LISTS
from jelly.visibility import HIDDEN, Visibility

from .history import History
from .resync import tell_key
from .telling import Telling, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..holding.scope import Scope
    from ..reference import RemoteReference
    from .observing import ObserverHandle

log = logging.getLogger("pb")

# A key whose hash a peer may choose costs one comparison with each that is there: 1,024 are 30 us.
MAX_FLOODABLE_PUT: Final = 1024
_FOLLOWERS: Final = "_pb_followers"
_OBSERVED: Final = (ObservedList, ObservedDict)


def _read_fields(cls: type) -> Fields:
    """Return the fields of a Tracked class: what its dataclass or annotations declare, less what is private.

    Raises:
        TypeError: changes of a field could not be noticed, or it hides a method.
    """
    if "__attrs_attrs__" in vars(cls) or is_model(cls):
        raise TypeError(f"{cls.__name__} is Tracked; declare its fields as a dataclass or by annotations")
    names: Iterable[str]
    if dataclasses.is_dataclass(cls):
        if cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise TypeError(f"{cls.__name__} is Tracked and frozen, so that nothing in it could change")
        names = [field.name for field in dataclasses.fields(cls)]
    else:
        names = annotated_names(cls)
        for name in names:
            if isinstance(getattr(cls, name, None), list | dict | set):
                raise TypeError(
                    f"{cls.__name__}.{name} is one mutable value for all instances; make the class a "
                    "dataclass with field(default_factory=...), or assign it in __init__"
                )
    declared = declared_fields(cls, [name for name in names if not name.startswith("_")])
    assert declared is not None
    return declared


fields_of: Final[Callable[[Any], Fields]] = functools.lru_cache(maxsize=4096)(_read_fields)


def visibility_at(scope: Scope, cls: type) -> Visibility | None:
    """Return the rules of a class as it is registered for a connection."""
    plan: Any = scope.encoder.plans.get(cls)
    return None if plan is None else plan.visibility


def rules_here(replica: Any) -> frozenset[str]:
    """Return the fields of a replica that have a rule on this side, which are those that may be hidden."""
    row = row_of(replica)
    visibility = None if row is None else visibility_at(row.scope, type(replica))
    return frozenset() if visibility is None else visibility.names


def are_same(before: object, value: object) -> bool:
    """Tell whether assigning a value changes nothing, not even in what it holds. NaN and -0.0 are told."""
    kind = type(value)
    if kind in _OBSERVED:
        return before is value  # after +=, say
    if kind is not type(before) or kind not in SCALARS:
        return False
    return before is value or (kind is not float and before == value)


def plain(value: object) -> object:
    """Return what crosses for the value of a field: a list or dict as it is now."""
    if type(value) is ObservedList:
        return list(value)
    if type(value) is ObservedDict:
        return dict(value)
    return value


def observe(owner: object, field: str, value: Any) -> object:
    """Return what is stored for the value of a field: of a list or dict a copy that tells of changes."""
    if type(value) in LISTS:
        return ObservedList(value, FieldListener(owner, field))
    if type(value) in DICTS:
        return ObservedDict(value, FieldListener(owner, field))
    return value


def forget(value: Any) -> None:
    """Let what was the value of a field tell nobody any more."""
    if type(value) in _OBSERVED:
        value.listener = None


class FieldListener:
    """Tell the followers of an object what happens in one of its lists or dicts."""

    __slots__ = ("_field", "_owner")

    def __init__(self, owner: object, field: str) -> None:
        self._owner = weakref.ref(owner)  # not a cycle of owner and list
        self._field = field

    def spliced(self, start: int, removed: list[Any], items: list[Any]) -> None:
        """Send splice."""
        self._tell("splice", start, len(removed), items)

    def put(self, key: Any, value: Any, is_new: bool) -> None:
        """Send put; where a replica would refuse the key, the whole field."""
        owner = self._owner()
        if owner is not None:
            items = getattr(owner, self._field)
            if is_new and len(items) > MAX_FLOODABLE_PUT and count_floodable((key,)):
                self._tell("set", plain(items))
            else:
                self._tell("put", key, value)

    def dropped(self, key: Any) -> None:
        """Send drop."""
        self._tell("drop", key)

    def cleared(self) -> None:
        """Send an empty map."""
        self._tell("set", {})

    def _tell(self, method: str, *args: Any) -> None:
        owner = self._owner()
        if owner is not None:
            check_thread(owner)
            tell(owner, self._field, method, *args)


def check_thread(owner: Any) -> None:
    """Raise RuntimeError in another thread than that of the loop in which an object is followed."""
    followers: Followers | None = vars(owner).get(_FOLLOWERS)
    if followers is not None:
        followers.check_thread()


def tell(owner: Any, field: str, method: str, *args: Any) -> None:
    """Tell the followers of an object, if it has any. Raises as Followers.tell()."""
    followers: Followers | None = vars(owner).get(_FOLLOWERS)
    if followers is not None:
        followers.tell(owner, field, method, args)


def show_anew(owner: Any, perspective: object) -> None:
    """Ask the rules of an object again. Raises as check_thread() and Followers.show_anew()."""
    followers: Followers | None = vars(owner).get(_FOLLOWERS)
    if followers is not None:
        followers.check_thread()
        followers.show_anew(owner, perspective)


def followers_of(owner: Any) -> Followers:
    """Return the followers of an object, from here on in an attribute of it."""
    found: Followers | None = vars(owner).get(_FOLLOWERS)
    if found is None:
        found = vars(owner)[_FOLLOWERS] = Followers()
    return found


def state_of(owner: Any) -> dict[str, Any]:
    """Return the attributes of an object for a copy or a pickle, which nobody follows."""
    return {name: value for name, value in vars(owner).items() if name != _FOLLOWERS}


def history_of(owner: Any) -> History | None:
    """Return what is remembered of the changes of an object, if anything is."""
    followers: Followers | None = vars(owner).get(_FOLLOWERS)
    return None if followers is None else followers.history


class Follower:
    """One replica.

    Attributes:
        visibility: the rules of the class on that connection.
        viewer: whom they are asked about: the perspective, or what stands for nobody.
        shown: the fields with a rule that the replica has.
        key: under which it may come back, or None.
    """

    __slots__ = ("handle", "key", "perspective", "shown", "viewer", "visibility")

    def __init__(self, handle: ObserverHandle, perspective: object, visibility: Visibility | None) -> None:
        self.handle = handle
        self.perspective = perspective
        self.viewer = handle.encoder.unknown if perspective is None else perspective
        self.visibility = visibility
        self.shown: set[str] = set()
        self.key: bytes | None = None

    @property
    def hears(self) -> bool:
        """Whether anything can still be sent to it."""
        return self.handle.dead is None and self.handle.scope.tables.is_open

    def has_rule(self, field: str) -> bool:
        """Tell whether this field is not shown to everybody."""
        return self.visibility is not None and field in self.visibility.names


class _Answers:
    """What the rules say of one field: each perspective is asked about once."""

    def __init__(self, owner: object, field: str) -> None:
        self._owner = owner
        self._field = field
        self._is_hidden = getattr(owner, field) is HIDDEN
        self._known: dict[tuple[int, int], bool] = {}

    def shows(self, follower: Follower) -> bool:
        """Tell whether a follower may see the field. Raises Unjellyable where a rule failed."""
        if self._is_hidden:
            return False
        visibility = follower.visibility
        key = id(visibility), id(follower.viewer)
        if key not in self._known:
            assert visibility is not None
            self._known[key] = visibility.shows(self._field, self._owner, follower.viewer)
        return self._known[key]


class Followers:
    """The replicas of one object, and what each of them has been shown.

    Not `pb.Observers`, whose members are all told the same: here one may have to be told the whole field,
    or that it is hidden from now on, and one that cannot be told is revoked without holding up the others.
    Rules are asked before anything is done that rests on who follows: they may end or begin replicas.
    """

    def __init__(self) -> None:
        self._followers: dict[RemoteReference, Follower] = {}
        self.history: History | None = None

    def begin(self, owner: Any, perspective: object, observer: RemoteReference) -> dict[str, Any]:
        """Return the state for a new replica, which is told of every change after it.

        Raises:
            AttributeError: a field has no value yet.
            Unjellyable: a rule failed, or has ended the replica.
        """
        handle: Any = observer._pb_import
        follower = Follower(handle, perspective, visibility_at(handle.scope, type(owner)))
        fields = fields_of(type(owner)).names
        hidden: set[str] = set()
        for field in fields:
            if follower.has_rule(field):
                # What is HIDDEN here already, in a copy of a replica, is nothing to be shown.
                is_there = getattr(owner, field) is not HIDDEN
                shown = is_there and _Answers(owner, field).shows(follower)
                (follower.shown if shown else hidden).add(field)
        if not follower.hears:
            raise Unjellyable(f"a rule of {type(owner).__name__} has ended what it was asked for")
        state = {field: plain(getattr(owner, field)) for field in fields if field not in hidden}
        self._followers[observer] = follower
        if handle.scope.tables.observing.peer_comes_back:
            self._give_key(follower, fields, observer)
        return state

    def _give_key(self, follower: Follower, fields: Iterable[str], observer: RemoteReference) -> None:
        face = follower.handle.scope.broker.face
        key = follower.key = (face.incident() + face.incident()).encode()  # two are 128 bits
        if self.history is None:
            self.history = History(fields)
        self.history.begin(key, follower.perspective, follower.visibility is None)
        tell_key(observer, key)

    def end(self, observer: RemoteReference) -> None:
        """Tell this one no more. It may come back only where its connection was lost."""
        follower = self._followers.pop(observer, None)
        if self.history is not None and follower is not None and follower.handle.scope.tables.is_open:
            self.history.end(follower.key)

    def check_thread(self) -> None:
        """Raise RuntimeError where one of them is followed in the loop of another thread.

        One that was followed in a loop which is closed has ended.
        """
        thread: object = None
        for follower in self._hearing():
            face = follower.handle.scope.broker.face
            if face.thread != thread:
                try:
                    face.check_thread()
                except RuntimeError as error:
                    if not face.is_over:
                        raise
                    export = follower.handle.export
                    export.scope.tables.observing.give_up(export, error)
                else:
                    thread = face.thread

    def tell(self, owner: Any, field: str, method: str, args: tuple[Any, ...]) -> None:
        """Tell of a change that has been made, each follower as much as it may see.

        Raises:
            Unjellyable, TooLarge: it cannot be sent, or a rule failed. Nobody was told.
        """
        following: list[Follower] = []
        missing: list[Follower] = []
        losing: list[Follower] = []
        answers: _Answers | None = None
        for follower in self._hearing():
            if not follower.has_rule(field):
                following.append(follower)
                continue
            if answers is None:
                answers = _Answers(owner, field)
            if not answers.shows(follower):
                if field in follower.shown:
                    losing.append(follower)
            elif field in follower.shown:
                following.append(follower)
            else:
                missing.append(follower)
        send(owner, [Telling(following, method, field, *args), *_catch_up(owner, field, missing, losing)])
        if self.history is not None:
            self.history.note(method, (field, *args))

    def show_anew(self, owner: Any, perspective: object) -> None:
        """Ask the rules again; send what has become visible, and hide what is no longer. Raises as tell().

        Args:
            perspective: whose replicas to look at; None for all.
        """
        tellings: list[Telling] = []
        for field in fields_of(type(owner)).names:
            answers = _Answers(owner, field)
            missing: list[Follower] = []
            losing: list[Follower] = []
            for follower in self._hearing():
                is_meant = perspective is None or follower.perspective is perspective
                if is_meant and follower.has_rule(field):
                    is_shown = answers.shows(follower)
                    if is_shown != (field in follower.shown):
                        (missing if is_shown else losing).append(follower)
            tellings += _catch_up(owner, field, missing, losing)
        send(owner, tellings)

    def _hearing(self) -> list[Follower]:
        # list() first: check_thread() is called in wrong threads too.
        return [follower for follower in list(self._followers.values()) if follower.hears]


def _catch_up(owner: Any, field: str, missing: list[Follower], losing: list[Follower]) -> Iterator[Telling]:
    if missing:
        yield Telling(missing, "set", field, plain(getattr(owner, field)))
    if losing:
        yield Telling(losing, "hide", field)
