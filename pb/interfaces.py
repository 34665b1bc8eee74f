"""What the core asks of a face: the few things that need a loop, a clock or a socket.

The core is given one object that provides this. Spec: none; this is the seam inside the library.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IFace(Interface):  # type: ignore[misc]
    """The surroundings of one broker."""

    connection = Attribute("what handlers see as their connection")
    broker = Attribute("the broker whose face this is")
    entered = Attribute("what counts it out where `IRootFactory.knock` has counted it in; else None")
    is_over = Attribute("whether its loop is closed: nothing can be sent, and nothing will be told any more")
    cancelled = Attribute(
        "the exceptions, a tuple, by which what waited for something learns that this was cancelled"
    )
    thread = Attribute("stands for the thread of its loop; what is equal is the same thread")
    flushed = Attribute(
        "a `Flushed`; while it is not empty, appending the face to it does what `wants_write` does"
    )

    def clock():  # type: ignore[no-untyped-def,misc]
        """Return monotonic seconds."""

    def wake_at(time):  # type: ignore[no-untyped-def]
        """Call `broker.deadlines.sweep` once `clock` has reached a time, and write what comes of it."""

    def sleep(seconds):  # type: ignore[no-untyped-def]
        """Return an awaitable that is done after so long."""

    def watch(watcher):  # type: ignore[no-untyped-def]
        """Call `watcher` once the connection is lost; return what takes that back."""

    def security():  # type: ignore[no-untyped-def,misc]
        """Return the `Security` of the connection."""

    def incident():  # type: ignore[no-untyped-def,misc]
        """Return a fresh random id, under which an internal error is logged and told."""

    def make_reference():  # type: ignore[no-untyped-def,misc]
        """Return a new, empty `RemoteReference` of this face."""

    def check_thread():  # type: ignore[no-untyped-def,misc]
        """Raise RuntimeError, saying what to do instead, in another thread than the loop's."""

    def make_stream():  # type: ignore[no-untyped-def,misc]
        """Return a new, empty `RemoteStream` of this face."""

    def make_future():  # type: ignore[no-untyped-def,misc]
        """Return an awaitable that is done once its `set_result` is called; it has `done()` too."""

    def iterate(iterator, id):  # type: ignore[no-untyped-def]
        """Return an async iterator over a plain one, with `aclose()`, for the stream of this id."""

    def spawn(coroutine):  # type: ignore[no-untyped-def]
        """Run a coroutine; return something with `cancel()`, and `cancelling()`: how often that was done."""

    def begin(coroutine):  # type: ignore[no-untyped-def]
        """As spawn(), for who holds what is returned until the coroutine has ended."""

    def task_factory():  # type: ignore[no-untyped-def,misc]
        """Return what the program has its tasks made by, or None: its coroutines must not have begun."""

    def wants_write():  # type: ignore[no-untyped-def,misc]
        """Take the output soon: there was none, and now there is. Called in the thread of the loop."""

    def write_failed(error):  # type: ignore[no-untyped-def]
        """Report that `Outbox.direct` has raised an error; whoever had something to say need not know."""

    def interrupted(error):  # type: ignore[no-untyped-def]
        """End the program, soon: a KeyboardInterrupt was raised while a method of it ran."""

    def write_now():  # type: ignore[no-untyped-def,misc]
        """Take the output and write it before returning: there is much of it."""

    def wants_release():  # type: ignore[no-untyped-def,misc]
        """Take the output soon: a reference was collected. May be called from any thread, at any moment."""

    def wants_turn():  # type: ignore[no-untyped-def,misc]
        """Call `Broker.turn` again soon, after others had theirs."""

    def opened():  # type: ignore[no-untyped-def,misc]
        """The peer's HELLO has arrived: calls can be made."""

    def ended(error):  # type: ignore[no-untyped-def]
        """Write what is left and close the transport. `error` is None after an orderly end."""


class IRootFactory(Interface):  # type: ignore[misc]
    """Make a root for each connection of a server, and say what its HELLO announces."""

    needs_privacy = Attribute("whether it asks for secrets, so that nobody must be able to listen")

    def knock(address):  # type: ignore[no-untyped-def]
        """Count in who has just connected from an address, and return what counts it out, once.

        Asked where a connection has a handshake of its own before anything of this protocol is said. What is
        returned comes back as `IFace.entered`, or is called.

        Raises:
            Forbidden: it is not wanted now; the connection is closed.
        """

    def make_root(face):  # type: ignore[no-untyped-def]
        """Return the root of a new connection, before HELLO is said.

        Raises:
            Forbidden: this peer is not wanted now; it is told the text, by BYE 8, and the connection closes.
        """


class IOutcome(Interface):  # type: ignore[misc]
    """Where the outcome of a call goes; `asyncio.Future` and `concurrent.futures.Future` are such."""

    def done():  # type: ignore[no-untyped-def,misc]
        """Whether nobody waits for the outcome any longer."""

    def set_result(value):  # type: ignore[no-untyped-def]
        """Take the value."""

    def set_exception(error):  # type: ignore[no-untyped-def]
        """Take the error."""
