"""What is left of a blocking connection that has ended: nothing that only the collector would find."""

from __future__ import annotations

import gc

import pytest

import pb
from pb import sync

from ..aio.test_rings import COUNT, Note, ours
from .spots import settle


class Root(pb.Root):
    def __init__(self):
        self.ended = 0

    def remote_note(self):
        return Note()

    def remote_call_back(self, note):
        sync.on_disconnect(note, self.note_end)
        return note.tell(1)

    def note_end(self, note):
        self.ended += 1


@pytest.mark.unmeasured
def test_nothing_is_left_of_a_connection():
    """Its calls ran in threads, at both ends, and both sides held what the other has handed over."""
    root = Root()
    with sync.serve(root, "pb://127.0.0.1:0") as server:

        def use():
            with sync.open_connection(server.url) as connection:
                note = connection.root.note()
                assert 2 == note.tell(2)
                assert 1 == connection.root.call_back(Note())

        use()
        settle(lambda: not server.connections)
        gc.collect()
        gc.disable()
        try:
            before = ours()
            for _ in range(COUNT):
                use()
            settle(lambda: not (server.connections or ours() - before))
        finally:
            gc.enable()
