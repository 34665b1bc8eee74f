"""Asking what may be called, without a loop."""

from __future__ import annotations

import pytest

import pb
from pb import sync


class Root(pb.Root):
    def remote_echo(self, value: int) -> int:
        return value


def test_a_script_asks_what_it_may_call():
    """As at a prompt, before the first call."""
    with (
        sync.serve(Root(), "memory://describing") as server,
        sync.open_connection(server.url) as connection,
    ):
        assert "echo(value: int) -> int" == str(sync.describe(connection.root))
    with pytest.raises(TypeError, match=r"of pb\.sync"):
        sync.describe(Root())
