"""Which bytes the kit takes for the same value: those that differ only where a sender may choose."""

from __future__ import annotations

import json

import pytest

from pb.conformance.same import say_the_same

from .subjects import VECTORS

ROWS = json.loads((VECTORS / "values.json").read_text())


def test_other_forms_of_a_value_say_the_same():
    """A stranger's sender conforms although its bytes are not ours."""
    for what, one, other in (
        ("ints in other formats", "9301ffcc80", "93d30000000000000001d1ffffcf0000000000000080"),
        ("headers in other forms", "92a161c40101", "dd00000002db0000000161c60000000101"),
        ("keys in another order", "82a16101a16202", "82a16202a16101"),
        (
            "a state in another order",
            "c7120892a967656f2e506f696e7482a17803a17904",
            "c7120892a967656f2e506f696e7482a17904a17803",
        ),
        ("members of a set in another order", "c7041193010203", "c7041193030102"),
        ("pairs of a MAP in another order", "c705139401020304", "c705139403040102"),
        ("times of 32 and 96 bits", "d6ff65e05ca8", "c70cff000000000000000065e05ca8"),
        ("times of 64 and 96 bits", "d7ff1d6f280065e05ca8", "c70cff075bca000000000065e05ca8"),
        ("a part that is named once", "919101", "c70b1492c4029101c40491d41500"),
        ("NaNs", "cb7ff8000000000000", "cbfff8000000000001"),
        ("a root that is a NODE", "91c0", "c70a1492c40291c0c403d41500"),
    ):
        assert say_the_same(bytes.fromhex(one), bytes.fromhex(other)), what


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("01", "cb3ff0000000000000"),
        ("ca3fc00000", "cb3ff8000000000000"),
        ("01", "c3"),
        ("d40107", "d5010007"),
        ("9101", "d5109101"),
        ("9101", "910101"),
        ("01", "02"),
        ("a161", "c40161"),
        ("d40107", "d40207"),
        ("c70f1492c40391a178c40792d41500d41500", "9291a17891a178"),
        ("c7071491c40491d41500", "9191c0"),
        ("01", "c1"),
        ("01", "0102"),
    ],
    ids=lambda each: each[:20],
)
def test_what_differs_in_more_than_form_does_not(one, other):
    """Types, formats of floats, widths of ids, sharing: none of that is the sender's to choose."""
    assert not say_the_same(bytes.fromhex(one), bytes.fromhex(other))
    assert not say_the_same(bytes.fromhex(other), bytes.fromhex(one))


def test_every_row_says_what_it_says_and_no_other_row():
    """So no two values of the vectors are taken for one another, but those that are one in two forms."""
    found = {
        (row["name"], other["name"])
        for at, row in enumerate(ROWS)
        for other in ROWS[at + 1 :]
        if say_the_same(bytes.fromhex(row["hex"]), bytes.fromhex(other["hex"]))
    }

    assert all(say_the_same(bytes.fromhex(row["hex"]), bytes.fromhex(row["hex"])) for row in ROWS)
    assert {("datetime utc", "timestamp not shortest")} == found
