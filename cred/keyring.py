"""Key and Keyring: which perspectives of which services an identity may attach. Knows no identity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from .names import key_name


class Key(NamedTuple):
    """The right to attach one perspective of one service."""

    service: str
    perspective: str

    @classmethod
    def checked(cls, service: Any, perspective: Any) -> Key:
        """Return a key whose names can be stored.

        Args:
            service: a name, or a service, whose name is taken.
            perspective: a name, or a perspective, whose name is taken.

        Raises:
            BadName: a name is no str, is empty, too long or holds NUL.
        """
        service_name = getattr(service, "name", service)
        perspective_name = getattr(perspective, "perspective_name", perspective)
        return cls(key_name(service_name, "service"), key_name(perspective_name, "perspective"))


class Keyring(frozenset[Key]):
    """The keys of an identity as they were when it was read."""

    @classmethod
    def of(cls, keys: Iterable[tuple[str, str]]) -> Keyring:
        """Return a keyring of these pairs. Raises BadName where one cannot be stored."""
        return cls(Key.checked(*pair) for pair in keys)

    def choose(self, service: str, user: str) -> Key | None:
        """Return the key meant where a service but no perspective is named, or None where there is none.

        It is the user's own name if that is on the keyring, else the alphabetically first.
        """
        if Key(service, user) in self:
            return Key(service, user)
        return min((key for key in self if key.service == service), default=None)
