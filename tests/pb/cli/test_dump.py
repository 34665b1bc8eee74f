"""The command ``pb dump``: streams, packet captures, and a connection that is watched."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import subprocess
import sys
import types
from pathlib import Path

import pytest

import pb
from pb.cli.main import main

from ..web_bytes import web_streams
from .processes import ENVIRONMENT, HARD_END_S, ROOT

CONVERSATION = json.loads(
    (Path(__file__).parents[3] / "spec/vectors/conversations/02-callback.json").read_text()
)["frames"]
CLIENT, SERVER = ("10.0.0.1", 40_000), ("10.0.0.2", 8787)


def said(direction):
    return b"".join(bytes.fromhex(frame["hex"]) for frame in CONVERSATION if frame["dir"] == direction)


def told(*prefixes):
    """The lines of the conversation, each side's in its order."""
    return [
        f"{prefix} {frame['text']}"
        for prefix in prefixes
        for frame in CONVERSATION
        if frame["dir"] == prefix.split()[-1]
    ]


def packet(source, destination, sequence, flags, data=b"", version=4):
    """An Ethernet frame with a TCP segment."""
    segment = struct.pack(">HHIIBBHHH", source[1], destination[1], sequence, 0, 5 << 4, flags, 0, 0, 0) + data
    ends = [bytes(map(int, end[0].split("."))) for end in (source, destination)]
    if version == 6:
        ends = [bytes(12) + end for end in ends]
        header = struct.pack(">IHBB", 6 << 28, len(segment), 6, 64) + b"".join(ends)
        return bytes(12) + b"\x86\xdd" + header + segment
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0) + b"".join(ends)
    return bytes(12) + b"\x08\x00" + header + segment


def web_conversation():
    """The packets of the same conversation over WebSocket, one for each write, between the same two."""
    frames = [(frame["dir"], bytes.fromhex(frame["hex"])) for frame in CONVERSATION]
    next_at = {"C>S": 1, "S>C": 1}
    packets = [packet(CLIENT, SERVER, 0, 0x02), packet(SERVER, CLIENT, 0, 0x12)]
    for direction, data in web_streams(frames, closing=1000):
        ends = (CLIENT, SERVER) if direction == "C>S" else (SERVER, CLIENT)
        packets.append(packet(*ends, next_at[direction], 0x10, data))
        next_at[direction] += len(data)
    return packets


def conversation(version=4, syn=True):
    """The packets of the conversation: split, out of order, one sent twice, sequence numbers that wrap."""
    start = 0xFFFFFFF0
    packets = []
    if syn:
        packets.append(packet(CLIENT, SERVER, start, 0x02, version=version))
        packets.append(packet(SERVER, CLIENT, 7, 0x12, version=version))
    out, back = said("C>S"), said("S>C")
    first = (start + 1) & 0xFFFFFFFF
    pieces = [(first + i & 0xFFFFFFFF, out[i : i + 20]) for i in range(0, len(out), 20)]
    packets.append(packet(CLIENT, SERVER, *(pieces[0][0], 0x10, pieces[0][1]), version=version))
    packets.append(packet(CLIENT, SERVER, *(pieces[0][0], 0x10, pieces[0][1]), version=version))
    packets += [packet(CLIENT, SERVER, at, 0x10, data, version) for at, data in reversed(pieces[1:])]
    packets.append(packet(SERVER, CLIENT, 8, 0x10, back, version))
    packets.append(bytes(12) + b"\x08\x06" + bytes(28))  # something that is no TCP
    return packets


def pcap(packets, order="<"):
    head = struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    return head + b"".join(struct.pack(f"{order}IIII", 0, 0, len(data), len(data)) + data for data in packets)


def block(code, body, order):
    body += bytes(-len(body) % 4)
    size = 12 + len(body)
    return struct.pack(f"{order}II", code, size) + body + struct.pack(f"{order}I", size)


def pcapng(packets, order="<"):
    content = block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    content += block(1, struct.pack(f"{order}HHI", 1, 0, 65_535), order) + block(5, b"", order)
    for data in packets:
        content += block(6, struct.pack(f"{order}IIIII", 0, 0, 0, len(data), len(data)) + data, order)
    return content


def test_two_files_are_the_two_sides(tmp_path, capsys):
    """As a proxy or a test may have written them."""
    (tmp_path / "out").write_bytes(said("C>S"))
    (tmp_path / "back").write_text(said("S>C").hex(" "))
    (tmp_path / "out.hex").write_text(said("C>S").hex("\n"))

    assert 0 == main(["dump", str(tmp_path / "out")])
    assert told("C>S") == capsys.readouterr().out.splitlines()
    assert 0 == main(["dump", "--hex", str(tmp_path / "out.hex"), "--back", str(tmp_path / "back")])
    assert told("C>S", "S>C") == capsys.readouterr().out.splitlines()


def test_standard_input_is_a_file_too(capsys, monkeypatch):
    """At the end of a pipe."""
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(said("C>S"))))

    assert 0 == main(["dump", "-"])
    assert told("C>S") == capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("write", [pcap, pcapng])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("syn", [True, False])
def test_a_capture_is_put_together_again(write, order, version, syn, tmp_path, capsys):
    """Whatever the network did to the segments."""
    path = tmp_path / "capture"
    path.write_bytes(write(conversation(version, syn), order))

    assert 0 == main(["dump", str(path)])
    first, *lines = capsys.readouterr().out.splitlines()
    ends = ("[::a00:1]", "[::a00:2]") if version == 6 else ("10.0.0.1", "10.0.0.2")
    assert f"connection 1: {ends[0]}:40000 to {ends[1]}:8787" == first
    assert sorted(told("1 C>S", "1 S>C")) == sorted(lines)
    assert told("1 C>S") == [line for line in lines if "C>S" in line]


def test_a_websocket_in_a_capture_is_looked_into(tmp_path, capsys):
    """Unmasked, both directions, in the words of any other transport."""
    path = tmp_path / "capture"
    path.write_bytes(pcap(web_conversation()))

    assert 0 == main(["dump", str(path)])
    lines = capsys.readouterr().out.splitlines()
    assert "connection 1: 10.0.0.1:40000 to 10.0.0.2:8787" == lines[0]
    assert lines[1] == ("1 C>S WebSocket: GET / HTTP/1.1, origin http://127.0.0.1:8788, protocol pb.1")
    assert "1 S>C WebSocket: HTTP/1.1 101 Switching Protocols, protocol pb.1" == lines[2]
    assert [f"1 {frame['dir']} {frame['text']}" for frame in CONVERSATION] == lines[3:-1]
    assert "1 S>C WebSocket close 1000: enough" == lines[-1]


def test_a_capture_that_is_cut_off_shows_what_it_has(tmp_path, capsys):
    """And says where it ends."""
    for write in (pcap, pcapng):
        path = tmp_path / "capture"
        path.write_bytes(write(conversation())[:-5])
        assert 1 == main(["dump", str(path)])
        shown = capsys.readouterr()
        assert told("1 C>S") == [line for line in shown.out.splitlines() if "C>S" in line]
        assert "ends within a" in shown.err


@pytest.mark.parametrize(
    ("content", "options", "text"),
    [
        (None, [], "No such file"),
        (b"xyz", ["--hex"], "no hexadecimal text"),
        (pcap([]), [], "no TCP"),
        (pcap([])[:10], [], "within its header"),
    ],
)
def test_what_cannot_be_read_is_said(content, options, text, tmp_path, capsys):
    """In one line, without a traceback."""
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)

    assert 1 == main(["dump", *options, str(path)])
    error = capsys.readouterr().err
    assert text in error
    assert 1 == error.count("\n")


def test_what_is_no_stream_of_ours_fails(tmp_path, capsys):
    """So that a script notices."""
    (tmp_path / "out").write_bytes(b"GET / HTTP/1.1\r\n\r\n")

    assert 1 == main(["dump", str(tmp_path / "out")])
    assert "C>S HTTP, and no WebSocket: GET / HTTP/1.1\n" == capsys.readouterr().out


def test_nothing_to_show_is_a_misuse(capsys):
    """There is no default that anybody would expect."""
    assert 2 == main(["dump"])
    assert "expected a FILE" in capsys.readouterr().err
    for listen, server in (("pbs", "pbs"), ("pb", "ws"), ("wss", "wss")):
        assert 1 == main(["dump", "--watch", f"{listen}://localhost", f"{server}://localhost"])
        assert "only pb:// to pb://, and ws:// to ws://, can be watched" in capsys.readouterr().err


class Root(pb.Root):
    def remote_echo(self, value):
        return value


@pytest.mark.parametrize("scheme", ["pb", "ws"])
def test_a_connection_can_be_watched(scheme):
    """A proxy in between, that shows what passes."""

    async def main():
        async with pb.serve(Root(), f"{scheme}://127.0.0.1:0") as server:
            watcher = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pb", "dump", "--watch", f"{scheme}://127.0.0.1:0", server.url),
                cwd=ROOT,
                env=ENVIRONMENT,
                stdout=subprocess.PIPE,
            )
            try:
                first = (await asyncio.wait_for(watcher.stdout.readline(), HARD_END_S)).decode()
                async with pb.open_connection(first.split()[1].rstrip(",")) as connection:
                    assert "hello" == await connection.root.echo("hello")
                seen = []
                while not any("closed" in line for line in seen):
                    seen.append((await asyncio.wait_for(watcher.stdout.readline(), HARD_END_S)).decode())
            finally:
                watcher.kill()
                await watcher.wait()
        assert '1 C>S CALL 1 0 "echo" «[["hello"], {}]»\n' in seen
        assert '1 S>C ANSWER 1 «"hello"»\n' in seen

    asyncio.run(main())
