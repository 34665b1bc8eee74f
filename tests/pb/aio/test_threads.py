"""Methods that block, and those that do not."""

from __future__ import annotations

import pytest

import pb


def test_an_async_method_is_no_matter_for_a_thread():
    """It would only make a coroutine there, and that would be the result."""

    async def remote_wait():
        return 1

    with pytest.raises(TypeError, match=r"remote_wait is an async def .* leave in_thread out"):
        pb.in_thread(remote_wait)
