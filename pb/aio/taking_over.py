"""What was held before, and what has been got over the next connection: one stands for the other.

Spec: spec/12-reconnecting.md.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from jelly import RemoteCache
from jelly._article import a
from jelly.flavours import row_of
from pb.errors import Error, Gone, NoSuchObject
from pb.logfields import fields
from pb.reference import RemoteReference
from pb.tracked import Tracked

from .lasting import Memory

log = logging.getLogger("pb")


def take_over(fresh: Any, held: Any) -> None:
    """Let what was held before stand for what has just been got."""
    if isinstance(fresh, RemoteReference) and isinstance(held, RemoteReference):
        if fresh is not held:
            fresh._pb_import.scope.tables.take_over(fresh, held)
        memory_of(held).lost = None
    elif fresh is held:
        return
    elif isinstance(fresh, RemoteCache) and type(fresh) is type(held):
        before = dict(vars(held))
        row_of(fresh).pass_to(held)
        if isinstance(held, Tracked):
            _tell_changed(held, before)
    else:
        log.warning(
            "%s was kept, and now it is %s",
            a(type(held).__name__),
            a(type(fresh).__name__),
            extra=fields("restore.failed"),
        )


def let_die(held: Any, dead: type[Error], text: str, why: BaseException) -> None:
    """Let calls on a reference fail for good, and say why."""
    held._pb_import.dead = dead
    memory_of(held).lost = text, why


def memory_of(reference: Any) -> Memory:
    """Return what is known of a reference that lasts, as all that is had again do."""
    memory: Memory = reference._pb_memory
    return memory


def is_gone(held: Any) -> bool:
    """Tell whether what was held is a reference to what its owner has withdrawn."""
    return isinstance(held, RemoteReference) and held._pb_import.dead in (Gone, NoSuchObject)


def _tell_changed(replica: Any, before: Mapping[str, object]) -> None:
    """Tell a replica which of its fields are not what they were."""
    for name, value in list(vars(replica).items()):
        if not name.startswith("_") and (name not in before or before[name] != value):
            try:
                replica.changed(name)
            except Exception:
                log.exception(
                    "changed() of %s failed",
                    a(type(replica).__name__),
                    extra=fields("watcher.failed", method="changed"),
                )
