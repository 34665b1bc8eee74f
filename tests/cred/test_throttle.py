"""Throttle: who has to wait, for how long, and that nobody can be locked out or fill the memory."""

from __future__ import annotations

import pytest

from cred import Throttle, source_of
from cred.throttle import ATTEMPTS, HALF_LIFE_S

from .helpers import Clock


@pytest.fixture
def clock():
    """Turned by hand: nothing here waits."""
    return Clock()


def fail(throttle, times, source="192.0.2.1", name="alice"):
    """Fail so often."""
    for _ in range(times):
        throttle.failed(source, name)


def test_who_never_failed_never_waits(clock):
    """Honest users meet none of this."""
    throttle = Throttle(clock=clock)

    assert (0.0, 0.0) == (throttle.penalty_s("192.0.2.1"), throttle.delay_s("alice"))


def test_a_source_is_refused_from_its_third_failure_on(clock):
    """5 s, doubling up to ten minutes."""
    throttle = Throttle(clock=clock)
    found = []
    for _ in range(12):
        fail(throttle, 1)
        found.append(throttle.penalty_s("192.0.2.1"))

    assert [0, 0, 5, 10, 20, 40, 80, 160, 320, 600, 600, 600] == found


def test_a_penalty_runs_out(clock):
    """By itself, and to the second."""
    throttle = Throttle(clock=clock)
    fail(throttle, 3)
    clock.now += 4
    assert 1.0 == throttle.penalty_s("192.0.2.1")
    clock.now += 2
    assert 0.0 == throttle.penalty_s("192.0.2.1")


def test_a_name_is_answered_later_but_always(clock):
    """Whoever guesses at alice from everywhere slows alice down by 8 s, and never locks her out."""
    throttle = Throttle(clock=clock)
    found = []
    for number in range(100):
        fail(throttle, 1, source=f"198.51.100.{number}")
        found.append(throttle.delay_s("alice"))

    assert [0, 0, 0, 0.25, 0.5, 1, 2, 4, 8, 8] == found[:10]
    assert 8.0 == found[-1]


def test_other_sources_and_names_are_not_concerned(clock):
    """A neighbour may go on."""
    throttle = Throttle(clock=clock)
    fail(throttle, 9)

    assert (0.0, 0.0) == (throttle.penalty_s("192.0.2.2"), throttle.delay_s("bob"))


def test_a_success_clears_the_name_and_not_the_source(clock):
    """With one good password a source could else guess at all others for ever."""
    throttle = Throttle(clock=clock)
    fail(throttle, 5)
    throttle.succeeded("alice")

    assert (20.0, 0.0) == (throttle.penalty_s("192.0.2.1"), throttle.delay_s("alice"))


def test_failures_fade(clock):
    """Who mistypes once a day is not a guesser after a week."""
    throttle = Throttle(clock=clock)
    fail(throttle, 6)
    assert 1.0 == throttle.delay_s("alice")
    clock.now += HALF_LIFE_S
    assert 0.0 == throttle.delay_s("alice")
    fail(throttle, 1)
    assert 0.25 == throttle.delay_s("alice")
    clock.now += 1e9
    assert 0.0 == throttle.delay_s("alice")


def test_a_million_failures_cost_no_more_than_ten(clock):
    """2.0 ** 1_000_000 is an OverflowError."""
    throttle = Throttle(clock=clock)
    fail(throttle, 5_000)

    assert (600.0, 8.0) == (throttle.penalty_s("192.0.2.1"), throttle.delay_s("alice"))


def test_the_longest_unused_is_forgotten(clock):
    """Names are chosen by strangers: a table of all would be theirs to fill."""
    throttle = Throttle(clock=clock, remembered=10)
    fail(throttle, 9)
    for number in range(9):
        fail(throttle, 1, source=f"198.51.100.{number}", name=f"user {number}")
    assert throttle.penalty_s("192.0.2.1") > 0
    fail(throttle, 1, source="198.51.100.99", name="user 99")

    assert (0.0, 0.0) == (throttle.penalty_s("192.0.2.1"), throttle.delay_s("alice"))
    assert (10, 10) == (len(throttle._sources), len(throttle._names))


def test_a_login_without_a_name_counts_for_its_source(clock):
    """Garbage is a try too."""
    throttle = Throttle(clock=clock)
    for _ in range(3):
        throttle.failed("192.0.2.1", None)

    assert 5.0 == throttle.penalty_s("192.0.2.1")
    assert 0 == len(throttle._names)


def test_a_connection_has_three_tries(clock):
    """Then it is to be closed, and the source is refused for a while."""
    throttle = Throttle(clock=clock)
    attempts = throttle.connection("192.0.2.1")
    left = [attempts.left]
    for name in ("alice", None, "alice", "alice"):
        attempts.failed(name)
        left.append(attempts.left)

    assert [ATTEMPTS, 2, 1, 0, 0] == left
    assert 10.0 == throttle.penalty_s("192.0.2.1")


def test_a_connection_tells_how_long_to_hold_an_answer_back(clock):
    """The same for right and wrong, and nothing where no name was claimed."""
    throttle = Throttle(clock=clock)
    attempts = throttle.connection("192.0.2.1")
    fail(throttle, 4)

    assert (0.25, 0.0) == (attempts.delay_s("alice"), attempts.delay_s(None))
    attempts.succeeded("alice")
    assert 0.0 == attempts.delay_s("alice")


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unix:1000", "unix:1000"),
        ("", ""),
    ],
)
def test_what_one_customer_has_is_one_source(address, source):
    """A /64 has more addresses than any table."""
    assert source == source_of(address)


def test_a_failure_after_a_pause_counts_from_what_is_left(clock):
    """Also where nobody asked in between."""
    throttle = Throttle(clock=clock)
    fail(throttle, 8)
    clock.now += 2 * HALF_LIFE_S
    fail(throttle, 1)

    assert (5.0, 0.0) == (throttle.penalty_s("192.0.2.1"), throttle.delay_s("alice"))


def test_a_guesser_who_is_patient_is_not_forgotten(clock):
    """The half-life begins anew with each failure."""
    throttle = Throttle(clock=clock)
    for _ in range(8):
        fail(throttle, 1)
        clock.now += HALF_LIFE_S - 1

    assert 4.0 == throttle.delay_s("alice")


TRUSTED = ["10.0.0.7", "192.168.0.0/16", "2001:db8:1::/64"]


@pytest.mark.parametrize(
    ("address", "is_trusted"),
    [
        ("10.0.0.7", True),
        ("10.0.0.8", False),
        ("192.168.5.6", True),
        ("::ffff:192.168.5.6", True),
        ("192.169.0.1", False),
        ("2001:db8:1::5", True),
        ("2001:db8:2::5", False),
        ("uid 1000", False),
        ("", False),
    ],
)
def test_a_trusted_source_is_never_refused_but_names_are_held_back_there_too(clock, address, is_trusted):
    """Behind a front end all come from one address, and one who mistypes must not shut out the others."""
    throttle = Throttle(clock=clock, trusted=TRUSTED)
    source = source_of(address)
    fail(throttle, 4, source=source)

    assert is_trusted is throttle.is_trusted(source)
    assert (0.0 if is_trusted else 10.0) == throttle.penalty_s(source)
    assert 0.25 == throttle.delay_s("alice")


def test_who_trusts_nobody_asks_no_address(clock):
    """It is asked for each connection."""
    assert not Throttle(clock=clock).is_trusted("not looked at")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("example.org", "expected an address or a network"),
        ("10.0.0.7/8", "has host bits set; expected"),
        ("2001:db8::7", "a part of 2001:db8::/64, which counts as one source"),
    ],
)
def test_what_can_be_no_source_cannot_be_trusted(text, why):
    """Else it would be found out when the office is shut out."""
    with pytest.raises(ValueError, match=why):
        Throttle(trusted=[text])


def test_how_many_may_wait_of_one_source():
    """16, but from this machine; or as many as the operator says, wherever that is."""
    here = ("127.0.0.1", "uid 1000", source_of("::1"))
    assert [16, None, None, None] == [Throttle().strangers_of(each) for each in ("10.0.0.1", *here)]
    said = Throttle(strangers_of_source=3, trusted=["10.0.0.2"])
    assert [3, 3, 3, 3] == [said.strangers_of(each) for each in ("10.0.0.1", *here)]
    assert said.strangers_of("10.0.0.2") is None
    assert (64, 256) == said.strangers


@pytest.mark.parametrize("numbers", [(-1, 5), (6, 5), (0, 0)])
def test_numbers_of_those_who_wait_have_to_make_sense(numbers):
    """Else nobody would ever get in."""
    with pytest.raises(ValueError, match="expected two numbers"):
        Throttle(strangers=numbers)
    with pytest.raises(ValueError, match="strangers_of_source=0: expected a number from 1 on, or None"):
        Throttle(strangers_of_source=0)
    assert (5, 5) == Throttle(strangers=(5, 5)).strangers
