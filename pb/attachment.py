"""One perspective on one connection: what it hands out belongs to it, and ends with it.

Spec: spec/4-references.md, "Views and perspectives". Who may have which perspective is not decided here.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jelly
from jelly._article import a

from .errors import DeadReference, Gone
from .logfields import fields
from .reference import Import

if TYPE_CHECKING:
    from .holding.scope import Scope
    from .reference import RemoteReference

log = logging.getLogger("pb")


class Attachment(jelly.ByReference):
    """A user's perspective, attached to the connection of the call that made it.

    Return it from a method: the caller gets a reference to the perspective. All that the perspective then
    hands out, and all that is received through it, runs on behalf of this perspective. It ends when the
    peer has released everything, by `detach()`, when the perspective is revoked, or with the connection.
    All of that ends with it, in both directions: references that were received are dead (`pb.Gone`), calls
    that run are stopped.

    Args:
        ended: called without arguments, exactly once, however it ends.
    """

    __slots__ = ("_ended", "_has_ended", "_perspective", "scope")

    def __init__(self, scope: Scope, ended: Callable[[], object] | None) -> None:
        self.scope = scope
        self._perspective: Any = None
        self._ended = ended
        self._has_ended = False
        scope.on_empty = self._end

    @property
    def perspective(self) -> Any:
        """On whose behalf it is; None as long as that is not settled, which it must be before it is sent."""
        return self._perspective

    @perspective.setter
    def perspective(self, perspective: object) -> None:
        if self.scope.exports:
            raise ValueError("something was handed out already under another perspective")
        if perspective is not None and self.scope.encoder.sends_by_value(perspective):
            raise TypeError(
                f"{a(type(perspective).__name__)} crosses as a copy or a cache and can be no perspective: a "
                "perspective stays where it is"
            )
        check_roles(perspective)
        self._perspective = self.scope.perspective = perspective

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.scope.is_over

    def on_end(self, ended: Callable[[], object]) -> None:
        """Call this instead when it ends; at once if it has ended."""
        if self._has_ended:
            ended()
        else:
            self._ended = ended

    def adopt(self, reference: RemoteReference) -> Any:
        """Return a reference to the same remote object whose calls are made on behalf of this perspective.

        Use it for the client object that a user attaches with: views sent to it see that user.

        Raises:
            TypeError: not a remote reference of this connection.
            DeadReference: it is dead.
            Gone: the attachment is over.
        """
        handle = getattr(reference, "_pb_import", None)
        if not isinstance(handle, Import) or handle.scope.tables is not self.scope.tables:
            raise TypeError("only a remote reference of the same connection can be adopted")
        self.scope.broker.face.check_thread()
        if self.is_over:
            raise Gone("the attachment is over; nothing can be adopted under it")
        if handle.dead is not None or not handle.scope.tables.is_open:
            raise DeadReference("the reference to adopt was released, revoked, or its connection has ended")
        return self.scope.tables.adopt(reference, self.scope)

    def detach(self) -> None:
        """End it: the peer is told that everything handed out is gone. Again, it does nothing."""
        self.scope.broker.face.check_thread()
        self.scope.broker.holdings.detach(self.scope)
        self._end()

    def _end(self) -> None:
        scope = self.scope
        if self._has_ended:
            return
        self._has_ended = scope.is_over = True
        scope.tables.scopes.pop(scope, None)
        scope.broker.holdings.end_under(scope)
        ended, self._ended = self._ended, None
        if ended is not None:
            try:
                ended()
            except BaseException:  # a CancelledError too: others are still to be told
                log.exception(
                    "what was to be called at the end of an attachment failed",
                    extra=fields("watcher.failed", scope=scope),
                )
        scope.forget()

    def __repr__(self) -> str:
        state = "over" if self.is_over else "live"
        return (
            f"<Attachment of {type(self.perspective).__name__} with {self.scope.tables.peer_name}, {state}>"
        )


def check_roles(perspective: object) -> None:
    """Raise TypeError where the roles of a perspective are a str, before a rule is asked of them.

    Found without running any code: a property is the program's own, and asked when it is needed.
    """
    roles = inspect.getattr_static(perspective, "roles", None)
    if isinstance(roles, str):
        raise TypeError(
            f"the roles of {a(type(perspective).__name__)} are a str, whose members are letters; a set of "
            f"str is expected: roles = {{{roles[:80]!r}}}"
        )
