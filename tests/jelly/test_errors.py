"""Exceptions across the wire: the class where both know it, else one that tells the name."""

from __future__ import annotations

import dataclasses
import traceback
from typing import Any

import pytest
from msgpack import ExtType, packb, unpackb

from jelly import (
    BUILTIN_ERRORS,
    Decoder,
    Encoder,
    InsecureJelly,
    JellyError,
    MalformedJelly,
    Registry,
    RemoteError,
    Unjellyable,
)

from .things import BankError, Overdrawn, Plain, Point, Tables, Thing, make_registry

registry = make_registry()
encoder = Encoder(registry)
decoder = Decoder(registry)


def round_trip(error: BaseException, reader: Decoder = decoder) -> Any:
    payload = encoder.dumps_error(error)
    assert payload is not None
    return reader.loads_error(payload)


def test_builtin_errors_arrive_as_themselves() -> None:
    """`except ZeroDivisionError` works across the wire."""
    for cls in (ZeroDivisionError, KeyError, ValueError, StopAsyncIteration, TimeoutError, FileNotFoundError):
        arrived = round_trip(cls("why"))
        assert cls is type(arrived)
        assert ("why",) == arrived.args
        assert str(cls("why")) == str(arrived)
    missing = round_trip(FileNotFoundError(2, "No such file", "x"))
    assert (2, "No such file", "x") == (missing.errno, missing.strerror, missing.filename)


@pytest.mark.parametrize(
    "name", ["constructor", "__class__", "__init__", "__proto__", "toString", "builtins.eval"]
)
def test_the_name_of_an_error_is_looked_up_in_the_registry_and_nowhere_else(name: str) -> None:
    """In some languages a table has names that nobody has put there; of bases as of the error itself."""
    for told in ({"type": name, "msg": "m"}, {"type": "x.Y", "msg": "m", "bases": [name]}):
        error: Any = decoder.loads_error(packb(told))

        assert (RemoteError, told["type"], "m") == (type(error), error.remote_type, error.message)


def test_it_does_not_matter_where_the_class_of_an_error_was_defined() -> None:
    """Wire names are chosen: a class of a script is found again, though both sides call it `__main__`."""
    ours = type("Refused", (Exception,), {"__module__": "__main__"})
    theirs = type("Refused", (Exception,), {"__module__": "__main__"})
    sender, receiver = Registry(), Registry()
    sender.add(ours, "app.Refused")
    receiver.add(theirs, "app.Refused")
    payload = Encoder(sender).dumps_error(ours("no"))
    assert payload is not None
    arrived = Decoder(receiver).loads_error(payload)

    assert (theirs, ("no",)) == (type(arrived), arrived.args)


def test_only_ordinary_exceptions_are_admitted() -> None:
    """What ends a program or a task must not be raised by a peer (threats A8)."""
    assert ValueError in BUILTIN_ERRORS
    for cls in (SystemExit, KeyboardInterrupt, GeneratorExit, BaseException):
        assert cls not in BUILTIN_ERRORS
        assert encoder.dumps_error(cls()) is None
        arrived = decoder.loads_error(packb({"type": f"py.{cls.__name__}", "msg": "no"}))
        assert RemoteError is type(arrived)


def test_declared_fields_of_an_error_arrive_and_init_does_not_run() -> None:
    """Overdrawn.__init__ wants a number; it is given none."""
    arrived = round_trip(Overdrawn(5))

    assert Overdrawn is type(arrived)
    assert (5, "balance is 5", ("balance is 5",)) == (arrived.balance, str(arrived), arrived.args)


def test_an_unknown_error_is_built_as_its_nearest_known_base() -> None:
    """So that callers can still catch bank.BankError (spec PB-E3)."""
    bank = Registry()
    bank.add(BankError, "test.BankError")
    payload = encoder.dumps_error(Overdrawn(5))
    assert payload is not None

    assert ["test.BankError", "py.Exception"] == unpackb(payload)["bases"]
    assert BankError is type(Decoder(bank).loads_error(payload))
    arrived: Any = Decoder(Registry()).loads_error(payload)
    assert RemoteError is type(arrived)
    assert ("test.Overdrawn", "balance is 5") == (arrived.remote_type, arrived.message)
    assert {"args": ["balance is 5"], "balance": 5} == arrived.data
    assert "test.Overdrawn: balance is 5" == str(arrived)


def test_a_remote_error_is_passed_on_as_it_came() -> None:
    """A proxy adds nothing and loses nothing."""
    error = RemoteError("a.B", "text", bases=["a.A"], data=[1, (2,)], notes=["n"], cause=RemoteError("c.D"))

    arrived = round_trip(error)

    assert ("a.B", "text", ("a.A",), [1, (2,)], ("n",)) == (
        arrived.remote_type, arrived.message, arrived.bases, arrived.data, arrived.notes
    )  # fmt: skip
    assert "c.D" == arrived.cause.remote_type == str(arrived.__cause__)


def test_notes_and_known_causes_travel() -> None:
    """An unregistered cause stays at home: its text may be a secret."""
    error, inner = ValueError("outer"), KeyError("inner")
    error.__cause__ = inner
    inner.__cause__ = type("Secret", (Exception,), {})("password")
    error.add_note("one")
    error.__notes__.append(3)  # type: ignore[arg-type]

    arrived = round_trip(error)

    assert ["one"] == arrived.__notes__
    assert KeyError is type(arrived.__cause__)
    assert arrived.__cause__.__cause__ is None
    error.__notes__ = "none"  # type: ignore[assignment]
    assert not hasattr(round_trip(error), "__notes__")


def test_a_ring_of_causes_has_an_end() -> None:
    """Python lets one be made."""
    one, two = ValueError("1"), ValueError("2")
    one.__cause__, two.__cause__ = two, one

    arrived, count = round_trip(one), 0
    while arrived is not None:
        arrived, count = arrived.__cause__, count + 1

    assert 9 == count
    assert 2 == len(decoder.loads(encoder.dumps([one, [1]])))


class Silly(Exception):
    def __str__(self) -> Any:
        return self.args[0]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("x" * 5000), "x" * 4096),
        (ValueError("é" * 5000), "é" * 2048),
        (ValueError("a\ud800"), "a\\ud800"),
        (Silly(3), ""),
        (ValueError(10**5000), ""),
        (ValueError("first", [1]), "first"),
        (ValueError([1]), ""),
        (ValueError(), ""),
    ],
)
def test_the_text_of_an_error_never_breaks_anything(error: Exception, text: str) -> None:
    """A __str__ may raise, return no str, or print a peer's value for a year (threats F3, F4)."""
    wide = make_registry()
    wide.add(Silly, "test.Silly")
    made = Encoder(wide).error_map(error)

    assert made is not None
    assert text == made["msg"]


def test_an_error_whose_data_cannot_be_sent_goes_with_its_args_alone() -> None:
    """Its name, text and args are better than nothing, and references counted for it are given back."""
    tables = Tables()
    error = Overdrawn([Thing(), Plain()])  # type: ignore[arg-type]
    error.args = ("why", 2)
    error.__cause__ = KeyError("cause")
    with pytest.warns(
        UserWarning, match=r"Overdrawn errors arrive without their data: \.balance\[1\] is a Plain"
    ):
        payload = Encoder(registry).dumps_error(error, tables)

    assert payload is not None
    told = unpackb(payload)
    assert {"args": ["why", 2]} == told["data"]
    assert ("test.Overdrawn", "('why', 2)", ["test.BankError", "py.Exception"], {"args": ["cause"]}) == (
        told["type"], told["msg"], told["bases"], told["cause"]["data"]
    )  # fmt: skip
    assert {1: 0} == tables.counts
    assert ("why", 2) == decoder.loads_error(payload).args
    assert encoder.error_map(Plain()) is None  # type: ignore[arg-type]
    with pytest.raises(Unjellyable):
        encoder.dumps([error])


def test_a_refusal_is_told_under_its_own_name() -> None:
    """InsecureJelly is what one side tells the other about its payload."""
    payload = encoder.dumps_error(InsecureJelly("no", "pb.Unregistered"))

    assert payload is not None
    assert {"type": "pb.Unregistered", "msg": "no"} == unpackb(payload)


@pytest.mark.parametrize(
    "data",
    [None, {}, {"args": 1}, {"args": ["text"]}, {"balance": [1]}, [1], {"args": [], "balance": 1, "more": 2}],
    ids=repr,
)
def test_data_that_do_not_fit_still_make_an_error(data: object) -> None:
    """Here the base, which needs no field; else a RemoteError."""
    arrived = decoder.loads_error(
        packb({"type": "test.Overdrawn", "msg": "m", "bases": ["test.BankError"], "data": data})
    )

    assert isinstance(arrived, BankError)


@dataclasses.dataclass
class Refused(Exception):
    code: int
    reason: str = "none"


class Stateful(Exception):
    def get_state_to_copy(self) -> object:
        return {"code": 7}

    def set_copyable_state(self, state: Any) -> None:
        self.code = state["code"]

    def post_unjelly(self) -> None:
        self.is_finished = True


def test_errors_with_a_state_of_their_own() -> None:
    """Dataclasses by their fields, others by the hooks of copies, or by a factory."""
    wide = make_registry()
    wide.add(Refused, "test.Refused")
    wide.add(Stateful, "test.Stateful")
    wide.add(LookupWith, "test.LookupWith", factory=lambda data: LookupWith(data["args"]))
    wide.add(NoError, "test.NoError", factory=lambda data: 3)
    sender, receiver = Encoder(wide), Decoder(wide)

    refused, stateful, made, none = receiver.loads(
        sender.dumps([Refused(3, "x"), Stateful(), LookupWith("a"), NoError()])
    )

    assert (3, "x") == (refused.code, refused.reason)
    assert (7, True) == (stateful.code, stateful.is_finished)
    assert (["a"],) == made.args
    assert Exception is type(none)
    assert (
        "none" == receiver.loads_error(packb({"type": "test.Refused", "msg": "", "data": {"code": 1}})).reason
    )  # type: ignore[attr-defined]


class LookupWith(LookupError):
    pass


class NoError(Exception):
    pass


@pytest.mark.parametrize(
    "error",
    [
        UnicodeDecodeError("utf-8", b"abc", 1, 2, "bad"),
        ExceptionGroup("two", [ValueError(1), KeyError(2)]),
        OSError(2, "no"),
        SyntaxError("x", ("f", 1, 2, "t")),
        StopIteration(3),
        ImportError("x"),
    ],
    ids=repr,
)
def test_errors_with_special_constructors(error: Exception) -> None:
    """Their __init__ is in C and runs; without it str() would be empty."""
    arrived = round_trip(error)

    assert type(error) is type(arrived)
    assert str(error) == str(arrived)


@pytest.mark.parametrize(
    "args", [["utf-8", b"a", -2, -1, "x"], ["utf-8", b"a", 5, 6, "x"], ["utf-8"], ["u", b"", "a", 1, ""]]
)
def test_a_unicode_error_that_points_outside_its_object_is_harmless(args: list[object]) -> None:
    """str() of one reads memory at its index without looking (CPython)."""
    arrived = decoder.loads_error(
        packb({"type": "py.UnicodeDecodeError", "msg": "m", "data": {"args": args}})
    )

    assert "" == str(arrived) or RemoteError is type(arrived)


def test_an_oserror_never_turns_into_a_class_that_is_not_registered() -> None:
    """OSError(2, ...) makes a FileNotFoundError."""
    narrow = Registry()
    narrow.add(OSError, "py.OSError")

    arrived = Decoder(narrow).loads_error(
        packb({"type": "py.OSError", "msg": "", "data": {"args": [2, "x"]}})
    )

    assert OSError is type(arrived)
    assert (2, "x") == arrived.args


@pytest.mark.parametrize(
    "change",
    [
        {"type": 1}, {"msg": None}, {"bases": "x"}, {"bases": [1]}, {"notes": {}}, {"notes": [None]},
        {"trace": 1},
        {"cause": []}, {"cause": {"type": "x"}}, {"bases": None},
    ],
    ids=repr,
)  # fmt: skip
def test_an_error_map_of_another_form_is_malformed(change: dict[str, object]) -> None:
    """Spec PB-E1."""
    with pytest.raises(MalformedJelly):
        decoder.loads_error(packb({"type": "x", "msg": "", **change}))
    with pytest.raises(MalformedJelly):
        decoder.loads(packb([ExtType(11, packb({"type": "x", "msg": "", **change}))]))


def test_the_payload_of_an_error_is_a_map() -> None:
    """Or nobody knows what failed."""
    with pytest.raises(MalformedJelly):
        decoder.loads_error(b"\x90")
    with pytest.raises(InsecureJelly, match="Ext 40"):
        decoder.loads_error(packb({"type": "x", "msg": "", "data": ExtType(40, b"")}))
    with pytest.raises(InsecureJelly, match="Ext 40"):
        decoder.loads_error(packb({"type": ExtType(40, b""), "msg": ""}))


def test_a_trace_is_kept_and_long_text_is_cut() -> None:
    """Spec PB-E2: a receiver cuts what is longer."""
    arrived: Any = decoder.loads_error(
        packb({"type": "x", "msg": "m" * 9999, "trace": "t", "notes": ["n" * 9999], "more": 1})
    )

    assert (4096, "t", 4096) == (len(arrived.message), arrived.trace, len(arrived.notes[0]))


def test_a_trace_is_shown_where_the_error_is_not_caught_and_obeyed_by_no_terminal() -> None:
    """Who debugs wants to see where it failed; no line of it passes for one of ours (PB-E8)."""
    sent = {"type": "x", "msg": "", "trace": "File x\n\x1b[2J\u2028ERROR: forged" + "t" * 9999}
    arrived: Any = decoder.loads_error(packb(sent))

    shown = "".join(traceback.format_exception(arrived))
    assert "the traceback at the peer:\n  peer: File x\n  peer: \\x1b[2J\n  peer: ERROR: forgedttt" in shown
    assert 4096 == len(arrived.trace.encode())
    assert () == arrived.notes


def test_every_error_of_the_package_is_a_jelly_error() -> None:
    """But RemoteError, which is the peer's."""
    for cls in (Unjellyable, InsecureJelly, MalformedJelly):
        assert issubclass(cls, JellyError)
    assert not issubclass(RemoteError, JellyError)
    assert not MalformedJelly("x").too_large
    assert Point in registry


def test_a_type_that_is_registered_for_copies_builds_no_error():
    """A peer chooses the name, and must not get something else to be raised by it."""
    registry = Registry()
    registry.add(Point, "test.Point")
    arrived: Any = Decoder(registry).loads_error(packb({"type": "test.Point", "msg": "no"}))

    assert "test.Point" == arrived.remote_type
