"""The commands that ask a server: ``pb ls``, ``pb call`` and ``pb describe``."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import json
import uuid

import pytest

import cred
import jelly
import pb
from pb.cli import _json
from pb.cli._typescript import interface
from pb.description import Description

from .commands import served


class Root(pb.Root):
    """A desk."""

    def remote_echo(self, value: object = None) -> object:
        """Return what was given."""
        return value

    def remote_join(self, *words: str, by: str = " ") -> str:
        return by.join(words)

    def remote_itself(self) -> pb.Root:
        return self

    def remote_fail(self):
        raise ZeroDivisionError


class Loud(pb.Root):
    def remote_shout(self):
        raise pb.BadArguments("\x1b[2J\x07\u202e\nhi")


class Slow(pb.Root):
    def __init__(self):
        self.told = []

    async def remote_slow(self):
        try:
            await asyncio.Event().wait()
        finally:
            self.told.append("stopped")


class Member(pb.Perspective):
    def perspective_whoami(self) -> str:
        return self.perspective_name


class Club(pb.Service):
    def get_perspective_named(self, name):
        return Member(name, self)


def test_a_method_is_called_with_json(capsys):
    """By position and by name; the result is JSON too."""
    statuses = served(
        Root(),
        ["call", "{url}", "echo", '"hi"'],
        ["call", "{url}", "echo"],
        ["call", "{url}", "join", '"a"', '"b"', 'by="-"'],
        ["call", "{url}", "echo", '{"$bytes": "00ff"}'],
        ["call", "{url}", "itself"],
    )

    assert [0] * 5 == statuses
    lines = capsys.readouterr().out.splitlines()
    assert ['"hi"', "null", '"a-b"', '{"$bytes": "00ff"}', '{"$ref": "1"}'] == lines


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["call", "{url}", "nope"], "pb call: pb.NoSuchMethod: no method 'nope'"),
        (["call", "{url}", "_x"], "pb call: pb.NoSuchMethod: method names match"),
        (["call", "{url}", "echo", "hi"], "a text needs quotes"),
        (["call", "{url}", "fail"], "pb call: pb.Internal: internal error; incident"),
        (["call", "pb://127.0.0.1:1", "echo"], "nobody listens"),
        (["ls", "http://x"], "unknown scheme"),
        (["ls", "{url}", "--service", "club"], "need --user"),
        (["ls", "{url}", "--user", "ann"], "needs --service"),
    ],
)
def test_what_goes_wrong_is_one_line(command, text, capsys):
    """And status 1."""
    assert [1] == served(Root(), command)
    error = capsys.readouterr().err.splitlines()
    assert text in error[-1]


def test_no_word_of_a_server_commands_the_terminal(capsys):
    """The text of an error is the server's: what is not printed is shown escaped, on one line."""
    assert [1] == served(Loud(), ["call", "{url}", "shout"])
    error = capsys.readouterr().err.splitlines()[-1]
    assert "pb call: pb.BadArguments: \\x1b[2J\\x07\\u202e\\nhi" == error


UNSEEN = "\x00\x1b\r\n\x7f\x85\x90\x9b2J\x9c\u202e\u2028\u2066\ufeff\U000e0001"


class Evil(pb.Root):
    """Tells terminals what to do."""

    def remote_text(self):
        return UNSEEN

    def remote_map(self):
        return {UNSEEN: [UNSEEN, (UNSEEN,)], "é": "€"}

    async def remote_items(self):
        yield UNSEEN

    def remote_error(self):
        raise pb.Forbidden(UNSEEN)

    async def remote_ends(self):
        yield 1
        raise pb.Forbidden(UNSEEN)

    def remote_refusal(self):
        return pb.Forbidden(UNSEEN)

    def remote_failure(self):
        return jelly.RemoteError(f"bank.{UNSEEN}", UNSEEN)


@pytest.mark.parametrize("method", ["text", "map", "items", "error", "ends", "refusal", "failure"])
def test_no_value_of_a_server_commands_the_terminal_either(method, capsys):
    """C1 is as good as an escape to a terminal, and JSON itself lets it, DEL and marks of direction pass."""
    served(Evil(), ["call", "{url}", method])
    out, err = capsys.readouterr()

    assert set() == {char for char in out + err if char != "\n" and not char.isprintable()}
    assert r"\u009b2J" in out or r"\x9b2J" in err
    if method == "map":
        assert {"$tuple": [UNSEEN]} == json.loads(out)[UNSEEN][1]  # it is JSON all the same
        assert '"é": "€"' in out
    if method in ("text", "items"):
        assert UNSEEN == json.loads(out)
    if method in ("refusal", "failure"):  # escaped once, by JSON: who reads it has what was sent
        assert UNSEEN == json.loads(out)["$error"]["msg"]


def test_what_a_server_says_of_itself_does_not_either(capsys):
    """Its words are cut and escaped where they arrive, and once more where they are printed."""

    class Root(pb.Root):
        def remote_x(self):
            pass

    Root.__doc__ = Root.remote_x.__doc__ = f"It says {UNSEEN}"
    assert [0, 0, 0] == served(
        Root(), ["ls", "{url}"], ["describe", "{url}"], ["describe", "--typescript", "Root", "{url}"]
    )
    out, err = capsys.readouterr()

    assert set() == {char for char in out + err if char != "\n" and not char.isprintable()}


def test_ls_lists_what_may_be_called(capsys):
    """With what its author says."""
    assert [0] == served(Root(), ["ls", "{url}"])
    assert [
        "echo(value = ...)",
        "    Return what was given.",
        "fail()",
        "itself() -> object",
        "join(*words: str, by: str = ...) -> str",
    ] == capsys.readouterr().out.splitlines()


def test_a_call_has_no_more_time_than_was_given(capsys):
    """Connecting is not all that may take long. What is asked is given up, and nothing waits for its end."""
    root = Slow()

    assert [1] == served(root, ["call", "{url}", "slow", "--timeout", "0.2"])
    assert "pb call: pb.DeadlineExceeded: the time for the call is over" in capsys.readouterr().err
    assert ["stopped"] == root.told


@pytest.mark.parametrize("command", [["ls", "{url}"], ["call", "{url}", "echo", "1"], ["describe", "{url}"]])
def test_who_has_to_log_in_is_told_how(command, capsys):
    """Its HELLO says that it asks who is there; that there is no such method tells a newcomer nothing."""
    application = pb.Application("club")
    Club("club", application)

    assert [1] == served(pb.AuthRoot(application), command)
    assert "this server wants a login: --user NAME --service NAME" in capsys.readouterr().err


def test_a_login_asks_the_perspective(capsys, monkeypatch, tmp_path):
    """What this user may call, not what the root publishes."""
    application = pb.Application("club")
    Club("club", application).get_perspective_named("ann").make_identity(
        cred.PasswordHash.of("secret", iterations=4096)
    )
    words = iter(["secret\n", "secret\n", "wrong\n"])
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"readline": lambda self: next(words)})())
    login = ["--user", "ann", "--service", "club", "--stdin"]

    statuses = served(
        pb.AuthRoot(application),
        ["ls", "{url}", *login],
        ["call", "{url}", "whoami", *login],
        ["ls", "{url}", *login],
    )

    assert [0, 0, 1] == statuses
    shown = capsys.readouterr()
    assert ["whoami() -> str", '"ann"'] == shown.out.splitlines()
    assert "pb ls: pb.LoginFailed: login failed" in shown.err


def test_a_password_needs_somebody_who_types_it(capsys, monkeypatch):
    """Never an argument, which everybody on the machine can see."""
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"isatty": lambda self: False})())

    assert [1] == served(Root(), ["ls", "{url}", "--user", "ann", "--service", "club"])
    assert "say --stdin" in capsys.readouterr().err


def test_describe_is_for_programs(capsys):
    """JSON, or an interface of TypeScript."""
    assert [0, 0, 1] == served(
        Root(),
        ["describe", "{url}", "--json"],
        ["describe", "{url}", "--typescript", "Desk"],
        ["describe", "{url}", "--typescript", "no name"],
    )
    shown = capsys.readouterr()
    told, _, typescript = shown.out.partition("import type")
    assert ["echo", "fail", "itself", "join"] == [method["name"] for method in json.loads(told)["methods"]]
    assert (
        ' { RemoteReference } from "perspective-broker";\n\n'
        "/** A desk. */\n"
        "export interface Desk {\n"
        "  /** Return what was given. */\n"
        "  echo(value?: unknown): Promise<unknown>;\n"
        "  fail(): Promise<unknown>;\n"
        "  itself(): Promise<RemoteReference>;\n"
        "  join(...words: string[]): Promise<string>;\n"
        "}\n"
    ) == typescript
    assert "can be no name" in shown.err


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("int | nil", "number | null"),
        ("list[int | str]", "(number | string)[]"),
        ("map[str, list[bytes]]", "Record<string, Uint8Array[]>"),
        ("map[int, str]", "Map<number, string>"),
        ("tuple[int, str]", "[number, string]"),
        ("tuple[int, ...]", "number[]"),
        ("set[int]", "Set<number>"),
        ("list", "unknown[]"),
        ('"a" | "b c" | 1 | true', '"a" | "b c" | 1 | true'),
        ("geo.Point", "unknown"),
        ("geo.Box[int]", "unknown"),
        ("int &", "unknown"),
        ("list[int] int", "unknown"),
        ("", "unknown"),
    ],
)
def test_types_become_those_of_typescript(type_, text):
    """What it has no word for is unknown."""
    told = {"methods": [{"name": "a", "params": [{"name": "x", "type": type_}], "returns": type_}]}

    assert f"  a(x: {text}): Promise<{text}>;" in interface("I", Description.of(told))


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ([{"name": "a", "optional": True}, {"name": "b"}], "a: unknown, b: unknown"),
        ([{"name": "a"}, {"name": "b", "optional": True}], "a: unknown, b?: unknown"),
        ([{"name": "a"}, {"name": "b", "by": "positions"}], "a: unknown, ...b: unknown[]"),
        ([{"name": "a", "by": "name", "type": "int"}], "named: { a: number }"),
        (
            [{"name": "a", "by": "name", "optional": True}, {"name": "b", "by": "names"}],
            "named?: { a?: unknown; [name: string]: unknown }",
        ),
        (None, "...args: unknown[]"),
    ],
)
def test_parameters_become_those_of_typescript(params, text):
    """Where it has no way to say them, the nearest that is right."""
    method = {"name": "a", "stream": True, "doc": "x */ y"}
    if params is not None:
        method["params"] = params

    shown = interface("I", Description.of({"methods": [method]}))
    assert f"  /** x * / y */\n  a({text}): AsyncIterable<unknown>;\n" in shown


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        2**53,
        -(2**64),
        1.5,
        1.0,
        float("inf"),
        "é",
        b"\0\xff",
        [1, [2]],
        {"a": {"b": 1}},
        {1: 2, "$x": 3},
        (1, "a"),
        {1},
        frozenset({1}),
        decimal.Decimal("1.10"),
        uuid.UUID(int=1),
        datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
        datetime.datetime(2024, 2, 29),
        datetime.date(2024, 2, 29),
        datetime.time(12, 30),
        datetime.timedelta(seconds=-1.5),
    ],
    ids=repr,
)
def test_values_are_written_and_read(value):
    """Exactly, in the notation of the vectors."""
    found = _json.loads(_json.dumps(value))

    assert (type(value), value) == (type(found), found)


def test_what_has_no_notation_is_named():
    """A result may be anything that the registry admits."""
    cycle = []
    cycle.append(cycle)

    assert '{"$error": {"type": "ValueError", "msg": "x"}}' == _json.dumps(ValueError("x"))
    assert '[{"$cycle": true}]' == _json.dumps(cycle)
    assert '{"$object": "Root"}' == _json.dumps(Root())


@pytest.mark.parametrize("text", ["", "{", '{"$nope": 1}', '{"$int": "1", "a": 2}', '{"$bytes": "x"}'])
def test_what_cannot_be_read_says_why(text):
    """It was typed by somebody."""
    with pytest.raises(ValueError, match=r"no JSON|stands alone|bytes of"):
        _json.loads(text)
