"""The command ``pb keygen``, and how ``pb`` finds it."""

from __future__ import annotations

import stat
import subprocess
import sys
import types
from pathlib import Path

import pytest

from pb.aio import tls
from pb.aio.url import Address
from pb.cli.main import COMMANDS, main


def url_in(output: str) -> Address:
    return Address.parse(output.split()[-1])


def test_keygen_writes_a_key_and_prints_the_url_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it prints is all that clients need."""
    path = tmp_path / "server.pem"

    assert 0 == main(["keygen", "-o", str(path)])

    output = capsys.readouterr().out
    assert f"for the server only: {path}\n" in output
    pin = tls.fingerprint(path.read_bytes())
    assert f"URL to give to clients: pbs://{pin}@localhost:8787\n" in output
    tls.server_context(path)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_keygen_writes_server_pem_here_if_not_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name that the documents use."""
    monkeypatch.chdir(tmp_path)

    assert 0 == main(["keygen"])

    assert [Path("server.pem")] == [path.relative_to(tmp_path) for path in tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("options", "host"),
    [
        (["--name", "Example.org", "10.0.0.1"], "example.org"),
        (["--name", "::1", "--name", "example.org"], "::1"),
    ],
)
def test_keygen_puts_the_first_name_into_the_url(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], host: str
) -> None:
    """And the port, where it is another."""
    assert 0 == main(["keygen", "-o", str(tmp_path / "x.pem"), *options, "--port", "443"])

    address = url_in(capsys.readouterr().out)
    assert (host, 443) == (address.host, address.port)


def test_keygen_does_not_replace_a_key_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replacing it voids the URL of every client."""
    path = tmp_path / "server.pem"
    main(["keygen", "-o", str(path)])
    before = path.read_bytes()
    capsys.readouterr()

    assert 1 == main(["keygen", "-o", str(path)])
    assert before == path.read_bytes()
    captured = capsys.readouterr()
    assert "" == captured.out
    assert captured.err.startswith(f"pb keygen: {path} exists")
    assert "--force" in captured.err

    assert 0 == main(["keygen", "-o", str(path), "--force"])
    assert before != path.read_bytes()


@pytest.mark.parametrize(
    "options",
    [["--name", "no host"], ["--name", "localhost", "no host"], ["--port", "65536"]],
    ids=" ".join,
)
def test_keygen_refuses_what_cannot_stand_in_the_url_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    """A key without a URL is of no use to anybody."""
    assert 1 == main(["keygen", "-o", str(tmp_path / "x.pem"), *options])

    assert capsys.readouterr().err.startswith("pb keygen: ")
    assert [] == list(tmp_path.iterdir())


def test_keygen_into_a_missing_directory_is_one_line_of_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback for a mistyped path."""
    assert 1 == main(["keygen", "-o", str(tmp_path / "nowhere" / "x.pem")])

    assert 1 == capsys.readouterr().err.count("\n")


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--help"], 0, "make the TLS key"),
        (["keygen", "--help"], 0, "--name HOST"),
        ([], 2, "COMMAND"),
        (["nonsense"], 2, "nonsense"),
        (["--", "keygen"], 2, "usage: pb "),
        (["keygen", "--nonsense"], 2, "--nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_status_tells_help_from_misuse(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, text: str
) -> None:
    """2 is what shells take for misuse."""
    assert status == main(arguments)

    captured = capsys.readouterr()
    assert text in (captured.err if status else captured.out)


def test_interrupted_command_exits_as_shells_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a traceback: the user knows what they did."""

    def run(args: object) -> int:
        raise KeyboardInterrupt

    command = types.ModuleType("stopped")
    command.add_arguments = lambda parser: None  # type: ignore[attr-defined]
    command.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stopped", command)
    monkeypatch.setitem(COMMANDS, "stop", ("stopped", "be stopped"))

    assert 130 == main(["stop"])


@pytest.mark.parametrize("arguments", [["--help"], ["keygen", "--help"]], ids=" ".join)
def test_help_does_not_wait_for_cryptography(arguments: list[str]) -> None:
    """Importing it takes longer than all the rest."""
    code = (
        "import sys; from pb.cli.main import main; main(sys.argv[1:]); print('cryptography' in sys.modules)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "False" == done.stdout.splitlines()[-1]


def test_python_m_pb_is_the_command() -> None:
    """Where the script is not on the path."""
    done = subprocess.run([sys.executable, "-m", "pb", "--help"], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("usage: pb ")
