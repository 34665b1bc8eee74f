"""Numbers as short as they can be, and text of a peer that is shown."""

from __future__ import annotations

import pytest

from jelly._ext import pack_uint, quote


@pytest.mark.parametrize(
    ("number", "size"), [(0, 1), (255, 1), (256, 2), (65535, 2), (65536, 4), (2**32 - 1, 4), (2**32, 8)]
)
def test_a_number_takes_the_shortest_width_that_holds_it(number: int, size: int) -> None:
    """Spec PB-V10."""
    assert size == len(pack_uint(number))
    assert number == int.from_bytes(pack_uint(number), "big")


def test_text_of_a_peer_is_shown_on_one_line_and_cut() -> None:
    """It may hold line feeds, escapes and a megabyte (threats F2)."""
    assert "'a\\n\\x1b\\u202e'" == quote("a\n\x1b\u202e")
    assert 82 == len(quote("x" * 10**6))
