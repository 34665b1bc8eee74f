"""Identity: who somebody is, what proves it, and which perspectives they may attach.

`IdentityRecord` is what a store keeps; `Identity` is the handle that programs hold. Knows no wire.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from zope.interface import implementer

from .credential import Credential
from .interfaces import IIdentity
from .keyring import Key, Keyring
from .names import identity_name
from .passwords import PasswordHash

if TYPE_CHECKING:
    from .attachment import Attachment
    from .authorizer import Authorizer


class PasswordRecord(NamedTuple):
    """What a store is asked for first, of whoever is named in a login. For nobody: None, False and 0.

    It is of one size for everybody. How long a keyring is, and so whether there is one, must not show in the
    time until the challenge.
    """

    password_hash: PasswordHash | None = None
    disabled: bool = False
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """One identity as a store keeps it. What a store returns is a snapshot.

    Args:
        name: in the form of `cred.identity_name`.
        password_hash: None for an identity that cannot log in with a password.
        disabled: nobody can log in as it, or attach.
        epoch: grows, over all identities of the store, whenever a right is taken away: a key or a
            credential removed, the password changed, the identity disabled. So what was found out under an
            older epoch may be stale, and an identity made anew never looks like its predecessor.
    """

    name: str
    password_hash: PasswordHash | None = None
    disabled: bool = False
    epoch: int = 0
    keys: Keyring = field(default_factory=Keyring)
    credentials: frozenset[Credential] = frozenset()

    @classmethod
    def new(
        cls,
        name: str,
        password_hash: PasswordHash | None = None,
        *,
        keys: Iterable[tuple[str, str]] = (),
        credentials: Iterable[Credential] = (),
        disabled: bool = False,
    ) -> IdentityRecord:
        """Return a record for a store to add, with names checked and prepared. Raises BadName."""
        return cls(
            identity_name(name),
            password_hash,
            disabled,
            0,
            Keyring.of(keys),
            frozenset(credentials),
        )

    def continues(self, earlier: IdentityRecord) -> bool:
        """Return whether a login that succeeded under an earlier record would still be one.

        It would not after the identity was disabled, its password changed or one of its credentials removed.
        """
        return (
            not self.disabled
            and self.password_hash == earlier.password_hash
            and self.credentials >= earlier.credentials
        )


@implementer(IIdentity)
class Identity:
    """A handle on one identity of an authorizer. It keeps no rights: each method asks the store.

    Attributes:
        name: in its one form.
        authorizer: where it belongs.
        as_of: the record as it was at login; None for a handle that did not come from a login.
    """

    def __init__(self, authorizer: Authorizer, name: str, as_of: IdentityRecord | None = None) -> None:
        self.authorizer = authorizer
        self.name = name
        self.as_of = as_of

    def __repr__(self) -> str:
        return f"<Identity {self.name!a}>"

    async def keys(self) -> list[Key]:
        """Return what this identity may attach, sorted. Raises NoSuchIdentity."""
        return sorted((await self.record()).keys)

    async def record(self) -> IdentityRecord:
        """Return the identity as it is in the store now. Raises NoSuchIdentity."""
        return await self.authorizer.get_record(self.name)

    async def attach(self, service: str, perspective: str | None = None, client: Any = None) -> Attachment:
        """Attach a perspective. The same as `authorizer.attach(self, ...)`, which says more."""
        return await self.authorizer.attach(self, service, perspective, client)

    async def add_key(self, service: Any, perspective: Any) -> None:
        """Grant a perspective of a service; both by name or as objects. Nothing happens if it is granted.

        Raises:
            BadName, NoSuchIdentity.
        """
        await self.authorizer.add_key(self.name, Key.checked(service, perspective))

    async def remove_key(self, service: Any, perspective: Any) -> None:
        """Take a key away and cut what is attached with it. Raises NoSuchKey, NoSuchIdentity."""
        await self.authorizer.remove_key(self.name, Key.checked(service, perspective))

    async def set_password(self, password: str | PasswordHash | None) -> None:
        """Change the password and cut everything that is logged in.

        Args:
            password: the new one, or its hash, or None: no login with a password is possible then.

        Raises:
            BadPassword, NoSuchIdentity.
        """
        await self.authorizer.set_password(self.name, password)

    async def add_credential(self, credential: Credential) -> None:
        """Let something else than the password prove this identity. Raises NoSuchIdentity."""
        await self.authorizer.add_credential(self.name, credential)

    async def remove_credential(self, credential: Credential) -> None:
        """Take a credential away and cut everything that is logged in.

        Raises:
            NoSuchCredential, NoSuchIdentity.
        """
        await self.authorizer.remove_credential(self.name, credential)

    async def disable(self) -> None:
        """Refuse logins and attaches until enable(), and cut everything that is logged in."""
        await self.authorizer.set_disabled(self.name, True)

    async def enable(self) -> None:
        """Let this identity log in again."""
        await self.authorizer.set_disabled(self.name, False)
