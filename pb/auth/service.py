"""Services and perspectives as they cross a connection: those of cred, with a flavour."""

from __future__ import annotations

import cred
import jelly


class Perspective(cred.Perspective, jelly.Viewable):
    """Stand for one user of one service. Its perspective_* methods are what that user may do.

    The user's own perspective crosses as a reference to it. Another user's crosses as a view: its view_*
    methods are what users may do to each other, and are told who is asking.
    """


class Service(cred.Service):
    """Have perspectives by name; see `cred.Service`."""

    perspective_class = Perspective

    async def starting(self) -> None:
        """Begin what runs beside the calls, such as tasks. Override it: the application starts.

        It runs when state has been given back, before anybody can connect. What it raises keeps the
        application from starting.
        """

    async def stopping(self) -> None:
        """End what runs beside the calls, and what calls wait for. Override it: the application stops.

        It runs before the calls under way are waited for, while clients can still call, and has
        `Limits.drain_s` of time together with the others. What it raises is logged.
        """
