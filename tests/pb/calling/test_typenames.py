"""Types of Python in words that other languages can read."""

from __future__ import annotations

import datetime
import decimal
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar, Union

import pytest

import pb
from pb.calling.typenames import TypeNames

T = TypeVar("T")


class Point:
    pass


class Box(Generic[T]):
    pass


class Thing(pb.Referenceable):
    pass


deep: Any = int
for _ in range(20):
    deep = list[deep]


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        (int, "int"),
        (type(None), "nil"),
        (list[int], "list[int]"),
        (dict[str, list[bytes]], "map[str, list[bytes]]"),
        (Mapping[str, float], "map[str, float]"),
        (Iterable[str], "list[str]"),
        (tuple[int, str], "tuple[int, str]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (tuple, "tuple"),
        (set[int], "set[int]"),
        (datetime.datetime, "datetime"),
        (decimal.Decimal, "decimal"),
        (int | None, "int | nil"),
        (Optional[str], "str | nil"),  # noqa: UP045
        (Union[int, str, int], "int | str"),  # noqa: UP007
        (int | Any, "any"),
        (Literal["a", 1, True, None], '"a" | 1 | true | null'),
        (Literal[b"a"], "any"),
        (Annotated[int, "x"], "int"),
        (AsyncIterator[str], "stream[str]"),
        (AsyncGenerator[str, None], "stream[str]"),
        (AsyncIterator, "stream"),
        (Point, "geo.Point"),
        (list[Point], "list[geo.Point]"),
        (Thing, "object"),
        (pb.RemoteReference, "object"),
        (Box, "any"),
        (Box[int], "any"),
        (object, "any"),
        (Callable[[int], int], "any"),
        (T, "any"),
        ("int", "any"),
        (5, "any"),
        (typing.Any, "any"),
        (deep, "list[" * 9 + "any" + "]" * 9),
    ],
)
def test_a_type_has_a_name(hint, name):
    """What other languages have no use for is `any`."""
    assert name == TypeNames({Point: "geo.Point"}).name(hint)
