"""Who says of itself that its coroutines never wait for anything; see IIdentityStore."""

from __future__ import annotations


def never_waits(thing: object) -> bool:
    """Return whether a store or an exchange says so.

    Not where it answers for what it has not got: there it may be another that says so, around which this one
    does more, and waits.
    """
    return getattr(thing, "never_waits", False) is True and not hasattr(type(thing), "__getattr__")
