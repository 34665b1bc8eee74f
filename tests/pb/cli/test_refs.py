"""The command ``pb refs``: who holds which objects of a running application."""

from __future__ import annotations

import asyncio
import io
import json
import re

import pytest

import cred
import pb
from pb.cli import refs
from pb.cli.main import main

PASSWORD = cred.PasswordHash.of("secret", iterations=4096)


class Thing(pb.Referenceable):
    pass


class Member(pb.Perspective):
    def perspective_things(self, count):
        return [Thing() for _ in range(count)]


class Club(pb.Service):
    perspective_class = Member


def asked(monkeypatch, *options, password="secret"):
    """Run the command against an application of which a member holds two things; return its status."""
    application = pb.Application("club")
    Club("club", application).create_perspective("ann").make_identity(PASSWORD)
    pb.ReferenceReport(application).create_perspective("boss").make_identity(PASSWORD)
    application.listen("pb://127.0.0.1:0")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))

    async def go():
        async with application.running() as [server], pb.open_connection(server.url) as connection:
            member = await (await connection.login("ann", "secret")).attach("club")
            things = await member.things(2)
            command = ["refs", server.url, *options]
            status = await asyncio.get_running_loop().run_in_executor(None, main, command)
            assert 2 == len(things)
            return status

    return asyncio.run(go())


BOSS = ("--user", "boss", "--stdin")


def test_ref_report_on_the_command_line(monkeypatch, capsys):
    """One line for each object: how long, what, who."""
    assert 0 == asked(monkeypatch, *BOSS)
    shown = capsys.readouterr().out.splitlines()
    things = [line for line in shown if "Thing" in line]

    assert 2 == len(things)
    for line in things:
        assert re.fullmatch(
            r" +\d+\.\d s  Thing \(remote\) \d+ x1  held by 127\.0\.0\.1:\d+ as ann/club/ann", line
        )


def test_ref_report_for_programs(monkeypatch, capsys):
    """One JSON object a line."""
    assert 0 == asked(monkeypatch, *BOSS, "--json")
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert 2 == sum(each["type"] == "Thing" and each["identity"] == "ann" for each in shown)


def test_ref_report_in_short(monkeypatch, capsys):
    """Most first: of a leak there are many."""
    assert 0 == asked(monkeypatch, *BOSS, "--summary")
    first = capsys.readouterr().out.splitlines()[0]

    assert re.fullmatch(r" +2  Thing \(remote\)  held by 127\.0\.0\.1:\d+ as ann/club/ann", first)


@pytest.mark.parametrize(
    ("options", "password", "told"),
    [
        ((), "secret", "--user NAME is needed"),
        (BOSS, "wrong", "pb.LoginFailed"),
        (("--user", "ann", "--stdin"), "secret", "pb.Forbidden"),
    ],
    ids=["nobody", "wrong password", "no key for it"],
)
def test_ref_report_is_refused_to_others(options, password, told, monkeypatch, capsys):
    """It tells of everybody."""
    assert 1 == asked(monkeypatch, *options, password=password)
    shown = capsys.readouterr()

    assert "" == shown.out
    assert told in shown.err and "Thing" not in shown.err


def test_ref_report_shows_words_of_a_server_harmlessly():
    """They could tell the terminal what to do."""
    line = refs._line(
        {
            "age_s": 1.5,
            "type": "",
            "kind": "gone",
            "id": 3,
            "count": 2,
            "holder": "\x1b[2J",
            "identity": "",
            "service": "",
            "perspective": "",
            "made_at": "a\x07.py:1",
        }
    )

    assert "      1.5 s  - (gone) 3 x2  held by \\x1b[2J  made at a\\x07.py:1" == line
