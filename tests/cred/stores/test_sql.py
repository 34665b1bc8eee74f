"""SqlStore and its transactions: what does not depend on the database."""

from __future__ import annotations

import pytest

import cred
from cred.stores import _sql
from cred.stores._sqlstore import SqlStore

from ..helpers import run


@pytest.mark.parametrize("use", [SqlStore.names, SqlStore.close, lambda store: store.remove("x")])
def test_it_runs_nothing_by_itself(use):
    """Who forgets to override hears of it at the first call."""
    with pytest.raises(NotImplementedError):
        run(use(SqlStore()))


def asked(transaction, *answers):
    """Return the statements of a transaction that gets these rows, and what it returns."""
    statements = [next(transaction)[0]]
    try:
        for rows in answers:
            statements.append(transaction.send(rows)[0])
    except StopIteration as done:
        return statements, done.value
    raise AssertionError("it goes on")


def test_a_stranger_has_the_same_asked_of_every_name():
    """And reads of nobody's keyring: its length can be measured from outside, and tells who is there."""
    known, record = asked(_sql.get_password("alice"), [(_sql.NOBODYS, True, True, 1)])
    unknown, nobody = asked(_sql.get_password("nobody"), [(_sql.NOBODYS, True, False, 0)])

    assert known == unknown
    assert 1 == len(known)
    assert "cred_identities" in known[0]
    assert (cred.PasswordRecord(None, True, 1), cred.PasswordRecord()) == (record, nobody)


@pytest.mark.parametrize(
    ("read", "row"),
    [(_sql.get, ("no hash", False, 1)), (_sql.get_password, ("no hash", False, False, 1))],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_hash_that_is_none_is_an_error_of_the_store(read, row):
    """Not one that lets somebody in, or tells that nobody is there."""
    with pytest.raises(cred.StoreError, match="'alice' cannot be read"):
        asked(read("alice"), [row], [], [])


def test_many_names_are_asked_for_in_parts():
    """A statement takes a limited number of placeholders."""
    names = [f"user-{number}" for number in range(1_100)]
    statements, found = asked(_sql.epochs(names), [("user-0", 1)], [], [("user-1099", 2)])

    assert [500, 500, 100] == [statement.count("?") for statement in statements]
    assert {"user-0": 1, "user-1099": 2} == found
