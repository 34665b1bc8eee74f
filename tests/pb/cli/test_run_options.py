"""What `pb run --listen` keeps of the listeners that it takes the place of."""

from __future__ import annotations

import urllib.request

import pytest

from pb.cli.run import options_for
from tests.pb.cli.processes import running

LISTENERS = [
    ("ws://127.0.0.1:80", {"web": "page", "debug": True}),
    ("ws://127.0.0.1:81", {"web": "another page"}),
    ("pbs://0.0.0.0:82", {"tls": "file.pem", "limits": "limits"}),
    ("pb://127.0.0.1:83", {"insecure": True, "proxy": False}),
]


@pytest.mark.parametrize(
    ("url", "tls", "options"),
    [
        ("ws://127.0.0.1:0", None, {"web": "page", "debug": True}),
        ("ws://127.0.0.1:0", "mine.pem", {"web": "page", "debug": True}),
        ("pbs://127.0.0.1:0", None, {"tls": "file.pem", "limits": "limits"}),
        ("pbs://127.0.0.1:0", "mine.pem", {"tls": "mine.pem", "limits": "limits"}),
        ("pb://0.0.0.0:0", None, {"proxy": False}),
        ("wss://127.0.0.1:0", "mine.pem", {"tls": "mine.pem"}),
        ("pb+unix:///x", None, {}),
    ],
)
def test_a_listener_has_the_options_of_the_file_s_first_of_its_scheme(url, tls, options):
    """But for `insecure`, which was said of another address, and what the command line says of TLS."""
    assert options == options_for(url, LISTENERS, tls)


def test_the_options_of_the_file_are_not_changed():
    """A second --listen of that scheme gets them as they were."""
    options_for("pbs://127.0.0.1:0", LISTENERS, "mine.pem")

    assert "file.pem" == LISTENERS[2][1]["tls"]


def test_another_port_serves_the_same_page(tmp_path):
    """The page is what the listener is for: a port that is in use must not cost it."""
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("a room")
    file = tmp_path / "chat.py"
    file.write_text(
        "import pb\n"
        "application = pb.Application('chat')\n"
        f"application.listen('ws://127.0.0.1:1', web=pb.Web(files={str(tmp_path / 'page')!r}))\n"
    )
    with running(file, "--listen", "ws://127.0.0.1:0") as server:
        with urllib.request.urlopen(server.url.replace("ws://", "http://") + "/", timeout=10) as page:
            assert b"a room" == page.read()
        assert 0 == server.end()[0]
