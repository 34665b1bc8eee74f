"""The example of file transfers, run as the two processes its page says."""

from __future__ import annotations

import signal
import subprocess
import sys

from .test_examples import ROOT, run


def test_a_file_goes_to_the_shelf_and_comes_back(tmp_path):
    """With progress, while calls get through, and nothing else can be reached."""
    file = tmp_path / "notes.txt"
    file.write_text("mind the step\n" + "".join(f"line {number}\n" for number in range(200_000)))
    size = file.stat().st_size
    command = [sys.executable, "-W", "error", "-m", "examples.file_transfer.server"]
    process = subprocess.Popen(
        [*command, "pb://127.0.0.1:0", str(tmp_path / "shelf")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().split()[-1]
        done = run("file_transfer.client", str(file), url)
    finally:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    assert ("", "") == (done.stderr, errors)
    lines = done.stdout.splitlines()
    assert [f"sent: {percent} %" for percent in range(0, 101, 10)] == lines[:11]
    assert f"{size} bytes are there; the shelf answered meanwhile: True" == lines[11]
    assert "fetched: 100 %" in lines
    assert [
        "the copy is the same: True",
        "the first line: mind the step",
        "refused: a file is named by letters, digits, '.', '-' and '_'",
    ] == lines[-3:]
    assert file.read_bytes() == (tmp_path / "shelf" / "notes.txt").read_bytes()
    told = output.splitlines()
    assert f"notes.txt is here, {size} bytes" == told[0]
    assert told[1].endswith("lines of notes.txt were read")
    assert int(told[1].split()[0]) <= 18
