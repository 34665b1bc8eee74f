"""The implementation of this project conforms, at either end, over streams and over WebSocket."""

from __future__ import annotations

import pytest

from .subjects import all_cases, judge_client, judge_server, server, unmet

# What the runner cannot ask of the example, which has all features and no perspectives to give.
NOT_ASKED = {
    "announces cache",
    "announces pipeline",
    "announces stream",
    "does not announce ability view",
    "is about the lengths of frames, which WebSocket has not",
}


@pytest.mark.parametrize("scheme", ["pb", "ws"])
def test_our_server_conforms(scheme):
    """At level full: nothing fails, and nothing is skipped that could have been asked."""
    with server(f"{scheme}://127.0.0.1:0") as url:
        results = judge_server(all_cases(), url)

    assert [] == unmet(results)
    assert set() == {result.text for result in results if result.outcome == "skipped"} - NOT_ASKED
    assert len(results) > 500


@pytest.mark.parametrize("scheme", ["pb", "ws"])
def test_our_client_conforms(scheme):
    """The protocol is symmetric, so it is asked the same."""
    results = judge_client(all_cases(), scheme)

    assert [] == unmet(results)
    assert set() == {result.text for result in results if result.outcome == "skipped"} - NOT_ASKED
