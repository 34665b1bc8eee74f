"""Exceptions made again that Python itself makes something of."""

from __future__ import annotations

import pytest

from jelly import Decoder, Encoder, Registry


class Chosen(UnicodeDecodeError):
    """Declares what Python has made of the args."""


class Annotated(UnicodeEncodeError):
    line: int = 0


class Translated(UnicodeTranslateError):
    pass


def crossed(error, **options):
    registry = Registry()
    registry.add(type(error), "codec.Bad", **options)
    payload = Encoder(registry).dumps_error(error)
    return Decoder(registry).loads_error(payload)


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (Chosen("utf-8", b"abc", 1, 2, "why"), {"fields": ["start"]}),
        (Chosen("utf-8", b"abc", 1, 2, "why"), {"fields": ["object", "start", "end", "reason"]}),
        (Chosen("utf-8", b"abc", 1, 2, "why"), {}),
        (Annotated("utf-8", "abc", 1, 2, "why"), {}),
        (Translated("abc", 0, 2, "why"), {}),
    ],
)
def test_what_python_makes_of_the_args_is_there(error, options):
    """Whether or not it is declared too."""
    made = crossed(error, **options)
    assert type(error) is type(made)
    assert error.args == made.args
    assert str(error) == str(made)
    for name in ("object", "start", "end", "reason"):
        assert getattr(error, name) == getattr(made, name)


@pytest.mark.parametrize("start", [-(1 << 20), 1 << 40])
def test_a_number_that_is_out_of_the_object_is_not_taken(start):
    """Python looks there, to print the error, without asking whether there is anything."""
    error = Chosen("utf-8", b"abc", 1, 2, "why")
    registry = Registry()
    registry.add(Chosen, "codec.Bad", fields=["start", "end", "object"])
    payload = Encoder(registry).dumps(
        {
            "type": "codec.Bad",
            "msg": "m",
            "data": {"args": [*error.args], "start": start, "end": start + 1, "object": b"x"},
        }
    )
    made = Decoder(registry).loads_error(payload)
    assert (b"abc", 1, 2) == (made.object, made.start, made.end)
    assert str(error) == str(made)


@pytest.mark.parametrize("args", [["utf-8", b"abc", -5, -4, "why"], ["x"], [1, b"abc", 1, 2, "why"]])
def test_args_that_make_no_such_error_are_kept_as_they_are(args):
    """They are a peer's."""
    registry = Registry()
    registry.add(Chosen, "codec.Bad")
    payload = Encoder(registry).dumps({"type": "codec.Bad", "msg": "m", "data": {"args": args}})
    made = Decoder(registry).loads_error(payload)
    assert tuple(args) == made.args
    assert "" == str(made)


def test_what_cannot_be_printed_is_escaped():
    """The reason is in the text of the error."""
    made = crossed(Chosen("utf-8", b"abc", 1, 2, "\x1b[31m"))
    assert "\x1b" not in str(made)
