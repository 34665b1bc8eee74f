"""SASLprep: bring names and passwords to one form, so that equal is what looks equal. RFC 4013.

Knows no names and no passwords; refuses with ValueError, whose text holds nothing of the string.
"""

from __future__ import annotations

import stringprep
import unicodedata
from collections.abc import Callable
from typing import Final

# RFC 4013 section 2.3, in its order. The text is what a user is told.
PROHIBITED: Final[tuple[tuple[Callable[[str], bool], str], ...]] = (
    (stringprep.in_table_c12, "a space that is not ASCII"),
    (stringprep.in_table_c21_c22, "a control character"),
    (stringprep.in_table_c3, "a private use character"),
    (stringprep.in_table_c4, "a code point that is no character"),
    (stringprep.in_table_c5, "a surrogate"),
    (stringprep.in_table_c6, "a character unfit for plain text"),
    (stringprep.in_table_c7, "a character unfit for canonical form"),
    (stringprep.in_table_c8, "a character that changes the display"),
    (stringprep.in_table_c9, "a tagging character"),
)


def saslprep(text: str, *, stored: bool) -> str:
    """Return a string in the form in which it is compared.

    Args:
        stored: whether it will be kept. Characters that Unicode 3.2 does not know are then refused, because
            a later normalization could change them; in a query they are let through. RFC 3454 section 7.

    Raises:
        ValueError: it holds what is prohibited; the text names the kind and the position.
    """
    if text.isascii() and text.isprintable():
        return text  # no table has anything to say about these
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    # 3.2, not today's Unicode: RFC 3454 section 4. A newer table would change what is stored already.
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    for position, char in enumerate(normal):
        for prohibits, kind in PROHIBITED:
            if prohibits(char):
                raise ValueError(f"{kind} at position {position}")
        if stored and stringprep.in_table_a1(char):
            raise ValueError(f"a character that Unicode 3.2 does not know at position {position}")
    _check_directions(normal)
    return normal


def _check_directions(text: str) -> None:
    """Refuse what reads one way and compares another. RFC 3454 section 6."""
    if not any(map(stringprep.in_table_d1, text)):
        return
    if any(map(stringprep.in_table_d2, text)):
        raise ValueError("letters of both directions")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise ValueError("right-to-left text that does not begin and end with a right-to-left letter")
