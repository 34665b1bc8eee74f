"""A method that runs on in its thread behind the end finds the connection that it knew."""

from __future__ import annotations

import threading
import weakref

import pytest

import pb
from pb import sync

from .spots import settle


class Root(pb.Root):
    def __init__(self):
        self.users = weakref.WeakKeyDictionary()
        self.is_over = threading.Event()
        self.began = False
        self.found = None

    def remote_wait(self):
        self.users[pb.current_call().connection] = "alice"
        self.began = True
        self.is_over.wait(20)
        self.found = self.users.get(pb.current_call().connection)


@pytest.mark.parametrize("is_answer_wanted", [True, False], ids=["call", "send"])
def test_a_method_finds_its_connection_until_it_returns(is_answer_wanted):
    """It is freed with it."""
    root = Root()
    with sync.serve(root, "pb://127.0.0.1:0") as server:
        connection = sync.open_connection(server.url)
        if is_answer_wanted:
            connection.root.wait(pberrback=lambda error: None)
        else:
            connection.root.wait.send()
        settle(lambda: root.began)
        connection.abort()
        settle(lambda: not server.connections)
        sync.on_loop(lambda: None)  # behind what is let go in the next turn
        sync.on_loop(lambda: None)
        assert 1 == len(root.users)
        root.is_over.set()
        settle(lambda: root.found == "alice" and not root.users)
