"""Lines of the log that anybody can cause are bounded."""

from __future__ import annotations

from pb.aio.sparing import Sparing


def test_so_many_lines_at_once_and_then_one_a_second():
    """The next line says how many were left out, once."""
    now = [5.0]
    sparing = Sparing(lambda: now[0])
    assert 20 == sum(sparing.may_log() for _ in range(1000))
    now[0] += 1
    assert [True, False] == [sparing.may_log(), sparing.may_log()]
    assert " (981 more like this were not logged)" == sparing.omitted()
    assert "" == sparing.omitted()
