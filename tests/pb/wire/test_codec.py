"""The codec: encoders and decoders that connections share."""

from __future__ import annotations

import pytest

import jelly
import pb
from pb.wire.codec import Codec


class Point(pb.Copyable):
    x: int = 0


def test_connections_of_equal_limits_share():
    """An idle connection must be small."""
    codec = Codec(None)
    limits = pb.Limits(max_frame=5000)

    assert codec.encoder(limits) is codec.encoder(pb.Limits(max_frame=5000))
    assert codec.encoder(limits) is not codec.encoder(pb.Limits(max_frame=6000))
    assert codec.decoder(limits) is codec.decoder(limits)
    assert codec.decoder(limits) is not codec.relay_decoder(limits)
    assert codec.relay_decoder(limits) is codec.relay_decoder(limits)


def test_peers_cannot_fill_the_memory_with_limits():
    """Each may announce others."""
    codec = Codec(None)
    first = codec.encoder(pb.Limits())
    made = [codec.encoder(pb.Limits(max_depth=number)) for number in range(100, 1000)]

    assert 900 == len(set(map(id, made)))
    assert first is not codec.encoder(pb.Limits())
    assert b"\x05" == made[-1].dumps(5)


def test_the_registry_is_taken_as_it_is():
    """With the errors of the protocol beside it."""
    registry = jelly.Registry()
    registry.add(Point, "geo.Point")
    codec = Codec(registry)
    limits = pb.Limits()
    payload = codec.encoder(limits).dumps([Point(), pb.Busy("x")])
    point, busy = codec.decoder(limits).loads(payload)

    assert (Point, pb.Busy) == (type(point), type(busy))
    assert "pb.Busy" not in registry.snapshot()


def test_names_of_the_protocol_are_not_for_applications():
    """A caller would take such an error for one about its call, that it did not run, say (PB-E11)."""
    registry = jelly.Registry()
    registry.add(Point, "pb.Point")

    with pytest.raises(ValueError, match=r"'pb\.Point' is registered; names that begin with pb\."):
        Codec(registry)
