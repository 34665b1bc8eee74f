"""The examples with a login, each run by `pb run` and by clients as processes of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.pb.cli.processes import ROOT, pb, running
from tests.test_examples import run

EXAMPLES = ROOT / "examples"
LISTING_13 = EXAMPLES / "paper" / "listing13.py"
BACKEND = EXAMPLES / "backend" / "server.py"


def listing_14(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("paper.listing14", *arguments)


def test_listings_13_and_14_echo():
    """A perspective made on demand, an identity made by it, a login, an attach and a call."""
    with running(LISTING_13, "--listen", "pb://127.0.0.1:0") as server:
        done = listing_14(server.url)

        assert "echoing: hello world\n" == server.stdout.readline()
        assert (0, "") == (done.returncode, done.stderr)
        first, second = done.stdout.splitlines()
        assert first.startswith("got perspective: <RemoteReference ")
        assert "server echoed: hello world" == second
        assert 0 == server.end()[0]


def test_listing_13_keeps_its_identity_where_it_is_told(tmp_path):
    """The paper's identities live in a file with the application."""
    store = tmp_path / "pbecho.db"
    for _ in range(2):
        with running(LISTING_13, "--listen", "pb://127.0.0.1:0", "--store", store) as server:
            assert 0 == listing_14(server.url).returncode
            assert 0 == server.end()[0]

    assert "guest  enabled  password\n    pbecho/guest\n" == pb("identity", "list", "--store", store).stdout


WHY_NOT = [
    (["wrong"], "could not log in: wrong user or password"),
    (["guest", "pbechoo"], "logged in, but: 'guest' cannot attach 'guest' of 'pbechoo'"),
    (["guest", "pbecho", "ghost"], "logged in, but: 'guest' cannot attach 'ghost' of 'pbecho'"),
]


def test_listing_14_says_why_it_got_nothing():
    """Only user and password are told as one: to guessers they must be."""
    with running(LISTING_13, "--listen", "pb://127.0.0.1:0") as server:
        for arguments, reason in WHY_NOT:
            done = listing_14(server.url, *arguments)

            assert (1, "") == (done.returncode, done.stdout)
            assert done.stderr.startswith(reason)
            assert 1 == len(done.stderr.splitlines())


def test_listing_14_says_that_nobody_listens():
    """No server and a slow one are not the same either."""
    done = listing_14("pb://127.0.0.1:1")

    assert 1 == done.returncode
    assert done.stderr.startswith("no server: ")


def test_the_demo_logs_in_to_two_services():
    """`make demo` is on the default store; what it shows of calls is in test_examples."""
    done = run("demo")

    assert (0, "") == (done.returncode, done.stderr)
    for said in (
        "an identity 'guest' was made, with a password and two keys, in an SQLite file",
        "refused      a wrong password: login failed",
        "with the keys [('kitchen', 'guest'), ('larder', 'guest')]",
        "2nd service  sugar for guest",
        "server ended with status 0, client with status 0",
    ):
        assert said in done.stdout


def test_the_pages_that_show_an_application_show_one_that_works(tmp_path: Path):
    """The same file is in README.md, short, and in docs/running.md."""
    pages = {page: (ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/running.md")}
    for number, (page, text) in enumerate(pages.items()):
        code = next(part for part in text.split("```python\n") if "get_perspective_named" in part)
        file, store = tmp_path / f"pbecho{number}.py", tmp_path / f"pbecho{number}.db"
        file.write_text("import pb\n" + code.split("```")[0])
        assert "pb identity add alice --grant echo --store pbecho.db" in text
        add = ("identity", "add", "alice", "--grant", "echo", "--stdin", "--store", store)
        assert 0 == pb(*add, stdin="pw\n").returncode, page

        with running(file, "--store", store, "--listen", "pb://127.0.0.1:0") as server:
            done = subprocess.run(
                [sys.executable, "-W", "error", "-c", ASK, server.url],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
            )

        assert "" == done.stderr
        assert done.stdout.endswith("hello\n"), page


ASK = """
import asyncio, sys, pb

async def main():
    async with pb.open_connection(sys.argv[1]) as connection:
        identity = await connection.login("alice", "pw")
        echo = await identity.attach("echo")
        print(await echo.echo("hello"))

asyncio.run(main())
"""

SHOWN = """\
alice's basket: {alice}
bob's basket: {bob}
alice hears: bob: is the lamp any good?
bob has no key for admin
alice hears: bob has left
bob was thrown out of the shop too; his connection is open: True
still here: alice, olga
"""


def test_the_backend_has_three_services_behind_one_login_and_keeps_the_baskets(tmp_path: Path):
    """A basket for each user, which a restart does not empty; a chat that calls back; a kick."""
    store = tmp_path / "backend.db"
    for alice, bob in (("lamp, tea", "rope"), ("lamp, tea, lamp, tea", "rope, rope")):
        with running(BACKEND, "--listen", "pb://127.0.0.1:0", "--store", store) as server:
            done = run("backend.client", server.url)

            assert "" == done.stderr
            assert SHOWN.format(alice=alice, bob=bob) == done.stdout
            status, _, stderr = server.end()
            assert 0 == status
            assert not re.search("ERROR|Traceback", stderr)


def test_who_is_taken_off_the_admin_keyring_is_no_admin(tmp_path: Path):
    """The operator's commands hold for the example as they do for every application."""
    store = tmp_path / "backend.db"
    with running(BACKEND, "--listen", "pb://127.0.0.1:0", "--store", store) as server:
        assert 0 == pb("identity", "revoke", "olga", "admin", "--store", store).returncode
        done = run("backend.client", server.url)

    assert 1 == done.returncode
    assert "'olga' cannot attach 'admin'" in done.stderr
