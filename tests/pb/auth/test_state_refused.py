"""State that is refused: damaged, forged, of a newer program, or not to be kept at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pb
from cred.stores.sqlite import SqliteStore
from pb.auth.state import KeptState, StateError
from tests.pb.auth.states import Item, Owner, change, kept, path, reread, rows, turn

__all__ = ["path"]


# --- what is refused


HARMS = {
    "flipped": "UPDATE pb_state SET payload = CAST(? || substr(payload, 2) AS BLOB) WHERE name = 'b'",
    "truncated": "UPDATE pb_state SET payload = substr(payload, 1, length(payload) - 1) WHERE name = 'b'",
    "empty": "UPDATE pb_state SET payload = x'' WHERE name = 'b'",
    "version": "UPDATE pb_state SET version = 2 WHERE name = 'b'",
    "swapped": "UPDATE pb_state SET (payload, seal) = (SELECT payload, seal FROM pb_state WHERE name = 'a')",
    "text": "UPDATE pb_state SET payload = 'text' WHERE name = 'b'",
    "text for a seal": "UPDATE pb_state SET seal = 'text' WHERE name = 'b'",
    "text for a version": "UPDATE pb_state SET version = 'text' WHERE name = 'b'",
    "unsealed": "UPDATE pb_state SET seal = x'' WHERE name = 'b'",
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_was_changed_by_hand_is_refused_and_left_as_it_is(path, harm):
    """And no owner is given anything: half of a state is none."""
    turn(path, a=Owner([1]), b=Owner([2]))
    change(path, HARMS[harm], *([b"\x92"] if harm == "flipped" else []))
    before = rows(path)

    with pytest.raises(StateError, match="'b' of 'shop' was damaged or changed by hand; put a copy"):
        turn(path, a=(a := Owner()), b=(b := Owner()))

    assert [] == a.given + b.given
    assert before == rows(path)


class Trap:
    """What a pickle would have run."""

    sprung: list[str] = []

    def __init__(self) -> None:
        self.sprung.append("init")

    def __reduce__(self) -> Any:
        return self.sprung.append, ("reduce",)

    def __setstate__(self, state: Any) -> None:
        self.sprung.append("setstate")


def test_a_snapshot_of_who_knows_the_secret_builds_registered_classes_only(path):
    """The seal is against accidents: its key is in the same file. What is built, the registry says."""
    open_registry = pb.Registry()
    open_registry.add(Item, "os.system")

    async def forge() -> None:
        store = SqliteStore(path)
        state = KeptState("shop")
        state.add("items", Owner([Item("rm -rf /", 1)]), open_registry)
        await state.load(store, "forger")
        await state.save(store)
        await store.close()

    asyncio.run(forge())
    before = rows(path)

    with pytest.raises(StateError, match=r"'items' of 'shop' is refused: .*os\.system"):
        turn(path, items=(items := Owner()))

    assert [] == items.given
    assert before == rows(path)


def test_a_class_that_is_not_registered_is_not_written(path):
    """Nothing is written that could not be read."""
    with pytest.raises(StateError, match="Trap"):
        turn(path, trap=Owner(Trap()))

    assert ["init"] == Trap.sprung


def test_a_newer_format_is_refused(path):
    """The whole layout may be another one."""
    turn(path, a=Owner(1))
    change(path, "UPDATE pb_applications SET format = 2")

    with pytest.raises(StateError, match="has format 2, this program reads 1; update it"):
        turn(path, a=Owner())


def test_who_starts_last_writes_and_who_started_first_is_told(path):
    """Two processes that keep the same state would undo each other's changes, silently."""

    async def play() -> None:
        store = SqliteStore(path)
        first, second = kept({"a": (one := Owner(1))}), kept({"a": (two := Owner(2))})
        await first.load(store, "first")
        await first.save(store)
        await second.load(store, "second")
        two.value, one.value = 22, 11
        with pytest.raises(StateError, match="another process has taken over"):
            await first.save(store)
        await second.save(store)
        await store.close()

    asyncio.run(play())
    reread(path, a=(a := Owner()))
    assert [22] == a.given


def test_who_saves_while_another_starts_is_found(path):
    """What was saved in between would be overwritten by who did not see it."""

    class Interrupted(SqliteStore):
        """Somebody else saves, once, between reading and taking over."""

        async def secret(self) -> bytes:
            value.value += 1
            await first.save(other)
            return await super().secret()

    value = Owner(1)
    first = kept({"a": value})
    other = SqliteStore(path)

    async def play() -> None:
        await first.load(other, "first")
        await first.save(other)
        store = Interrupted(path)
        with pytest.raises(StateError, match="another process wrote the state of 'shop' meanwhile"):
            await kept({"a": (late := Owner())}).load(store, "second")
        assert [] == late.given
        value.value = 9
        await first.save(other)
        await store.close()
        await other.close()

    asyncio.run(play())
    reread(path, a=(a := Owner()))
    assert [9] == a.given


# --- what cannot be kept at all


def test_what_has_no_hooks_is_refused_where_it_is_named():
    """Not when the first minute is over."""
    with pytest.raises(TypeError, match="a dict cannot be kept: it has no method get_state_to_keep"):
        KeptState("x").add("a", {}, None)


@pytest.mark.parametrize("version", [0, "1", True, None])
def test_a_version_is_an_int_from_one_on(version):
    """It is compared."""
    owner = Owner()
    owner.kept_version = version  # type: ignore[attr-defined]

    with pytest.raises(TypeError, match="kept_version of Owner"):
        KeptState("x").add("a", owner, None)


def test_a_name_is_kept_once():
    """The second would overwrite the first at each save."""
    state = kept({"a": Owner()})

    with pytest.raises(ValueError, match="state is kept under 'a' already"):
        state.add("a", Owner(), None)
