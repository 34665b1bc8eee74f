"""Two brokers joined by a pump: every byte is carried by hand, so each conversation can be replayed.

No loop, no socket, no clock that runs. A handler that waits does so on a `Gate`.
"""

from __future__ import annotations

import contextvars
from collections.abc import Coroutine, Generator
from typing import Any

import msgpack
import pytest
from zope.interface import implementer

import jelly
from pb import interfaces
from pb._codec import Codec
from pb.broker import Broker
from pb.limits import Limits
from pb.reference import RemoteReference

# Every conversation must come out the same, however the network cuts it.
STEPS = pytest.mark.parametrize("step", [None, 1, 7], ids=["whole", "bytewise", "by 7"])


class Outcome:
    """What becomes of one call."""

    def __init__(self) -> None:
        self.settled = 0
        self.value: Any = None
        self.error: BaseException | None = None
        self.is_given_up = False
        self.id = 0

    def done(self) -> bool:
        return self.settled > 0 or self.is_given_up

    def set_result(self, value: Any) -> None:
        self.settled += 1
        self.value = value

    def set_exception(self, error: BaseException) -> None:
        self.settled += 1
        self.error = error

    def call_started(self, id: int) -> None:
        self.id = id

    def result(self) -> Any:
        """Return the value or raise the error; fails where the call has not settled exactly once."""
        assert self.settled == 1, f"settled {self.settled} times"
        if self.error is not None:
            raise self.error
        return self.value


class Gate:
    """Something a handler can wait for: `await gate` goes on after `open(value)`."""

    def __init__(self) -> None:
        self.is_open = False
        self.value: Any = None
        self.waiting: list[Task] = []

    def __await__(self) -> Generator[Gate, None, Any]:
        while not self.is_open:
            yield self
        return self.value

    def open(self, value: Any = None) -> None:
        self.is_open = True
        self.value = value
        waiting, self.waiting = self.waiting, []
        for task in waiting:
            task.step()


class Cancelled(BaseException):
    """What a cancelled handler sees, as asyncio.CancelledError is for tasks."""


class Task:
    """A coroutine driven by hand; its first step is taken by `Face.run_tasks`, as on a loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.coroutine = coroutine
        self.is_done = False
        self._cancel = False
        self._context = contextvars.copy_context()  # as a task of asyncio does

    def step(self) -> None:
        if not self.is_done:
            self._context.run(self._step)

    def _step(self) -> None:
        try:
            if self._cancel:
                self._cancel = False
                gate = self.coroutine.throw(Cancelled())
            else:
                gate = self.coroutine.send(None)
        except StopIteration:
            self.is_done = True
            return
        gate.waiting.append(self)

    def cancel(self) -> None:
        self._cancel = True
        self.step()


class Reference(RemoteReference):
    """A remote reference whose calls are made by hand."""

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


def send(reference: RemoteReference, name: str, *args: Any, **kwargs: Any) -> None:
    """Make a call that wants no answer."""
    reference._pb_import.scope.broker.calls.send(reference._pb_import, name, args, kwargs)


def cancel(reference: RemoteReference, outcome: Outcome) -> None:
    """Give a call up."""
    outcome.is_given_up = True
    reference._pb_import.scope.broker.calls.cancel(outcome.id, outcome)


@implementer(interfaces.IFace)
class Side:
    """One broker and its surroundings."""

    def __init__(
        self, name: str, root: Any, registry: jelly.Registry | None, limits: Limits, **options: Any
    ) -> None:
        self.connection = f"the connection of {name}"
        self.now = 0.0
        self.wakes: list[float] = []
        self.tasks: list[Task] = []
        self.turns = 0
        self.releases = 0  # how often it was told that a reference waits to be released
        self.runs_at_once = False  # whether handlers take their first step when they are made
        self.has_ended = False
        self.error: BaseException | None = None
        self.incidents = 0
        self.is_open = False
        self.log: list[bytes] = []  # what it wrote, frame by frame, without the lengths
        self.broker = Broker(self, Codec(registry), limits, agent=name, **options)
        self.broker.tables.peer_name = f"the peer of {name}"
        if root is not None:
            self.broker.tables.set_root(root, self.broker.scope)

    def clock(self) -> float:
        return self.now

    def incident(self) -> str:
        self.incidents += 1
        return f"incident-{self.incidents}"

    def make_reference(self) -> Reference:
        return Reference()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Task:
        task = Task(coroutine)
        if self.runs_at_once:
            task.step()
        else:
            self.tasks.append(task)
        return task

    def run_tasks(self) -> None:
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task.step()

    def wants_write(self) -> None:
        pass

    def write_now(self) -> None:
        pass

    thread = 0

    def wake_at(self, time: float) -> None:
        self.wakes.append(time)

    def check_thread(self) -> None:
        pass

    def wants_release(self) -> None:
        self.releases += 1

    def wants_turn(self) -> None:
        self.turns += 1

    def opened(self) -> None:
        self.is_open = True

    def ended(self, error: BaseException | None) -> None:
        self.has_ended = True
        self.error = error

    def output(self) -> bytes:
        """Return what this side writes now."""
        return b"".join(bytes(buffer) for buffer in self.broker.take_output())

    def input(self, data: bytes, step: int | None = None) -> None:
        """Let this side read `data`, `step` bytes at a time."""
        for start in range(0, len(data), step or max(len(data), 1)):
            self.broker.receive_data(memoryview(data)[start : start + (step or len(data))])
            while self.turns:
                self.turns -= 1
                self.broker.turn()
        self.run_tasks()


class Pump:
    """A client and a server side; `run` carries bytes until neither has any."""

    def __init__(
        self,
        root: Any = None,
        *,
        client_root: Any = None,
        registry: jelly.Registry | None = None,
        client_registry: jelly.Registry | None = None,
        limits: Limits | None = None,
        client_limits: Limits | None = None,
        step: int | None = None,
        greet: bool = True,
        **options: Any,
    ) -> None:
        self.step = step
        self.server = Side("server", root, registry, limits or Limits(), **options)
        self.client = Side(
            "client", client_root, client_registry or registry, client_limits or limits or Limits(), **options
        )
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
        up, down = self.client.output(), self.server.output()
        if not up and not down and not self.client.tasks and not self.server.tasks:
            return False
        self.server.input(up, self.step)
        self.client.input(down, self.step)
        return True

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call the server's root and return the value, or raise the error."""
        outcome = getattr(self.root, name)(*args, **kwargs)
        self.run()
        return outcome.result()

    def lose(self) -> None:
        """Cut the connection."""
        for side in (self.client, self.server):
            side.broker.connection_lost("the connection was lost")


def run_all(*pumps: Pump) -> None:
    """Run pumps that share objects until all of them are quiet."""
    for _ in range(10_000):
        moved = [pump.carry() for pump in pumps]  # all of them, each time
        if not any(moved):
            return
    raise AssertionError("they never come to rest")


def packed(value: Any) -> bytes:
    """Return the payload of a value written by hand."""
    return msgpack.packb(value)


def frame(message: Any) -> bytes:
    """Return the frame of a message, or of a batch, written by hand."""
    body = msgpack.packb(message)
    return len(body).to_bytes(4, "big") + body


def messages_in(stream: bytes) -> list[Any]:
    """Return the messages of a stream of whole frames, those of batches one by one."""
    found: list[Any] = []
    while stream:
        end = 4 + int.from_bytes(stream[:4], "big")
        assert end <= len(stream), "the stream ends within a frame"
        message = msgpack.unpackb(stream[4:end], timestamp=0)
        found += message if type(message[0]) is list else [message]
        stream = stream[end:]
    return found


class Script:
    """A broker and a peer that says what the test writes, right or wrong."""

    def __init__(
        self,
        root: Any = None,
        *,
        limits: Limits | None = None,
        registry: jelly.Registry | None = None,
        step: int | None = None,
        greet: bool = True,
        info: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.step = step
        self.side = Side("side", root, registry, limits or Limits(), **options)
        self.broker = self.side.broker
        self.broker.start()
        if greet:
            self.say([0, "PB", 1, info or {}])
            self.heard()

    def say(self, *messages: Any) -> None:
        """Send messages, each in a frame of its own."""
        self.side.input(b"".join(map(frame, messages)), self.step)

    def heard(self) -> list[Any]:
        """Return the messages that came since the last time."""
        return messages_in(self.side.output())
