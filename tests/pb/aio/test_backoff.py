"""How long is waited before a connection is tried again, and when it is no more."""

from __future__ import annotations

import ssl

import pytest

import cred
import pb
from pb import messages
from pb.aio.backoff import Streak, is_final


def test_waits_double_up_to_a_bound():
    """A server that is down for an hour is asked every half minute, not every tenth of a second."""
    options = pb.Reconnect(chance=lambda: 1.0)

    assert [0.1, 0.2, 0.4, 0.8] == [options.delay_s(streak) for streak in range(4)]
    assert [25.6, 30.0, 30.0, 30.0] == [options.delay_s(streak) for streak in (8, 9, 100, 10**6)]


def test_chance_spreads_the_whole_wait():
    """Five thousand clients that lost their server together must not come back together (PB-K1)."""
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
        {"refused_s": -1.0},
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
    with pytest.raises(TypeError, match=r"reconnect= is an int; True, or a pb.Reconnect\(...\), is expected"):
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


REFUSED = pb.ProtocolError("this address is refused for now", messages.BYE_POLICY)
SILENT = ConnectionError("the connection was lost before the peer said HELLO")


def waits(*errors, is_try=True):
    """Return what is waited after each of these, one after the other, without what chance adds."""
    streak = Streak(pb.Reconnect(chance=lambda: 0.0))
    return [streak.next_s(error, is_try) for error in errors]


def test_who_is_refused_waits_long():
    """Each dial is counted against its address there, and would keep it out."""
    behind = pb.NotExecuted("lost again at once")
    behind.__cause__ = REFUSED

    assert [5.0, 10.0, 20.0, 20.0, 40.0] == waits(REFUSED, behind, REFUSED, OSError("refused"), REFUSED)
    assert [5.0, 600.0, 600.0] == [waits(*[REFUSED] * count)[-1] for count in (1, 8, 5000)]
    assert [5.0] == waits(REFUSED, is_try=False)
    streak = Streak(pb.Reconnect(refused_s=2.0, chance=lambda: 1.0))
    assert [2.1, 4.2] == [streak.next_s(REFUSED, True) for _ in range(2)]
    streak.end()
    assert 2.1 == streak.next_s(REFUSED, True)


def test_who_comes_in_a_crowd_waits_as_after_a_loss():
    """It has done nothing; a crowd that waited long together would come again together."""
    crowded = pb.ProtocolError("16 connections have not logged in yet", messages.BYE_LIMIT)
    behind, told = pb.NotExecuted("lost again at once"), ConnectionError("lets nobody in just now")
    behind.__cause__ = told.__cause__ = crowded

    assert [0.0] * 6 == waits(crowded, behind, told, told, told, crowded)
    streak = Streak(pb.Reconnect(chance=lambda: 1.0))
    assert [0.1, 0.2, 0.4] == [streak.next_s(crowded, True) for _ in range(3)]


def test_who_is_hung_up_on_waits_long_from_the_second_time_on():
    """Over TLS that is all a server says to who is refused; once it may just have been going down."""
    assert [0.0, 5.0, 10.0] == waits(SILENT, ConnectionResetError(), ssl.SSLError("eof"))
    assert [0.0, 5.0] == waits(SILENT, REFUSED)
    assert [0.0, 0.0] == waits(SILENT, SILENT, is_try=False)
    down = ConnectionRefusedError()  # nobody listens: what was going down has gone
    assert [0.0, 0.0, 0.0, 5.0, 5.0, 10.0] == waits(SILENT, down, SILENT, SILENT, down, SILENT)
    assert [0.0] * 4 == waits(
        ConnectionRefusedError(), pb.NotExecuted("lost"), TimeoutError(), OSError("no route")
    )
