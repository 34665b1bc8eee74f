"""Revocation: what is taken away from whom, and the subscribers who must know at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ._logfields import fields
from .keyring import Key

if TYPE_CHECKING:
    from .attachment import Attachment

log = logging.getLogger("cred")


# Why something is revoked, and how the log says it.
REASONS: Final = {
    "disabled": "the identity was disabled",
    "removed": "the identity was removed",
    "password": "the password was changed, or what else it logs in by",
    "credential": "a credential was removed",
    "key": "the key was taken off the keyring",
    "kicked": "it was kicked",
}


@dataclass(frozen=True, slots=True)
class Revocation:
    """Something that an identity may not do any longer. It has been written when this is told.

    Attributes:
        name: whose right it was.
        key: the key that was taken off the keyring; None where the whole login is void.
        reason: one of `REASONS`: "disabled", "removed", "password", "credential", "key" or "kicked".
        attachments: the live ones that this ends. They are ended after all subscribers were told, if no
            subscriber did it.
    """

    name: str
    key: Key | None
    reason: str
    attachments: Sequence[Attachment]


Listener = Callable[[Revocation], object]


class Subscribers:
    """Tell of revocations, each subscriber for itself: one that raises harms no other."""

    def __init__(self) -> None:
        self._listeners: dict[object, Listener] = {}

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, listener: Listener) -> Callable[[], None]:
        """Call a function at every revocation, and return what ends that. Calling it twice does no harm."""
        ticket = object()  # the same function may be added twice and removed once
        self._listeners[ticket] = listener

        def remove() -> None:
            self._listeners.pop(ticket, None)

        return remove

    def tell(self, revocation: Revocation) -> None:
        """Call all of them, in the order in which they were added."""
        for listener in list(self._listeners.values()):
            try:
                listener(revocation)
            except Exception:
                log.exception(
                    "a subscriber failed at a revocation; the others are told",
                    extra=fields("watcher.failed"),
                )
