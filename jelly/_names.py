"""What a wire name looks like."""

from __future__ import annotations

import re
from typing import Final

_WIRE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}").fullmatch


def check_name(name: object) -> str:
    """Return a name if it is a wire name, else raise ValueError."""
    if type(name) is not str or not _WIRE_NAME(name):
        raise ValueError(
            f"{name!r} is no wire name: a letter, then at most 127 letters, digits, '_', '.' or '-'"
        )
    return name
