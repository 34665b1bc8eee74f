"""State that outlives a run: written together, refused when damaged, upgraded when older."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import pb
from cred.stores.sqlite import SqliteStore
from pb.auth.state import KeptState, StateError
from tests.pb.auth.states import Item, Owner, kept, path, reread, turn
from tests.pb.cli.processes import ENVIRONMENT

__all__ = ["path"]


def test_what_was_saved_is_given_back(path):
    """Registered classes and what is shared within one state, too."""
    lamp = Item("lamp", 3)
    turn(path, baskets=Owner({"alice": [lamp, lamp], "bob": []}), visits=Owner(7))

    baskets, visits = Owner(), Owner()
    reread(path, baskets=baskets, visits=visits)

    assert {"alice": [Item("lamp", 3)] * 2, "bob": []} == baskets.value
    assert baskets.value["alice"][0] is baskets.value["alice"][1]
    assert [7] == visits.given


def test_a_field_that_only_some_users_are_shown_is_kept_all_the_same(path):
    """Rules are for peers: what is left out here is lost at the next start."""
    rules = pb.Registry()
    rules.add(Item, "shop.Item", visible={"price": pb.visible_to("boss")})
    baskets = Owner([Item("lamp", 3)])

    async def play() -> None:
        for _ in range(2):
            store = SqliteStore(path)
            state = kept({"baskets": baskets}, rules)
            await state.load(store, "writer")
            await state.save(store)
            await store.close()

    asyncio.run(play())

    assert [[Item("lamp", 3)]] == baskets.given


def test_an_owner_without_state_is_given_none(path):
    """At the first run, and when it is added later."""
    turn(path, visits=Owner(7))

    visits, later = Owner(), Owner("as made")
    reread(path, visits=visits, later=later)

    assert ([7], []) == (visits.given, later.given)
    assert "as made" == later.value


def test_only_what_changed_is_written(path):
    """Saving every minute must cost nothing where nothing happens."""
    visits = Owner(7)

    async def play() -> list[bool]:
        store = SqliteStore(path)
        state = kept({"visits": visits, "other": Owner(1)})
        await state.load(store, "writer")
        wrote = [await state.save(store), await state.save(store)]
        visits.value = 8
        wrote += [await state.save(store), await state.save(store)]
        await store.close()
        return wrote

    assert [True, False, True, False] == asyncio.run(play())
    assert False is turn(path, visits=(again := Owner()), other=Owner())
    assert [8] == again.given


def test_state_of_others_stays(path):
    """An owner that is not kept for one run is not lost for the next; applications do not mix."""
    turn(path, visits=Owner(7))
    turn(path, other=Owner(1))

    async def another() -> None:
        store = SqliteStore(path)
        state = KeptState("another")
        state.add("visits", owner := Owner(99), None)
        await state.load(store, "w")
        assert [] == owner.given
        await state.save(store)
        await store.close()

    asyncio.run(another())

    visits, other = Owner(), Owner()
    reread(path, visits=visits, other=other)
    assert ([7], [1]) == (visits.given, other.given)


def test_one_that_cannot_be_written_leaves_all_as_they_were(path):
    """Half of the state would be a state that never was."""
    turn(path, good=Owner(1), bad=Owner(1))

    with pytest.raises(StateError, match="'bad' is an object, one of Python's own"):
        turn(path, good=(good := Owner()), bad=Changing(object()))

    assert [1] == good.given
    reread(path, good=(good := Owner()), bad=(bad := Owner()))
    assert ([1], [1]) == (good.given, bad.given)


class Changing(Owner):
    """Has another value when it is asked, whatever it was given."""

    def set_kept_state(self, state: Any) -> None:
        pass


@pytest.mark.parametrize("flavour", [pb.Referenceable, pb.Viewable])
def test_references_cannot_be_kept(path, flavour):
    """There is nobody at the other end of a file."""
    with pytest.raises(StateError, match="cannot be kept"):
        turn(path, bad=Owner(flavour()))


# --- versions


class Second(Owner):
    """Its state was a list once and a dict after that."""

    kept_version = 3

    def upgrade_to_version_2(self, state: Any) -> Any:
        return dict.fromkeys(state, 0)

    def upgrade_to_version_3(self, state: Any) -> Any:
        return {"counts": state}


def test_an_older_state_is_upgraded_step_by_step(path):
    """Each hook knows one change only."""
    turn(path, a=Owner(["x"]))

    turn(path, a=(a := Second()))
    assert [{"counts": {"x": 0}}] == a.given

    reread(path, a=(a := Second()))
    assert [{"counts": {"x": 0}}] == a.given


def test_a_missing_step_is_named(path):
    """And the old state is still there for who adds it."""

    class Third(Second):
        kept_version = 4

    turn(path, a=Owner(["x"]))

    with pytest.raises(StateError, match=r"has version 1, and Third has no upgrade_to_version_4\(state\)"):
        turn(path, a=Third())
    reread(path, a=(a := Owner()))
    assert [["x"]] == a.given


def test_a_state_of_a_newer_program_is_refused(path):
    """An older program would write it back without what it does not know."""
    turn(path, a=Second({"counts": {}}))

    with pytest.raises(StateError, match="has version 3, Owner reads 1; update the program"):
        turn(path, a=Owner())


def test_classes_in_the_state_are_upgraded_by_their_registry(path):
    """The same way as for peers of an older version."""
    turn(path, a=Owner([Item("lamp", 3)]))

    @dataclass
    class Priced:
        name: str
        cents: int

    newer = pb.Registry()
    newer.add(
        Priced,
        "shop.Item.2",
        upgrades={"shop.Item": lambda old: {"name": old["name"], "cents": 100 * old["price"]}},
    )

    async def play() -> list[Any]:
        store = SqliteStore(path)
        state = kept({"a": (a := Owner())}, newer)
        await state.load(store, "w")
        await store.close()
        return a.given

    assert [[Priced("lamp", 300)]] == asyncio.run(play())


# --- losing the process


WRITER = """
import asyncio, sys
from cred.stores.sqlite import SqliteStore
from pb.auth.state import KeptState

class Owner:
    value = 0
    def get_state_to_keep(self):
        return [self.value] * 20_000
    def set_kept_state(self, state):
        self.value = state[0]

async def main():
    store = SqliteStore(sys.argv[1])
    state, owners = KeptState("shop"), [Owner() for _ in range(3)]
    for number, owner in enumerate(owners):
        state.add(str(number), owner, None)
    await state.load(store, sys.argv[2])
    while True:
        for owner in owners:
            owner.value += 1
        await state.save(store)
        print(owners[0].value, flush=True)

asyncio.run(main())
"""


def killed_writers(path: Path) -> Iterator[int]:
    """Kill a process that saves all the time, each time a little later; yield what it said it had saved."""
    for number in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(number)],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            for _ in range(number + 1):
                said = process.stdout.readline()
            # Some bytes of the next one are on their way by now.
            for _ in range(number * 20_000):
                pass
            os.kill(process.pid, signal.SIGKILL)
            with process.stdout as stdout:
                more = stdout.read().split()  # what is in the buffer of its reader, too
            yield int(more[-1] if more else said)
        finally:
            process.kill()
            process.wait()


def test_a_process_killed_while_it_saves_leaves_the_last_state_or_the_next(path):
    """Whole, all owners from one moment, and never older than what was said to be saved."""
    for said in killed_writers(path):
        owners = {str(number): Owner() for number in range(3)}

        reread(path, **owners)

        values = {value for owner in owners.values() for value in owner.value}
        assert 1 == len(values)
        assert values <= {said, said + 1}
