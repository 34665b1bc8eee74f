"""Asking what may be called on a remote object, for blocking programs: `describe`."""

from __future__ import annotations

from pb.description import Description
from pb.reference import RemoteReference

from .reference import method_of


def describe(reference: RemoteReference) -> Description:
    """Ask the owner of an object what may be called through this reference. As `pb.describe`, and waits."""
    return Description.of(method_of(reference, "pb:describe")())
