"""What is left of a blocking connection that has ended: nothing that only the collector would find."""

from __future__ import annotations

import contextlib
import gc

import pytest

import pb
from pb import sync

from ..aio.test_rings import COUNT, REGISTRY, Note, ours
from ..aio.test_rings_of_errors import Broken
from .spots import settle


class Root(pb.Root):
    def __init__(self):
        self.ended = 0

    def remote_refuse(self):
        raise pb.Forbidden("no")

    def remote_note(self):
        return Note()

    def remote_call_back(self, note):
        sync.on_disconnect(note, self.note_end)
        return note.tell(1)

    def note_end(self, note):
        self.ended += 1


def calls(url):
    """Both sides hold what the other has handed over."""
    with sync.open_connection(url) as connection:
        note = connection.root.note()
        assert 2 == note.tell(2)
        assert 1 == connection.root.call_back(Note())


def refused(url):
    """Calls that this side does not send, and one that the other refuses."""
    errors = []
    with sync.open_connection(url, registry=REGISTRY) as connection:
        root = connection.root
        for value in (object(), [Broken()], bytes(connection.peer_limits.max_frame)):
            with contextlib.suppress(pb.Unjellyable, pb.TooLarge):
                root.note(value)
        with contextlib.suppress(pb.DeadlineExceeded):
            root.note.within(0)()
        with contextlib.suppress(pb.BadArguments):
            root.note(1)
        with contextlib.suppress(pb.Forbidden):
            root.refuse()
        root.note(object(), pberrback=errors.append)
        settle(lambda: errors)
    with contextlib.suppress(pb.DeadReference):
        root.note()


def events(url):
    """One is sent, one cannot be sent, one comes too late, and of another subscriber none is."""
    with sync.open_connection(url) as connection:
        note = connection.root.note()
        sync.events(note)
        newest = sync.events(note, "latest", on_error=lambda error: None)
        newest.tell(1)
        newest.tell(object())
        sync.events_delivered(newest)
    with contextlib.suppress(pb.ConnectionLost):
        newest.tell(2)


def garbled(url):
    """The peer is sent what it ends the connection for."""
    with sync.open_connection(url) as connection:
        sync.on_loop(lambda: connection._link.transport.write(b"\xff\xff\xff\xff"))
        connection.wait_closed()


@pytest.mark.unmeasured
@pytest.mark.parametrize("use", [calls, refused, events, garbled], ids=lambda use: use.__name__)
def test_nothing_is_left_of_a_connection(use):
    """Its calls ran in threads, at both ends."""
    with sync.serve(Root(), "pb://127.0.0.1:0") as server:
        use(server.url)
        settle(lambda: not server.connections)
        gc.collect()
        gc.disable()
        try:
            before = ours()
            for _ in range(COUNT):
                use(server.url)
            settle(lambda: not (server.connections or ours() - before))
        finally:
            gc.enable()
