"""What can go wrong between a name and a perspective. Knows no wire; spec/5-errors.md says what is told.

Three families, told apart by who may read them:

* `LoginFailed`, `NotPermitted`: for the peer. One text whatever the reason, which stays in `.reason`.
* `UntrustedServer` and its subclasses: at the client, about the server. Close the connection, unless it is
  `NotOffered`.
* everything else: local, for the program that made the mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_WAYS: Final = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "ED25519", "EXTERNAL", "ANONYMOUS")


class CredError(Exception):
    """Stand above every error of this package."""


class _Unexplained(CredError):
    """Keep the reason out of str(), repr() and args: they may reach the peer."""

    TEXT = ""

    def __init__(self, reason: str = "") -> None:
        super().__init__(self.TEXT)
        self.reason = reason


class LoginFailed(_Unexplained):
    """Say that a login was refused, with one text for all reasons.

    Attributes:
        reason: for the local log only. It holds no value that the peer sent.
    """

    TEXT = "login failed"


class NotPermitted(_Unexplained):
    """Say that an attach was refused: no such service, no such perspective, or no key for it.

    Attributes:
        reason: for the local log only. It holds no value that the peer sent.
    """

    TEXT = "no such perspective, or no key for it"


class AttachRefused(CredError):
    """Say that a perspective does not want this client now. Its text is meant for the client.

    Raised by `attached` on purpose: a seat is taken, a second login is not wanted.
    """


class UntrustedServer(CredError):
    """Say that the server did not prove itself, or asked for something unsafe.

    Close the connection and use nothing that came over it.
    """


class NotOffered(UntrustedServer):
    """Say that one cannot log in in this way over this connection. Nothing was sent.

    The connection can be used: the program may log in in another way. Nothing may do that by itself, for
    whoever is between chooses what a server seems to offer.
    """

    @classmethod
    def of(cls, mechanism: str, offered: Sequence[str], remedy: str) -> NotOffered:
        """Return the error of a mechanism that is not among those offered."""
        ways = [each for each in _WAYS if each in offered]  # its other words are not shown
        what = f"only {', '.join(ways)}" if ways else "no way to log in that is known here"
        return cls(f"the server does not offer {mechanism} over this connection, {what}; {remedy}")


class DowngradeDetected(UntrustedServer):
    """Say that somebody weakened the login: mechanisms, channel binding or HELLO are not what was sent."""


class BadName(CredError, ValueError):
    """Say that a string cannot be the name of an identity, a service or a perspective."""


class BadPassword(CredError, ValueError):
    """Say that a string cannot be a password: empty, too long, or not allowed by RFC 4013."""


class NoSuchIdentity(CredError, LookupError):
    """Say that the store has no identity of that name."""


class IdentityExists(CredError):
    """Say that the name is taken; nothing was changed."""


class NoSuchKey(CredError, LookupError):
    """Say that the key to be removed is not on the keyring."""


class NoSuchCredential(CredError, LookupError):
    """Say that the credential to be removed is not the identity's."""


class NoSuchPerspective(CredError, LookupError):
    """Say that a service has no perspective of that name, or none yet: then load_perspective is asked."""


class StoreError(CredError):
    """Say that an identity store cannot be used: wrong permissions, another version, or out of reach."""
