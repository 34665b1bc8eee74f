"""The advice in the refusal of a value that does not cross: it must be one that helps."""

from __future__ import annotations

import asyncio
import io

import pytest

from jelly._why_not import why_not


async def coroutine():
    """Be forgotten to be awaited."""


class Plain:
    pass


class Name(str):
    __slots__ = ()


def test_what_is_to_be_awaited_is_not_told_to_be_registered():
    """`return self.look()` of an `async def` is the commonest slip there is."""
    made = coroutine()
    try:
        assert "is a coroutine: await it first" == why_not(type(made))
    finally:
        made.close()
    assert "is a Future: await it first" == why_not(asyncio.Future)


@pytest.mark.parametrize(
    "value", [object(), {}.keys(), iter([]), ...], ids=lambda value: type(value).__name__
)
def test_what_is_python_s_own_is_not_told_to_be_registered(value):
    """It has no state that could be sent under a name."""
    kind = type(value)

    text = "which has no flavour and is one of Python's own; send what it stands for"
    assert f"is a {kind.__qualname__}, {text}" == why_not(kind)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Plain, 'Registry.add(Plain, "name") admits it, in the registry= of this side'),
        (Name, 'Registry.add_codec(Name, "name", ...) admits it, in the registry= of this side'),
        (ValueError, "an error that is not registered"),
        (io.BytesIO, "pb.stream_file"),
        (type, "code never crosses"),
    ],
)
def test_what_can_be_registered_is(kind, text):
    """And where that registry goes: it is of no use by itself."""
    assert text in why_not(kind)
