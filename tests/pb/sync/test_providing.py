"""Taking a reference for what an interface says, without a loop."""

from __future__ import annotations

import typing

import pytest

import pb
from pb import sync


class Echo(typing.Protocol):
    def echo(self, value: int) -> int: ...


class Shout(Echo, typing.Protocol):
    def shout(self) -> None: ...


class Root(pb.Root):
    def remote_echo(self, value):
        return value


def test_a_script_takes_a_reference_for_what_it_is():
    """And hears at once of what it is not."""
    with (
        sync.serve(Root(), "memory://providing") as server,
        sync.open_connection(server.url) as connection,
    ):
        echo = sync.providing(connection.root, Echo)
        assert echo is connection.root
        assert 7 == echo.echo(7)
        with pytest.raises(TypeError, match="does not provide Shout: there is no method shout"):
            sync.providing(connection.root, Shout)
