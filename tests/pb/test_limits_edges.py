"""Each limit of the specification, at exactly the limit and one over: it works, and it fails as it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import edges

TESTS = Path(__file__).resolve().parent.parent
BUSY, TOO_LARGE = "pb.Busy", "pb.TooLarge"

# limit -> what is tried, and what comes of one more than it allows.
LIMITS = {
    "max_frame": [
        (edges.max_frame_sender, TOO_LARGE),
        (edges.max_frame_receiver, "BYE 5"),
    ],
    "max_calls": [(edges.max_calls, BUSY)],
    "max_refs": [
        (edges.max_refs_exported, TOO_LARGE),
        (edges.max_refs_announced, TOO_LARGE),
        (edges.max_refs_imported, TOO_LARGE),
    ],
    "max_depth": [(edges.max_depth_sender, TOO_LARGE), (edges.max_depth_receiver, "BYE 5")],
    "max_exts": [(edges.max_exts_sender, TOO_LARGE), (edges.max_exts_receiver, "BYE 5")],
    "max_floodable_keys": [
        (edges.max_floodable_keys_sender, "raises Unjellyable"),
        (edges.max_floodable_keys_receiver, TOO_LARGE),
    ],
    "max_int_bits": [
        (edges.max_int_bits_sender, "raises Unjellyable"),
        (edges.max_int_bits_receiver, TOO_LARGE),
    ],
    "max_decimal_digits": [(edges.max_decimal_digits_receiver, TOO_LARGE)],
    "max_decimal_exponent": [
        (edges.max_decimal_exponent_receiver, TOO_LARGE),
        (edges.max_decimal_exponent_below_receiver, TOO_LARGE),
    ],
    "max_name_bytes": [(edges.max_name_bytes_receiver, "pb.Unregistered")],
    "max_error_bytes": [(edges.max_error_bytes, "the text is cut")],
    "window": [(edges.window_receiver, "BYE 6")],
    "max_streams": [(edges.max_streams_sender, TOO_LARGE), (edges.max_streams_receiver, "BYE 6")],
    "max_stream_bytes": [(edges.max_stream_bytes, "the stream fails with pb.TooLarge")],
}
FIXED = {
    "frame body before HELLO, bytes": [(edges.hello_frame, "closed")],
    "largest frame body, bytes": [(edges.largest_frame, "BYE 5")],
    "envelopes in a batch": [(edges.batch, "BYE 5")],
    "nesting of an envelope": [(edges.envelope_nesting, "BYE 4")],
    "largest id": [(edges.largest_id, "BYE 3")],
    "PING token, bytes": [(edges.ping_token, "BYE 3")],
    "method name, bytes": [(edges.method_name, "pb.NoSuchMethod")],
    "wire name, bytes": [(edges.max_name_bytes_receiver, "pb.Unregistered")],
    "BYE text, bytes": [(edges.bye_text, "the text is cut")],
    "name of an object, characters": [(edges.object_name, "pb.BadArguments")],
}
# Those that need a clock, a network or a login are tried where there is one.
ELSEWHERE = {}
ALL = [
    pytest.param(act, over, id=act.__name__)
    for act, over in dict.fromkeys(row for rows in (LIMITS | FIXED).values() for row in rows)
]


@pytest.mark.parametrize(("act", "over"), ALL)
def test_as_much_as_a_limit_says_is_taken_and_no_more(act, over):
    """An honest program may rely on all of it, and a hostile one gains nothing by one more."""
    assert "ok" == act(0)
    assert over == act(1)
