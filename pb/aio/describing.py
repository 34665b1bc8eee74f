"""Asking what may be called on a remote object: `describe`."""

from __future__ import annotations

from typing import Any

from pb.description import Description

from .reference import remote_method


async def describe(reference: Any) -> Description:
    """Ask the owner of an object what may be called through this reference.

    A view or a perspective tells what may be done by whom it was given to. Nothing is called but
    `pb:describe`.

    Raises:
        NoSuchMethod: the peer's implementation does not tell.
        BadPayload: what it told is no description.
        TypeError: it is no remote reference.
    """
    return Description.of(await remote_method(reference, "pb:describe")())
