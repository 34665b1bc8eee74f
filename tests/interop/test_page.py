"""Pages in a real browser, and what closes the connections of hostile ones. Spec: 2-frames.md, 2.1."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_sockets

import pb
from examples.chat.build import build
from pb import sync
from tests.browser import Page
from tests.pb.aio.sockets import HELLO

# Where the modules of the client find each other, as a page says it.
MODULES = """(() => {
  const map = document.createElement("script");
  map.type = "importmap";
  const imports = { "perspective-broker": "/pb/index.js", "@msgpack/msgpack": "/msgpack/index.mjs" };
  map.textContent = JSON.stringify({ imports });
  document.head.append(map);
})()"""
# Connects without the client, says something, and tells how that ended.
RAW = """new Promise((done) => {
  const socket = new WebSocket(%s, %s);
  const said = { protocol: null, extensions: null };
  socket.onopen = () => {
    [said.protocol, said.extensions] = [socket.protocol, socket.extensions];
    for (const data of %s) socket.send(typeof data === "string" ? data : new Uint8Array(data));
  };
  socket.onclose = ({ code }) => done([said.protocol, said.extensions, code]);
})"""


class Root(pb.Root):
    def remote_echo(self, value: object) -> object:
        return value


@pytest.fixture(scope="module")
def home() -> Iterator[sync.Server]:
    """A server whose files have the client in them."""
    with sync.serve(Root(), "ws://127.0.0.1:0", web=pb.Web(files=build())) as server:
        yield server


@pytest.fixture
def page(browser: Any, home: sync.Server) -> Iterator[Page]:
    """A page of that server, without a policy that would keep it from going elsewhere."""
    page = browser.open(home.url.replace("ws:", "http:") + "/style.css")
    page.evaluate(MODULES)
    yield page
    page.close()


def raw(page: Page, url: str, protocols: str = "['pb.1']", said: str = "[]") -> Any:
    """Return the protocol, the extensions and the close code of a WebSocket of a page."""
    return page.evaluate(RAW % (repr(url), protocols, said))


def client(page: Page, url: str, use: str) -> Any:
    """Connect with the client and return what an expression of `connection` gives, or the error's name."""
    return page.evaluate(
        f"""import("perspective-broker").then(async ({{ connect }}) => {{
          const connection = await connect({url!r});
          return {use};
        }}).catch((error) => [error.type, error.message])"""
    )


@contextmanager
def scripted(
    script: Callable[[ServerConnection], object], **options: Any
) -> Iterator[tuple[str, list[ServerConnection]]]:
    """Serve WebSocket by a script; yield the URL and the connections that came, as they ended."""
    ended: list[ServerConnection] = []

    def handle(socket: ServerConnection) -> None:
        try:
            script(socket)
            for _ in socket:
                pass
        except ConnectionClosed:
            pass
        ended.append(socket)

    options = {"subprotocols": ["pb.1"], **options}
    with serve_sockets(handle, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", ended
        finally:
            server.shutdown()
            thread.join()


def test_a_page_calls_the_server_it_came_from(page, home):
    """And nothing between them is compressed, though a browser offers it."""
    assert "hello" == client(page, home.url, "await connection.root.call('echo', 'hello')")
    assert ["pb.1", "", 1003] == raw(page, home.url, said="['text']")


def test_a_page_from_elsewhere_gets_no_connection(page, home, caplog):
    """Whoever looks at it may be allowed much where it connects to. The page learns nothing of why."""
    caplog.set_level(logging.WARNING, "pb")
    with sync.serve(Root(), "ws://127.0.0.1:0") as other:
        assert [None, None, 1006] == raw(page, other.url)
        assert ["pb.ConnectionLost", f"{other.url} cannot be reached"] == client(page, other.url, "1")
        assert [] == other.connections
    here = home.url.replace("ws:", "http:")
    assert 2 == sum(f"refused a page from '{here}'" in record.message for record in caplog.records)

    with sync.serve(Root(), "ws://127.0.0.1:0", web=pb.Web(origins=[here])) as friend:
        assert 7 == client(page, friend.url, "await connection.root.call('echo', 7)")


def test_a_page_under_a_name_gets_no_connection_unless_that_name_was_given(browser, home):
    """Its own name may have been pointed at this machine after it was loaded."""
    page = browser.open(home.url.replace("ws://127.0.0.1", "http://rebound.localhost") + "/style.css")
    url = home.url.replace("127.0.0.1", "rebound.localhost")

    assert [None, None, 1006] == raw(page, url)
    page.close()


@pytest.mark.parametrize("protocols", ["[]", "['pb.2', 'chat']"])
def test_a_page_that_speaks_another_protocol_is_refused(protocols, page, home):
    """It would be understood by chance only."""
    assert [None, None, 1006] == raw(page, home.url, protocols)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("['text']", 1003),
        ("[[0xc1]]", 1000),
        (f"[{list(HELLO)}, 'text']", 1003),
        (f"[{list(HELLO)}, [0xc1]]", 4004),
        (f"[{list(HELLO)}, {list(HELLO)}]", 4003),
        (f"[{list(HELLO)}, []]", 4005),
    ],
    ids=["text", "no HELLO", "text later", "malformed", "HELLO twice", "empty"],
)
def test_a_page_sees_by_the_code_what_it_did_wrong(said, code, page, home):
    """That of the BYE and 4,000, or WebSocket's own."""
    assert ["pb.1", "", code] == raw(page, home.url, said=said)


def allowed(page: Page, script: Callable[[ServerConnection], object], **options: Any) -> Any:
    """Let a page connect to a script; return what it told of that, and the code that it closed with."""
    with scripted(script, **options) as (url, ended):
        told = client(page, url, "(await connection.closed).type")
    return told, [socket.protocol.close_code for socket in ended]


@pytest.mark.parametrize("before", [[], [HELLO]], ids=["at once", "after HELLO"])
def test_a_page_that_gets_text_closes_with_the_code_that_it_can_say(before, page):
    """1003 is not for pages to say: their API has 1000, and 3000 to 4999."""

    def script(socket):
        for each in [*before, "text"]:
            socket.send(each)

    told, codes = allowed(page, script)
    assert [4003] == codes
    assert "pb.ConnectionLost" in told


def test_a_page_closes_with_the_code_of_its_bye(page):
    """So a server sees in its log what went wrong, whatever it is written in."""
    _, codes = allowed(page, lambda socket: [socket.send(each) for each in (HELLO, HELLO)])

    assert [4003] == codes


def test_a_page_does_not_stay_where_its_protocol_was_not_agreed_to(page):
    """The browser sees to that itself."""
    told, codes = allowed(page, lambda socket: None, subprotocols=None)

    assert "pb.ConnectionLost" == told[0]
    assert codes in ([1006], [])
