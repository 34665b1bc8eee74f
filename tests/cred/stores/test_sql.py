"""SqlStore and its transactions: what does not depend on the database."""

from __future__ import annotations

import pytest

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


def test_an_unknown_name_takes_as_many_questions_as_a_known_one():
    """Each is a way to the database and back, which can be measured from outside."""
    known, record = asked(_sql.get("alice"), [(None, False, 1)], [("shop", "alice")], [])
    unknown, nothing = asked(_sql.get("nobody"), [], [], [])

    assert known == unknown
    assert ("alice", None) == (record.name, nothing)


def test_many_names_are_asked_for_in_parts():
    """A statement takes a limited number of placeholders."""
    names = [f"user-{number}" for number in range(1_100)]
    statements, found = asked(_sql.epochs(names), [("user-0", 1)], [], [("user-1099", 2)])

    assert [500, 500, 100] == [statement.count("?") for statement in statements]
    assert {"user-0": 1, "user-1099": 2} == found
