"""Two brokers joined by a pump: every byte is carried by hand, so each conversation can be replayed.

No loop, no socket, no clock that runs; a handler that waits does so on a `Gate`. What is decided by chance is
decided by a seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jelly
from pb.limits import Limits
from pb.wire.codec import Codec

from .side import Side
from .wire import Wire

if TYPE_CHECKING:
    from random import Random

__all__ = ["Pump", "run_all"]

# A conversation that has not ended by then never will: each round carries all there is.
MOST_ROUNDS = 10_000


class Pump:
    """A client and a server side; `run` carries bytes until neither has any.

        pump = pb.testing.Pump(Shop())
        outcome = pump.root.buy("hat")          # a call, to be settled by ...
        pump.run()
        assert "sold" == outcome.result()       # or in short: pump.call("buy", "hat")

    Args:
        root, client_root: what each side publishes.
        registry, client_registry: what may cross; the client's is the server's where it is None. Who makes
            thousands of pumps gives a `Codec` of it, which takes longer to make than the rest.
        limits, client_limits: likewise.
        step: so many bytes are read at a time; None: all there are.
        chance: decides how much of what is under way arrives, and which side is first, round by round; so
            that what is independent comes in another order for another seed. None: all of it, client first.
        up, down: the directions to and from the server, for cutting them.
        greet: let both say HELLO at once.
        options: of both brokers: `debug`, `proxy`.
    """

    def __init__(
        self,
        root: Any = None,
        *,
        client_root: Any = None,
        registry: jelly.Registry | Codec | None = None,
        client_registry: jelly.Registry | Codec | None = None,
        limits: Limits | None = None,
        client_limits: Limits | None = None,
        step: int | None = None,
        chance: Random | None = None,
        up: Wire | None = None,
        down: Wire | None = None,
        greet: bool = True,
        **options: Any,
    ) -> None:
        self.step = step
        self.chance = chance
        self.server = Side("server", root, registry, limits or Limits(), **options)
        self.client = Side(
            "client",
            client_root,
            client_registry or registry,
            client_limits or limits or Limits(),
            dials=True,
            **options,
        )
        self.up = Wire() if up is None else up
        self.down = Wire() if down is None else down
        self._lost: set[Side] = set()
        self.client.broker.start()
        self.server.broker.start()
        if greet:
            self.run()

    @property
    def root(self) -> Any:
        """The server's root, as the client sees it."""
        return self.client.broker.root_reference()

    def run(self) -> None:
        """Carry bytes both ways until all is quiet."""
        run_all(self)

    def carry(self) -> bool:
        """Carry what there is both ways, once; tell whether there was anything."""
        self.up.write(self.client.output())
        self.down.write(self.server.output())
        if not (self.up.is_busy or self.down.is_busy or self.client.has_work or self.server.has_work):
            return self._end()
        ways = self._ways()
        if self.chance is not None:
            self.chance.shuffle(ways)
        # Taken first, then read: what one side answers to this is not part of it.
        arriving = [(wire.read(self.chance), reader) for wire, _, reader, _ in ways]
        for data, reader in arriving:
            if reader not in self._lost:
                reader.input(data, self.step)
            else:
                reader.run_tasks()  # what it stopped cleans up
        self._end()
        return True

    def _ways(self) -> list[tuple[Wire, Side, Side, Wire]]:
        """Return each direction: the wire, who writes, who reads, and the way back."""
        return [
            (self.up, self.client, self.server, self.down),
            (self.down, self.server, self.client, self.up),
        ]

    def _end(self) -> bool:
        """Let the sides learn of the ends that were reached; tell whether there were any."""
        before = len(self._lost)
        for wire, writer, reader, back in self._ways():
            if wire.is_cut and reader not in self._lost:
                if wire.ending == "rst":
                    back.drop()
                    self._lose(writer)
                else:
                    # The reader closes: what it has said is on its way, and then the end, for the writer too.
                    back.write(reader.output())
                    back.end()
                self._lose(reader)
        return len(self._lost) > before

    def _lose(self, side: Side) -> None:
        if side not in self._lost:
            self._lost.add(side)
            side.lose()

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call the server's root and return the value, or raise the error."""
        outcome = getattr(self.root, name)(*args, **kwargs)
        self.run()
        return outcome.result()

    def advance(self, seconds: float) -> None:
        """Let time go by on both sides, and carry what comes of it."""
        for side in (self.client, self.server):
            side.now += seconds
            side.wake()
        self.run()

    def lose(self) -> None:
        """Cut the connection here and now; what is under way is lost."""
        for side in (self.client, self.server):
            self._lose(side)


def run_all(*pumps: Pump) -> None:
    """Run pumps that share objects until all of them are quiet."""
    for _ in range(MOST_ROUNDS):
        moved = [pump.carry() for pump in pumps]  # all of them, each time
        if not any(moved):
            return
    raise AssertionError(f"they do not come to rest in {MOST_ROUNDS} rounds: each answers the other for ever")
