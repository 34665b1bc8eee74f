"""Names of identities, services and perspectives: which strings they may be, and in which form.

All checks depend on the string alone, never on who exists, and run before any look-up: so a refused name
tells nothing about the store.
"""

from __future__ import annotations

from ._article import a
from .errors import BadName
from .saslprep import saslprep

# In bytes of UTF-8. Long enough for e-mail addresses, short enough for an index and a log line.
MAX_NAME_BYTES = 255


def identity_name(name: str, *, stored: bool = True) -> str:
    """Return the one form of an identity's name.

    Args:
        stored: True for a name to be kept, False for one that is looked up. See `saslprep`.

    Raises:
        BadName: empty, longer than 255 bytes, or not allowed by RFC 4013.
    """
    if type(name) is str and name.isascii() and name.isprintable() and 0 < len(name) <= MAX_NAME_BYTES:
        return name  # nothing below has anything to say about these
    _check_text(name, "name of an identity")
    try:
        prepared = saslprep(name, stored=stored)
    except ValueError as error:
        raise BadName(f"the name of an identity holds {error}") from None
    return name if prepared is name else _check_text(prepared, "name of an identity")


def key_name(name: str, what: str) -> str:
    """Return the name of a service or a perspective unchanged, after checking that it can be stored.

    Args:
        what: what it names, for the text of the error.

    Raises:
        BadName: empty, longer than 255 bytes, or holding NUL or a surrogate.
    """
    return _check_text(name, f"name of {a(what)}")


def _check_text(name: str, what: str) -> str:
    if not isinstance(name, str):
        raise BadName(f"the {what} is {a(type(name).__name__)}, expected a str")
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise BadName(f"the {what} holds a surrogate") from None
    if not 0 < size <= MAX_NAME_BYTES:
        raise BadName(f"the {what} has {size} bytes, expected 1 to {MAX_NAME_BYTES}")
    if "\0" in name:
        # PostgreSQL cannot store it and C programs end there.
        raise BadName(f"the {what} holds NUL")
    return name
