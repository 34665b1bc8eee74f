"""Who runs the handlers of blocking programs: threads that wait in a call anyway, else worker threads.

Each connection has a desk, on which the loop lays the calls of the peer, in their order. A thread that waits
in a call on that connection takes them from there; where no thread does, a worker is sent. Knows nothing of
connections, calls and loops.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from ._host import Host

# Workers that may run at a time; one that waits in a call does not count, so that waiting for each other
# cannot use them up.
MAX_WORKERS: Final = 32
# Handlers that one thread runs inside of each other: at some ten frames each, far below Python's limit.
# Deeper ones get threads of their own.
MAX_DEPTH: Final = 30
_LINGER_S: Final = 10.0  # that a worker waits for more to do before its thread ends


class Job(Protocol):
    """Something to be run in a thread that may block."""

    number: int
    frame: Frame | None

    def run(self) -> BaseException | None:
        """Run it and tell the loop; return what must end the thread's own call too, or None."""

    def interrupt(self) -> None:
        """Tell the loop that it was not run, or not to its end; does nothing where that was told."""


class Desk:
    """What one connection has to do.

    Attributes:
        jobs: what nobody has begun.
        frames: of the threads that wait in calls on this connection.
        arrived: how many jobs there ever were.
        lowered: called once nothing much is left, where `offer` said that there is too much.
        host: the thread that does all of it, where that is one with a loop of its own; else None.
    """

    __slots__ = ("arrived", "frames", "host", "is_queued", "jobs", "lowered", "most", "running")

    def __init__(self, most: int) -> None:
        self.jobs: deque[Job] = deque()
        self.frames: list[Frame] = []
        self.running = 0  # workers that run a job of this desk and do not wait in a call
        self.is_queued = False
        self.arrived = 0
        self.most = most
        self.lowered: Callable[[], None] | None = None
        self.host: Host | None = None

    def take(self, sitter: Sitter | None, before: int | None = None) -> Job | None:
        """Remove and return the first job that a thread may run, None where there is none."""
        for index, job in enumerate(self.jobs):
            if before is not None and job.number > before:
                return None
            if job.frame is None or job.frame.sitter is sitter:
                del self.jobs[index]
                if self.lowered is not None and len(self.jobs) <= self.most // 2:
                    lowered, self.lowered = self.lowered, None
                    lowered()
                return job
        return None


class Frame:
    """One blocking call that a thread is in.

    Attributes:
        first, end: ids of the objects that were first sent with this call: who calls them back within it
            means this thread.
    """

    __slots__ = ("desk", "end", "first", "sitter")

    def __init__(self, desk: Desk, sitter: Sitter) -> None:
        self.desk = desk
        self.sitter = sitter
        self.first = self.end = 0


class Waiting:
    """What a thread waits for. `settle` may be called in any thread; the first time counts."""

    __slots__ = ("_sitter", "arrived", "error", "is_over", "value")

    def __init__(self, sitter: Sitter) -> None:
        self._sitter = sitter
        self.is_over = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.arrived = 0  # jobs of the desk that came before the value, and so are run before it is returned

    def settle(self, value: Any, error: BaseException | None, arrived: int = 0) -> bool:
        """End it; return whether it had not ended before."""
        floor = self._sitter.floor
        with floor.lock:
            if self.is_over:
                return False
            self.is_over = True
            self.value = value
            self.error = error
            self.arrived = arrived
            if not floor.is_closed:  # else nobody is to notice how connections end while the program does
                self._sitter.wake()
            return True

    def outcome(self) -> Any:
        """Return or raise what came of it, once."""
        value, error = self.value, self.error
        self.value = self.error = None
        if error is None:
            return value
        try:
            raise error
        finally:
            del error  # the traceback holds this frame


class Sitter:
    """A thread: what it waits for, and what it does meanwhile."""

    __slots__ = ("_condition", "_working", "depth", "floor", "frames", "is_called", "is_idle")

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.frames: list[Frame] = []
        self.depth = 0  # handlers that it runs inside of each other
        self.is_idle = False  # it waits, and would run something
        self.is_called = False  # a worker: there is something to do
        self._condition = threading.Condition(floor.lock)
        self._working: Desk | None = None  # a worker: at what

    def wake(self) -> None:
        """Look again. Called with the lock held."""
        self.is_idle = False
        self._condition.notify()

    def run_taken(self, taken: list[Job]) -> None:
        """Run the one job that was taken; it stays in the list if an interrupt comes before it has begun.

        Raises:
            KeyboardInterrupt, SystemExit: the handler did.
        """
        self.depth += 1
        try:
            ends = taken[0].run()
        finally:
            self.depth -= 1
        taken.clear()
        if ends is not None:
            raise ends

    def wait(self, what: Waiting) -> None:
        """Wait without doing anything else: for what the loop does at once."""
        with self.floor.lock:
            while not what.is_over:
                self._condition.wait()

    def serve(self, what: Waiting, frame: Frame, start: Callable[[], object]) -> None:
        """Begin to wait, start what is waited for, and run what the peers ask for meanwhile.

        Raises:
            KeyboardInterrupt, SystemExit: a handler did, or the user: give up what is waited for.
        """
        floor = self.floor
        taken: list[Job] = []
        try:
            with floor.lock:
                self.frames.append(frame)
                frame.desk.frames.append(frame)
            start()  # after that: the first callback may come at once
            while self._next(what, frame, taken):
                self.run_taken(taken)
        finally:
            for job in taken:  # an interrupt came between taking and running it
                job.interrupt()
            with floor.lock:
                for frames in (self.frames, frame.desk.frames):
                    if frame in frames:
                        frames.remove(frame)
                self._disown(frame)
                floor.dispatch(frame.desk)

    def _next(self, what: Waiting, frame: Frame, taken: list[Job]) -> bool:
        """Wait until there is something to run, which goes into `taken`; False where the waiting is over."""
        with self.floor.lock:
            while True:
                job = None
                if self.depth < MAX_DEPTH:
                    job = frame.desk.take(self, what.arrived) if what.is_over else self._take()
                elif not what.is_over:
                    for each in self.frames:  # what was meant for this thread, somebody else has to run
                        self._disown(each)
                        self.floor.dispatch(each.desk)
                if job is not None:
                    taken.append(job)
                    return True
                if what.is_over:
                    return False
                self._sleep()

    def _take(self) -> Job | None:
        for frame in reversed(self.frames):
            job = frame.desk.take(self)
            if job is not None:
                return job
        return None

    def _disown(self, frame: Frame) -> None:
        for job in frame.desk.jobs:
            if job.frame is frame:
                job.frame = None

    def _sleep(self) -> None:
        """Wait until it is woken. What this worker works at goes on without it meanwhile."""
        desk = self._working
        if desk is not None:
            self.floor.leave(desk)
        self.is_idle = True
        try:
            self._condition.wait()
        finally:
            self.is_idle = False
            if desk is not None:
                self.floor.enter(desk)

    def work(self) -> None:
        """Be a worker: run what no other thread does, until there has been nothing for a while."""
        floor = self.floor
        while True:
            with floor.lock:
                while not self.is_called:
                    if not self._condition.wait(_LINGER_S) and not self.is_called:
                        floor.free.remove(self)
                        return
                self.is_called = False
                found = floor.pick()
                if found is None:
                    floor.busy -= 1
                    floor.free.append(self)
                    continue
                desk, job = found
                self._working = desk
            job.run()
            with floor.lock:
                self._working = None
                floor.free.append(self)
                floor.leave(desk)
            del found, job  # they would keep the arguments of the last call alive


class Floor:
    """All threads and desks of the process.

    Attributes:
        busy: workers that run something and do not wait in a call.
        free: workers that have nothing to do.
        is_closed: the program ends; nothing more is begun.
    """

    def __init__(self) -> None:
        # Reentrant: the garbage collector may run a __del__ that calls, in the middle of anything.
        self.lock = threading.RLock()
        self.busy = 0
        self.free: list[Sitter] = []
        self.is_closed = False
        self._ready: deque[Desk] = deque()  # those that need a worker
        self._local = threading.local()

    def sitter(self) -> Sitter:
        """Return what stands for the current thread."""
        try:
            found: Sitter = self._local.sitter
        except AttributeError:
            found = self._local.sitter = Sitter(self)
        return found

    def offer(self, desk: Desk, job: Job, target: int = 0) -> bool:
        """Lay a job on a desk; return whether too many lie there.

        Args:
            target: the id of the object that is called; 0 where it does not matter.
        """
        with self.lock:
            desk.arrived += 1
            job.number = desk.arrived
            host = desk.host
            if host is not None and host.is_open and host.frame.sitter.depth < MAX_DEPTH:
                job.frame = host.frame
                desk.jobs.append(job)
                host.ready.append(desk)
                host.frame.sitter.wake()  # where it waits in a call for once
                return len(desk.jobs) > desk.most
            if target:
                for frame in reversed(desk.frames):
                    if frame.first <= target < frame.end and frame.sitter.depth < MAX_DEPTH:
                        job.frame = frame
                        break
            desk.jobs.append(job)
            self.dispatch(desk)
            return len(desk.jobs) > desk.most

    def withdraw(self, desk: Desk, job: Job) -> bool:
        """Take a job back, unless it has begun; tell whether it was taken back."""
        with self.lock:
            if job not in desk.jobs:
                return False
            desk.jobs.remove(job)
            return True

    def dispatch(self, desk: Desk) -> None:
        """See to it that somebody takes what lies on a desk. Called with the lock held."""
        is_unowned = False
        for job in desk.jobs:
            if job.frame is None:
                is_unowned = True
            else:
                job.frame.sitter.wake()
        if not is_unowned:
            return
        sitters = [frame.sitter for frame in desk.frames if frame.sitter.depth < MAX_DEPTH]
        for sitter in reversed(sitters):
            if sitter.is_idle:
                sitter.wake()
                return
        # A thread that runs a handler comes back to the desk, or waits in another call and takes it there.
        if not sitters and not desk.running and not desk.is_queued:
            desk.is_queued = True
            self._ready.append(desk)
            self._send_worker()

    def _send_worker(self) -> None:
        if self.is_closed:
            return
        if self.free:
            sitter = self.free.pop()
            sitter.is_called = True
            sitter.wake()
            self.busy += 1
        elif self.busy < MAX_WORKERS:
            threading.Thread(target=self._work, name="pb.sync worker", daemon=True).start()
            self.busy += 1

    def _work(self) -> None:
        sitter = self.sitter()
        sitter.is_called = True
        sitter.work()

    def pick(self) -> tuple[Desk, Job] | None:
        """Return what a worker is to do next. Called with the lock held."""
        while self._ready:
            desk = self._ready.popleft()
            desk.is_queued = False
            job = desk.take(None)
            if job is not None:
                desk.running += 1
                return desk, job
        return None

    def enter(self, desk: Desk) -> None:
        """A worker goes on with its job. Called with the lock held."""
        desk.running += 1
        self.busy += 1

    def leave(self, desk: Desk) -> None:
        """A worker is done with its job, or waits in a call. Called with the lock held."""
        desk.running -= 1
        self.busy -= 1
        self.dispatch(desk)
        if self._ready:
            self._send_worker()
