"""Servers that come and go, for blocking clients that come back to them."""

from __future__ import annotations

import threading
import time
from typing import Any

import pb
from pb import sync

from .. import lobbies

HOLD_S = 20


def quick(**options: Any) -> pb.Reconnect:
    """Return options under which next to nothing is waited for."""
    return pb.Reconnect(**{"first_s": 0.005, "max_s": 0.005, "stable_s": 0.0, "refused_s": 0.0, **options})


class Spot:
    """An address at which a server can be killed and started again."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.server = sync.serve(root, "pb://127.0.0.1:0")
        self.url = self.server.url
        self.is_up = True

    def __enter__(self) -> Spot:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def cut(self) -> None:
        """Lose all connections, as a network does."""

        def abort() -> None:
            for link in list(self.server._server._places):
                link.abort()

        sync.on_loop(abort)

    def stop(self) -> None:
        """Drop everybody and listen no more."""
        if self.is_up:
            self.is_up = False
            self.cut()
            self.server.close()

    def start(self) -> None:
        """Listen again, where it did before."""
        self.server = sync.serve(self.root, self.url)
        self.is_up = True


def lose(connection: Any) -> None:
    """Lose the connection, at the client, before it does anything else."""
    sync.on_loop(connection._link.abort)


def settle(condition: Any) -> None:
    """Wait until other threads have made something so."""
    end = time.monotonic() + HOLD_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


class Lobby(lobbies.Lobby):
    """What a server publishes to everybody."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    @pb.in_thread
    def remote_hang(self, value):
        return self.hang(value)

    def hang(self, value):
        self.ran.append(value)
        if self.ran.count(value) == 1:
            self.go.wait(HOLD_S)
        return value

    @pb.idempotent
    @pb.in_thread
    def remote_look(self, value):
        return self.hang(value)

    @pb.idempotent
    def remote_ask(self, child, depth):
        self.ran.append(depth)
        return child.down(depth)
