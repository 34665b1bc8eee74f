"""Keyring: what an identity may attach, and what it gets where it does not say."""

from __future__ import annotations

import pytest

import cred
from cred import Key, Keyring


def test_keys_are_granted_by_name_or_by_object():
    """A program has the service at hand, an administrator its name."""
    service = cred.Service("shop")
    perspective = service.create_perspective("alice")

    assert Key("shop", "alice") == Key.checked(service, perspective) == Key.checked("shop", "alice")


@pytest.mark.parametrize("pair", [(None, "a"), ("a", 5), ("", "a"), ("a", "\0")])
def test_a_key_that_cannot_be_kept_is_refused(pair):
    """None as a perspective would be a key for nothing."""
    with pytest.raises(cred.BadName):
        Key.checked(*pair)


def test_ones_own_name_is_preferred():
    """alice of chat is alice, although al comes first."""
    keys = Keyring.of([("chat", "al"), ("chat", "alice"), ("shop", "a")])

    assert Key("chat", "alice") == keys.choose("chat", "alice")


def test_the_first_one_is_taken_where_ones_own_is_missing():
    """Of this service only, in alphabetical order."""
    keys = Keyring.of([("chat", "b"), ("chat", "a"), ("aaa", "a")])

    assert Key("chat", "a") == keys.choose("chat", "alice")


def test_without_a_key_for_the_service_there_is_none():
    """Having other keys opens nothing."""
    assert None is Keyring.of([("chat", "a")]).choose("shop", "a")
