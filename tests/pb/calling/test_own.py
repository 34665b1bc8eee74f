"""An error that ends a call knows the functions of the program it went through, and none of ours."""

from __future__ import annotations

import traceback
import weakref
from functools import partial

import pytest

from pb.calling.own import freed

OURS = """
def call(function):
    function()

def encode(begin, hook):
    state = begin()
    hook()

def refuse(hook):
    try:
        hook()
    except Exception:
        raise ValueError("refused") from None

def blame(hook):
    try:
        hook()
    except Exception as error:
        raise ValueError("refused") from error

def make(function, freed):
    try:
        call(function)
    except Exception as error:
        return freed(error)

def wait(function):
    try:
        function()
    except Exception as error:
        yield error
    yield "went on"
"""


def functions_in(module):
    """Return functions of a module of that name; None: of one without a name."""
    made = {} if module is None else {"__name__": module}
    exec(OURS, made)
    return made


ours = functions_in("pb.some.module")


def absent():
    {}["absent"]


def names_in(error):
    """Return the functions in the traceback of an error, outermost first."""
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def caught_of(function):
    """Return what a function raises."""
    with pytest.raises(Exception) as caught:
        function()
    return caught.value


def test_the_functions_of_the_program_are_kept_from_the_first_one_on():
    def hook():
        ours["call"](absent)

    assert ["hook", "call", "absent"] == names_in(ours["make"](hook, freed))


@pytest.mark.parametrize("module", ["jelly.one", "pb", "pb.two"])
def test_those_of_these_packages_are_not(module):
    assert ["absent"] == names_in(functions_in(module)["make"](absent, freed))


@pytest.mark.parametrize("module", [None, "pbx", "program.pb"])
def test_those_of_other_modules_are_the_programs(module):
    assert ["make", "call", "absent"] == names_in(functions_in(module)["make"](absent, freed))


def test_a_cause_is_kept_with_the_line_that_failed():
    error = ours["make"](partial(ours["blame"], absent), freed)
    assert [] == names_in(error)
    assert (KeyError, None) == (type(error.__cause__), error.__context__)
    assert ["absent"] == names_in(error.__cause__)


def test_what_was_wrong_inside_is_dropped_where_it_is_shown_to_nobody():
    error = ours["make"](partial(ours["refuse"], absent), freed)
    assert (None, None) == (error.__traceback__, error.__context__)


def test_it_is_kept_where_the_program_says_what_is_shown():
    def hook():
        try:
            absent()
        except KeyError:
            raise ValueError from None

    error = ours["make"](hook, freed)
    assert ["hook"] == names_in(error)
    assert isinstance(error.__context__, KeyError)


def test_what_ours_knew_goes_although_the_error_is_kept():
    """The frame of the hook leads to those that called it."""
    begun = []

    def begin():
        state = type("State", (), {})()
        begun.append(weakref.ref(state))
        return state

    error = ours["make"](partial(ours["encode"], begin, absent), freed)
    assert ["absent"] == names_in(error)
    assert begun[0]() is None


def test_causes_that_go_in_a_circle_are_gone_through_once():
    error, other = caught_of(absent), caught_of(absent)
    error.__cause__, other.__cause__ = other, error
    assert error is freed(error)


def test_a_generator_that_has_gone_on_is_not_ended():
    """To empty its frame would be to close it."""
    waiting = ours["wait"](absent)
    assert ["absent"] == names_in(freed(next(waiting)))
    assert "went on" == next(waiting)
