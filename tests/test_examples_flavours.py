"""The board and the game room, run as the processes their pages say, line by line."""

from __future__ import annotations

import asyncio
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pb
from examples.gameroom import shared

ROOT = Path(__file__).parent.parent
TIMEOUT_S = 60
NOBODY = "pb://127.0.0.1:1"


class Program:
    """An example that is running, and what it says."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", f"examples.{module}", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._said: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(line.rstrip("\n"))
        self._said.put(None)

    def lines(self, count: int) -> list[str | None]:
        """Return its next lines; None where there are no more."""
        return [self._said.get(timeout=TIMEOUT_S) for _ in range(count)]

    def lines_until(self, last: str) -> list[str]:
        """Return its next lines, up to this one."""
        said: list[str] = []
        while not said or said[-1] != last:
            line = self._said.get(timeout=TIMEOUT_S)
            assert line is not None, said
            said.append(line)
        return said

    def end(self) -> tuple[list[str], str, int]:
        """Wait for it; return the lines it had left to say, what went wrong, and its status."""
        assert self.process.stderr is not None
        status = self.process.wait(timeout=TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        rest = list(iter(self._said.get_nowait, None))
        return rest, self.process.stderr.read(), status

    def stop(self) -> tuple[list[str], str, int]:
        """Do what Ctrl-C does, and wait for it."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def clean_up(self) -> None:
        self.process.kill()
        self.process.wait(timeout=TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        assert self.process.stdout is not None and self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()


class Wiretap:
    """Pass one connection on to a server, and keep every byte the server says on it."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("pb://").split(":")
        self._server = socket.create_connection((host, int(port)))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT_S)
        self.url = f"pb://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heard = bytearray()
        self._passing = threading.Thread(target=self._run)
        self._passing.start()

    def _run(self) -> None:
        with self._listener, self._server, self._listener.accept()[0] as client:
            back = threading.Thread(target=self._pass_on, args=(self._server, client, self.heard))
            back.start()
            self._pass_on(client, self._server, bytearray())
            back.join(TIMEOUT_S)

    def _pass_on(self, source: socket.socket, target: socket.socket, heard: bytearray) -> None:
        try:
            while data := source.recv(65536):
                heard += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other way has ended already

    def clean_up(self) -> None:
        self._passing.join(TIMEOUT_S)


Start = Callable[..., Program]
Tap = Callable[[str], Wiretap]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start examples, and end them whatever happens."""
    programs: list[Program] = []

    def begin(module: str, *arguments: str) -> Program:
        programs.append(Program(module, *arguments))
        return programs[-1]

    yield begin
    for program in programs:
        program.clean_up()


@pytest.fixture
def tap(start: Start) -> Iterator[Tap]:
    """Make wiretaps, which end when the programs have."""
    taps: list[Wiretap] = []

    def make(url: str) -> Wiretap:
        taps.append(Wiretap(url))
        return taps[-1]

    yield make
    for made in taps:
        made.clean_up()


def serve(start: Start, module: str) -> tuple[Program, str]:
    """Start a server; return it, and where it listens."""
    server = start(f"{module}.server", "pb://127.0.0.1:0")
    (line,) = server.lines(1)
    assert line is not None
    return server, line.split()[-1]


# --- the board


def test_three_clients_see_the_notes_of_the_others_appear_and_vanish(start: Start) -> None:
    """All replicas go through the same changes, in the same order, and nobody asks for them."""
    _, url = serve(start, "board")

    cook = start("board.client", "cook", url)
    assert [
        "cook: finds notes of nobody",
        "cook: asks again; it is the same board: True",
        "cook: + cook: soup at noon",
    ] == cook.lines(3)
    smith = start("board.client", "smith", url)
    assert [
        "smith: finds notes of cook",
        "smith: asks again; it is the same board: True",
        "smith: + smith: will mend pots",
    ] == smith.lines(3)
    assert ["cook: + smith: will mend pots"] == cook.lines(1)
    miller = start("board.client", "miller", url)
    assert [
        "miller: finds notes of cook, smith",
        "miller: asks again; it is the same board: True",
        "miller: + miller: flour is in",
    ] == miller.lines(3)
    assert ["cook: + miller: flour is in"] == cook.lines(1)
    assert ["smith: + miller: flour is in"] == smith.lines(1)

    ends = {name: client.end() for name, client in (("cook", cook), ("smith", smith), ("miller", miller))}

    vanished = []
    for name, (said, complaint, status) in ends.items():
        assert ("", 0) == (complaint, status)
        words = [line.removeprefix(f"{name}: ") for line in said]
        # Others may be quicker: their notes may be down before this one has noticed that it saw three.
        assert ["has seen all three", "leaves an empty board"] == [x for x in words if x[0] != "-"]
        assert "leaves an empty board" == words[-1]
        vanished.append([x for x in words if x[0] == "-"])
        own = next(x for x in words if x.startswith(f"- {name}"))
        assert words.index("has seen all three") < words.index(own)
    assert ["- cook: soup at noon", "- miller: flour is in", "- smith: will mend pots"] == sorted(vanished[0])
    assert [vanished[0]] * 3 == vanished


def test_the_server_of_the_board_tells_who_comes_and_who_leaves(start: Start) -> None:
    """Every observer it was given is taken back, and its end is a clean one."""
    server, url = serve(start, "board")
    clients = [start("board.client", name, url) for name in ("cook", "smith", "miller")]

    assert [0, 0, 0] == [client.end()[2] for client in clients]
    said = server.lines(9)

    for name in ("cook", "smith", "miller"):
        assert [f"the {name} comes", f"the {name} looks no more", f"the {name} goes"] == [
            line for line in said if line is not None and line.split()[1] == name
        ]
    assert ([], "", 0) == server.stop()


def test_who_dies_is_forgotten_with_its_note(start: Start) -> None:
    """A process that is killed says no goodbye; the others see its note vanish all the same."""
    server, url = serve(start, "board")
    cook = start("board.client", "cook", url)
    cook.lines_until("cook: + cook: soup at noon")
    smith = start("board.client", "smith", url)
    cook.lines_until("cook: + smith: will mend pots")

    smith.process.kill()

    assert ["the cook comes", "the smith comes"] == server.lines(2)
    assert ["the smith looks no more", "the smith goes"] == server.lines(2)
    assert ["cook: - smith: will mend pots"] == cook.lines(1)


def test_a_name_is_given_once(start: Start) -> None:
    """The refusal is the server's own error, and crosses as itself."""
    _, url = serve(start, "board")
    start("board.client", "cook", url).lines_until("cook: + cook: soup at noon")

    assert ([], "no board: there is a cook already\n", 1) == start("board.client", "cook", url).end()


# --- the game room


def test_two_players_look_at_the_same_things_and_see_different_ones(start: Start) -> None:
    """A view tells its object who is calling, whatever connection it is."""
    server, url = serve(start, "gameroom")

    knight = start("gameroom.client", "knight", url)
    assert [
        "knight: in the room: knight",
        "knight: the lamp: a lamp of brass",
        "knight: the ivy: ivy on a wall",
        "knight: the runes on the lamp: <hidden>",
        "knight: waits for a miracle",
    ] == knight.lines(5)
    wizard = start("gameroom.client", "wizard", url)

    assert (
        [
            "wizard: in the room: knight, wizard",
            "wizard: the lamp: a lamp of brass",
            "wizard: the ivy: ivy on a wall, and behind it a door",
            "wizard: the door: a door of silver, ajar",
            "wizard: the knight: a knight, who looks back at the wizard",
            "wizard: the runes on the lamp: rub me twice",
            "wizard: puts a spell on the knight",
            "wizard: the knight goes",
        ],
        "",
        0,
    ) == wizard.end()
    assert (
        [
            "knight: the wizard comes",
            "knight: it is the same ivy: True",
            "knight: the lamp: a lamp of brass",
            "knight: the ivy: ivy on a wall, and behind it a door",
            "knight: the door: a door of silver, ajar",
            "knight: the wizard: a wizard, who looks back at the knight",
            "knight: is told: a knight casts no spells",
            "knight: the runes on the lamp: <hidden>",
        ],
        "",
        0,
    ) == knight.end()
    assert ["the knight comes", "the wizard comes", "the knight goes", "the wizard goes"] == server.lines(4)
    assert ([], "", 0) == server.stop()


def test_what_a_player_may_not_see_is_not_on_its_wire(start: Start, tap: Tap) -> None:
    """Not showing it is not enough: the bytes are not sent. Those for the wizard prove the tap."""
    _, url = serve(start, "gameroom")
    to_knight, to_wizard = tap(url), tap(url)

    knight = start("gameroom.client", "knight", to_knight.url)
    knight.lines_until("knight: waits for a miracle")
    before_the_spell = bytes(to_knight.heard)
    wizard = start("gameroom.client", "wizard", to_wizard.url)
    assert (0, 0) == (wizard.end()[2], knight.end()[2])

    assert b"ivy on a wall" in before_the_spell
    assert b"door" not in before_the_spell
    assert b"a door of silver" in to_knight.heard
    assert b"rub me twice" not in to_knight.heard
    assert b"rub me twice" in to_wizard.heard


def test_the_wizard_waits_for_the_knight(start: Start) -> None:
    """Which command is given first does not matter: the replica of the crowd tells."""
    _, url = serve(start, "gameroom")
    wizard = start("gameroom.client", "wizard", url)
    assert ["wizard: in the room: wizard"] == wizard.lines(1)
    knight = start("gameroom.client", "knight", url)

    assert ["wizard: the knight comes"] == wizard.lines(1)
    assert (0, 0) == (wizard.end()[2], knight.end()[2])


def test_a_part_is_given_once(start: Start) -> None:
    """The stand-in for a login refuses, too."""
    _, url = serve(start, "gameroom")
    start("gameroom.client", "knight", url).lines_until("knight: waits for a miracle")

    assert ([], "no room: that part is taken, or there is none of that name\n", 1) == start(
        "gameroom.client", "knight", url
    ).end()


def test_a_player_without_senses_is_refused_and_takes_no_part(start: Start) -> None:
    """What another client sends may be anything."""
    _, url = serve(start, "gameroom")

    async def join(senses: object) -> None:
        async with pb.open_connection(url, registry=shared.registry) as connection:
            await connection.root.join("knight", senses)

    with pytest.raises(shared.NotNow, match="needs senses"):
        asyncio.run(join(None))
    asyncio.run(join(pb.Referenceable()))


def test_a_part_that_nobody_wrote_is_refused_in_one_line(start: Start) -> None:
    """Before anything is connected."""
    done = start("gameroom.client", "dragon", NOBODY).end()

    assert ([], "no such part; there are: knight, wizard\n", 1) == done


# --- both, when something is missing


@pytest.mark.parametrize(
    ("module", "name", "reason"),
    [("board", "cook", "no board: "), ("gameroom", "knight", "no room: ")],
    ids=["board", "gameroom"],
)
def test_without_a_server_a_client_gives_one_line_of_reason(
    start: Start, module: str, name: str, reason: str
) -> None:
    """The exit status tells it to scripts."""
    said, complaint, status = start(f"{module}.client", name, NOBODY).end()

    assert ([], 1) == (said, status)
    assert [reason] == [line[: len(reason)] for line in complaint.splitlines()]


@pytest.mark.parametrize(
    ("module", "reason"), [("board", "no board: "), ("gameroom", "no room: ")], ids=["board", "gameroom"]
)
def test_a_server_that_cannot_listen_gives_one_line_of_reason(start: Start, module: str, reason: str) -> None:
    """So does a server whose port is taken."""
    _, url = serve(start, module)

    said, complaint, status = start(f"{module}.server", url).end()

    assert ([], 1) == (said, status)
    assert [reason] == [line[: len(reason)] for line in complaint.splitlines()]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["closed", "killed"])
@pytest.mark.parametrize(
    ("module", "name", "last", "reason"),
    [
        ("board", "cook", "cook: + cook: soup at noon", "no board: the board is out of sight\n"),
        ("gameroom", "knight", "knight: waits for a miracle", "no room: the connection to it was lost\n"),
        ("gameroom", "wizard", "wizard: in the room: wizard", "no room: the connection to it was lost\n"),
    ],
    ids=["cook", "knight", "wizard"],
)
def test_a_client_that_waits_ends_with_the_server(
    start: Start, module: str, name: str, last: str, reason: str, how: signal.Signals
) -> None:
    """Who waits to be told would wait for ever, if nobody told that nobody tells any more."""
    server, url = serve(start, module)
    client = start(f"{module}.client", name, url)
    client.lines_until(last)

    server.process.send_signal(how)

    assert ([], reason, 1) == client.end()
