"""The args of exceptions: whatever a peer puts there is printed by someone."""

from __future__ import annotations

import decimal
from typing import Any

import pytest
from msgpack import ExtType, packb, unpackb

from jelly import Decoder, Encoder, InsecureJelly, RemoteError
from jelly._losses import Losses

from .things import Overdrawn, Plain, Point, make_registry, name_of

registry = make_registry()
encoder = Encoder(registry, losses=Losses(lambda text, error: None))  # test_losses.py has what is told
decoder = Decoder(registry)


def graph(*parts: bytes) -> bytes:
    return packb(ExtType(20, packb(list(parts))))


def laugh(levels: int) -> list[bytes]:
    """Return parts of a list of two lists of two lists and so on, each pair the same list twice."""
    return [b"\x91\xa3lol", *[b"\x92" + 2 * (b"\xd4\x15" + bytes([each])) for each in range(levels)]]


def error(kind: str, member: bytes, key: str = "args") -> bytes:
    head = b"\x83" + packb("type") + packb(kind) + packb("msg") + packb("m")
    return head + packb("data") + b"\x81" + packb(key) + member


@pytest.mark.parametrize(
    "member",
    [
        b"\x91\xd4\x15\x14",
        b"\x91\x91\xd4\x15\x14",
        b"\x91\x81\xa1k\xd4\x15\x14",
        b"\x91\xd6\x10\x91\xd4\x15\x14",
    ],
    ids=["arg", "list", "dict", "tuple"],
)
def test_args_that_multiply_when_printed_are_refused(member: bytes) -> None:
    """232 bytes made a text of 11 MB, and each level more doubles that."""
    with pytest.raises(InsecureJelly, match="args of an error") as caught:
        decoder.loads_error(graph(*laugh(20), error("py.ValueError", member)))

    assert "pb.BadPayload" == caught.value.wire_type


def test_args_that_repeat_one_long_text_are_refused() -> None:
    """A NODE is three bytes; what it stands for may be a megabyte."""
    members = b"\xdc\x03\xe8" + b"\xd4\x15\x00" * 1000

    with pytest.raises(InsecureJelly, match="args of an error"):
        decoder.loads_error(graph(packb("x" * 1000), error("py.ValueError", members)))


def test_errors_in_args_count_with_their_own() -> None:
    """A traceback prints every error of a group, and every error of the groups in it."""
    group = b"\x92\xa1g\x92" + b"\xd4\x15\x00" * 2
    inner = packb(ExtType(11, error("py.ValueError", packb(["x" * 40_000]))))

    with pytest.raises(InsecureJelly, match="args of an error"):
        decoder.loads_error(graph(inner, error("py.ExceptionGroup", group)))


def test_what_multiplies_may_be_in_the_data_of_an_error_which_nobody_prints() -> None:
    """The class is not known here, so the data are only kept."""
    arrived = decoder.loads_error(graph(*laugh(60), error("x.Y", b"\xd4\x15\x3c")))

    assert isinstance(arrived, RemoteError)
    assert "x.Y: m" == str(arrived)
    assert len(repr(arrived)) < 100


def test_notes_are_bounded_in_number() -> None:
    """They are printed too, and a NODE makes many of one."""
    payload = packb({"type": "py.ValueError", "msg": "", "notes": ["n"] * 1000})

    assert 64 == len(decoder.loads_error(payload).__notes__)


def data_of(sent: Exception) -> Any:
    payload = encoder.dumps_error(sent)
    assert payload is not None
    return unpackb(payload, ext_hook=lambda code, data: code).get("data")


def test_long_args_stay_at_home_and_the_text_takes_their_place() -> None:
    """An exception that quotes its input would send all of it back, past the bound for texts."""
    assert data_of(ValueError("x" * 5000)) is None
    assert data_of(ValueError(*["x" * 4000] * 10)) is None
    assert {"balance": 1} == data_of(wordy(1))
    payload = encoder.dumps_error(ValueError("x" * 1_000_000))
    assert payload is not None
    assert len(payload) < 4200
    assert ("x" * 4096,) == decoder.loads_error(payload).args


def wordy(balance: int) -> Overdrawn:
    made = Overdrawn(balance)
    made.args = (b"x" * 5000,)
    return made


@pytest.mark.parametrize("arg", [Plain(), Point(1), [Point(1)], {"a": (Point(1),)}], ids=name_of)
def test_objects_in_args_stay_at_home(arg: object) -> None:
    """Printing them would print what is in them."""
    assert data_of(ValueError("why", arg)) is None
    with pytest.raises(InsecureJelly, match="args of an error"):
        decoder.loads_error(error("py.ValueError", b"\x91" + encoder.dumps(Point(1))))
    shared: list[object] = []
    assert ("why",) == decoder.loads(encoder.dumps([shared, shared, ValueError("why", arg)]))[2].args


@pytest.mark.parametrize(
    "args", [(1, "a"), ((1, 2),), ([1, [2]], {"a": {3}}), (decimal.Decimal("1.5"), None)], ids=repr
)
def test_small_plain_args_cross_as_they_are(args: Any) -> None:
    """KeyError((1, 2)) is as honest as KeyError(1)."""
    payload = encoder.dumps_error(KeyError(*args))
    assert payload is not None

    assert args == decoder.loads_error(payload).args
