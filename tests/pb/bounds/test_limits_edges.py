"""Each limit of the specification, at exactly the limit and one over: it works, and it fails as it says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ...test_spec_tables import column
from .. import edges

TESTS = Path(__file__).resolve().parent.parent.parent
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
    "max_containers": [
        (edges.max_containers_sender, TOO_LARGE),
        (edges.max_containers_receiver, "BYE 5"),
    ],
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
    "max_call_bytes": [(edges.max_call_bytes, BUSY)],
    "max_stream_bytes": [(edges.max_stream_bytes, "the stream fails with pb.TooLarge")],
}
FIXED = {
    "frame body before HELLO, bytes": [(edges.hello_frame, "closed")],
    "calls before HELLO": [(edges.calls_before_hello, "NotExecuted")],
    "depth before HELLO": [(edges.calls_before_hello, "NotExecuted")],
    "message of a login, bytes": [(edges.login_message, "pb.LoginFailed")],
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
TIMES = "pb/aio/test_limit_times.py::test_as_long_as_a_limit_says_is_waited_and_no_longer"
THROTTLE, STRANGERS = "cred/test_throttle.py::test_", "pb/auth/test_strangers.py::test_"
ENVELOPES = "pb/wire/test_envelopes.py::test_the_last_byte_that_may_be_is_taken_and_one_more_is_not"
BATCH_LISTS = (
    "pb/wire/test_envelopes.py::test_the_last_list_of_a_batch_that_may_be_is_taken_and_one_more_is_not"
)
SCRAM = "cred/test_scram_messages.py::test_the_limits_themselves_are_taken"
HASH = "cred/test_passwords.py::test_the_limits_themselves_fit"
ELSEWHERE = {
    **dict.fromkeys(
        ["idle_s", "ping_after_s", "hello_timeout_s", "connect_timeout_s", "drain_s", "bye_answer_s"], TIMES
    ),
    **dict.fromkeys(["write_high_bytes", "write_low_bytes", "write_max_bytes", "write_stall_s"], TIMES),
    "max_source_bytes": (
        "pb/bounds/test_source_memory.py::test_as_much_as_one_address_may_is_kept_of_it_and_then_no_more"
    ),
    "max_connections": (
        "pb/aio/test_places.py::test_a_plain_root_takes_so_many_connections_and_then_others_again"
    ),
    "turn_envelopes": "pb/wire/test_turns.py::test_many_calls_in_one_read_take_many_turns",
    "turn_s": "pb/wire/test_turns.py::test_a_turn_ends_when_its_time_is_over",
    "useless_requests": "pb/bounds/test_budget.py::test_limits_of_useless_requests_hold_to_the_last_one",
    "useless_per_s": (
        "pb/bounds/test_budget.py::test_the_budget_fills_again_with_time_and_never_over_its_edge"
    ),
    "bytes of an envelope without its payload": ENVELOPES,
    "of the envelopes of a batch": ENVELOPES,
    "arrays and maps in a batch, beside payloads": BATCH_LISTS,
    "name of an identity, bytes": "cred/test_names.py::test_the_longest_name_is_taken",
    "password, bytes": "cred/test_passwords.py::test_the_longest_password_is_taken",
    "message of SCRAM, bytes": SCRAM,
    "nonce of a SCRAM client, characters": SCRAM,
    "salt of SCRAM, bytes": HASH,
    "iterations of SCRAM, least": HASH,
    "iterations of SCRAM, most": HASH,
    "channel binding, least bytes": "cred/test_channel.py::test_a_binding_that_binds_nothing_is_refused",
    "frame body, bytes": (
        "pb/wire/test_stranger.py::test_frames_of_4_kib_are_read_and_larger_ones_end_the_connection"
    ),
    "payload depth": "pb/wire/test_stranger.py::test_deep_values_are_too_large",
    "calls in all": "pb/wire/test_stranger.py::test_the_ninth_call_ends_the_connection",
    "frame bodies in all, bytes": "pb/wire/test_stranger.py::test_floods_end_at_16_kib",
    "refused logins": f"{THROTTLE}a_connection_has_three_tries",
    "time to log in, s": TIMES,
    "time to answer a challenge, s": "pb/auth/test_root.py::test_a_challenge_is_good_for_30_seconds",
    "refusal takes at least, s": (
        "pb/auth/test_root.py::test_every_refusal_takes_its_time_and_every_login_takes_none"
    ),
    "iterations for new passwords": "cred/test_passwords.py::test_the_default_costs_who_steals_the_store",
    "connections before any is refused": f"{STRANGERS}up_to_64_nobody_is_dropped_by_chance",
    "connections refused by chance from there, percent, rising to 100": (
        f"{STRANGERS}above_64_the_chance_grows_from_30_percent_to_all"
    ),
    "connections at most": f"{STRANGERS}at_256_nobody_comes_in",
    "connections of one source": f"{STRANGERS}sixteen_of_one_source_may_wait_and_the_others_are_not_affected",
    "source refused from its third failure, s, doubling": (
        f"{THROTTLE}a_source_is_refused_from_its_third_failure_on"
    ),
    "source refused at most, s": f"{THROTTLE}a_source_is_refused_from_its_third_failure_on",
    "name delayed from its fourth failure, s, doubling": f"{THROTTLE}a_name_is_answered_later_but_always",
    "name delayed at most, s": f"{THROTTLE}a_name_is_answered_later_but_always",
    "failures halved after, s": f"{THROTTLE}failures_fade",
    "sources and names remembered, each": f"{THROTTLE}the_longest_unused_is_forgotten",
}
ALL = [
    pytest.param(act, over, id=act.__name__)
    for act, over in dict.fromkeys(row for rows in (LIMITS | FIXED).values() for row in rows)
]


@pytest.mark.parametrize(("act", "over"), ALL)
def test_as_much_as_a_limit_says_is_taken_and_no_more(act, over):
    """An honest program may rely on all of it, and a hostile one gains nothing by one more."""
    assert "ok" == act(0)
    assert over == act(1)


def test_each_limit_of_the_registry_is_tried_at_its_edge():
    """Here, or by a test that is there; and there are no others."""
    there = {*column("Limits", "limit", "default")}
    for heading in ("Fixed limits", "Strangers", "Login limits"):
        there |= {*column(heading, "limit", "value")}
    assert there == {*LIMITS, *FIXED, *ELSEWHERE}


@pytest.mark.parametrize("limit", ELSEWHERE)
def test_what_tries_a_limit_elsewhere_is_there(limit):
    """A test that was renamed or taken away is missed here."""
    path, name = ELSEWHERE[limit].split("::")
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
