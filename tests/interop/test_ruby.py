"""The client in Ruby, written from the specification: its vectors, a live server, a login, and the kit."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ..conformance.subjects import TIMEOUT_S, all_cases, server, unmet

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "examples" / "clients" / "ruby"
HARD_END_S = 60
NEEDED = "PB_TESTS_NEED_RUBY" in os.environ


def ruby_works() -> bool:
    """Tell whether there is a ruby with msgpack."""
    ruby = shutil.which("ruby")
    return (
        ruby is not None
        and subprocess.run([ruby, "-e", "require 'msgpack'"], capture_output=True).returncode == 0
    )


pytestmark = pytest.mark.skipif(
    not NEEDED and not ruby_works(), reason="needs ruby and ruby-msgpack (Debian packages of these names)"
)


def ruby(script, *arguments):
    """Run a script of the client to its end; return what it printed."""
    done = subprocess.run(
        ["ruby", "-W2", str(CLIENT / script), *arguments], capture_output=True, text=True, timeout=HARD_END_S
    )
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    return done.stdout


def test_the_vectors_of_a_leaf():
    """Both ways, and what must be refused is."""
    assert ruby("check_vectors.rb", str(ROOT / "spec" / "vectors")).endswith(" 0 failed\n")


def test_an_error_of_the_server_s_prints_harmlessly():
    """Ruby prints the message of what nobody rescues; the text is there as it was sent (PB-E8)."""
    made = r'PB::RemoteError.new({"type" => "a.B", "msg" => "x\n\e[2J\u009b\u202e\u2028 ü"})'
    asked = f'require "pb"; error = {made}; print error.message, "|", error.text.dump'
    done = subprocess.run(
        ["ruby", "-I", str(CLIENT), "-e", asked], capture_output=True, encoding="utf-8", timeout=HARD_END_S
    )

    assert r'a.B: x\n\e[2J\u009B\u202E\u2028 ü|"x\n\e[2J\u009B\u202E\u2028 \u00FC"' == done.stdout


@pytest.mark.parametrize(
    ("lists", "found"), [(4092, "6 bytes more"), (4093, "more than 4096 arrays and maps")]
)
def test_no_more_lists_are_sent_than_the_server_takes(lists, found):
    """It would end the connection (PB-V49). The outermost, the arguments and their names are three."""
    asked = f"""
        require "pb"
        begin
          value = [[[[]] * {lists}], {{}}]
          print PB::Values.pack(value, 4096).bytesize - {lists}, " bytes more"
        rescue PB::Unsendable => error
          print error.message
        end
    """
    done = subprocess.run(
        ["ruby", "-I", str(CLIENT), "-e", asked], capture_output=True, encoding="utf-8", timeout=HARD_END_S
    )

    assert done.stdout.startswith(found), done.stderr


@pytest.mark.parametrize("scheme", ["pb", "pb+unix"])
def test_a_live_server(scheme, tmp_path):
    """Calls, references, errors, and a clean end."""
    url = "pb://127.0.0.1:0" if scheme == "pb" else f"pb+unix://{tmp_path}/socket"
    with server(url) as found:
        lines = ruby("live.rb", found).splitlines()

    assert 12 == len([line for line in lines if line.startswith("ok ")])


def test_a_login(tmp_path):
    """SCRAM-SHA-256, then a service; a wrong password is refused."""
    from ..pb.cli.processes import running

    with running(
        str(ROOT / "examples" / "paper" / "listing13.py"), "--listen", "pb://127.0.0.1:0"
    ) as serving:
        assert "hello network\n" in ruby("example.rb", serving.url, "guest", "guest", "pbecho")
        done = subprocess.run(
            ["ruby", str(CLIENT / "example.rb"), serving.url, "guest", "wrong", "pbecho"],
            capture_output=True,
            text=True,
            timeout=HARD_END_S,
        )
        assert "pb.LoginFailed" in done.stderr


def test_the_kit_finds_nothing_at_level_leaf():
    """Framing, HELLO, PING and BYE are all that a leaf shows."""
    from pb.conformance.run import chosen, run_all
    from pb.conformance.streams import Listener

    listener = Listener("pb://127.0.0.1:0")
    client = subprocess.Popen(["ruby", str(CLIENT / "leaf_under_test.rb"), listener.url])
    try:
        results = list(
            run_all(chosen(all_cases(), "leaf", None), lambda: listener.accept(TIMEOUT_S), TIMEOUT_S)
        )
    finally:
        listener.close()
        client.kill()
        client.wait()

    assert [] == unmet(results)
    assert len(results) > 10
