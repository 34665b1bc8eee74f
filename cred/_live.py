"""Live: who is logged in and attached at one authorizer just now, and who is on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .attachment import Attachment
from .identity import Identity
from .keyring import Key
from .weakly import WeakList


class Opening:
    """An attach on its way: a right may be taken away between the store's answer and the end of attached().

    Attributes:
        is_disturbed: something was revoked meanwhile; ask the store again.
        is_cut: it was kicked, of which the store knows nothing.
    """

    __slots__ = ("is_cut", "is_disturbed")

    def __init__(self) -> None:
        self.is_disturbed = False
        self.is_cut = False


class Live:
    """The tables. Logins are held weakly: one that nobody holds needs no revocation."""

    def __init__(self) -> None:
        self._logins: dict[str, WeakList[Identity]] = {}
        self._attachments: dict[str, dict[Attachment, None]] = {}
        self._openings: dict[str, set[Opening]] = {}
        # The epoch up to which everything about a name has been looked at.
        self._epochs: dict[str, int] = {}

    def add_login(self, identity: Identity, epoch: int) -> None:
        """Take note of a login, and of the epoch its record had."""
        logins = self._logins.get(identity.name)
        if logins is None:
            logins = self._logins[identity.name] = WeakList()
        logins.add(identity)
        self._epochs.setdefault(identity.name, epoch)

    def add(self, attachment: Attachment) -> None:
        """Take note of an attachment."""
        self._attachments.setdefault(attachment.identity.name, {})[attachment] = None

    def forget(self, attachment: Attachment) -> None:
        """Forget an attachment that ended."""
        name = attachment.identity.name
        del self._attachments[name][attachment]
        if not self._attachments[name]:
            del self._attachments[name]

    @contextmanager
    def opening(self, name: str) -> Iterator[Opening]:
        """Take note of an attach while it is on its way."""
        opening = Opening()
        openings = self._openings.setdefault(name, set())
        openings.add(opening)
        try:
            yield opening
        finally:
            openings.discard(opening)
            if not openings:
                del self._openings[name]

    def disturb(self, name: str, *, cut: bool) -> None:
        """Tell the attaches on their way that something was revoked."""
        for opening in self._openings.get(name, ()):
            opening.is_disturbed = True
            opening.is_cut |= cut

    def attachments(self, name: str, key: Key | None = None) -> tuple[Attachment, ...]:
        """Return the live attachments of an identity, or those by one key, oldest first."""
        live = self._attachments.get(name, ())
        return tuple(one for one in live if key is None or one.key == key)

    def logins(self, name: str) -> tuple[Identity, ...]:
        """Return the logins as an identity that somebody still holds."""
        return tuple(self._logins.get(name, ()))

    def forget_logins(self, name: str) -> None:
        """Forget the logins as an identity: they have been revoked."""
        self._logins.pop(name, None)

    def names(self) -> list[str]:
        """Return the names of all who are logged in or attached, and forget the others."""
        for name in [name for name, logins in self._logins.items() if not logins]:
            del self._logins[name]
        live = self._logins.keys() | self._attachments.keys()
        for name in self._epochs.keys() - live:
            del self._epochs[name]
        return sorted(live)

    def epoch(self, name: str) -> int | None:
        """Return the epoch up to which a name has been looked at, None if never."""
        return self._epochs.get(name)

    def set_epoch(self, name: str, epoch: int) -> None:
        """Take note that a name has been looked at."""
        self._epochs[name] = epoch
