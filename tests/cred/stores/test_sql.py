"""SqlStore: that a database has to be put under it."""

from __future__ import annotations

import pytest

from cred.stores._sqlstore import SqlStore

from ..helpers import run


@pytest.mark.parametrize("use", [SqlStore.names, SqlStore.close, lambda store: store.remove("x")])
def test_it_runs_nothing_by_itself(use):
    """Who forgets to override hears of it at the first call."""
    with pytest.raises(NotImplementedError):
        run(use(SqlStore()))
