"""What follows from the limits of both sides."""

from __future__ import annotations

import pb
from pb.limits import tick_interval_s


def test_liveness_is_looked_at_in_time_for_both():
    """The shortest of what either announced, in three."""
    patient = pb.Limits(idle_s=50, ping_after_s=30)
    short = pb.Limits(idle_s=12, ping_after_s=30)
    assert 2 == tick_interval_s(patient, short)
    assert 2 == tick_interval_s(short, patient)

    quiet = pb.Limits(idle_s=0, ping_after_s=30)
    assert 10 == tick_interval_s(quiet, quiet)
    assert 10 == tick_interval_s(quiet, None)
