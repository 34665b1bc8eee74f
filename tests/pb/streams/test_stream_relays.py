"""Streams that are sent on over another connection. Spec: 10-streams.md, "Third parties"."""

from __future__ import annotations

import pytest

import jelly
import pb

from ..pump import Pump, run_all
from ..streamers import REGISTRY, Source, run, server_of, streams_of, taken
from .test_stream_ends import Root


@pytest.fixture
def pump():
    return Pump(Root(), registry=REGISTRY)


class Middle(pb.Root):
    """Passes on what it is given, and what it gets from elsewhere."""

    def __init__(self):
        self.other = None

    def remote_pass_on(self):
        return self.other

    def remote_echo(self, value):
        return value


@pytest.fixture
def chain():
    """A client, a middle, and a server behind it."""
    right = Pump(Root(), registry=REGISTRY)
    left = Pump(Middle(), registry=REGISTRY)
    return left, right


def passed(left, right):
    """Let the middle hand the server's endless stream to the client."""
    outcome = right.root.ints()
    run_all(left, right)
    server_of(left).other = outcome.result()
    outcome.value = None
    outcome = left.root.pass_on()
    run_all(left, right)
    server_of(left).other = None
    return outcome.result()


def test_a_stream_that_is_passed_on_is_relayed_with_credit(chain):
    """The middle asks for no more than its own consumer takes (PB-S25)."""
    left, right = chain
    stream = passed(left, right)
    source = server_of(right).source
    assert 32 == source.made

    assert [*range(1, 17)] == stream.taken()
    run_all(left, right)
    assert 48 == source.made
    stream.stop()
    run_all(left, right)
    assert 1 == source.closed
    assert (0, 0) == streams_of(left) == streams_of(right)


def test_an_error_goes_through_unchanged(chain):
    """It was disclosed by the far end."""
    left, right = chain
    server_of(right).source.fails_at = 1
    stream = passed(left, right)

    assert [1] == stream.taken()
    with pytest.raises(Exception, match="no more") as caught:
        run(left, stream._pb_row.next())
    assert "BankError" == type(caught.value).__name__


def test_where_the_far_connection_is_lost_the_near_consumer_is_told(chain):
    """It is another connection, which goes on."""
    left, right = chain
    stream = passed(left, right)
    right.lose()
    run_all(left)

    assert 32 == len(taken(stream, left))
    with pytest.raises(pb.Gone, match="the stream came over was lost"):
        run(left, stream._pb_row.next())


def test_a_stream_that_goes_back_is_relayed_too(pump):
    """It does not come home: it has been taken from already, perhaps."""
    left = Pump(Middle())
    source = Source()

    outcome = left.root.echo(source)
    left.run()

    assert [*range(1, 17)] == outcome.result().taken()
    outcome.result().stop()
    left.run()
    assert 1 == source.closed


def test_calls_that_are_passed_on_bring_their_streams(chain):
    """A proxy's arguments and results go through, streams among them."""
    left, right = chain
    outcome = right.root.give()
    run_all(left, right)
    server_of(left).other = right.root
    far = left.call("pass_on")
    source = Source()
    kept, given = far.keep(source), far.ints()
    run_all(left, right)

    assert None is kept.result()
    assert [*range(1, 17)] == server_of(right).kept.taken()
    assert [*range(1, 17)] == given.result().taken()
    assert None is outcome.result()


def test_a_stream_is_not_passed_on_where_nothing_is():
    """With proxy=False, and where it has a consumer already, or lives in another thread."""
    right = Pump(Root())
    left = Pump(Middle(), proxy=False)
    outcome = right.root.ints()
    run_all(left, right)
    stream = server_of(left).other = outcome.result()

    with pytest.raises(pb.Forbidden):
        left.call("pass_on")
    left.server.broker.tables._proxy = True
    left.server.thread = 1
    with pytest.raises(pb.RemoteError):
        left.call("pass_on")
    left.server.thread = 0
    stream._pb_row.is_passed_on = True
    with pytest.raises(pb.RemoteError):
        left.call("pass_on")
    stream._pb_row.is_passed_on = False
    assert isinstance(left.call("pass_on"), type(stream))
    with pytest.raises(pb.RemoteError):
        left.call("pass_on")


def test_a_stream_that_is_not_passed_on_after_all_can_still_be_read(pump):
    """Its payload was not sent."""
    stream = pump.call("ints")

    with pytest.raises(jelly.Unjellyable):
        pump.root.keep([stream, object()]).result()
    assert not stream._pb_row.is_passed_on
    assert 16 == len(stream.taken())
