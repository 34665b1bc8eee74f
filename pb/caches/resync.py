"""Replicas that come back: offered by their holder over the next connection, and taken up by their owner.

The owner's program is not asked by these offers, and nothing is sent for them: a replica is taken up when
the program sends the object again, to whom it then sends it. Spec: spec/12-reconnecting.md, "Caches".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from ..errors import BadArguments
from .history import Change, History
from .question import Question

if TYPE_CHECKING:
    from ..holding.export import Export
    from ..holding.tables import Tables
    from ..reference import RemoteReference
    from .observing import ObserverHandle

KEY: Final = "pb:key"
MIN_KEY_BYTES: Final = 16
MAX_KEY_BYTES: Final = 64
MAX_OFFERS: Final = 1024
# Where the hook of a class that is followed by such updates says how its history is had.
HISTORY_OF: Final = "_pb_history_of"

# A key, and how many updates were applied since; None where that is not known.
Offer = tuple[bytes, int | None]


def is_key(value: object) -> bool:
    """Tell whether this can be a key."""
    return type(value) is bytes and MIN_KEY_BYTES <= len(value) <= MAX_KEY_BYTES


# --- at the owner


class Offers:
    """What the peer of one connection has kept of earlier ones, by key."""

    __slots__ = ("_waiting", "count")

    def __init__(self) -> None:
        self.count = 0  # ever made
        self._waiting: dict[bytes, tuple[int, int | None]] = {}

    def add(self, offer: object, tables: Tables) -> int | None:
        """Return the id under which a replica is to wait; None where it is not to.

        The answer is the same whether the key is known here or not.
        """
        key, version = read_offer(offer)
        if self.count >= MAX_OFFERS or key in self._waiting:
            return None
        self.count += 1
        id = tables.take_id()
        self._waiting[key] = (id, version)
        return id

    def match(self, value: object, perspective: object) -> Taken | None:
        """Return which of the replicas that wait was an object that is being sent, as this user saw it."""
        hook: Any = type(value).get_state_to_cache_and_observe_for  # type: ignore[attr-defined]
        history: History | None = getattr(hook, HISTORY_OF, _no_history)(value)
        key = None if history is None else history.match(self._waiting, perspective)
        if history is None or key is None:
            return None
        id, version = self._waiting.pop(key)
        return Taken(id, history.take(key, version), history.fields)


class Taken:
    """A replica that is taken up.

    Attributes:
        id: under which it waits.
        missed: the changes it has missed; None where these are not known.
    """

    __slots__ = ("_fields", "id", "missed")

    def __init__(self, id: int, missed: list[Change] | None, fields: Iterable[str]) -> None:
        self.id = id
        self.missed = missed
        self._fields = fields

    def catch_up(self, export: Export, state: Any) -> None:
        """Queue what makes the replica equal, ahead of all that is told of the object from here on.

        Args:
            state: the fields that a new replica would be shown, and their values.
        """
        changes = self.missed
        if changes is None:
            changes = [("set", item) for item in state.items()]
            changes += [("hide", (field,)) for field in self._fields if field not in state]
        tables = export.scope.tables
        queue = tables.late
        assert queue is not None and export.observer is not None
        # Already there is the new key, and perhaps what other caches of this payload have told.
        first = next(index for index, (told, _) in enumerate(queue) if told is export)
        queue[first:first] = [(export, question(export.observer, *change)) for change in changes]
        tables.fresh.append(export)  # sent with this payload, though it brings no state


def question(observer: RemoteReference, method: str, args: tuple[Any, ...]) -> Question:
    """Return an update that is encoded when its turn has come."""
    handle: Any = observer._pb_import
    return Question(handle.scope.broker.calls, handle, method, args, {}, None)


def tell_key(observer: RemoteReference, key: bytes) -> None:
    """Tell a replica under which key it may come back, behind the payload that brings it."""
    handle: ObserverHandle = observer._pb_import  # type: ignore[assignment]
    late = handle.late
    assert late is not None  # its state is being made
    late.append(question(observer, KEY, (key,)))


def _no_history(value: object) -> None:
    return None


def read_offer(offer: object) -> Offer:
    """Return an offer of the peer's.

    Raises:
        BadArguments: it is none.
    """
    if type(offer) is not list or len(offer) != 2 or not is_key(offer[0]):
        raise BadArguments("an offer is [key, version]")
    key, version = offer
    if version is not None and (type(version) is not int or version < 0):
        raise BadArguments("the version in an offer is a number from 0 on, or nil")
    return key, version
