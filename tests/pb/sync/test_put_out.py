"""What ends with a user who is put out, in blocking programs (PB-R36, PB-R37)."""

from __future__ import annotations

import threading

import pytest

import pb
from pb import sync

HOLD_S = 20


class User(pb.Viewable):
    """Keeps what it is given, and waits."""

    def __init__(self):
        self.given, self.told = [], []
        self.is_told, self.begun, self.go = threading.Event(), threading.Event(), threading.Event()

    def perspective_subscribe(self, reference):
        self.given.append(reference)
        sync.on_disconnect(reference, self.tell)
        sync.on_disconnect(reference, lambda each: self.told.append("taken back"))()

    def tell(self, reference):
        self.told.append(reference)
        self.is_told.set()

    def perspective_wait(self):
        self.begun.set()
        self.go.wait(HOLD_S)
        return "a secret"

    def perspective_leave(self):
        return sync.revoke(self, pb.current_call().connection)


class Door(pb.Root):
    def __init__(self):
        self.user = User()

    def remote_enter(self):
        return pb.current_call().attach(self.user)


class Client(pb.Referenceable):
    def __init__(self):
        self.heard = []

    def remote_hear(self, value):
        self.heard.append(value)


@pytest.fixture
def door():
    """Return a root, its server, and the perspective as a client has it."""
    root = Door()
    with sync.serve(root, "pb://127.0.0.1:0") as server, sync.open_connection(server.url) as connection:
        try:
            yield root, server, connection.root.enter()
        finally:
            root.user.go.set()


def test_a_callback_of_who_was_put_out_hears_nothing_and_its_end_is_told_once(door):
    """As in asyncio programs."""
    root, server, user = door
    mine = Client()
    user.subscribe(mine)
    root.user.given[0].hear(1)
    sync.revoke(root.user, server)
    with pytest.raises(pb.Gone, match="was put out"):
        root.user.given[0].hear(2)
    assert root.user.is_told.wait(HOLD_S)

    assert ([root.user.given[0]], [1]) == (root.user.told, mine.heard)


def test_a_call_that_runs_in_a_thread_is_answered_at_once(door):
    """Its thread runs on, and nobody hears of it."""
    root, server, user = door
    caught = []

    def wait():
        with pytest.raises(pb.Gone, match="it was stopped") as error:
            user.wait()
        caught.append(error.value)

    thread = threading.Thread(target=wait)
    thread.start()
    assert root.user.begun.wait(HOLD_S)
    sync.revoke(root.user, server)
    thread.join(HOLD_S)

    assert 1 == len(caught)


def test_a_method_that_ends_what_it_runs_under_is_answered(door):
    """The call knows itself in whatever thread it runs."""
    _, _, user = door

    assert 1 == user.leave()
    with pytest.raises(pb.Gone):
        user.leave()
