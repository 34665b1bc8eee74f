"""ReferenceReport: the service whose perspectives are told who holds what. It is granted like any other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pb.references import references_of

from .service import Perspective, Service

if TYPE_CHECKING:
    from .application import Application


class Reporter(Perspective):
    """What somebody who may know may ask."""

    def perspective_report(self) -> Iterator[dict[str, Any]]:
        """Return who holds which objects of the application, one after the other, the oldest first."""
        service: Any = self.service
        return map(dataclasses.asdict, references_of([face.broker for face in service.application.faces]))


class ReferenceReport(Service):
    """Tell who holds which objects of an application to those who may know: `pb refs` asks it.

        report = pb.ReferenceReport(application)
        report.create_perspective("alice").make_identity(password)

    Without such a line, or `pb identity`, nobody may ask. What it tells are addresses, names of users and
    classes, and lines of this program where tracemalloc runs: give nobody a key for it who may not know that
    of everybody. It tells no values, and nothing can be changed through it.

    Args:
        application: whose objects it tells of, and to which it is added.
        name: of the service.
    """

    perspective_class = Reporter

    def __init__(self, application: Application, name: str = "references") -> None:
        super().__init__(name, application)
        self.application = application
