"""The cases, by group."""

from __future__ import annotations

from ..case import Case
from . import (
    caches,
    calls,
    closing,
    errors,
    framing,
    limits,
    pipelining,
    references,
    shuffled,
    streams,
)

GROUPS = (
    framing.GROUP,
    calls.GROUP,
    references.GROUP,
    errors.GROUP,
    caches.GROUP,
    streams.GROUP,
    pipelining.GROUP,
    shuffled.GROUP,
    limits.GROUP,
    closing.GROUP,
)


def built_in() -> list[Case]:
    """Return the cases that need no files."""
    return [case for group in GROUPS for case in group.cases]
