"""`pb describe --against`: whether who calls an earlier version of a server would miss something."""

from __future__ import annotations

import json

import pytest

import pb

from .commands import served


class First(pb.Root):
    def remote_find(self, word: str, most: int = 10) -> list[str]:
        return []

    def remote_count(self) -> int:
        return 0

    async def remote_watch(self, *words: str, **options: bool):
        yield 1


class Grown(First):
    """Has more, and takes more."""

    def remote_find(self, word: str, most: int = 20, *, exact: bool = False) -> list[str]:
        return []

    def remote_forget(self, word: str) -> None:
        pass


class Other(pb.Root):
    def remote_find(self, word: bytes, most: int) -> list[str]:
        return []

    def remote_watch(self, *words: str):
        return 1


def test_what_callers_of_an_earlier_version_would_miss(tmp_path, capsys):
    """Line by line, and by the status, so that a release can be held back; what is new is no loss."""
    file = tmp_path / "first.json"
    assert [0] == served(First(), ["describe", "{url}"])
    file.write_text(capsys.readouterr().out)

    for same in (First(), Grown()):
        assert [0] == served(same, ["describe", "{url}", "--against", str(file)])
        assert ("", "") == capsys.readouterr()
    assert [3] == served(Other(), ["describe", "{url}", "--against", str(file)])
    assert (
        "there is no method count\n"
        "find: most must be given\n"
        "find: word is bytes, and was str\n"
        "watch: it takes no more by name\n"
        "watch: its result is no stream\n"
    ) == capsys.readouterr().out


GOOD = {"kind": "object", "doc": "", "interfaces": [], "methods": []}
METHOD = {"name": "find", "doc": "", "parameters": None, "returns": "", "is_stream": False}


def test_an_object_that_does_not_tell_what_it_takes_is_believed(tmp_path, capsys):
    """One in another language may tell names only."""
    file = tmp_path / "names.json"
    file.write_text(json.dumps({**GOOD, "methods": [METHOD]}))

    assert [0] == served(First(), ["describe", "{url}", "--against", str(file)])


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "7",
        json.dumps({**GOOD, "methods": [{}]}),
        json.dumps({**GOOD, "methods": 7}),
        json.dumps({**GOOD, "methods": [{**METHOD, "name": "a b"}]}),
        json.dumps({**GOOD, "methods": [{**METHOD, "parameters": [1]}]}),
        json.dumps({**GOOD, "kind": 1}),
        json.dumps({"kind": "object"}),
    ],
)
def test_what_is_no_description_is_refused_in_a_line(text, tmp_path, capsys):
    """It is a file that somebody has named: the status is not that of a version that breaks."""
    file = tmp_path / "bad.json"
    file.write_text(text)

    assert [1] == served(First(), ["describe", "{url}", "--against", str(file)])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"pb describe: ValueError: {file} holds nothing that pb describe has written: ")


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    """In the system's words."""
    assert [1] == served(First(), ["describe", "{url}", "--against", str(tmp_path / "nothing.json")])
    assert "nothing.json" in capsys.readouterr().err
