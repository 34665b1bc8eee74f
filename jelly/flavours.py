"""How an object travels: by copy, by cache, by reference, by view. Knows neither bytes nor tables.

A class has one flavour. Mixing two would let the table, not the author, decide what a peer gets.
"""

from __future__ import annotations

from typing import Any, Final

from ._article import a
from .errors import InsecureJelly

# Of the names of attributes: what is private, and what would be called by a peer. The classes say what that
# is, and nothing that a peer has sent.
_REFUSED: Final = ("_", "remote_", "perspective_", "view_", "observe_")


class _Flavoured:
    """Refuse classes that mix flavours which exclude each other."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        check_flavour(cls)


def check_flavour(cls: type) -> None:
    """Raise TypeError for a class that mixes flavours.

    Asked again when a class is registered or first sent: another base may keep __init_subclass__ to itself,
    and bases can be changed.
    """
    found: dict[str, str] = {}
    for base in cls.__mro__[::-1]:
        travels = vars(base).get("_travels")
        if travels is not None:
            found.setdefault(travels, base.__name__)
    if len(found) > 1:
        one, other = list(found.values())[:2]
        raise TypeError(f"{cls.__name__} mixes {one} and {other}; an object travels one way only")


class ByReference(_Flavoured):
    """Mark what crosses as an id that the IReferenceTables in force gives, never as its contents."""

    __slots__ = ()


class Promising(_Flavoured):
    """Mark what stands for a value that is still to come, as the IReferenceTables in force know it."""

    __slots__ = ()

    def _pb_settled(self) -> tuple[Any] | BaseException | None:
        """Return the value in a tuple, the error there is instead, or None while neither is there."""
        raise NotImplementedError  # pragma: no cover - every promise has its own


class Referenceable(ByReference):
    """Stay here; the peer gets a reference and calls remote_* methods through it."""

    __slots__ = ()
    _travels = "by reference"


class Viewable(ByReference):
    """Stay here; the peer gets a view, whose view_* methods are told which perspective is calling."""

    __slots__ = ()
    _travels = "by view"


class Copyable(_Flavoured):
    """Travel by value: the peer gets a copy of the state this side chooses to show."""

    __slots__ = ()
    _travels = "by copy"

    def get_state_to_copy(self) -> object:
        """Return the state to send, the same for everyone; by default the object's own attributes."""
        return dict(vars(self))

    def get_state_to_copy_for(self, perspective: Any) -> object:
        """Return the state to send to one perspective; None where there is none."""
        return self.get_state_to_copy()


class RemoteCopy(_Flavoured):
    """Be what a Copyable of the peer becomes here. One class may be both."""

    __slots__ = ()
    _travels = "by copy"

    def set_copyable_state(self, state: object) -> None:
        """Take over the peer's state; by default every key becomes an attribute.

        Raises:
            InsecureJelly: a key is private, would hide something the class defines, or is named like a
                method for peers. Classes with declared fields never come here with a key they did not
                declare.
        """
        if type(state) is not dict:
            raise InsecureJelly(f"the state of {a(type(self).__name__)} is not a map")
        for key, value in state.items():
            if type(key) is not str or key.startswith(_REFUSED) or hasattr(type(self), key):
                raise InsecureJelly(f"the state of {a(type(self).__name__)} holds a key that may not be set")
            object.__setattr__(self, key, value)


class Cacheable(ByReference):
    """Stay here, while each peer holds a replica that is told of every change."""

    __slots__ = ()
    _travels = "by cache"

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> object:
        """Return the state to start the replica with, and keep the observer to send changes to."""
        raise NotImplementedError(f"{type(self).__name__} must define get_state_to_cache_and_observe_for")

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        """Forget an observer: its replica is gone, or its connection is."""


class RemoteCache(_Flavoured):
    """Be the replica of a Cacheable of the peer; its observe_* methods take the changes.

    The state must live in a __dict__, and __del__ is taken: when the last handle here is gone, the owner
    is told, and the state is kept up to date until the owner has confirmed (spec/7-caches.md).

    Only read it. What a program here changes in it itself, a list or dict in it too, is plain Python and not
    prevented (a `pb.Tracked` refuses it): nobody else is told, and from then on it differs from the owner's,
    or the next update fails.
    """

    __slots__ = ("__weakref__", "_jelly_row")
    _travels = "by cache"

    def set_copyable_state(self, state: object) -> None:
        """Take over the state the replica starts with, by the rule of RemoteCopy."""
        RemoteCopy.set_copyable_state(self, state)  # type: ignore[arg-type]

    def __getstate__(self) -> dict[str, object]:
        """Return the attributes: a copy of a replica is an object of its own, which nobody updates."""
        return dict(vars(self))

    def __del__(self) -> None:
        row = row_of(self)
        if row is not None:
            row.let_go(self)


_read_row: Final[Any] = RemoteCache.__dict__["_jelly_row"]


def row_of(replica: RemoteCache) -> Any:
    """Return what the tables know of a replica; None for an object that came from no peer."""
    try:
        return _read_row.__get__(replica)
    except AttributeError:
        return None


def set_row(replica: RemoteCache, row: Any) -> None:
    """Make an object the replica of this row; its `let_go(replica)` is called when nobody holds it."""
    _read_row.__set__(replica, row)
