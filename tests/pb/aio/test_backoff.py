"""How long is waited before a connection is tried again, and when it is no more."""

from __future__ import annotations

import ssl

import pytest

import cred
import pb
from pb import messages
from pb.aio.backoff import is_final


def test_waits_double_up_to_a_bound():
    """A server that is down for an hour is asked every half minute, not every tenth of a second."""
    options = pb.Reconnect(chance=lambda: 1.0)

    assert [0.1, 0.2, 0.4, 0.8] == [options.delay_s(streak) for streak in range(4)]
    assert [25.6, 30.0, 30.0, 30.0] == [options.delay_s(streak) for streak in (8, 9, 100, 10**6)]


def test_chance_spreads_the_whole_wait():
    """Five thousand clients that lost their server together must not come back together."""
    assert 0.0 == pb.Reconnect(chance=lambda: 0.0).delay_s(9)
    assert 15.0 == pb.Reconnect(chance=lambda: 0.5).delay_s(9)
    assert len({pb.Reconnect().delay_s(9) for _ in range(8)}) > 1


def test_it_is_never_over_unless_that_was_said():
    """A server that is mended after a week finds its clients waiting."""
    assert not pb.Reconnect().is_over(10**6, 10.0**6)
    assert [False, True] == [pb.Reconnect(max_attempts=3).is_over(count, 0.0) for count in (2, 3)]
    assert [False, True] == [pb.Reconnect(give_up_s=60).is_over(1, down) for down in (59.9, 60.0)]


@pytest.mark.parametrize(
    "options",
    [
        {"first_s": -1.0},
        {"first_s": 2.0, "max_s": 1.0},
        {"stable_s": -1.0},
        {"calls": "maybe"},
        {"max_waiting": -1},
        {"max_attempts": 0},
        {"give_up_s": -1.0},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options):
    """Where they are given, not when the connection is lost at night."""
    with pytest.raises(ValueError):
        pb.Reconnect(**options)


def test_what_is_given_as_reconnect():
    """True is enough for most."""
    options = pb.Reconnect(max_s=1.0)

    assert [None, None] == [pb.Reconnect.of(given) for given in (None, False)]
    assert pb.Reconnect() == pb.Reconnect.of(True)
    assert options is pb.Reconnect.of(options)
    with pytest.raises(TypeError, match=r"reconnect= is a int; True, or a pb.Reconnect\(...\), is expected"):
        pb.open_connection("pb://127.0.0.1", reconnect=3)


def test_what_would_only_be_repeated_is_final():
    """A wrong key or password stays wrong, and each try is one more guess."""
    final = [
        pb.LoginFailed("no"),
        cred.UntrustedServer("no"),
        cred.DowngradeDetected("no"),
        ssl.SSLCertVerificationError("another key"),
        pb.ProtocolError("version", messages.BYE_VERSION),
    ]
    passing = [
        OSError("refused"),
        TimeoutError(),
        ssl.SSLError("eof"),
        pb.ProtocolError("nonsense"),
        pb.NotExecuted("lost"),
        pb.Busy("later"),
    ]

    assert [True] * 5 == [is_final(error) for error in final]
    assert [False] * 6 == [is_final(error) for error in passing]
