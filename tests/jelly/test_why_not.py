"""The advice in the refusal of a value that does not cross: it must be one that helps."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import pathlib

import pytest

from cred._article import a as a_of_cred
from jelly import Copyable, Encoder, Registry, Unjellyable
from jelly._article import a
from jelly._why_not import why_not


async def coroutine():
    """Be forgotten to be awaited."""


class Plain:
    pass


@dataclasses.dataclass
class Point:
    x: int


class Bare(Copyable):
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
    assert "is a Timeout, which" in why_not(asyncio.Timeout)


@pytest.mark.parametrize(
    "value", [object(), {}.keys(), iter([]), ...], ids=lambda value: type(value).__name__
)
def test_what_is_python_s_own_is_not_told_to_be_registered(value):
    """It has no state that could be sent under a name."""
    kind = type(value)

    text = "one of Python's own types, which does not cross; send what it stands for"
    assert f"is {a(kind.__qualname__)}, {text}" == why_not(kind)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            Point,
            'is a Point, which is not registered; Registry.add(Point, "name") admits copies of it, in the '
            "registry= of this side; derived from Referenceable it would stay here and be called",
        ),
        (
            Plain,
            'is a Plain, which is not registered; Registry.add(Plain, "name", fields=[...]) or '
            'Registry.add_codec(Plain, "name", encode, decode) admits copies of it',
        ),
        (
            pathlib.PosixPath,
            'is a PosixPath, which is not registered; Registry.add_codec(PosixPath, "name", encode, decode) '
            "admits copies of it, in the registry= of this side, or send what it stands for",
        ),
        (Bare, 'is a Bare, which is Copyable and not registered; Registry.add(Bare, "name", fields=[...])'),
        (
            Name,
            "is a Name, a subclass of str that is not registered; make it a str, or "
            'Registry.add_codec(Name, "name", encode, decode) admits it, in the registry= of this side',
        ),
        (ValueError, "an error that is not registered"),
        (io.BytesIO, "pb.stream_file"),
        (type, "code never crosses"),
    ],
)
def test_what_can_be_registered_is(kind, text):
    """And where that registry goes: it is of no use by itself."""
    assert text in why_not(kind)


def test_the_twin_that_a_decorator_makes_is_recognized():
    """@dataclass(slots=True) returns another class: above the decorator that registers, it is the last."""
    registry = Registry()

    @dataclasses.dataclass(slots=True)
    @registry.copyable("test.Twin")
    class Twin:
        x: int

    with pytest.raises(Unjellyable) as caught:
        Encoder(registry).dumps([Twin(1)])

    name = Twin.__qualname__
    assert str(caught.value).startswith(
        f"value: [0] is a {name}, but of another class than the {name} that is registered: a decorator that"
    )
    assert "so swap them" in str(caught.value)
    assert "swap them" not in why_not(Plain, [Twin, Point])


def test_what_a_registry_refuses_is_told_the_same_way():
    """Whoever follows the advice of the one must not be sent away by the other."""
    with pytest.raises(TypeError, match=r"Registry.add_codec\(PosixPath, name, encode, decode\)"):
        Registry().add(pathlib.PosixPath, "os.Path")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("object", "an object"),
        ("int", "an int"),
        ("Error", "an Error"),
        ("Abc.Def", "an Abc.Def"),
        ("UUID", "a UUID"),
        ("Unknown", "an Unknown"),
        ("User", "a User"),
        ("list", "a list"),
        ("_Own", "a _Own"),
    ],
)
def test_an_article_stands_before_a_type(name, said):
    """Errors are read by people."""
    assert said == a(name)


@pytest.mark.parametrize("name", ["int", "str", "Undefined"])
def test_cred_says_the_same(name):
    """It knows nothing of jelly."""
    assert a(name) == a_of_cred(name)
