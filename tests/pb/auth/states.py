"""Keeping state in a file, one run after the other."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import jelly
import pb
from cred.stores.sqlite import SqliteStore
from pb.auth.state import KeptState
from tests.pb.cli.processes import HARD_END_S


@dataclass
class Item:
    name: str
    price: int


registry = pb.Registry()
registry.add(Item, "shop.Item")


class Owner:
    """Keeps one value."""

    def __init__(self, value: Any = None) -> None:
        self.value = value
        self.given: list[Any] = []

    def get_state_to_keep(self) -> Any:
        return self.value

    def set_kept_state(self, state: Any) -> None:
        self.value = state
        self.given.append(state)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "state.db"


writers = map(str, range(1_000_000))


def kept(owners: dict[str, Any], registry: jelly.Registry | None = registry) -> KeptState:
    """Return the state of an application of these owners."""
    state = KeptState("shop")
    for name, owner in owners.items():
        state.add(name, owner, registry)
    return state


def turn(path: Path, saves: bool = True, **owners: Any) -> bool | None:
    """Load, save if wanted, and close; return whether anything was written."""

    async def play() -> bool | None:
        store = SqliteStore(path)
        try:
            state = kept(owners)
            await state.load(store, next(writers))
            return await state.save(store) if saves else None
        finally:
            await store.close()

    return asyncio.run(asyncio.wait_for(play(), HARD_END_S))


def reread(path: Path, **owners: Any) -> Any:
    """Load what is there."""
    turn(path, saves=False, **owners)


def change(path: Path, statement: str, *arguments: Any) -> None:
    """Do something to the file that no program of ours would."""
    with sqlite3.connect(path) as database:
        assert database.execute(statement, arguments).rowcount
    database.close()


def rows(path: Path) -> list[Any]:
    """Return all that is kept."""
    with sqlite3.connect(path) as database:
        found = database.execute("SELECT * FROM pb_state ORDER BY name").fetchall()
        found += database.execute("SELECT * FROM pb_applications").fetchall()
    database.close()
    return found
