"""How many may stand at the door: 16 of one source, 64 without chance, 256 at all."""

from __future__ import annotations

import pytest

import cred
import pb
from pb.auth.root import AuthRoot
from pb.auth.strangers import DROP_PERCENT, FREE, FULL, MOST_OF_ONE_SOURCE, Strangers
from pb.bounds.crowded import Crowded
from pb.security import Security

from .doors import Knock, Told, authorizer


def lucky(bound):
    """Never be among those who are dropped."""
    return bound - 1


def unlucky(bound):
    """Always be."""
    return 0


def fill(strangers, count):
    return [strangers.enter(f"source {number}") for number in range(count)]


def test_sixteen_of_one_source_may_wait_and_the_others_are_not_affected():
    """One source must not take all places (PB-A41)."""
    strangers = Strangers(lucky)
    for _ in range(MOST_OF_ONE_SOURCE):
        strangers.enter("one")
    with pytest.raises(pb.Forbidden, match="16 connections from one"):
        strangers.enter("one")
    strangers.enter("other")

    assert (16, 17) == (MOST_OF_ONE_SOURCE, len(strangers))


def test_who_is_on_this_machine_is_not_counted_by_source():
    """A Unix socket has but one source."""
    strangers = Strangers(lucky)
    for _ in range(MOST_OF_ONE_SOURCE + 1):
        strangers.enter("")

    assert MOST_OF_ONE_SOURCE + 1 == len(strangers)


def test_up_to_64_nobody_is_dropped_by_chance():
    """And from there on somebody is."""
    strangers = Strangers(unlucky)
    fill(strangers, FREE)
    with pytest.raises(pb.Forbidden, match="64 connections have not logged in yet; dropped by chance"):
        strangers.enter("the 65th")

    assert (64, 64) == (FREE, len(strangers))


def test_above_64_the_chance_grows_from_30_percent_to_all():
    """So that a flood does not shut the door on everybody."""
    asked = []

    def chance(bound):
        asked.append(bound)
        return roll

    strangers = Strangers(chance)
    roll = 99
    fill(strangers, FREE)
    assert [] == asked
    roll = DROP_PERCENT - 1
    with pytest.raises(pb.Forbidden, match="by chance"):
        strangers.enter("a")
    roll = DROP_PERCENT
    strangers.enter("b")
    roll = 99
    for number in range(FREE + 1, FULL):
        strangers.enter(f"c{number}")
    assert {100} == set(asked)
    assert (256, 30) == (len(strangers), DROP_PERCENT)


def test_at_256_nobody_comes_in():
    """However lucky."""
    strangers = Strangers(lucky)
    leave = fill(strangers, FULL)
    with pytest.raises(pb.Forbidden, match=r"^256 connections have not logged in yet; try again soon$"):
        strangers.enter("the 257th")
    leave[0]()
    strangers.enter("the 257th")

    assert (256, 256) == (FULL, len(strangers))


def test_who_leaves_twice_has_left_once():
    """Logged in first, and disconnected later."""
    strangers = Strangers(lucky)
    first, second = strangers.enter("one"), strangers.enter("one")
    first()
    first()
    assert 1 == len(strangers)
    second()
    assert 0 == len(strangers)
    assert {} == dict(strangers._sources)


def test_the_dice_are_fair():
    """Without a chance of the test's own: some are dropped, some are not."""
    strangers = Strangers()
    fill(strangers, FREE)
    came = 0
    for number in range(100):
        try:
            strangers.enter(f"another {number}")
            came += 1
        except pb.Forbidden:
            pass
    assert 10 < came < 100


def test_a_trusted_source_may_have_more_at_the_door():
    """Of a front end all that come through it count as those of one source; in all they count."""
    auth = AuthRoot(authorizer(), throttle=cred.Throttle(trusted=["10.0.0.7"]))
    leaves = [auth.knock("10.0.0.7") for _ in range(MOST_OF_ONE_SOURCE + 1)]
    far = Security("10.0.0.7", is_encrypted=True)
    peers = [Knock(auth, far) for _ in range(MOST_OF_ONE_SOURCE)]
    for peer in peers[:4]:
        with pytest.raises(Told):
            peer.log_in(peer.scram(password="wrong"))

    assert 2 * MOST_OF_ONE_SOURCE + 1 == len(leaves) + len(peers) == len(auth.strangers)
    assert 0.0 == auth.throttle.penalty_s("10.0.0.7")
    for _ in range(MOST_OF_ONE_SOURCE):
        auth.knock("10.0.0.8")
    with pytest.raises(pb.Forbidden):
        auth.knock("10.0.0.8")


def test_who_runs_the_server_says_how_many_may_wait():
    """A front end, an office or a laboratory of test machines is one source, and an honest one."""
    throttle = cred.Throttle(strangers=(2, 4), strangers_of_source=3)
    auth = AuthRoot(authorizer(), throttle=throttle)
    auth.strangers._chance = lucky
    for _ in range(3):
        auth.knock("127.0.0.1")
    with pytest.raises(Crowded, match=r"^3 connections from 127.0.0.1 have not logged in yet; try"):
        auth.knock("127.0.0.1")
    auth.knock("10.0.0.8")
    with pytest.raises(Crowded, match=r"^4 connections have not"):
        auth.knock("10.0.0.9")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "uid 1000"])
def test_those_on_this_machine_are_bounded_in_all_only(address):
    """A front end is there, or the tests of a whole company; who means harm from there could do worse."""
    auth = AuthRoot(authorizer())
    for _ in range(FREE):
        auth.knock(address)
    auth.strangers._chance = unlucky
    with pytest.raises(Crowded, match="64 connections have not logged in yet; dropped by chance, try again"):
        auth.knock(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "1127.0.0.1.example", "2001:db8::1", "::2:1:0:0:1"])
def test_those_elsewhere_are_bounded_by_source(address):
    """Also where the name looks a little like that of this machine."""
    auth = AuthRoot(authorizer())
    for _ in range(MOST_OF_ONE_SOURCE):
        auth.knock(address)
    with pytest.raises(Crowded, match="16 connections from"):
        auth.knock(address)
