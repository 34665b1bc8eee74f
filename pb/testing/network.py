"""A network between clients and a server that does what the test says: `Network`.

It is a relay of bytes that knows nothing of what they mean, so that client and server are the real ones.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import replace
from typing import Any, Final

from pb.aio import transports
from pb.aio.url import Address
from pb.limits import Limits

from .faults import DIRECTIONS, Direction, Faults
from .relay import End, Nowhere, Relay
from .wire import Ending

__all__ = ["Network"]

# A TLS connection is relayed as it is; nobody here could read it.
_BENEATH: Final = {"pbs": "pb"}
_numbers = itertools.count(1)  # of names that nobody else has


class Network:
    """Something between clients and a server: `async with Network(server.url, seed=7) as network`.

    Clients connect to `network.url`. What is set holds for connections that there are and that will be. `up`
    is from the client to the server, `down` the way back; where a method takes directions and gets none, it
    means both.

    Args:
        url: where the server listens.
        seed: of all that is decided by chance.
        at: where to listen; None: a `memory://` name, or a port of this machine where the server has one.

    Attributes:
        url: where clients connect.
        up, down: the `Faults` in each direction.
        connections: what goes through it now, as `Relay`: `relay.up.carried` is how many bytes passed.
    """

    def __init__(self, url: str, *, seed: int = 0, at: str | None = None) -> None:
        self._server = Address.parse(url)
        scheme = _BENEATH.get(self._server.scheme, self._server.scheme)
        if scheme not in ("pb", "pb+unix", "memory"):
            raise ValueError(f"a network carries pb, pbs, pb+unix and memory, not {self._server.scheme}://")
        if scheme == "pb":
            default = "pb://127.0.0.1:0"
        else:
            default = f"memory://network-{next(_numbers)}"
        self._at = Address.parse(at or default)
        self._beneath = replace(self._server, scheme=scheme, fingerprint=None)
        self._chance = random.Random(seed)
        self._listener: Any = None
        self._relays: list[Relay] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._refuses = False
        self.url = ""
        self.up = Faults()
        self.down = Faults()

    async def __aenter__(self) -> Network:
        wanted = transports.Wanted(self._at, self._accept, None, None, Limits())
        self._listener, where = await transports.listen(wanted)
        if self._server.scheme == "pbs":
            where = replace(where, scheme="pbs", fingerprint=self._server.fingerprint)
        self.url = str(where)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        self.drop("rst")
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self.connections:  # noqa: ASYNC110 - it is the loop that ends them
            await asyncio.sleep(0)

    # --- connections

    @property
    def connections(self) -> list[Relay]:
        """What goes through it now."""
        self._relays = [relay for relay in self._relays if relay.is_open]
        return list(self._relays)

    def _accept(self) -> End:
        return End(self._accepted)

    def _accepted(self, client: End) -> None:
        if self._refuses:
            client.lane = Nowhere()
            client.transport.abort()
            return
        client.transport.pause_reading()
        client.lane = Nowhere()  # until the server is there
        task = asyncio.get_running_loop().create_task(self._connect(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: End) -> None:
        made: list[End] = []

        def factory() -> End:
            made.append(End(lambda server: self._join(client, server)))
            return made[-1]

        try:
            await transports.connect(self._beneath, factory, None)
        except OSError:
            if client.transport is not None:
                client.transport.abort()

    def _join(self, client: End, server: End) -> None:
        relay = Relay(client, server, self.up, self.down, self._chance)
        self._relays.append(relay)
        if client.transport is None:
            server.transport.abort()
        else:
            client.transport.resume_reading()

    # --- what goes wrong

    def _faults(self, directions: tuple[Direction, ...]) -> list[Faults]:
        for direction in directions:
            if direction not in DIRECTIONS:
                raise ValueError(f"a direction is 'up' or 'down', not {direction!r}")
        return [getattr(self, direction) for direction in directions or DIRECTIONS]

    def partition(self, *directions: Direction) -> None:
        """Let nothing through until `heal`: nothing is lost, nobody is told, as when a cable is pulled."""
        for faults in self._faults(directions):
            faults.is_held = True

    def heal(self) -> None:
        """End a partition: what waited comes, in order."""
        for faults in (self.up, self.down):
            faults.is_held = False
        for relay in self.connections:
            relay.up.go_on()
            relay.down.go_on()

    def half_open(self, *directions: Direction) -> None:
        """Lose everything from now on, ends too: each side believes that the other is still there."""
        for faults in self._faults(directions):
            faults.is_dark = True

    def delay(self, seconds: float, jitter_s: float = 0.0, *directions: Direction) -> None:
        """Let each piece take so long, and up to `jitter_s` longer.

        The order within a connection stays. With jitter, what is sent over different connections, or both
        ways, arrives in an order that the seed decides.
        """
        for faults in self._faults(directions):
            faults.delay_s, faults.jitter_s = seconds, jitter_s

    def slow(self, bytes_per_s: float, *directions: Direction) -> None:
        """Carry no more than so much: who reads slowly looks like this to who writes. 0 is no bound."""
        for faults in self._faults(directions):
            faults.bytes_per_s = bytes_per_s

    def segment(self, size: int = 1, *directions: Direction, is_random: bool = False) -> None:
        """Let at most `size` bytes arrive at once, or a random number up to it. 0: as they come."""
        for faults in self._faults(directions):
            faults.segment, faults.is_random = size, is_random

    def cut(self, after: int, direction: Direction, ending: Ending = "rst") -> None:
        """End each connection after its first bytes in one direction.

        Args:
            after: how many bytes arrive; a connection that has carried more ends with the next byte.
            ending: "rst": both sides lose it at once. "fin": the reader is told that nothing more comes; what
                it says before it closes still arrives.
        """
        for faults in self._faults((direction,)):
            faults.cut_after, faults.ending = after, ending
        for relay in self.connections:
            getattr(relay, direction).check_cut()

    def flip(self, bit: int, direction: Direction) -> None:
        """Let one bit of each connection arrive wrong: `8 * byte + n`, counted from its beginning."""
        for faults in self._faults((direction,)):
            faults.flips.append(bit)

    def drop(self, ending: Ending = "rst") -> None:
        """End all connections that there are, at both ends."""
        for relay in self.connections:
            relay.end(ending)

    def refuse(self, refuses: bool = True) -> None:
        """Turn new connections away, as where nobody listens any longer; False: take them again."""
        self._refuses = refuses

    def calm(self) -> None:
        """Let nothing go wrong any more."""
        for faults in (self.up, self.down):
            vars(faults).update(vars(Faults()))
        self._refuses = False
        self.heal()
