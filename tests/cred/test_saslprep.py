"""SASLprep: the examples of RFC 4013 section 3, the rules of RFC 3454, and an oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp.utils import saslprep as oracle

from cred.saslprep import saslprep


@pytest.mark.parametrize(
    ("text", "expected"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX")],
    ids=["soft hyphen", "unchanged", "case kept", "NFKC of one", "NFKC of another"],
)
def test_the_examples_of_the_rfc(text, expected):
    """RFC 4013 section 3, the ones that have a result."""
    assert expected == saslprep(text, stored=True)


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031"], ids=["prohibited", "bidi"])
def test_the_examples_of_the_rfc_that_are_refused(text):
    """RFC 4013 section 3, the ones that have none."""
    with pytest.raises(ValueError, match=r"control character|right-to-left"):
        saslprep(text, stored=True)


def test_a_space_that_is_not_ascii_becomes_one_that_is():
    """Two passwords that look the same are the same."""
    assert "a b" == saslprep("a\u00a0b", stored=True)


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(
    ("char", "kind"),
    [
        ("\u0000", "control"),
        ("\u007f", "control"),
        ("\ue000", "private use"),
        ("\ufdd0", "no character"),
        ("\ud800", "surrogate"),
        ("\ufff9", "control"),
        ("\ufffd", "plain text"),
        ("\u2ff0", "canonical form"),
        ("\u202e", "control|display"),
        ("\u0340", "display|canonical"),
        ("\U000e0020", "tagging"),
    ],
)
def test_what_is_prohibited_is_refused_and_not_shown(char, kind, stored):
    """A name that reverses the text around it could pass for another one in a log (PB-A14)."""
    try:
        found = saslprep(f"a{char}b", stored=stored)
    except ValueError as error:
        assert "position" in str(error)
        assert char not in str(error)
    else:
        # U+0340 is normalized away before anything is looked up.
        assert char == "\u0340"
        assert char not in found


def test_a_character_newer_than_unicode_3_2_is_for_queries_only():
    """What is stored must not change when a later normalization learns the character."""
    assert "a\u0221" == saslprep("a\u0221", stored=False)
    with pytest.raises(ValueError, match=r"Unicode 3\.2"):
        saslprep("a\u0221", stored=True)


@pytest.mark.parametrize(
    "text", ["\u0627a\u0627", "\u06271", "1\u0627"], ids=["both directions", "end", "begin"]
)
def test_mixed_directions_are_refused(text):
    """RFC 3454 section 6: what reads one way would compare another."""
    with pytest.raises(ValueError, match=r"direction|right-to-left"):
        saslprep(text, stored=False)


def test_right_to_left_text_is_taken():
    """Only the mixture is dangerous."""
    assert "\u0627\u0628" == saslprep("\u0627\u0628", stored=True)


@given(st.text(max_size=12))
def test_an_independent_implementation_agrees(text):
    """The oracle refuses unassigned characters, as for stored strings, and ASCII it does not look at."""
    try:
        expected = oracle(text)
    except Exception:
        expected = None
    try:
        found = saslprep(text, stored=True)
    except ValueError:
        found = None

    assert expected == found
