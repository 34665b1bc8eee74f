"""Serving: whatever a call meets, it is answered exactly once, and the next one is served."""

from __future__ import annotations

import logging
import uuid

import msgpack
import pytest

import jelly
import pb

from ..pump import STEPS, Cancelled, Gate, Pump, Script, messages_in, packed, send

NOTHING = packed([[], {}])


class Server(pb.Root):
    def __init__(self):
        self.gate = Gate()
        self.seen = []
        self.stopped = 0

    def remote_echo(self, value):
        return value

    def remote_note(self, value):
        self.seen.append(value)

    async def remote_wait(self):
        try:
            return await self.gate
        except BaseException:
            self.stopped += 1
            raise

    async def remote_stubborn(self):
        try:
            return await self.gate
        except BaseException:
            self.stopped += 1
            return "anyway"

    async def remote_raises(self):
        raise RuntimeError("secret")

    def remote_later(self):
        return self.gate

    def remote_raise(self):
        raise RuntimeError("secret")

    def remote_bad(self):
        return object()

    async def remote_bad_later(self):
        return object()

    def remote_large(self, size):
        return b"x" * size

    def remote_deep(self, depth):
        value = []
        for _ in range(depth):
            value = [value]
        return value


def server_of(script):
    return script.broker.tables.exports[0].object


def told(message):
    """Return id and type of an ERROR."""
    assert 3 == message[0]
    return message[1], msgpack.unpackb(message[2], ext_hook=lambda *_: None)["type"]


# --- answered exactly once


@pytest.mark.unmeasured
@STEPS
@pytest.mark.parametrize(
    ("target", "method", "payload", "error"),
    [
        (0, "raise", NOTHING, "pb.Internal"),
        (0, "raises", NOTHING, "pb.Internal"),
        (0, "bad", NOTHING, "pb.Internal"),
        (0, "bad_later", NOTHING, "pb.Internal"),
        (0, "nope", NOTHING, "pb.NoSuchMethod"),
        (0, "", NOTHING, "pb.NoSuchMethod"),
        (5, "echo", NOTHING, "pb.NoSuchObject"),
        (0, "echo", NOTHING, "pb.BadArguments"),
        (0, "echo", packed([[1, 2], {}]), "pb.BadArguments"),
        (0, "echo", packed([[], {"_v": 1}]), "pb.BadArguments"),
        (0, "echo", packed([[msgpack.ExtType(99, b"")], {}]), "pb.BadPayload"),
        (0, "echo", packed([[msgpack.ExtType(8, packed(["no.Such", {}]))], {}]), "pb.Unregistered"),
        (0, "echo", packed([[msgpack.ExtType(2, b"\x07")], {}]), "pb.NoSuchObject"),
        (0, "echo", packed([[msgpack.ExtType(3, b"\x07")], {}]), "pb.BadPayload"),
        (0, "echo", packed([[msgpack.ExtType(24, b"\x01" * 2000)], {}]), "pb.TooLarge"),
    ],
)
@pytest.mark.parametrize("id", [1, 0], ids=["answered", "no answer"])
def test_every_way_to_fail_is_answered_once(step, id, target, method, payload, error):
    """Or not at all, where no answer is wanted (PB-M4, PB-M13)."""
    script = Script(Server(), step=step)
    script.say([1, id, target, method, payload], [1, id + 1, 0, "echo", packed([[7], {}])])
    heard = sorted(script.heard(), key=lambda message: message[1])

    assert [2, id + 1, packed(7)] == heard.pop()
    assert [(1, error)] * id == [told(message) for message in heard]
    assert 0 == script.broker.serving.count


@pytest.mark.parametrize("method", ["raise", "raises", "bad", "nope"])
def test_a_failure_that_nobody_is_told_of_is_logged(method, caplog):
    """Its error is dropped, not lost (PB-M13). A value that nobody wants is no failure."""
    pump = Pump(Server())
    with caplog.at_level(logging.INFO, "pb"):
        send(pump.root, method)
        pump.run()

    assert (method != "bad") == bool(caplog.records)


@pytest.mark.parametrize("size", [0, 100, 20_000, 100_000])
def test_a_result_of_any_size_comes_back(size):
    """Large ones leave in frames of their own."""
    assert b"x" * size == Pump(Server()).call("large", size)


def test_a_call_that_the_peers_frame_cannot_hold_fails_here():
    """The peer would end the connection (PB-F19)."""
    pump = Pump(Server(), limits=pb.Limits(max_frame=5000), client_limits=pb.Limits())
    for data in (b"x" * 6000, b"x" * 100_000):
        with pytest.raises(pb.TooLarge):
            pump.root.echo(data).result()
        with pytest.raises(pb.TooLarge):
            send(pump.root, "note", data)

    assert {} == pump.client.broker.calls.pending
    assert b"x" * 4000 == pump.call("echo", b"x" * 4000)


def test_a_reference_in_a_call_that_is_too_large_is_given_back():
    """It was not sent (R7)."""
    pump = Pump(Server(), limits=pb.Limits(max_frame=5000), client_limits=pb.Limits())
    outcome = pump.root.echo([pb.Referenceable(), b"x" * 6000])
    pump.run()

    assert {} == pump.client.broker.tables.exports
    with pytest.raises(pb.TooLarge):
        outcome.result()


def test_an_answer_that_the_peers_frame_cannot_hold_is_an_error():
    """And not the end of the connection (PB-M15)."""
    pump = Pump(Server(), limits=pb.Limits(), client_limits=pb.Limits(max_frame=5000))
    for size in (5000, 30_000):
        with pytest.raises(pb.TooLarge):
            pump.call("large", size)
    assert b"x" * 4000 == pump.call("large", 4000)


def test_an_answer_deeper_than_the_caller_takes_is_an_error():
    """The same for the other limits it announced."""
    pump = Pump(Server(), limits=pb.Limits(), client_limits=pb.Limits(max_depth=8))
    with pytest.raises(pb.Error):
        pump.call("deep", 20)
    assert [[]] == pump.call("deep", 1)


def test_more_exts_than_the_other_side_takes_are_an_error_and_not_the_end():
    """They end the connection where they arrive, so they must not be sent (PB-V48)."""
    many = [uuid.UUID(int=number) for number in range(300)]
    server = Server()
    server.remote_many = lambda: many
    one_way = Pump(server, limits=pb.Limits(max_exts=256), client_limits=pb.Limits())
    with pytest.raises(pb.TooLarge, match="max_exts=256"):
        one_way.root.echo(many).result()
    assert 1 == one_way.call("echo", 1)

    other_way = Pump(server, limits=pb.Limits(), client_limits=pb.Limits(max_exts=256))
    with pytest.raises(pb.TooLarge, match="max_exts=256"):
        other_way.call("many")
    assert 1 == other_way.call("echo", 1)


def test_more_lists_than_the_other_side_takes_are_an_error_and_not_the_end():
    """As above (PB-V49); what is around them in a call and in an answer counts too."""
    many = [[] for _ in range(4096)]
    server = Server()
    server.remote_many = lambda fewer: many[fewer:]
    one_way = Pump(server, limits=pb.Limits(max_containers=4096), client_limits=pb.Limits())
    with pytest.raises(pb.TooLarge, match="max_containers=4096"):
        one_way.root.echo(many[3:]).result()
    assert many[4:] == one_way.call("echo", many[4:])

    other_way = Pump(server, limits=pb.Limits(), client_limits=pb.Limits(max_containers=4096))
    with pytest.raises(pb.TooLarge, match="max_containers=4096"):
        other_way.call("many", 0)
    assert many[1:] == other_way.call("many", 1)


def test_a_result_whose_hooks_fail_fails_the_call():
    """They may raise anything."""

    class Hostile(pb.Copyable):
        def get_state_to_copy(self):
            raise SystemExit("no state")

        def set_copyable_state(self, state):
            raise AssertionError

    root = Server()
    registry = jelly.Registry()
    registry.add(Hostile, "test.Hostile")
    root.remote_hostile = Hostile
    pump = Pump(root, registry=registry)
    with pytest.raises(pb.RemoteError, match=r"pb\.Internal"):
        pump.call("hostile")
    assert 1 == pump.call("echo", 1)


def test_an_argument_whose_hooks_end_programs_fails_the_call():
    """A peer chooses when they run."""

    class Hostile(pb.Copyable):
        def get_state_to_copy(self):
            return {}

        def set_copyable_state(self, state):
            raise SystemExit("end")

    registry = jelly.Registry()
    registry.add(Hostile, "test.Hostile")
    pump = Pump(Server(), registry=registry)
    with pytest.raises(pb.Error):
        pump.call("echo", Hostile())
    assert 1 == pump.call("echo", 1)


# --- options


def test_options_are_checked_and_otherwise_ignored():
    """Unknown ones are how the protocol grows."""
    script = Script(Server())
    options = {"ttl": 5000, "trace": {}, "meta": {"a": "b"}, "keep": True, "needs": [], "new": None}
    script.say([1, 1, 0, "echo", packed([[7], {}]), options])

    assert [[2, 1, packed(7)]] == script.heard()


def test_a_call_without_time_left_is_not_run():
    """0 milliseconds are over at once (PB-M14)."""
    script = Script(Server())
    script.say([1, 1, 0, "note", packed([[7], {}]), {"ttl": 0}])

    assert [(1, "pb.DeadlineExceeded")] == [told(message) for message in script.heard()]
    assert [] == server_of(script).seen


# --- waiting


@STEPS
def test_answers_come_in_the_order_of_their_completion(step):
    """A call that waits holds up no other."""
    root = Server()
    pump = Pump(root, step=step)
    waiting, quick = pump.root.wait(), pump.root.echo(1)
    pump.run()
    assert 1 == quick.result()
    assert 0 == waiting.settled
    root.gate.open("late")
    pump.run()
    assert "late" == waiting.result()


def test_what_can_be_awaited_need_not_be_a_coroutine():
    """A future will do."""
    root = Server()
    pump = Pump(root)
    waiting = pump.root.later()
    pump.run()
    assert 1 == pump.server.broker.serving.count
    root.gate.open("value")
    pump.run()

    assert "value" == waiting.result()
    assert 0 == pump.server.broker.serving.count


def test_calls_that_want_no_answer_count_while_they_run():
    """Or they would be a way around `max_calls`."""
    root = Server()
    script = Script(root, limits=pb.Limits(max_calls=2))
    script.say([1, 0, 0, "wait", NOTHING], [1, 0, 0, "later", NOTHING], [1, 1, 0, "echo", NOTHING])
    assert [(1, "pb.Busy")] == [told(message) for message in script.heard()]
    assert 2 == script.broker.serving.count

    root.gate.open()
    script.say([1, 2, 0, "echo", packed([[1], {}])])
    assert 0 == script.broker.serving.count
    assert [[2, 2, packed(1)]] == script.heard()


def test_busy_tells_the_limit_and_counts_the_arguments():
    """The call may be made again, and no reference is lost (PB-M3)."""
    script = Script(Server(), limits=pb.Limits(max_calls=1))
    script.say([1, 1, 0, "wait", NOTHING])
    script.say([1, 2, 0, "echo", packed([[msgpack.ExtType(1, b"\x05")], {}])])
    busy, release = script.heard()

    assert (2, "pb.Busy") == told(busy)
    assert "max_calls" in msgpack.unpackb(busy[2])["msg"]
    assert [6, [5, 1]] == release


# --- the end


def test_a_handler_that_ends_its_own_connection_harms_nothing():
    """Also where tasks run at once when they are made: what waits is settled."""

    class Leaving(Server):
        async def remote_leave(self):
            script.broker.connection_lost("left")
            return 1

    script = Script(Leaving())
    script.side.runs_at_once = True
    outcome = script.broker.root_reference().echo(1)
    script.heard()
    script.say([1, 1, 0, "leave", NOTHING])

    assert [] == script.heard()
    assert 0 == script.broker.serving.count
    with pytest.raises(pb.OutcomeUnknown, match="left"):
        outcome.result()


def test_a_call_that_came_by_itself_is_answered_before_its_turn_ends():
    """Its caller waits. Behind what is queued, and not where others came with it: those are one frame."""
    script, written = Script(Server()), []
    calls = [[1, id, 0, "large", packed([[1], {}])] for id in range(1, 6)]
    script.broker.outbox.direct = written.append
    script.say(calls[0])
    script.say(calls[1])
    assert ([], [1, 2]) == (written, [message[1] for message in script.heard()])
    script.say(calls[2])
    assert [[2, 3, packed(b"x")]] == messages_in(b"".join(written))
    script.say(*calls[3:])
    assert (1, [4, 5]) == (len(written), [message[1] for message in script.heard()])


def test_a_call_that_the_program_stops_is_no_incident(caplog):
    """As all are when it ends: nobody could look into it."""
    pump = Pump(Server())
    outcome = pump.root.wait()
    pump.run()
    [served] = pump.server.broker.serving.running.values()
    served.task.cancel()
    pump.run()

    with pytest.raises(pb.Cancelled, match="the program that served the call has stopped it"):
        outcome.result()
    assert "the peer of server" not in caplog.text


@pytest.mark.parametrize("method", ["wait", "look"])
def test_a_call_whose_method_waits_for_what_was_cancelled_is_no_incident(caplog, method):
    """The program has stopped that, and there is nothing to be looked into: no traceback, no id."""

    class Stops(pb.Root):
        async def remote_wait(self):
            raise Cancelled

        def remote_look(self):
            raise Cancelled

    with pytest.raises(pb.Cancelled, match="the program that served the call has stopped it"):
        Pump(Stops()).call(method)
    assert "" == caplog.text


def test_a_method_that_wants_the_program_to_end_is_an_incident(caplog):
    """That is no cancelling: what it raised is in the log."""

    class Stops(pb.Root):
        async def remote_wait(self):
            raise SystemExit(3)

    with pytest.raises(pb.RemoteError, match="incident-1"):
        Pump(Stops()).call("wait")
    assert "SystemExit" in caplog.text
