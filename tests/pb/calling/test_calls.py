"""Calls between two brokers: each is answered exactly once, whatever goes wrong, and the next one works."""

from __future__ import annotations

import pytest

import jelly
import pb

from ..pump import STEPS, Gate, Outcome, Pump, Script, cancel, messages_in, send


class Thing(pb.Referenceable):
    def __init__(self, name="thing"):
        self.name = name

    def remote_name(self):
        return self.name


class Server(pb.Root):
    def __init__(self):
        self.gate = Gate()
        self.kept = None
        self.seen = []
        self.published = lambda: "an instance attribute"
        self.remote_dynamic = lambda x: x + 1

    def remote_echo(self, value):
        return value

    def remote_both(self, /, *args, **kwargs):
        return [list(args), kwargs]

    def remote_note(self, value):
        self.seen.append(value)

    async def remote_wait(self):
        return await self.gate

    def remote_fail(self):
        raise ZeroDivisionError("secret text of /etc/server.py")

    def remote_lookup(self):
        return self.no_such_attribute

    def remote_unsendable(self):
        return object()

    def remote_thing(self):
        return Thing()

    def remote_keep(self, value):
        self.kept = value

    def remote_kept(self):
        return self.kept

    def remote_one(self, a, b=2):
        return a + b

    def remote_guarded(self, path, _trusted=False):
        return [path, _trusted]

    def remote_exit(self):
        raise SystemExit(3)

    remote_value = 42


@STEPS
def test_a_value_goes_there_and_back(step):
    """The whole way, however the stream is cut."""
    pump = Pump(Server(), step=step)

    assert "hello" == pump.call("echo", "hello")
    assert [[1, "a"], {"name": 1, "self": 2, "method": 3, "args": 4}] == pump.call(
        "both", 1, "a", name=1, self=2, method=3, args=4
    )


@STEPS
def test_many_calls_leave_as_one_frame_and_come_back_in_order(step):
    """A batch is what makes many small calls cheap."""
    pump = Pump(Server(), step=step)
    outcomes = [pump.root.echo(number) for number in range(200)]

    buffers = pump.client.broker.take_output()
    assert 1 == len(buffers)
    pump.server.input(buffers[0], step)
    pump.run()

    assert list(range(200)) == [outcome.result() for outcome in outcomes]


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("nope", pb.NoSuchMethod),
        ("value", pb.NoSuchMethod),
        ("x" * 129, pb.NoSuchMethod),
        ("a.b", pb.NoSuchMethod),
        ("_private", pb.NoSuchMethod),
        ("__class__", pb.NoSuchMethod),
        ("été", pb.NoSuchMethod),
    ],
)
def test_what_is_not_published_is_no_such_method(method, error):
    """A wrong name never opens a door."""
    pump = Pump(Server())
    outcome = Outcome()
    handle = pump.root._pb_import
    pump.client.broker.calls.make(handle, method, (), {}, outcome)
    pump.run()

    with pytest.raises(error):
        outcome.result()
    assert 1 == pump.call("echo", 1)


def test_instance_attributes_are_published_as_the_paper_says():
    """`getattr` finds them, and the paper promises that it does."""
    assert 2 == Pump(Server()).call("dynamic", 1)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"c": 1}), ((1,), {"a": 1})],
    ids=["too few", "too many", "unknown keyword", "twice"],
)
def test_arguments_that_do_not_fit_are_told_apart_from_errors_inside(args, kwargs):
    """The caller can mend the one and not the other."""
    pump = Pump(Server())

    with pytest.raises(pb.BadArguments, match="'one'"):
        pump.call("one", *args, **kwargs)
    with pytest.raises(pb.RemoteError, match=r"pb\.Internal"):
        pump.call("one", "a", 2)  # a TypeError of the method's own
    assert 3 == pump.call("one", 1)


def test_private_parameters_cannot_be_filled():
    """A parameter that starts with an underscore is the method's own affair."""
    pump = Pump(Server())

    assert ["p", False] == pump.call("guarded", "p")
    for args, kwargs in [(("p", True), {}), (("p",), {"_trusted": True})]:
        with pytest.raises(pb.BadArguments):
            pump.call("guarded", *args, **kwargs)


def test_an_attribute_error_inside_a_method_is_that_methods_own():
    """Reporting it as a missing method sends people to the wrong place."""
    with pytest.raises(pb.RemoteError) as caught:
        Pump(Server()).call("lookup")

    assert "pb.Internal" == caught.value.remote_type


def test_an_internal_error_tells_an_incident_and_nothing_else(caplog):
    """The text of a bug may hold a secret; the log of the server has it under the same id."""
    pump = Pump(Server())

    with pytest.raises(pb.RemoteError) as caught:
        pump.call("fail")

    assert "internal error" == caught.value.message
    assert "incident-1" == caught.value.incident
    assert "incident-1" in caplog.text
    assert "secret text" in caplog.text
    assert "secret" not in repr(caught.value.data) + str(caught.value)


def test_debug_tells_the_text_and_the_traceback():
    """For development, when asked for."""
    with pytest.raises(pb.RemoteError) as caught:
        Pump(Server(), debug=True).call("fail")

    assert "secret text" in caught.value.message
    assert "remote_fail" in caught.value.trace


def test_a_registered_error_arrives_as_itself():
    """`except ZeroDivisionError` works across the wire where both sides include it."""
    pump = Pump(Server(), registry=jelly.BUILTIN_ERRORS)

    with pytest.raises(ZeroDivisionError, match="secret text"):
        pump.call("fail")


def test_exit_in_a_handler_ends_the_call_and_not_the_server():
    """A handler is not the one to decide that."""
    pump = Pump(Server())

    with pytest.raises(pb.RemoteError):
        pump.call("exit")
    assert 1 == pump.call("echo", 1)


def test_an_argument_that_cannot_be_sent_fails_here_and_sends_nothing():
    """The sender is told where it stands; the peer never hears of it."""
    pump = Pump(Server())

    with pytest.raises(pb.Unjellyable, match=r"argument 0 of echo: \['x'\] is an object"):
        pump.call("echo", {"x": object()})
    assert 0 == len(pump.client.broker.calls.pending)
    assert 1 == pump.call("echo", 1)


def test_a_result_that_cannot_be_sent_fails_that_call():
    """It never hangs."""
    pump = Pump(Server())

    with pytest.raises(pb.RemoteError):
        pump.call("unsendable")
    assert 1 == pump.call("echo", 1)


def test_a_class_the_receiver_does_not_know_fails_that_call_both_ways():
    """As an argument and as a result; the connection lives."""

    class Point(pb.Copyable):
        x = 1

    mine, theirs = jelly.Registry(), jelly.Registry()
    mine.add(Point, "geo.Point", fields=["x"])
    pump = Pump(Server(), registry=theirs, client_registry=mine)
    point = Point()
    point.x = 2

    with pytest.raises(pb.Unregistered, match=r"geo\.Point"):
        pump.call("echo", point)

    pump = Pump(Server(), registry=mine, client_registry=theirs)
    pump.server.broker.tables.exports[0].object.kept = point
    with pytest.raises(pb.Unregistered, match=r"geo\.Point"):
        pump.call("kept")
    assert 1 == pump.call("echo", 1)


def test_identity_of_an_object_is_kept_when_its_reference_comes_home():
    """`is`, both ways."""
    pump = Pump(Server())
    thing = Thing()

    assert thing is pump.call("echo", thing)
    remote = pump.call("thing")
    assert remote is pump.call("echo", remote)
    outcome = remote.name()
    pump.run()
    assert "thing" == outcome.result()


@pytest.mark.unmeasured
def test_dropped_references_leave_both_tables_empty():
    """10,000 made and dropped."""
    pump = Pump(Server())
    for _ in range(100):
        outcomes = [pump.root.thing() for _ in range(100)]
        pump.run()
        for outcome in outcomes:
            outcome.result()
    del outcomes, outcome
    pump.run()

    assert [0] == list(pump.server.broker.tables.exports)
    assert {} == pump.client.broker.tables.imports


def test_no_answer_is_sent_for_a_call_that_wants_none():
    """Not even for one that fails."""
    root = Server()
    pump = Pump(root)
    send(pump.root, "note", 5)
    send(pump.root, "fail")
    send(pump.root, "nope")
    pump.server.input(pump.client.output())

    assert b"" == pump.server.output()
    assert [5] == root.seen


def test_cancel_reaches_the_callee_and_is_answered():
    """The entry stays until the answer, which may carry references."""
    root = Server()
    pump = Pump(root)
    outcome = pump.root.wait()
    pump.run()
    assert 1 == pump.server.broker.serving.count

    cancel(pump.root, outcome)
    assert 1 == len(pump.client.broker.calls.pending)
    pump.run()

    assert 0 == pump.server.broker.serving.count
    assert 0 == len(pump.client.broker.calls.pending)
    assert 1 == pump.call("echo", 1)


def test_a_call_cancelled_before_its_first_step_is_answered_too():
    """A task that is cancelled before it starts runs nothing; the answer must not depend on it."""
    pump = Pump(Server())
    outcome = pump.root.wait()
    cancel(pump.root, outcome)
    pump.run()

    assert 0 == len(pump.client.broker.calls.pending)
    assert 0 == pump.server.broker.serving.count


def test_over_the_limit_of_the_peer_calls_wait_in_order():
    """Unencoded, and none is lost (PB-M11)."""
    root = Server()
    pump = Pump(root, limits=pb.Limits(max_calls=2))
    waiting = [pump.root.wait() for _ in range(2)]
    later = [pump.root.note(number) for number in range(5)]
    pump.run()
    assert [] == root.seen

    root.gate.open("open")
    pump.run()

    assert ["open", "open"] == [outcome.result() for outcome in waiting]
    assert [None] * 5 == [outcome.result() for outcome in later]
    assert [0, 1, 2, 3, 4] == root.seen


def test_a_peer_that_ignores_the_limit_is_answered_busy():
    """Its call was not run and may be retried."""
    root = Server()
    pump = Pump(root, limits=pb.Limits(max_calls=2))
    pump.client.broker.calls.peer_max_calls = 100
    outcomes = [pump.root.wait() for _ in range(3)]
    pump.run()

    with pytest.raises(pb.Busy, match="max_calls"):
        outcomes[2].result()
    root.gate.open()
    pump.run()
    assert [None, None] == [outcome.result() for outcome in outcomes[:2]]


def test_a_call_that_is_awaited_is_sent_at_once_if_it_is_all_there_is():
    """Nothing is called on it any more that would have to be sent with it; of others that is not known."""
    script, written = Script(), []
    calls, outbox, root = script.broker.calls, script.broker.outbox, script.broker.root_reference()
    first = root.echo(1)
    calls.awaited(first.id)  # nothing has come by itself
    assert [first.id] == [message[1] for message in script.heard()]

    outbox.at_once = written.append
    second = root.echo(2)
    calls.awaited(first.id)
    assert [] == written
    calls.awaited(second.id)
    assert [second.id] == [message[1] for message in messages_in(b"".join(written))]
    assert ([], second.id) == (script.heard(), calls.written_id)

    outbox.at_once = written.append
    third, fourth = root.echo(3), root.echo(4)
    calls.awaited(fourth.id)
    assert [third.id, fourth.id] == [message[1] for message in script.heard()]
    assert 1 == len(written)
