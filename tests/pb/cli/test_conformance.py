"""The command `pb conformance`: what it says where there is nothing to judge."""

from __future__ import annotations

import asyncio
import socket
import tomllib
from pathlib import Path

import pytest

import pb
from pb.cli import conformance
from pb.cli.main import main
from pb.conformance.root import check_root
from pb.conformance.streams import dial

ROOT = Path(__file__).parents[3]


class Echo(pb.Root):
    def remote_echo(self, value):
        return value


@pytest.fixture
def command(capsys):
    """Return what runs it, and gives (status, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["conformance", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def asked(command, root: object, *arguments: str) -> tuple[int, str, str]:
    """Run the command against a server of a root."""

    async def play() -> tuple[int, str, str]:
        async with pb.serve(root, "pb://127.0.0.1:0") as server:
            return await asyncio.to_thread(command, "--connect", server.url, *arguments)

    return asyncio.run(play())


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_the_cases_are_listed_without_anybody_to_judge(command):
    """Those of the vectors among them."""
    status, out, err = command("--list", "--only", "PB-V14")

    assert (0, "") == (status, err)
    assert "errors.06  core  " in out and "frames-reject." in out


def test_whom_to_judge_has_to_be_said(command):
    """In one line, not in the thirty of the usage."""
    assert (
        2,
        "",
        "pb conformance: say --connect URL for a server, --listen URL for clients, or --list\n",
    ) == command()


@pytest.mark.parametrize("scheme", ["pb", "ws"])
def test_where_nobody_listens_the_remedy_is_told(command, scheme):
    """As everywhere else, and once: not for each case."""
    url = f"{scheme}://127.0.0.1:{closed_port()}"
    status, out, err = command("--connect", url)

    assert (2, "") == (status, out)
    assert err.endswith(f"nobody listens at {url}; start the server first, or mend host and port\n")
    assert 1 == err.count("\n")


def test_a_socket_that_is_not_there_is_named(command, tmp_path):
    """The system's own words leave that out."""
    status, out, err = command("--connect", f"pb+unix://{tmp_path}/none")

    assert (2, "") == (status, out)
    assert err.endswith(f"No such file or directory: pb+unix://{tmp_path}/none\n")


@pytest.mark.parametrize(
    ("root", "more"),
    [(pb.Root(), "has one\n"), (pb.AuthRoot(pb.Application("x")), "asks nobody for\n")],
    ids=["another root", "logins"],
)
def test_a_root_that_is_no_conformance_object_is_said_to_be_none(command, root, more):
    """One line, in the place of a failure for each of 600 cases."""
    status, out, err = asked(command, root)

    assert (2, "") == (status, out)
    assert err.startswith("pb conformance: the root is not the conformance object: it has no method echo.")
    assert err.endswith(more) and 1 == err.count("\n")


def test_at_level_leaf_nothing_need_be_published(command):
    """There the runner looks at frames alone."""
    status, out, _ = asked(command, pb.Root(), "--level", "leaf", "--only", "framing.01")

    assert 0 == status
    assert "1 passed, 0 failed, 0 skipped" in out


def test_what_else_is_wrong_is_for_the_cases_to_find(command):
    """A root with an echo is asked, and so is one that says nothing at all."""
    status, out, _ = asked(command, Echo(), "--only", "calls.01")
    assert (0, True) == (status, "1 passed" in out)

    with socket.create_server(("127.0.0.1", 0)) as mute:
        check_root(dial(f"pb://127.0.0.1:{mute.getsockname()[1]}", 1.0), 0.01)


def test_an_installation_has_the_vectors():
    """The package that holds them is the folder of the specification, and the command looks there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    (name,) = (name for name, folder in project["package-dir"].items() if folder == "spec/vectors")

    assert name in project["packages"]
    assert ["*.json"] == project["package-data"][name]
    assert conformance._INSTALLED.relative_to(ROOT).parts == tuple(name.split("."))
