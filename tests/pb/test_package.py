"""The package: what belongs to a loop is loaded when it is first asked for."""

from __future__ import annotations

import pytest

import pb
import pb.aio.tls


def test_every_public_name_can_be_had_and_is_listed():
    """Loaded or not."""
    assert sorted(pb.__all__) == dir(pb)
    assert [] == [name for name in pb.__all__ if getattr(pb, name, None) is None]
    assert pb.aio.tls is pb.tls


def test_a_name_that_is_not_there_is_told_as_python_does():
    """`hasattr` and `from pb import x` rest on it."""
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = pb.nothing
    assert not hasattr(pb, "nothing")
