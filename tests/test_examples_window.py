"""The window of the departures, drawn on a screen that nobody sees; its station runs as a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .test_examples_flavours import Program

NEEDED = "PB_TESTS_NEED_SCREEN" in os.environ
LIMIT_S = 30


@pytest.fixture
def screen() -> Iterator[str]:
    """Start a screen in memory, and say its name."""
    server = shutil.which("Xvfb")
    if server is None:
        if NEEDED:
            pytest.fail("Xvfb is not installed: apt-get install xvfb")
        pytest.skip("Xvfb is not installed (apt-get install xvfb); tests/pb/sync/test_gui.py needs no screen")
    pytest.importorskip("tkinter", reason="this Python was built without tkinter")
    command = [server, "-displayfd", "1", "-screen", "0", "640x560x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield f":{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.communicate(timeout=LIMIT_S)


def until(window: Any, condition: Callable[[], object]) -> None:
    """Be the main loop until something is so."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end
        window.update()
        time.sleep(0.002)


def table(shown: Any) -> dict[str, str]:
    """Return what stands in the table."""
    return {train: str(right["text"]) for train, (_, right) in shown.rows.items()}


def test_a_window_shows_the_table_of_a_station_that_comes_and_goes(screen):
    """It opens before there is one, follows it, announces, and shows what the next one has."""
    import tkinter

    from examples.window.client import Window

    station = Program("reconnect.server", "pb://127.0.0.1:0", "the old station")
    stations = [station]
    window = tkinter.Tk(screenName=screen)
    try:
        (line,) = station.lines(1)
        url = line.removeprefix("the station is at ")
        station.process.kill()
        station.process.wait(LIMIT_S)
        shown = Window(window, url)
        shown.announce()
        until(window, lambda: "a train and its platform, please" == shown.said["text"])
        until(window, lambda: "looking for the station" == shown.state["text"])

        stations.append(Program("reconnect.server", url, "the old station"))
        until(window, lambda: "the old station" == shown.title["text"])
        assert "connected" == shown.state["text"]
        assert shown.empty.winfo_ismapped()
        for train, platform in (("express to the sea", "1"), ("local", "12")):
            shown.train.insert(0, train)
            shown.platform.insert(0, platform)
            shown.button.invoke()
            until(window, lambda: train in shown.rows and f"{train} is announced" == shown.said["text"])  # noqa: B023
        assert {"express to the sea": "1", "local": "12"} == table(shown)
        assert "" == shown.train.get()
        shown.train.insert(0, "x" * 81)
        shown.platform.insert(0, "1")
        shown.button.invoke()
        until(window, lambda: "a text of 1 to 80 characters is expected" in str(shown.said["text"]))

        stations[1].process.kill()
        until(window, lambda: str(shown.state["text"]).startswith("out of reach"))
        assert {"express to the sea": "1", "local": "12"} == table(shown), "what was there stays"
        stations.append(Program("reconnect.server", url, "the new station"))
        until(window, lambda: "the new station" == shown.title["text"] and not shown.rows)
        until(window, lambda: "connected" == shown.state["text"])
        window.destroy()
        shown.close()
        assert not shown.connection.is_open
    finally:
        for program in stations:
            program.clean_up()


def test_a_window_is_closed_by_an_interrupt_too(screen, monkeypatch):
    """As every other program is; a window that has found nobody ends as well."""
    monkeypatch.setenv("DISPLAY", screen)
    program = Program("window.client", "pb://127.0.0.1:1")
    try:
        assert ["the window is open"] == program.lines(1)
        assert ([], "", 0) == program.stop()
    finally:
        program.clean_up()
