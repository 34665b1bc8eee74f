"""Who is calling: what a handler learns from its call, and from nothing else."""

from __future__ import annotations

import dataclasses

import pytest

import pb

from .pump import Gate, Outcome, Pump, send


class Server(pb.Root):
    def __init__(self):
        self.gate = Gate()
        self.seen = []
        self.child = Child()

    def remote_who(self):
        self.seen.append(pb.current_call())

    async def remote_who_later(self):
        before = pb.current_call()
        await self.gate
        self.seen.append((before, pb.current_call()))

    def remote_child(self):
        return self.child

    def remote_ask(self, callback):
        callback.who()
        self.seen.append(pb.current_call())


class Child(pb.Referenceable):
    def __init__(self):
        self.seen = []

    def remote_who(self):
        self.seen.append(pb.current_call())


def test_outside_of_a_call_there_is_none():
    """Also after one."""
    assert None is pb.current_call()
    Pump(Server()).call("who")
    assert None is pb.current_call()


def test_a_handler_sees_its_call():
    """The connection it came over; on nobody's behalf yet."""
    root = Server()
    pump = Pump(root)
    pump.call("who")
    send(pump.root, "who")
    pump.run()

    connection = "the connection of server"
    assert [pb.CurrentCall(connection, None, True), pb.CurrentCall(connection, None, False)] == root.seen


def test_a_handler_that_waits_sees_its_call_and_no_other():
    """Many run at once."""
    root = Server()
    pump = Pump(root)
    waiting = pump.root.who_later()
    send(pump.root, "who_later")
    pump.run()
    root.gate.open()
    pump.call("who")

    assert None is waiting.result()
    wanted = pb.CurrentCall("the connection of server", None, True)
    unwanted = dataclasses.replace(wanted, answer_wanted=False)
    assert [(wanted, wanted), (unwanted, unwanted), wanted] == root.seen


def test_a_callback_is_a_call_of_the_other_side():
    """Each side sees its own connection."""
    root, child = Server(), Child()
    pump = Pump(root)
    pump.call("ask", child)

    assert ["the connection of server"] == [call.connection for call in root.seen]
    assert ["the connection of client"] == [call.connection for call in child.seen]


def test_an_object_sees_over_which_connection_it_was_called():
    """The same object may be held by many."""
    root = Server()
    first, second = Pump(root), Pump(root)
    second.server.connection = "another connection"
    for pump in (first, second):
        child = pump.call("child")
        child.who()
        pump.run()

    assert ["the connection of server", "another connection"] == [call.connection for call in root.child.seen]


def test_what_a_handler_sees_cannot_be_changed():
    """It is said by the library, once."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        pb.CurrentCall(None, None, True).perspective = "root"


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_method_sees_that_the_connection_is_being_closed(who):
    """Whoever closes it: what waits for news would otherwise use up all the time there is to leave."""
    root = Server()
    pump = Pump(root)
    waiting = pump.root.who_later()
    pump.run()
    other = pump.root.who()
    pump.run()
    [call] = root.seen
    assert call.is_stopping is False

    getattr(pump, who).broker.close()
    pump.run()
    assert call.is_stopping is True
    assert not waiting.done(), "it is not stopped by that"

    root.gate.open()
    pump.run()
    assert [None, None] == [waiting.result(), other.result()]
    assert [True, True] == [call.is_stopping for call in root.seen[1]], "nor is it otherwise behind the end"


def test_a_call_of_no_connection_is_stopping():
    """Such as one that was made by hand: nobody is there who would wait."""
    assert pb.CurrentCall(None, None, True).is_stopping is True


class Hurried(pb.Root):
    def __init__(self):
        self.gate = Gate()
        self.seen = []

    def remote_left(self):
        return pb.current_call().left_s

    async def remote_work(self):
        call = pb.current_call()
        self.seen.append(call.left_s)
        try:
            await self.gate
        finally:
            self.seen.append(call.left_s)


def within(pump, seconds, method):
    """Call a method of the server's root that has so much time."""
    outcome = Outcome()
    at = pump.client.now + seconds
    pump.client.broker.calls.make(pump.root._pb_import, method, (), {}, outcome, None, at)
    pump.run()
    return outcome


def test_a_method_sees_how_much_time_it_has_left():
    """So that it begins nothing that it cannot finish. It is less at each look, and never less than none."""
    root = Hurried()
    pump = Pump(root)
    outcome = within(pump, 10.0, "work")
    pump.advance(4.0)
    [served] = pump.server.broker.serving.running.values()
    root.gate.open()

    assert served.task.is_done
    assert [10.0, 6.0] == root.seen
    pump.run()
    assert outcome.result() is None


def test_a_method_whose_time_is_over_has_none_left():
    """Its `finally` may ask, where it is stopped."""
    root = Hurried()
    pump = Pump(root)
    within(pump, 2.0, "work")
    pump.advance(3.0)

    assert [2.0, 0.0] == root.seen


def test_a_call_without_a_deadline_may_take_its_time():
    """Which is not the same as having no time left."""
    pump = Pump(Hurried())

    assert pump.call("left") is None
    assert 1.5 == within(pump, 1.5, "left").result()


def test_a_deadline_of_the_method_s_own_counts_where_it_is_earlier():
    """What is called there has no more time than that."""

    class Narrow(pb.Root):
        async def remote_left(self):
            async with pb.deadline(60.0):
                inside = pb.current_call().left_s
            return inside, pb.current_call().left_s

    async def main():
        async with pb.testing.pair(Narrow()) as (_, _, root):
            return await root.left(), await root.left.within(10.0)()

    (alone, outside), (narrow, given) = pb.testing.run(main())
    assert (60.0, None) == (alone, outside)
    assert 10.0 == narrow == given
