"""Hangs are failures: every test of the blocking face ends, or the run does and says where it stood."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator

import pytest

from pb import sync

LIMIT_S = 60


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """End the run with all stacks if a test blocks: nothing else can interrupt threads that wait."""
    faulthandler.dump_traceback_later(LIMIT_S, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(params=["pb://127.0.0.1:0", "memory://{name}"], ids=["pb", "memory"])
def url(request: pytest.FixtureRequest, tmp_path) -> str:
    """Where to listen, over each kind of transport."""
    return str(request.param).format(name=tmp_path.name)


@pytest.fixture
def connect() -> Iterator:
    """Serve a root and connect to it, both blocking: `near, far = connect(root)`; closed at the end."""
    opened: list = []

    def connect(root, url="pb://127.0.0.1:0", **options):
        server = sync.serve(root, url, registry=options.get("registry"))
        opened.append(server)
        connection = sync.open_connection(server.url, **options)
        opened.append(connection)
        return connection, server

    yield connect
    for each in reversed(opened):
        each.close()
