"""The English article before the name of a type."""

from __future__ import annotations


def a(name: str) -> str:
    """Return a name with its article: "an int", "a str", "a UUID". As jelly's, which this does not know."""
    start = name[:2].lower()
    return f"an {name}" if start[:1] in ("a", "e", "i", "o") or start == "un" else f"a {name}"
