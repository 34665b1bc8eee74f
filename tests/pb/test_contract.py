"""Whether what an interface allows fits what the owner of an object takes."""

from __future__ import annotations

import typing

import pytest
from zope.interface import Attribute, Interface

import pb
from pb.contract import breaks, check_provides, misfits
from pb.description import Description, Method, Parameter

from .calling.test_describing import describe
from .pump import Pump


def owner_of(function):
    """Return what the owner of an object tells, whose one method is this function."""

    class Owner(pb.Root):
        remote_m = function

    pump = Pump(Owner())
    return Description.of(describe(pump, pump.root))


def interface_of(function):
    """Return an interface with one method."""
    return type("IThing", (typing.Protocol,), {"m": function})


# What the interface allows, what the owner takes, and why that does not fit. `self` is left out below.
FITS = [
    ("", ""),
    ("a", "a"),
    ("a", "a, b=1"),
    ("a=1", "a=2"),
    ("a, /", "b, /"),
    ("a, /", "b"),
    ("a, /", "*args"),
    ("a", "*args, **kwargs"),
    ("*, a", "a"),
    ("*, a", "*, a"),
    ("*, a=1", "**kwargs"),
    ("a, *more", "a, *args"),
    ("a, **others", "a, **kwargs"),
    ("a, b=1, *, c", "a, b=1, *, c, d=2"),
    ("a", "a, _secret=1"),
]
MISFITS = [
    ("a", "", ["it takes 0 by position, and a is one more"]),
    ("", "a", ["it needs a, which is not given"]),
    ("", "*, a", ["it needs a, which is not given"]),
    ("a=1", "a", ["a must be given"]),
    ("*, a=1", "a", ["a must be given"]),
    ("a", "b", ["it takes nothing that is given as a="]),
    ("a", "a, /", ["it takes nothing that is given as a="]),
    ("a", "a, /, **kwargs", ["it takes nothing that is given as a="]),
    ("a", "*args", ["it takes nothing that is given as a="]),
    ("a, b", "b, a", ["it takes b in the place of a", "it takes a in the place of b"]),
    ("*, a", "*args", ["it takes nothing that is given as a="]),
    ("*args", "a=1", ["it takes no more by position"]),
    ("**names", "a=1", ["it takes no more by name"]),
    (
        "a, b, c",
        "a",
        ["it takes 1 by position, and b is one more", "it takes 1 by position, and c is one more"],
    ),
]


def function_with(parameters):
    """Return a function that takes these, after `self`."""
    return eval(f"lambda self, {parameters}: None")


@pytest.mark.parametrize(("wanted", "taken"), FITS)
def test_what_fits_is_taken(wanted, taken):
    """Whatever else the owner takes, or however it spells it."""
    found = misfits(owner_of(function_with(taken)), interface_of(function_with(wanted)))

    assert [] == [*found]


@pytest.mark.parametrize(("wanted", "taken", "why"), MISFITS)
def test_a_call_that_would_not_fit_is_told(wanted, taken, why):
    """Here, with its place, and not at the first user of the one call that nobody has tried."""
    found = misfits(owner_of(function_with(taken)), interface_of(function_with(wanted)))

    assert [f"m: {each}" for each in why] == [*found]


def test_an_interface_may_be_one_of_zope():
    """With its bases, optional arguments and the rest; attributes do not cross."""

    class IBase(Interface):
        def m(a, b=1, *more, **others):
            """Takes all there is."""

    class IThing(IBase):
        name = Attribute("nobody's")

        def n():  # type: ignore[misc]
            """Is missing."""

    assert ["there is no method n"] == [*misfits(owner_of(function_with("a, b=2, *c, **d")), IThing)]
    assert [
        "m: b must be given",
        "m: it takes no more by position",
        "m: it takes no more by name",
    ] == [*misfits(owner_of(function_with("a, b")), IBase)]


def test_what_does_not_tell_what_it_takes_is_believed():
    """Some builtins, and objects of other languages."""
    told = Description("object", "", (), (Method("m", "", None, "", False),))

    assert [] == [*misfits(told, interface_of(function_with("a, *b")))]


class Room(pb.Root):
    def remote_look(self):
        pass


class Empty(typing.Protocol):
    size: int

    @property
    def name(self): ...

    def _private(self): ...


@pytest.mark.parametrize(
    ("interface", "why"),
    [
        (Room, "what its owner publishes"),
        (Room(), "a class with methods, not a Room"),
        ("IRoom", "not a str"),
        (Empty, "Empty has no public methods"),
    ],
    ids=["the owner's class", "an object", "a name", "nothing"],
)
def test_what_is_no_interface_is_refused(interface, why):
    """It would seem to be provided by everything."""
    with pytest.raises(TypeError, match=why):
        [*misfits(owner_of(function_with("")), interface)]


def test_the_refusal_says_what_and_not_too_much():
    """Of an altogether different object all methods are missing."""
    many = type("IMany", (), {f"m{number}": function_with("") for number in range(10, 30)})
    with pytest.raises(TypeError) as refused:
        check_provides(owner_of(function_with("")), many, "the thing")
    text = str(refused.value)

    assert text.startswith(
        "the thing does not provide IMany: there is no method m10; there is no method m11;"
    )
    assert text.endswith("there is no method m17; and 12 more")
    check_provides(owner_of(function_with("")), interface_of(function_with("")), "the thing")


def described(*methods, interfaces=()):
    return Description("object", "", interfaces, methods)


def look(*parameters, returns="", is_stream=False):
    """Return a method of this name."""
    return Method("look", "", parameters, returns, is_stream)


AT = Parameter("at", "int", "", False)
FROM = Parameter("from", "str", "name", False)  # no name for a parameter in Python


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [
        (look(AT), look(AT), []),
        (look(AT, FROM), look(AT, FROM), []),
        (look(AT), look(AT, Parameter("far", "bool", "", True)), []),
        (look(AT), look(Parameter("at", "", "", False)), []),
        (look(AT, returns="str"), look(AT), []),
        (look(AT, FROM), look(AT), ["look: it takes nothing that is given as from="]),
        (look(AT), look(AT, FROM), ["look: it needs from, which is not given"]),
        (look(AT), look(Parameter("at", "str", "", False)), ["look: at is str, and was int"]),
        (look(returns="int"), look(returns="str"), ["look: its result is str, and was int"]),
        (look(returns="int"), look(returns="stream[int]", is_stream=True), ["look: its result is a stream"]),
        (look(is_stream=True), look(), ["look: its result is no stream"]),
        (look(AT), Method("look", "", None, "", False), []),
    ],
)
def test_what_callers_relied_on_and_is_no_longer_so_is_told(before, now, why):
    """More than there was breaks nobody; less does, and another type may."""
    assert why == [*breaks(described(now), described(before))]


def test_methods_and_interfaces_that_are_gone_are_told():
    """And those that are new are nobody's loss."""
    before, now = (
        described(look(), interfaces=("IRoom", "IThing")),
        described(interfaces=("IThing", "IOther")),
    )

    assert ["there is no method look", "it does not say IRoom any more"] == [*breaks(now, before)]
    assert [] == [*breaks(before, described())]
