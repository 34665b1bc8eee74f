"""Who is logged in over one connection, as hooks are told of it: each login once, and its end once.

Without hooks nothing is noted here. See `pb.hooks`.
"""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pb.hooks import AttachmentEvent, LoginEvent

if TYPE_CHECKING:
    from .logged_in import LoggedIn

_MAX_CHARS = 128


class Presence:
    """The logins of one connection that hooks were told of, and not yet of their end."""

    __slots__ = ("__weakref__", "_face", "_present")

    def __init__(self, face: Any) -> None:
        self._face = face
        # By reference, because a client may release a login in place of ending it.
        self._present: dict[weakref.ref[LoggedIn], LoginEvent] = {}

    def refused(self, user: str, mechanism: str) -> None:
        """Tell of a login that was refused."""
        self._tell("login_refused", LoginEvent, user, mechanism)

    def begin(self, logged_in: LoggedIn, name: str, mechanism: str) -> None:
        """Tell of a login."""
        event = self._tell("logged_in", LoginEvent, name, mechanism)
        if event is not None:
            here = weakref.ref(self)  # the connection is not to be kept by what is kept by nobody

            def released(ref: weakref.ref[LoggedIn]) -> None:
                presence = here()
                if presence is not None:  # pragma: no branch - the login that is dropped holds it
                    is_open = presence._face.broker.tables.is_open
                    presence._end(ref, "released" if is_open else "lost")

            self._present[weakref.ref(logged_in, released)] = event

    def end(self, logged_in: LoggedIn, reason: str) -> None:
        """Tell of the end of a login, the first time."""
        self._end(weakref.ref(logged_in), reason)

    def lost(self) -> None:
        """Tell of the end of all that are left."""
        for ref in list(self._present):
            self._end(ref, "lost")

    def _end(self, ref: Any, reason: str) -> None:
        event = self._present.pop(ref, None)
        watch = self._face.broker.watch
        if event is not None and watch is not None:
            watch.tell("logged_out", replace(event, reason=reason))

    def attachment(
        self, what: str, name: str, service: object, perspective: object
    ) -> AttachmentEvent | None:
        """Tell of an attachment; return what was told, or None where nobody is.

        Args:
            what: the method of hooks.
            service, perspective: perhaps whatever a peer has sent.
        """
        names = [each[:_MAX_CHARS] if isinstance(each, str) else "" for each in (service, perspective)]
        event: AttachmentEvent | None = self._tell(what, AttachmentEvent, name, *names)
        return event

    def detached(self, event: AttachmentEvent | None) -> None:
        """Tell of the end of an attachment that was told of."""
        watch = self._face.broker.watch
        if event is not None and watch is not None:
            watch.tell("detached", event)

    def _tell(self, what: str, kind: Any, *names: str) -> Any:
        watch = self._face.broker.watch
        if watch is None:
            return None
        event = kind(self._face.connection, *names)
        watch.tell(what, event)
        return event
