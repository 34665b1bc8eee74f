"""One broker with surroundings that a test holds in its hand: the face of a `Pump`. Knows the core only."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from zope.interface import implementer

import jelly
from pb import interfaces
from pb.broker import Broker
from pb.limits import Limits
from pb.reference import RemoteReference
from pb.security import Security
from pb.watching.watching import kind_of_broker
from pb.wire.codec import Codec
from pb.wire.flushed import Flushed

from .streams import Plain, Stream
from .tasks import Cancelled, Gate, Outcome, Signal, Task

__all__ = ["Reference", "Side", "cancel", "send"]


class Reference(RemoteReference):
    """A remote reference whose calls are made by hand: each returns its `Outcome`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Outcome:
            outcome = Outcome()
            try:
                outcome.id = self._pb_import.scope.broker.calls.make(
                    self._pb_import, name, args, kwargs, outcome
                )
            except Exception as error:
                outcome.set_exception(error)
            return outcome

        return call


def send(reference: RemoteReference, name: str, /, *args: Any, **kwargs: Any) -> None:
    """Make a call that wants no answer."""
    reference._pb_import.scope.broker.calls.send(reference._pb_import, name, args, kwargs)


def cancel(reference: RemoteReference, outcome: Outcome) -> None:
    """Give a call up."""
    outcome.is_given_up = True
    reference._pb_import.scope.broker.calls.cancel(outcome.id, outcome)


@implementer(interfaces.IFace)
class Side:
    """One broker and its surroundings: no socket, no loop, and a clock that stands still until it is moved.

    Attributes:
        now: the time, in seconds.
        wakes: when the broker asked to be woken; `Pump.advance` does it.
        tasks: handlers that have not begun.
        yielding: who goes on when others have had their turn.
        sleepers: who sleeps, and until when.
        watchers: what is called at the end.
        releases: how often it was told that a reference waits to be released.
        failures: what `Outbox.direct` has raised, for who gives it one.
        runs_at_once: whether handlers take their first step when they are made.
        has_ended, error: whether the broker has ended the connection, and why.
    """

    thread = 0
    is_over = False
    cancelled = (Cancelled,)

    def __init__(
        self, name: str, root: Any, registry: jelly.Registry | Codec | None, limits: Limits, **options: Any
    ) -> None:
        self.connection = f"the connection of {name}"
        self.flushed = Flushed()
        self.failures: list[Exception] = []
        self.now = 0.0
        self.wakes: list[float] = []
        self.tasks: list[Task] = []
        self.interruption: BaseException | None = None
        self.yielding: list[Gate] = []
        self.turns = 0
        self.releases = 0
        self.runs_at_once = False
        self.has_ended = False
        self.error: BaseException | None = None
        self.incidents = 0
        self.is_open = False
        self.entered: Callable[[], None] | None = None
        self.watchers: list[Callable[[], None]] = []
        self.sleepers: list[tuple[float, Gate]] = []
        codec = registry if isinstance(registry, Codec) else Codec(registry)
        kind = kind_of_broker(Broker, options.pop("hooks", None))
        self.broker: Broker = kind(self, codec, limits, agent=name, **options)
        self.broker.tables.peer_name = f"the peer of {name}"
        if interfaces.IRootFactory.providedBy(root):
            root = root.make_root(self)
        if root is not None:
            self.broker.tables.set_root(root, self.broker.scope)

    def clock(self) -> float:
        """Return `now`."""
        return self.now

    def incident(self) -> str:
        """Return a number, where a face has chance."""
        self.incidents += 1
        return f"incident-{self.incidents}"

    def make_reference(self) -> Reference:
        """Return a new, empty reference."""
        return Reference()

    def make_stream(self) -> Stream:
        """Return a new, empty stream."""
        return Stream()

    def make_future(self) -> Signal:
        """Return what one waits with."""
        return Signal()

    def iterate(self, iterator: Iterator[Any], id: int) -> Plain:
        """Return an async iterator over what a plain one gives."""
        return Plain(iterator)

    def interrupted(self, error: BaseException) -> None:
        """Note it, as `interruption`."""
        self.interruption = error

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Task:
        """Take a handler; it begins when `run_tasks` is called."""
        task = Task(coroutine)
        if self.runs_at_once:
            task.step()
        else:
            self.tasks.append(task)
        return task

    begin = spawn

    def task_factory(self) -> None:
        """Return None: its tasks are made by itself."""

    def run_tasks(self) -> None:
        """Let each new handler take its first step, and those go on that let others have their turn."""
        self.run_turns()
        yielding, self.yielding = self.yielding, []
        for gate in yielding:
            gate.open()
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task.step()

    @property
    def has_work(self) -> bool:
        """Whether something would go on if it were let."""
        return bool(self.tasks or self.yielding or self.turns)

    def run_turns(self) -> None:
        """Go on with what was left over when a turn was over, for one turn."""
        turns, self.turns = self.turns, 0
        for _ in range(turns):
            self.broker.turn()

    def wants_write(self) -> None:
        """Do nothing: the pump looks by itself."""

    def write_now(self) -> None:
        """Do nothing: the pump looks by itself."""

    def write_failed(self, error: Exception) -> None:
        """Note it."""
        self.failures.append(error)

    def wake_at(self, time: float) -> None:
        """Note it."""
        self.wakes.append(time)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved so far; for no time at all, until others had their turn."""
        gate = Gate()
        if seconds > 0:
            self.sleepers.append((self.now + seconds, gate))
        else:
            self.yielding.append(gate)
        await gate

    def security(self) -> Security:
        """Return that nobody is in between: logins may run."""
        return Security(is_local=True)

    def wake(self) -> None:
        """End the calls that are due by now, and wake who has slept."""
        due = [gate for time, gate in self.sleepers if time <= self.now]
        self.sleepers = [(time, gate) for time, gate in self.sleepers if time > self.now]
        for gate in due:
            gate.open()
        if any(time <= self.now for time in self.wakes):
            self.wakes = [time for time in self.wakes if time > self.now]
            self.broker.deadlines.sweep()

    def check_thread(self) -> None:
        """Do nothing: there is one."""

    def wants_release(self) -> None:
        """Count it."""
        self.releases += 1

    def wants_turn(self) -> None:
        """Note it; `input` does it."""
        self.turns += 1

    def opened(self) -> None:
        """Note it."""
        self.is_open = True

    def ended(self, error: BaseException | None) -> None:
        """Note it."""
        self.has_ended = True
        self.error = error

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Keep what is to be called at the end."""
        self.watchers.append(watcher)

        def forget() -> None:
            if watcher in self.watchers:
                self.watchers.remove(watcher)

        return forget

    def output(self) -> bytes:
        """Return what this side writes now."""
        return b"".join(bytes(buffer) for buffer in self.broker.take_output())

    def input(self, data: bytes, step: int | None = None) -> None:
        """Let this side read `data`, `step` bytes at a time."""
        for start in range(0, len(data), step or max(len(data), 1)):
            self.broker.receive_data(memoryview(data)[start : start + (step or len(data))])
            while self.turns:
                self.run_turns()
        self.run_tasks()

    def lose(self) -> None:
        """Lose the connection."""
        self.broker.connection_lost("the connection was lost")
        watchers, self.watchers = self.watchers, []
        for watcher in watchers:
            watcher()
