"""Applications for the tests of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cred
import pb

PASSWORD = cred.PasswordHash.of("guest", iterations=4096)


class Perspective(pb.Perspective):
    def perspective_echo(self, value: object) -> object:
        return value


class Service(pb.Service):
    perspective_class = Perspective


class Counter:
    """State that is kept."""

    def __init__(self) -> None:
        self.count = 0
        self.asked = asyncio.Event()

    def get_state_to_keep(self) -> int:
        self.asked.set()
        return self.count

    def set_kept_state(self, state: int) -> None:
        self.count = state


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where to listen without a port."""
    return f"memory://application-{tmp_path.name}"


@pytest.fixture
def make(url: str) -> Callable[..., pb.Application]:
    """Return what makes an application with one service, one identity and one listener."""

    def application(**options: Any) -> pb.Application:
        made = pb.Application("shop", **options)
        Service("main", made).create_perspective("guest").make_identity(PASSWORD)
        made.listen(url)
        return made

    return application


async def echo(url: str, password: str = "guest") -> object:
    """Log in, attach and call."""
    async with pb.connect(url, "guest", password, "main") as perspective:
        return await perspective.echo("hi")
