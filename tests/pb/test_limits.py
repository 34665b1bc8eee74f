"""What follows from the limits of both sides."""

from __future__ import annotations

import pytest

import pb
from pb.limits import tick_interval_s

from .pump import Pump


def test_liveness_is_looked_at_in_time_for_both():
    """The shortest of what either announced, in three."""
    patient = pb.Limits(idle_s=50, ping_after_s=30)
    short = pb.Limits(idle_s=12, ping_after_s=30)
    assert 2 == tick_interval_s(patient, short)
    assert 2 == tick_interval_s(short, patient)

    quiet = pb.Limits(idle_s=0, ping_after_s=30)
    assert 10 == tick_interval_s(quiet, quiet)
    assert 10 == tick_interval_s(quiet, None)


LEAST = {
    "max_frame": 4096,
    "max_calls": 1,
    "max_depth": 4,
    "max_exts": 256,
    "max_containers": 4096,
    "max_floodable_keys": 0,
    "max_refs": 0,
    "window": 0,
    "max_streams": 0,
    "idle_s": 0,
}


@pytest.mark.parametrize("name", LEAST)
def test_what_no_peer_would_bear_cannot_be_set(name):
    """Else each connection would end by BYE, and who has set it would look for the fault at the peer."""
    least = LEAST[name]
    assert least == getattr(pb.Limits(**{name: least}), name)
    assert 2**53 - 1 == getattr(pb.Limits(**{name: 2**53 - 1}), name)
    for value in (least - 1, 2**53):
        with pytest.raises(
            ValueError, match=f"^{name}={value} is out of range: expected {least} to .*PB-F18"
        ):
            pb.Limits(**{name: value})
    with pytest.raises(ValueError, match="PB-F18"):
        pb.Limits(**{name: float("nan")})


class Echo(pb.Root):
    def remote_echo(self, value):
        return value


def test_the_least_and_the_most_of_everything_are_borne():
    """Who announces either is still somebody to talk to."""
    for limits in (pb.Limits(**LEAST), pb.Limits(**dict.fromkeys(LEAST, 2**53 - 1))):
        assert [1] == Pump(Echo(), limits=limits).call("echo", [1])
