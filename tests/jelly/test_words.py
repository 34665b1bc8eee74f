"""Texts of a peer in logs and on terminals: escaped where printed, as they came where they are read.

Spec: PB-E8.
"""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import pytest
from msgpack import packb, unpackb

from jelly import Decoder, Encoder, RemoteError, printable
from jelly._words import PeerText

from .things import BankError, make_registry

FORGED = "2026-11-29 15:00:00,000 INFO cred: root logged in"
EVIL = f"x\n{FORGED}\r\x1b[2J\x1b]0;t\x07\x9b2J\x85\x7f\u202e\u2028\u2029\u2066"
registry = make_registry()
encoder = Encoder(registry)
decoder = Decoder(registry)


def arrived(kind: str, *args: object, **more: object) -> Any:
    data = {"data": {"args": list(args)}} if args else {}
    return decoder.loads_error(packb({"type": kind, "msg": EVIL, **data, **more}))


def assert_harmless(error: BaseException, margin: str = "") -> None:
    """Check what the logging module, asyncio and an interpreter that ends would print.

    Args:
        margin: what Python sets before each line where the error stands in a group. What the peer's own
            traceback has before each of its lines comes behind that, and is none of it.
    """
    text = "".join(traceback.format_exception(error))

    assert [] == [char for char in text if char != "\n" and not char.isprintable()]
    lines = [line.removeprefix(margin).lstrip(" ") for line in text.splitlines()]
    assert [] == [line for line in lines if line.startswith(FORGED)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Größe 5 €", "Größe 5 €"),
        ("a\nb\r", r"a\nb\r"),
        ("\x1b[2J\x00\x7f", r"\x1b[2J\x00\x7f"),
        ("\x85\x90\x9b\x9c", r"\x85\x90\x9b\x9c"),
        ("é\u202e\u2028\u2029\u2066\ufeff", r"é\u202e\u2028\u2029\u2066\ufeff"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text: str, shown: str) -> None:
    """C0, C1, DEL, marks of direction, separators of lines; letters of all languages stay."""
    assert shown == printable(text)


@pytest.mark.parametrize("kind", ["a.B", "a" + EVIL, "test.BankError"])
def test_no_error_of_a_peer_forges_a_line(kind: str) -> None:
    """In text, name, notes and causes, each registered here or not."""
    inner = {"type": kind, "msg": EVIL, "notes": [EVIL]}
    error = arrived(kind, notes=[EVIL], bases=[EVIL], cause=inner, trace=EVIL)

    assert_harmless(error)
    assert_harmless(ExceptionGroup("two", [error, ValueError("x")]), "    | ")
    assert "\\n2026" in str(error)
    assert "\\n2026" in f"{error}"


@pytest.mark.parametrize("kind", sorted(name for name in decoder.plans if name.startswith("py.")))
@pytest.mark.parametrize(
    "args",
    [
        [],
        [EVIL],
        [2, EVIL],
        [2, EVIL, EVIL],
        [EVIL, EVIL],
        [EVIL, [EVIL, 1, 2, EVIL]],
        [EVIL, b"abc", 0, 1, EVIL],
        [EVIL, "abc", 0, 1, EVIL],
        [EVIL, 0, 1, EVIL],
        ["abc", 0, 1, EVIL],
    ],
    ids=str,
)
def test_no_error_of_pythons_own_does_either(kind: str, args: list[object]) -> None:
    """Each has its own way to print its args."""
    assert_harmless(arrived(kind, *args))


def test_groups_and_syntax_errors_print_more_than_their_text() -> None:
    """Made here, so that their args have the types that the constructors want."""
    group = ExceptionGroup(EVIL, [ValueError(EVIL), SyntaxError(EVIL, (EVIL, 1, 2, EVIL))])

    found: Any = decoder.loads(encoder.dumps(group))

    assert_harmless(found)
    assert ExceptionGroup is type(found)
    assert (EVIL, (EVIL, 1, 2, EVIL)) == found.exceptions[1].args


def test_what_the_peer_sent_is_there_as_it_came() -> None:
    """A program compares it, and may send it on."""
    remote, bank = arrived("a.B", notes=[EVIL]), arrived("test.BankError")

    assert ("a.B", EVIL, (EVIL,)) == (remote.remote_type, remote.message, remote.notes)
    assert (EVIL,) == bank.args
    assert EVIL == bank.args[0].raw
    assert str is type(bank.args[0].raw)
    assert EVIL == copy.deepcopy(bank.args[0]) == pickle.loads(pickle.dumps(bank.args[0]))


def test_what_is_printable_stays_a_plain_str() -> None:
    """Nearly all texts are."""
    error = decoder.loads_error(packb({"type": "test.BankError", "msg": "Größe"}))

    assert ("Größe", str) == (error.args[0], type(error.args[0]))


def test_an_error_that_is_sent_on_says_what_it_said() -> None:
    """Escaping is for printing only: each proxy would add backslashes."""
    payload = encoder.dumps_error(arrived("test.BankError"))
    assert payload is not None
    assert (EVIL, [EVIL]) == (unpackb(payload)["msg"], unpackb(payload)["data"]["args"])

    passed = encoder.dumps_error(RemoteError("a.B", EVIL, notes=[EVIL]))
    assert passed is not None
    assert (EVIL, [EVIL]) == (unpackb(passed)["msg"], unpackb(passed)["notes"])


def test_a_text_out_of_an_error_can_be_an_argument() -> None:
    """It arrives as the str it is."""
    text = arrived("test.BankError").args[0]

    found: Any = decoder.loads(encoder.dumps([[text], {"why": text}, (text,)]))

    assert PeerText is type(text)
    assert [[EVIL], {"why": EVIL}, (EVIL,)] == found
    assert str is type(found[0][0])


class Chosen(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(f"chose {text}")


def test_errors_of_a_factory_are_escaped_too() -> None:
    """Its constructor makes the args, of what the peer sent."""
    wide = make_registry()
    wide.add(Chosen, "test.Chosen", factory=lambda data: Chosen(data["args"][0]))

    error = Decoder(wide).loads_error(packb({"type": "test.Chosen", "msg": "", "data": {"args": [EVIL]}}))

    assert Chosen is type(error)
    assert (f"chose {EVIL}",) == error.args
    assert_harmless(error)


def test_an_error_made_here_is_left_as_it_is() -> None:
    """It is the program's own, and may have lines."""
    assert "a\nb" == str(BankError("a\nb"))
