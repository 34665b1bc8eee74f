"""Words of a server on a terminal."""

from __future__ import annotations

__all__ = ["shown"]


def shown(text: str) -> str:
    """Return the server's words so that no terminal obeys them."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
