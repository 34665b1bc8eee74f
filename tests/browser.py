"""Chromium for tests, driven by its DevTools protocol over the WebSocket library that is here anyway.

As much of it as the tests use: pages of several users side by side, keys and clicks as a person makes them,
waiting for what a page shows without asking again and again, pictures.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.sync.client import ClientConnection, connect

NEEDED: Final = "PB_TESTS_NEED_CHROMIUM"
NAMES: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
LIMIT_S: Final = 30.0
# Name -> code, as the protocol wants to be told of keys that are no text.
KEYS: Final = {"Tab": 9, "Enter": 13, "ArrowUp": 38, "ArrowDown": 40}
ALT: Final = 1
# Resolves once an expression is true, when the page has become so; rejects in the end.
UNTIL: Final = """new Promise((done, fail) => {
  const end = () => fail(new Error("it never was so; shown is: " + document.body.innerText));
  const timer = setTimeout(end, %d);
  const look = () => {
    if (!(%s)) return;
    watch.disconnect();
    clearTimeout(timer);
    done();
  };
  const watch = new MutationObserver(look);
  watch.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  look();
})"""


def browser_command() -> list[str]:
    """Return the command that starts Chromium; skip the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        if os.environ.get(NEEDED):
            pytest.fail(f"none of {', '.join(NAMES)} is installed")
        pytest.skip(f"Chromium is not installed ({NEEDED}=1 makes that a failure)")
    assert found is not None
    command = [found, "--headless", "--remote-debugging-port=0", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--no-first-run", "--hide-scrollbars", "--disable-background-networking"]
    if os.getuid() == 0:
        command.append("--no-sandbox")  # it refuses to run as root with one
    return command


class Page:
    """One tab, with cookies and storage of its own: another person at another machine."""

    def __init__(self, browser: Browser, context: str, size: tuple[int, int]) -> None:
        self.errors: list[str] = []
        self._browser = browser
        blank = browser.call("Target.createTarget", url="about:blank", browserContextId=context)
        self._target = blank["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)[
            "sessionId"
        ]
        browser.pages[self._session] = self
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=1,
            mobile=False,
        )

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol."""
        return self._browser.call(method, self._session, **parameters)

    def goto(self, url: str) -> None:
        """Load a page."""
        self.call("Page.navigate", url=url)
        self._browser.await_event(self._session, "Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page, of a promise what it resolves with."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in found:
            thrown = found["exceptionDetails"]
            raise AssertionError(thrown.get("exception", {}).get("description") or thrown["text"])
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true; it is looked at whenever the page has changed."""
        self.evaluate(UNTIL % (LIMIT_S * 1000 * 0.8, expression))

    def until_shown(self, selector: str, text: str) -> None:
        """Wait until an element has exactly this text."""
        self.until(f"document.querySelector({json.dumps(selector)})?.innerText === {json.dumps(text)}")

    def texts(self, selector: str) -> list[str]:
        """Return the texts of elements."""
        found: list[str] = self.evaluate(
            f"[...document.querySelectorAll({json.dumps(selector)})].map((each) => each.innerText)"
        )
        return found

    def click(self, selector: str) -> None:
        """Click in the middle of an element, where whatever lies on top of it gets the click."""
        self.until(f"document.querySelector({json.dumps(selector)})?.checkVisibility()")
        x, y = self.evaluate(
            f"(({{ x, y, width, height }}) => [x + width / 2, y + height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def write(self, text: str) -> None:
        """Write where the focus is."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press a key and let go of it."""
        options = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key], "modifiers": modifiers}
        if key == "Enter":
            options["text"] = "\r"
        self.call("Input.dispatchKeyEvent", type="keyDown", **options)
        options.pop("text", None)
        self.call("Input.dispatchKeyEvent", type="keyUp", **options)

    def prefer(self, scheme: str) -> None:
        """Be on a machine whose user likes it "light" or "dark"."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path: Path) -> None:
        """Take a picture."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        """Close the tab, as by its cross: no code of the page has a say."""
        if self._browser.pages.pop(self._session, None) is not None:
            self._browser.call("Target.closeTarget", targetId=self._target)

    def take(self, event: dict[str, Any]) -> None:
        """Keep what went wrong in the page."""
        if event["method"] == "Runtime.exceptionThrown":
            details = event["params"]["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.errors.append(event["params"]["entry"]["text"])


class Browser:
    """A running Chromium."""

    def __init__(self, socket: ClientConnection) -> None:
        self.pages: dict[str, Page] = {}
        self._socket = socket
        self._last = 0
        self._events: list[dict[str, Any]] = []

    def open(self, url: str, size: tuple[int, int] = (1200, 760)) -> Page:
        """Open a page for another user."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        page = Page(self, context, size)
        page.goto(url)
        return page

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Call a method of the protocol and return its result."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        while True:
            answer = self._receive()
            if answer.get("id") == self._last:
                break
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def await_event(self, session: str, method: str) -> None:
        """Wait for an event of a page, unless it has come already."""
        while not any((session, method) == (e.get("sessionId"), e["method"]) for e in self._events):
            self._receive()
        self._events.clear()

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(LIMIT_S))
        if "method" in message:
            page = self.pages.get(message.get("sessionId", ""))
            if page is not None:
                page.take(message)
            self._events.append(message)
        return message


@contextmanager
def running_browser(profile: Path) -> Iterator[Browser]:
    """Start Chromium; it is killed at the end, with all its processes, and in any case in time."""
    command = [*browser_command(), f"--user-data-dir={profile}", "about:blank"]
    # What is started may be a script around it, as in Debian, and has many children in any case: a group.
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    killer = threading.Timer(LIMIT_S * 60, kill)
    killer.start()
    assert process.stderr is not None
    try:
        said = ""
        while (found := re.search(r"DevTools listening on (ws://\S+)", said)) is None:
            line = process.stderr.readline()
            assert line, f"Chromium did not start: {said}"
            said += line
        # Whatever else it has to say must not fill the pipe. It ends when the last process has.
        reader = threading.Thread(target=process.stderr.read)
        reader.start()
        try:
            with connect(found[1], max_size=None, compression=None, ping_interval=None) as socket:
                yield Browser(socket)
        finally:
            kill()
            reader.join(LIMIT_S)
            assert not reader.is_alive(), "some process of Chromium goes on"
    finally:
        killer.cancel()
        kill()
        process.wait(LIMIT_S)
        process.stderr.close()
