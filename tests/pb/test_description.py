"""Descriptions as they come from a peer: read, shown, or refused."""

from __future__ import annotations

import pytest

import pb
from pb.description import Description

TOLD = {
    "kind": "object",
    "doc": "A desk.",
    "interfaces": ["IDesk"],
    "later": 1,
    "methods": [
        {"name": "plain", "later": 1},
        {"name": "none", "params": []},
        {"name": "a", "params": [{"name": "x", "by": "position"}, {"name": "y"}], "doc": "Says a."},
        {"name": "b", "params": [{"name": "x", "by": "position", "type": "int"}], "returns": "str"},
        {"name": "c", "params": [{"name": "x"}, {"name": "y", "by": "name", "optional": True}]},
        {"name": "d", "params": [{"name": "x", "by": "positions"}, {"name": "y", "by": "name"}]},
        {"name": "e", "params": [{"name": "x", "by": "name"}, {"name": "y", "by": "names"}], "stream": True},
    ],
}


def test_a_description_reads_like_python():
    """It is what `pb ls` shows."""
    found = Description.of(TOLD)

    assert ("object", "A desk.", ("IDesk",)) == (found.kind, found.doc, found.interfaces)
    assert [
        "plain(?)",
        "none()",
        "a(x, /, y)",
        "    Says a.",
        "b(x: int, /) -> str",
        "c(x, *, y = ...)",
        "d(*x, y)",
        "e(*, x, **y)",
    ] == str(found).splitlines()
    assert [False] * 6 + [True] == [method.is_stream for method in found.methods]


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {"kind": 1},
        {"doc": b""},
        {"interfaces": "x"},
        {"interfaces": [1]},
        {"methods": {}},
        {"methods": [1]},
        {"methods": [{}]},
        {"methods": [{"name": "__class__"}]},
        {"methods": [{"name": "a b"}]},
        {"methods": [{"name": "a", "params": [{"name": "b", "by": "x"}]}]},
        {"methods": [{"name": "a", "params": [{"name": "b", "optional": 1}]}]},
        {"methods": [{"name": "a", "params": {}}]},
        {"methods": [{"name": "a", "stream": "x"}]},
    ],
    ids=str,
)
def test_what_is_no_description_is_refused(told):
    """A peer may answer anything."""
    with pytest.raises(pb.BadPayload, match="a description with a"):
        Description.of(told)


def test_texts_hold_nothing_that_a_terminal_acts_on():
    """They are printed."""
    found = Description.of({"doc": "\x1b[31m", "methods": [{"name": "a", "doc": "x\ny", "returns": "\r"}]})

    assert str(found).isprintable() or "\x1b" not in str(found)
    assert "\\x1b[31m" == found.doc
    assert ("x\\ny", "\\r") == (found.methods[0].doc, found.methods[0].returns)
