"""One object of the peer's under many perspectives: the work for each does not grow with the others."""

from __future__ import annotations

import pytest

import pb

from ...counting import lines_in
from ..pump import Pump


class Root(pb.Root):
    """Keeps what it is given."""

    def remote_keep(self, client):
        self.client = client


class Client(pb.Referenceable):
    """Somebody who attaches again and again."""


def adopting(count):
    """Return the server's broker, and what adopts one client under so many perspectives."""
    root = Root()
    pump = Pump(root)
    pump.call("keep", Client())
    broker = pump.server.broker
    attachments = [broker.holdings.attach(object()) for _ in range(count)]
    return pump, [lambda each=each: each.adopt(root.client) for each in attachments]


def lines_for(count):
    """Count what it takes to adopt it so often, and to let go of all."""
    pump, adopt = adopting(count)
    held = []
    made = lines_in(lambda: held.extend(each() for each in adopt))
    held.clear()
    return made, lines_in(pump.server.broker.holdings.release_dropped)


@pytest.mark.parametrize("what", [0, 1], ids=["adopt", "release"])
def test_a_client_under_twice_as_many_perspectives_takes_twice_as_long(what):
    """A user who had attached 8,000 times with one object had the server stand still for 1.4 s at logout."""
    assert lines_for(400)[what] < 2.5 * lines_for(200)[what]


def test_each_is_known_until_it_is_let_go_of_and_dead_with_the_others():
    """In whatever order they go."""
    pump, adopt = adopting(3)
    tables = pump.server.broker.tables
    held = [each() for each in adopt]
    del held[1]
    pump.server.broker.holdings.release_dropped()
    (id,) = {each._pb_import.id for each in held}
    pump.client.broker.holdings.revoke(pump.client.broker.tables.exports[id])
    pump.run()

    assert [pb.Gone] * 2 == [each._pb_import.dead for each in held]
    held.clear()
    pump.server.broker.holdings.release_dropped()
    assert tables.holds(id)  # by the one that all were adopted from
