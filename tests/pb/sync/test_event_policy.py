"""Events from blocking programs."""

from __future__ import annotations

import threading

import pb
from pb import sync


class Listener(pb.Referenceable):
    def __init__(self):
        self.seen = []
        self.gate = threading.Event()

    def remote_hear(self, value):
        self.seen.append(value)
        self.gate.wait(20)


def test_event_policy_in_threads():
    """A thread is held up only by the policy that says so."""
    hub = {}

    class Hub(pb.Root):
        def remote_subscribe(self, callback):
            hub["latest"] = sync.events(callback, "latest", window=1)
            hub["wait"] = sync.events(callback, "wait", window=1, max_queued=1)

    with sync.serve(Hub(), "pb://127.0.0.1:0") as server, sync.open_connection(server.url) as connection:
        listener = Listener()
        connection.root.subscribe(listener)
        for number in range(100):
            hub["latest"].hear(number)
        listener.gate.set()
        sync.events_delivered(hub["latest"])
        assert [0, 99] == listener.seen
        assert 98 == sync.event_usage(hub["latest"]).dropped
        for number in range(50):
            hub["wait"].hear(number)
        sync.events_delivered(hub["wait"])
        assert list(range(50)) == listener.seen[2:]
