"""WeakList: that it holds nobody, and does not grow with those who have gone."""

from __future__ import annotations

from cred.weakly import LEAST, WeakList


class Guest:
    pass


def test_those_who_are_there_are_found_in_their_order():
    """Who is cut first is who came first."""
    guests = [Guest() for _ in range(3 * LEAST)]
    found: WeakList[Guest] = WeakList()
    for guest in guests:
        found.add(guest)

    assert guests == list(found)
    assert len(guests) == len(found)


def test_nobody_is_kept():
    """A login that its client has released is of no interest."""
    stays, goes = Guest(), Guest()
    found: WeakList[Guest] = WeakList()
    found.add(goes)
    found.add(stays)
    del goes

    assert [stays] == list(found)
    assert 1 == len(found)
    del stays
    assert not found


def test_what_is_added_while_one_looks_is_not_seen():
    """Who is told of a revocation may log in again at once."""
    first, second = Guest(), Guest()
    found: WeakList[Guest] = WeakList()
    found.add(first)
    for _ in found:
        found.add(second)

    assert [first, second] == list(found)


def test_those_who_have_gone_do_not_fill_the_memory():
    """Who logs in again and again leaves a few empty places, not one for each time."""
    stays = Guest()
    found: WeakList[Guest] = WeakList()
    found.add(stays)
    for _ in range(1000):
        found.add(Guest())

    assert len(found._refs) <= LEAST
    assert [stays] == list(found)
