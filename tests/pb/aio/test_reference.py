"""A reference in the hand of an asyncio program: whatever Python or a library tries on it asks nobody."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import inspect
import json
import pickle
import pprint
import reprlib
from collections.abc import Awaitable, Iterable

import pytest

import pb
from pb.testing import pair, run


class Probed(pb.Root):
    """Says yes to every name: what is asked of it is known."""

    def __init__(self):
        self.asked = []

    def __getattr__(self, name):
        if not name.startswith("remote_"):
            raise AttributeError(name)
        self.asked.append(name)
        return lambda *args, **kwargs: "yes"


async def enter(reference):
    async with reference:
        pass


async def go_through(reference):
    async for _ in reference:
        pass


REFUSED = {
    "await": lambda reference: asyncio.wait_for(reference, 1),
    "async with": enter,
    "async for": go_through,
    "a task": asyncio.create_task,
    "list": list,
    "len": len,
    "an item": lambda reference: reference[0],
    "in": lambda reference: "x" in reference,
    "a call": lambda reference: reference(),
    "int": int,
    "index": lambda reference: [1, 2][reference],
    "bytes": bytes,
    "a sum": lambda reference: reference + 1,
    "an order": lambda reference: reference < reference,
    "with": lambda reference: reference.__enter__(),
    "an array": lambda reference: reference.__array__(),
    "json": json.dumps,
    "pickle": pickle.dumps,
    "an attribute that is set": lambda reference: setattr(reference, "name", 1),
    "its dict": vars,
}

HARMLESS = {
    "truth": (bool, True),
    "equality": (lambda reference: (reference == reference, reference == 1), (True, False)),
    "a set": (lambda reference: len({reference, copy.copy(reference)}), 1),
    "f-string": (lambda reference: f"{reference}" == repr(reference) == str(reference), True),
    "short forms": (lambda reference: bool(reprlib.repr(reference) and pprint.pformat(reference)), True),
    "copies": (lambda reference: copy.deepcopy([reference])[0] is reference, True),
    "its kinds": (lambda reference: isinstance(reference, Awaitable | Iterable), False),
    "questions": (
        lambda reference: (
            inspect.isawaitable(reference),
            callable(reference),
            dataclasses.is_dataclass(reference),
            hasattr(reference, "_repr_html_"),
            hasattr(reference, "__array_interface__"),
            inspect.unwrap(reference) is reference,
        ),
        (False, False, False, False, False, True),
    ),
    "its names": (lambda reference: [name for name in dir(reference) if name[0] != "_"], []),
}


def untouched(act):
    """Run `act(root)`, and see that nothing was said about it."""

    async def main():
        served, hooks = Probed(), pb.Hooks()
        sent = []
        hooks.bytes_sent = lambda connection, size: sent.append(size)
        async with pair(served, hooks=[hooks]) as (_, _, root):
            await asyncio.sleep(0)
            sent.clear()
            await act(root)
            await asyncio.sleep(0)
            assert [[], []] == [sent, served.asked]
            assert "yes" == await root.anything()
            assert sent
            assert ["remote_anything"] == served.asked

    run(main())


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_reference_does_not_do_asks_nobody(name):
    """A proxy that forwarded it would let the peer decide what Python finds there."""

    async def act(root):
        with pytest.raises((TypeError, AttributeError)):
            found = REFUSED[name](root)
            if inspect.isawaitable(found):
                await found

    untouched(act)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_a_reference_does_by_itself_asks_nobody(name):
    """Debuggers, notebooks and logs look at everything they are shown."""
    look, expected = HARMLESS[name]

    async def act(root):
        assert expected == look(root)

    untouched(act)


def test_a_method_has_a_name_for_those_who_call_what_they_are_given():
    """Task groups of other libraries ask for it, after they have called."""

    async def main():
        async with pair(Probed()) as (_, _, root):
            assert ("echo", "echo") == (root.echo.__name__, root.echo.__qualname__)
            with pytest.raises(AttributeError, match="has no attribute 'price'"):
                root.echo.price  # noqa: B018

    run(main())
