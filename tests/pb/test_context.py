"""Who is calling: what a handler learns from its call, and from nothing else."""

from __future__ import annotations

import dataclasses

import pytest

import pb

from .pump import Gate, Pump, send


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
