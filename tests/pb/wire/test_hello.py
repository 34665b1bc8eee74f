"""HELLO: what each side says of itself, what silence means, and what is refused."""

from __future__ import annotations

import dataclasses

import msgpack
import pytest

import pb
from pb import messages
from pb.wire.hello import Hello, hello_message, read_hello

from ..pump import STEPS, Pump, Script


def told(**info):
    """Return the limits that are read from a HELLO of these keys."""
    return read_hello([0, "PB", 1, info], pb.Limits()).limits


def test_our_hello_says_what_this_side_accepts():
    """And nothing of what it would like to send."""
    limits = pb.Limits(
        max_frame=5000,
        max_calls=6,
        max_refs=7,
        max_depth=8,
        max_exts=999,
        max_containers=9999,
        max_floodable_keys=9,
        window=3,
        idle_s=10.5,
    )

    assert [
        0,
        "PB",
        1,
        {
            "agent": "me/1",
            "features": list(messages.BUILT_FEATURES),
            "max_frame": 5000,
            "max_calls": 6,
            "max_refs": 7,
            "max_depth": 8,
            "max_exts": 999,
            "max_containers": 9999,
            "max_floodable_keys": 9,
            "window": 3,
            "max_streams": 256,
            "idle": 10,
        },
    ] == msgpack.unpackb(hello_message(limits, "me/1"))


def test_our_hello_begins_as_every_hello_does():
    """So that a stream can be told apart by its first bytes (PB-F14)."""
    assert hello_message(pb.Limits(), "").startswith(b"\x94\x00\xa2PB\x01")
    assert len(hello_message(pb.Limits(), "a" * 200)) <= messages.HELLO_MAX_FRAME


def test_what_one_side_says_the_other_reads():
    """The two directions agree."""
    limits = pb.Limits(
        max_frame=5000,
        max_calls=6,
        max_refs=7,
        max_depth=8,
        max_exts=999,
        max_containers=9999,
        max_floodable_keys=9,
        idle_s=10,
    )

    packed = hello_message(limits, "me/1", ["ANONYMOUS"], ["tls-exporter"])
    expected = Hello(limits, "me/1", frozenset(messages.BUILT_FEATURES), ("ANONYMOUS",), ("tls-exporter",))
    assert expected == read_hello(msgpack.unpackb(packed), pb.Limits())


def test_silence_has_a_meaning():
    """The numbers of the registry, not ours."""
    hello = read_hello([0, "PB", 1, {}], pb.Limits())
    limits = hello.limits

    assert ("", frozenset(), (), ()) == (hello.agent, hello.features, hello.auth, hello.bindings)
    assert (0, 16) == (limits.window, limits.max_streams)
    assert (65_536, 16, 1024, 64, 20_480, 131_072, 4096, 0) == (
        limits.max_frame,
        limits.max_calls,
        limits.max_refs,
        limits.max_depth,
        limits.max_exts,
        limits.max_containers,
        limits.max_floodable_keys,
        limits.idle_s,
    )


def test_unknown_keys_and_features_are_ignored():
    """They are how the protocol grows (PB-F17, PB-F20)."""
    assert told() == told(colour="red", features=["telepathy", "gift"], auth=["X"], cb=[])


def test_a_higher_version_is_spoken_down_to():
    """Both use the lower of the two (PB-F16)."""
    limits = read_hello([0, "PB", 7, {"max_frame": 9999}], pb.Limits()).limits

    assert 9999 == limits.max_frame


def test_frames_are_never_larger_than_this_side_would_take():
    """A peer that takes more must not choose how much waits for it; the length has 28 bits (PB-F18)."""
    ours = pb.Limits()

    assert ours.max_frame == told(max_frame=2**40).max_frame
    large = dataclasses.replace(ours, max_frame=2**40)
    limits = read_hello([0, "PB", 1, {"max_frame": 2**40}], large).limits
    assert 2**28 - 1 == limits.max_frame


@pytest.mark.parametrize("version", [0, -1, "1", None, True, [1]])
def test_a_version_that_is_not_spoken_is_bye_2(version):
    """The peer can tell its user what is wrong."""
    with pytest.raises(pb.ProtocolError) as caught:
        read_hello([0, "PB", version, {}], pb.Limits())

    assert caught.value.code in (messages.BYE_VERSION, messages.BYE_PROTOCOL)


@pytest.mark.parametrize(
    "hello",
    [[0], [0, "PB", 1], [0, "PB", 1, {}, 1], [0, "pb", 1, {}], [0, b"PB", 1, {}], [0, "PB", 1, []]],
    ids=["bare", "short", "long", "other magic", "magic as bin", "info no map"],
)
def test_what_is_no_hello_is_a_violation(hello):
    """Four positions, the same in all versions."""
    with pytest.raises(pb.ProtocolError, match="HELLO is") as caught:
        read_hello(hello, pb.Limits())

    assert messages.BYE_PROTOCOL == caught.value.code


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (key, value)
        for key, (kind, _) in messages.HELLO_KEYS.items()
        for value in [None, True, 1.0, {}, b"x", "wrong", 7, [7]]
        if type(value) is not kind or value == [7]
    ],
)
def test_a_known_key_of_a_wrong_type_is_a_violation(key, value):
    """Booleans are no integers (PB-F17)."""
    with pytest.raises(pb.ProtocolError, match=key) as caught:
        told(**{key: value})
    assert messages.BYE_PROTOCOL == caught.value.code


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_frame", 4095),
        ("max_frame", -1),
        ("max_refs", -1),
        ("max_exts", 255),
        ("max_containers", 4095),
        ("max_calls", 0),
        ("max_depth", messages.MIN_DEPTH - 1),
        ("max_floodable_keys", -1),
        ("window", -1),
        ("idle", -1),
        ("idle", 2**53),
        ("max_refs", 2**64 - 1),
    ],
)
def test_a_number_out_of_range_is_a_violation(key, value):
    """What no one can mean is a mistake (PB-F18)."""
    with pytest.raises(pb.ProtocolError, match=key):
        told(**{key: value})


@STEPS
def test_a_bad_hello_is_answered_with_our_own_and_bye(step):
    """The peer is a PB peer and can be told (PB-F15)."""
    script = Script(step=step, greet=False)
    script.say([0, "PB", 1, {"max_frame": 10}])
    hello, bye = script.heard()

    assert [0, "PB", 1] == hello[:3]
    assert [15, 3] == bye[:2]
    assert script.side.has_ended


@STEPS
@pytest.mark.parametrize(
    "first", [[13, 1], [1, 1, 0, "echo", b"\x92\x90\x80"], [[0, "PB", 1, {}]], [5, 1, 1, 1]]
)
def test_what_is_first_and_no_hello_ends_the_connection_without_a_word(step, first):
    """It is probably not PB at all (PB-F15)."""
    script = Script(step=step, greet=False)
    script.say(first)

    assert [0] == [message[0] for message in script.heard()]
    assert script.side.has_ended


@STEPS
def test_a_second_hello_is_a_violation(step):
    """Limits do not change under way."""
    script = Script(step=step)
    script.say([0, "PB", 1, {}])
    (bye,) = script.heard()

    assert [15, 3] == bye[:2]


def test_before_the_hello_frames_are_small():
    """Strangers get little (PB-F14)."""
    script = Script(greet=False)
    script.side.input((4097).to_bytes(4, "big"))

    assert script.side.has_ended
    assert messages.BYE_TOO_LARGE == script.side.error.code


@STEPS
def test_limits_go_the_way_they_are_announced(step):
    """Each side keeps within what the other said (PB-F19)."""
    mine, theirs = pb.Limits(max_calls=5, max_frame=5000), pb.Limits(max_calls=7, max_frame=7000)
    pump = Pump(None, limits=theirs, client_limits=mine, step=step)

    assert 7 == pump.client.broker.calls.peer_max_calls
    assert 5000 == pump.client.broker.outbox.max_frame  # what it would take itself
    assert 5000 == pump.client.broker.reader.max_frame
    assert 5 == pump.server.broker.calls.peer_max_calls
    assert "server" == pump.client.broker.peer_agent
    assert pump.client.is_open
    assert pump.server.is_open
