"""Closing from inside: a method that ends what its own call came over waits for everything but itself."""

from __future__ import annotations

import threading

import pytest

import pb
from pb import sync

pytestmark = pytest.mark.sync_facade


class Root(pb.Root):
    def remote_end(self):
        self.server.close()
        return "ended"


def test_a_method_may_close_its_server():
    """It would wait for itself, as long as a graceful close may take. Whoever serves for ever is told."""
    root = Root()
    limits = pb.Limits(drain_s=3600)
    with sync.serve(root, "pb://127.0.0.1:0", limits=limits) as server:
        root.server = server
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        connection = sync.open_connection(server.url)
        assert "ended" == connection.root.end()
        serving.join()
        connection.wait_closed()
        with pytest.raises(OSError):
            sync.open_connection(server.url)


class Keeper(pb.Root):
    def remote_new(self):
        self.thing = pb.Referenceable()
        return self.thing


def test_who_holds_what_is_taken_away_is_told():
    """Its connection lives. In a worker thread, as of an end."""
    root = Keeper()
    told, done = [], threading.Event()
    with sync.serve(root, "memory://taken-away") as server, sync.open_connection(server.url) as connection:
        thing = connection.root.new()
        sync.on_disconnect(thing, lambda each: (told.append(each), done.set()))
        sync.revoke(root.thing, server)
        assert done.wait(20)
        assert [thing] == told
