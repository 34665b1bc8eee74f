"""Names: which strings may name an identity, and that the error says which rule was broken."""

from __future__ import annotations

import pytest

import cred
from cred.names import MAX_NAME_BYTES, identity_name, key_name


def test_two_spellings_of_one_name_are_one():
    """Composed or not is chosen by keyboards, not by people."""
    assert identity_name("e\u0301va") == identity_name("\u00e9va") == "\u00e9va"


def test_letters_that_only_look_alike_are_two_names():
    """Cyrillic a is not Latin a, and nothing may make it so."""
    assert identity_name("\u0430dmin") != identity_name("admin")


@pytest.mark.parametrize(
    "name",
    ["", "\u00ad", "a\0b", "a\nb", "a\ud800", "x" * 256, "\u00e9" * 128, "\u2168" * 200, 5, None, b"alice"],
    ids=["empty", "empty once prepared", "NUL", "line feed", "surrogate", "long", "long in bytes",
         "long once prepared", "int", "None", "bytes"],
)  # fmt: skip
def test_what_cannot_be_a_name_is_refused(name):
    """Before any look-up, and by the string alone."""
    with pytest.raises(cred.BadName, match="name of an identity"):
        identity_name(name)


def test_the_longest_name_is_taken():
    """The limit is in bytes and includes its value."""
    assert MAX_NAME_BYTES == len(identity_name("x" * MAX_NAME_BYTES))


def test_a_key_keeps_its_spelling():
    """Services name their perspectives: nothing here may change what they look up."""
    assert "e\u0301\u2168 /" == key_name("e\u0301\u2168 /", "perspective")


@pytest.mark.parametrize("name", ["", "a\0", "\ud800", "x" * 256, 7])
def test_a_key_that_no_store_can_keep_is_refused(name):
    """PostgreSQL has no NUL, and no database has surrogates."""
    with pytest.raises(cred.BadName, match="name of a service"):
        key_name(name, "service")
