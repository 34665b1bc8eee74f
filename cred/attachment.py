"""Attachment: one client at one perspective, from attached() to detached()."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._logfields import fields
from .keyring import Key

if TYPE_CHECKING:
    from ._held import Held
    from .identity import Identity
    from .perspective import Perspective

log = logging.getLogger("cred")


class Attachment:
    """One client at one perspective. Made by `Authorizer.attach`.

    Attributes:
        identity: who attached.
        key: what they attached with.
        client: what they gave of themselves, or None.
        perspective: what they got, which attached() may have chosen.
        is_live: False once it has ended.
    """

    def __init__(
        self,
        identity: Identity,
        client: Any,
        key: Key,
        perspective: Perspective,
        held: Held,
        forget: Callable[[Attachment], None],
    ) -> None:
        self.identity = identity
        self.client = client
        self.key = key
        self.perspective = perspective
        self.is_live = True
        self._held = held
        self._forget = forget

    def __repr__(self) -> str:
        return f"<Attachment of {self.identity.name!a} {'live' if self.is_live else 'ended'}>"

    def end(self) -> None:
        """End it: detached() is called, once however often and from wherever this is called.

        What detached() raises is logged: whoever ends an attachment is never the one who could mend it.
        """
        if not self.is_live:
            return
        self.is_live = False
        self._forget(self)
        # Before detached(), so that it sees who is left.
        self._held.let_go(self.key.perspective, self.identity)
        try:
            self.perspective.detached(self.client, self.identity)
        except Exception:
            log.exception(
                "%s.detached failed",
                type(self.perspective).__name__,
                extra=fields("watcher.failed", identity=self.identity.name),
            )
