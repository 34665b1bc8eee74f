"""What a Tracked object has told its followers lately, so that who comes back is told only what it missed.

Spec: spec/12-reconnecting.md, "Caches". Knows nothing of connections but whose a replica was.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

Change = tuple[str, tuple[Any, ...]]

# Together what one object remembers at most: more than that is sent sooner as a new state.
MAX_CHANGES: Final = 1024
MAX_WEIGHT: Final = 65_536
MAX_TICKETS: Final = 1024


class Ticket:
    """What one replica had when its key was told.

    Attributes:
        position: how many changes there had been.
        is_plain: whether it was told every change, because no field is hidden from anybody there.
    """

    __slots__ = ("_named", "_perspective", "is_plain", "position")

    def __init__(self, position: int, perspective: object, is_plain: bool) -> None:
        self.position = position
        self.is_plain = is_plain
        self._named = _name_of(perspective)
        self._perspective = _weak(perspective)

    def is_of(self, perspective: object) -> bool:
        """Tell whether it was seen by the same user of the same service."""
        if self._perspective() is perspective:
            return True
        return self._named is not None and self._named == _name_of(perspective)


class History:
    """The latest changes of one object, and the replicas that may ask for them.

    Nothing is remembered before the first replica that may come back.

    Args:
        fields: of the object.
    """

    __slots__ = ("_changes", "_position", "_tickets", "_weight", "fields")

    def __init__(self, fields: Iterable[str]) -> None:
        self.fields = fields
        self._changes: deque[tuple[int, Change]] = deque()
        self._weight = 0
        self._position = 0
        self._tickets: dict[bytes, Ticket] = {}

    def note(self, method: str, args: tuple[Any, ...]) -> None:
        """Take note of a change that has been told."""
        self._position += 1
        weight = 1 + sum(map(_weight_of, args))
        self._changes.append((weight, (method, args)))
        self._weight += weight
        while self._weight > MAX_WEIGHT or len(self._changes) > MAX_CHANGES:
            self._weight -= self._changes.popleft()[0]

    def begin(self, key: bytes, perspective: object, is_plain: bool) -> None:
        """Let a replica come back under a key; those that were told theirs long ago may no more."""
        while len(self._tickets) >= MAX_TICKETS:
            del self._tickets[next(iter(self._tickets))]
        self._tickets[key] = Ticket(self._position, perspective, is_plain)

    def end(self, key: bytes | None) -> None:
        """Let no replica come back under a key."""
        if key is not None:
            self._tickets.pop(key, None)

    def match(self, offers: Mapping[bytes, object], perspective: object) -> bytes | None:
        """Return the key of an offered replica that was this object, as this user saw it, or None."""
        for key in offers:
            ticket = self._tickets.get(key)
            if ticket is not None and ticket.is_of(perspective):
                return key
        return None

    def take(self, key: bytes, version: int | None) -> list[Change] | None:
        """Return what a replica has missed and give up its key; None where that is not known here.

        Args:
            version: how many updates it had applied since it was told the key.
        """
        ticket = self._tickets.pop(key)
        if version is None or not ticket.is_plain:
            return None
        missed = self._position - ticket.position - version
        if not 0 <= missed <= len(self._changes):
            return None
        return [change for _, change in list(self._changes)[len(self._changes) - missed :]]


def _weight_of(value: object) -> int:
    return len(value) if isinstance(value, str | bytes | list | dict | tuple) else 0


def _name_of(perspective: Any) -> tuple[str, str] | None:
    """Return the names of the service and of the perspective, where it has them."""
    service = getattr(getattr(perspective, "service", None), "name", None)
    name = getattr(perspective, "perspective_name", None)
    return (service, name) if type(service) is str and type(name) is str else None


def _weak(value: object) -> Callable[[], object]:
    try:
        return weakref.ref(value)
    except TypeError:  # None above all
        return lambda: value
