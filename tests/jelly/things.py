"""Classes and tables that the tests of this folder share."""

from __future__ import annotations

import dataclasses
import enum
import re
from typing import Any, NamedTuple

from msgpack import ExtType

from jelly import BUILTIN_ERRORS, InsecureJelly, Referenceable, Registry, Unjellyable


@dataclasses.dataclass
class Point:
    x: object
    y: object = 0


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: object
    y: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: object
    y: object = None


@dataclasses.dataclass(eq=False)
class Node:
    """Something with an identity."""

    name: str
    links: object = None


class Pair(NamedTuple):
    left: object
    right: object = None


class Colour(enum.Enum):
    RED = 1
    GREEN = "g"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(enum.StrEnum):
    HELLO = "hello"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class BankError(Exception):
    pass


class Overdrawn(BankError):
    def __init__(self, balance: int) -> None:
        super().__init__(f"balance is {balance}")
        self.balance = balance


class Plain:
    """Declared nowhere."""


class Thing(Referenceable):
    pass


def make_registry() -> Registry:
    """Return a registry that admits all of the above but Plain."""
    registry = Registry()
    registry.include(BUILTIN_ERRORS)
    for cls in (Point, Frozen, Slotted, Node, Pair, Colour, Level, Word, Rights, BankError):
        registry.add(cls, f"test.{cls.__name__}")
    registry.add(Overdrawn, "test.Overdrawn", fields=["balance"])
    return registry


class Tables:
    """Give ids by counting, and remember every call."""

    def __init__(self, perspective: object = None) -> None:
        self.perspective = perspective
        self.exports: list[object] = []
        self.counts: dict[int, int] = {}
        self.received: list[tuple[Any, ...]] = []

    def refer(self, value: object) -> ExtType:
        if getattr(value, "is_secret", False):
            raise Unjellyable("is secret")
        if value not in self.exports:
            self.exports.append(value)
        number = self.exports.index(value) + 1
        self.counts[number] = self.counts.get(number, 0) + 1
        return ExtType(1, bytes([number]))

    def undo(self, exts: list[ExtType]) -> None:
        for ext in exts:
            self.counts[ext.data[0]] -= 1

    def reference(self, id: int, meta: dict[str, object] | None) -> object:
        self.received.append(("reference", id, meta))
        if id == 666:
            raise InsecureJelly("too many references", "pb.TooLarge")
        return ("ref", id)

    def home(self, id: int) -> object:
        self.received.append(("home", id))
        if id == 666:
            raise InsecureJelly("no object 666", "pb.NoSuchObject")
        return [id]

    def answer(self, q: int) -> object:
        self.received.append(("answer", q))
        return ("answer", q)

    def stream(self, id: int) -> object:
        self.received.append(("stream", id))
        return ("stream", id)

    def cache(self, id: int, replica: object) -> None:
        self.received.append(("cache", id, replica))

    def refuse_caches(self, ids: object) -> None:
        self.received.append(("refuse_caches", ids))

    def cached(self, id: int) -> object:
        self.received.append(("cached", id))
        return ("cached", id)


def name_of(value: object) -> str:
    """Return the name of a case for a value: the same in each run, so without addresses."""
    return re.sub(" at 0x[0-9a-f]+", "", value if isinstance(value, str) else repr(value))
