"""Perspective: what stands for a user of a service. Its perspective_* methods are what that user may do.

Knows no wire: pb derives a class from this that can cross one. Keep it free of slots and metaclasses.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from .errors import CredError
from .interfaces import IPerspective
from .keyring import Key
from .names import key_name
from .passwords import PasswordHash

if TYPE_CHECKING:
    from .identity import Identity
    from .service import Service


@implementer(IPerspective)
class Perspective:
    """Stand for one user of one service.

    Attributes:
        perspective_name: the name that keys refer to.
        service: where it belongs.
        roles: a set of str, such as {"manager"}, which decides what fields of an object are shown to it
            (declarative visibility); set it in the class, in each, or write a property.
    """

    roles: Any = (
        frozenset()
    )  # Collection[str]; for type checkers Any, that it may be overridden by a property

    def __init__(self, perspective_name: str, service: Service) -> None:
        self.perspective_name = key_name(perspective_name, "perspective")
        self.service = service

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if inspect.iscoroutinefunction(cls.detached):
            # It runs where a connection is lost or a right taken away: nobody is left who could await it.
            raise TypeError(
                f"{cls.__name__}.detached is a coroutine function; make it a plain method that starts a task"
            )

        roles = vars(cls).get("roles")
        if isinstance(roles, str):
            raise TypeError(
                f"{cls.__name__}.roles is a str, whose members are letters; a set of str is expected: "
                f"roles = {{{roles[:80]!r}}}"
            )

    def attached(self, client: Any, identity: Identity) -> Perspective | Awaitable[Perspective | None] | None:
        """Take note of a client that attaches. Override it, also with a coroutine function.

        Args:
            client: what the client gave of itself, normally a reference to call it back; or None.
            identity: who it is.

        Returns:
            The perspective that the client gets and whose detached() will be called: None or itself, or
            another one.

        Raises:
            AttachRefused: there is no place for this client; the text reaches it. detached() is not called.
        """
        return self

    def detached(self, client: Any, identity: Identity) -> None:
        """Take note that a client has gone: once for each attached() that succeeded, however it ended.

        Nothing can be told to it any more: over a connection of pb, `client` is dead by then.
        """

    @property
    def attach_count(self) -> int:
        """Return how many attachments of this perspective's name there are now."""
        authorizer = self.service.authorizer
        return 0 if authorizer is None else authorizer.attach_count(self.service.name, self.perspective_name)

    def make_identity(
        self, password: str | PasswordHash | None = None, *, name: str | None = None
    ) -> Identity:
        """Declare an identity that has the key for this perspective, and return it at once.

        It is written before anything else is asked of the store. Where the store has an identity of that
        name already, that one stays as it is: a program that is started again must not undo what was changed
        since. For people who sign up use `await authorizer.add_identity()`: it refuses names that are taken.

        Args:
            password: the password, or its hash, or None for an identity without one.
            name: of the identity; the perspective's own if None.

        Raises:
            IdentityExists: this program declared it before.
            CredError: the service belongs to no application yet.
        """
        authorizer = self.service.authorizer
        if authorizer is None:
            raise CredError(
                f"service {self.service.name!r} belongs to no application; give it one when it is made"
            )
        key = Key(self.service.name, self.perspective_name)
        return authorizer.declare_identity(name or self.perspective_name, password, keys=[key])
