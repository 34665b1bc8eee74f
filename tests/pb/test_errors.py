"""Errors: the classes of the protocol, and what a caller is told and is not."""

from __future__ import annotations

import msgpack
import pytest

import jelly
import pb
from pb.errors import WIRE_ERRORS, PeerError, build_registry

from .pump import STEPS, Gate, Pump, Script, packed

OWN = [error for error in WIRE_ERRORS.values() if issubclass(error, PeerError)]


class Overdrawn(pb.Error):
    """An error of an application."""


class Poor(Overdrawn):
    """One that is derived from it and not registered."""


def bank():
    registry = jelly.Registry()
    registry.add(Overdrawn, "bank.Overdrawn")
    return registry


class Server(pb.Root):
    """Raises what it is told to."""

    def __init__(self, error=None):
        self.error = error
        self.gate = Gate()

    def remote_fail(self):
        raise self.error

    async def remote_fail_later(self):
        await self.gate
        raise self.error

    def remote_echo(self, value):
        return value


FAILS = pytest.mark.parametrize("how", ["fail", "fail_later"], ids=["at once", "later"])


def failed(pump, how="fail"):
    """Return the error of a failed call; another one must work after it."""
    root = pump.server.broker.tables.exports[0].object
    outcome = getattr(pump.root, how)()
    pump.run()
    root.gate.open()
    pump.run()
    with pytest.raises(Exception) as caught:
        outcome.result()
    assert 1 == pump.call("echo", 1)
    return caught.value


@pytest.mark.unmeasured
@FAILS
@STEPS
@pytest.mark.parametrize("error", OWN, ids=lambda error: error.wire_type)
def test_an_error_of_the_protocol_arrives_as_its_class(how, step, error):
    """`except pb.Forbidden` works without a word from the user."""
    found = failed(Pump(Server(error("because")), step=step), how)

    assert (error, "because") == (type(found), str(found))
    assert error.wire_type == found.remote_type
    assert found.is_of_own_call


def test_the_wire_types_are_those_of_the_classes():
    """One table, read in both directions."""
    assert {error.wire_type for error in OWN} | {"pb.Error", "pb.Internal"} == set(WIRE_ERRORS)
    names = {"pb.Error"} | {error.wire_type for error in OWN}
    assert names == {name for name in build_registry(with_base=True).snapshot() if name.startswith("pb.")}


@pytest.mark.parametrize("error", OWN, ids=lambda error: error.wire_type)
def test_the_errors_of_the_protocol_have_one_base(error):
    """And can all be made of a text."""
    assert isinstance(error("text"), pb.Error)
    assert "text" == str(error("text"))
    assert not error("text").is_of_own_call


def test_the_three_families_are_told_apart():
    """By what the caller may do."""
    assert issubclass(pb.NotExecuted, pb.ConnectionLost)
    assert issubclass(pb.OutcomeUnknown, pb.ConnectionLost)
    assert issubclass(pb.DeadReference, pb.NotExecuted)
    assert issubclass(pb.ConnectionLost, ConnectionError)
    assert issubclass(pb.DeadlineExceeded, TimeoutError)
    assert not issubclass(pb.NotExecuted, PeerError)
    assert not issubclass(pb.ProtocolError, PeerError | pb.ConnectionLost)


@FAILS
def test_a_registered_error_arrives_as_itself(how):
    """With its arguments."""
    found = failed(Pump(Server(Overdrawn("balance is 5", 5)), registry=bank()), how)

    assert (Overdrawn, ("balance is 5", 5)) == (type(found), found.args)


def test_an_error_the_caller_has_not_registered_can_be_told_by_its_name():
    """It has not got the class."""

    class Closed(Exception):
        pass

    registry = jelly.Registry()
    registry.add(Closed, "bank.Closed")
    found = failed(Pump(Server(Closed("on Sundays")), registry=registry, client_registry=jelly.Registry()))

    assert type(found) is pb.RemoteError
    assert ("bank.Closed", "on Sundays") == (found.remote_type, found.message)
    assert None is found.incident


def test_an_error_derived_from_ours_can_be_told_by_its_name_too():
    """`pb.Error` is the base that applications are asked to use; the name must not get lost by it."""
    found = failed(Pump(Server(Overdrawn("balance is 5")), registry=bank(), client_registry=jelly.Registry()))

    assert isinstance(found, pb.Error)
    assert "balance is 5" in str(found)
    assert "bank.Overdrawn" == found.remote_type


@FAILS
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("secret"),
        Poor("secret"),
        KeyError("secret"),
        SystemExit("secret"),
        GeneratorExit("secret"),
        pb.NotExecuted("secret"),
        pb.OutcomeUnknown("secret"),
        pb.DeadReference("secret"),
        pb.ProtocolError("secret"),
        pb.Unjellyable("secret"),
        pb.RemoteError("bank.Secret", "secret"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_other_error_is_an_incident_and_tells_nothing(how, error, caplog):
    """No class, text or traceback leaves; the log has it under the same id (PB-E5, PB-E12)."""
    found = failed(Pump(Server(error), registry=bank()), how)

    assert type(found) is pb.RemoteError
    assert ("pb.Internal", "internal error") == (found.remote_type, found.message)
    assert "incident-1" == found.incident
    assert {"ref": "incident-1"} == found.data
    assert (None, []) == (found.trace, list(found.bases))
    assert "incident-1" in caplog.text
    assert type(error).__name__ in caplog.text
    assert "secret" not in str(found)


@FAILS
def test_an_interrupt_ends_the_call_and_the_program(how, caplog):
    """It comes from the keyboard, is no error of the method's, and is what the user waits for."""
    interrupt = KeyboardInterrupt("secret")
    pump = Pump(Server(interrupt))
    found = failed(pump, how)

    assert type(found) is pb.Cancelled
    assert "secret" not in str(found)
    assert interrupt is pump.server.interruption
    assert [] == caplog.records


def test_an_answer_to_a_call_of_the_methods_own_is_not_passed_on():
    """The caller would take it for a statement about its own call (PB-E10)."""
    pump = Pump(Server())
    found = None
    try:
        pump.call("nope")
    except pb.NoSuchMethod as error:
        found = error
    assert found.is_of_own_call

    assert "pb.Internal" == failed(Pump(Server(found))).remote_type


def test_a_refused_answer_to_a_call_of_the_methods_own_is_not_passed_on():
    """`pb.Unregistered` would say that the caller's own call was not run, and it was (PB-E10)."""

    class Point(pb.Copyable):
        x = 1

    registry = jelly.Registry()
    registry.add(Point, "geo.Point", fields=["x"])
    point = Point()
    point.x = 1
    pump = Pump(Server(), registry=registry, client_registry=jelly.Registry())
    pump.server.broker.tables.exports[0].object.remote_point = lambda: point
    with pytest.raises(pb.Unregistered) as caught:
        pump.call("point")

    assert "pb.Internal" == failed(Pump(Server(caught.value))).remote_type


def test_a_remote_error_that_caused_a_registered_one_is_not_told():
    """It was answered to this side, not to the caller (PB-E4)."""
    error = Overdrawn("balance is 5")
    error.__cause__ = pb.RemoteError("vault.Secret", "secret", data={"pin": 1})
    found = failed(Pump(Server(error), registry=bank()))

    assert type(found) is Overdrawn
    assert None is found.__cause__


def test_an_error_that_is_itself_refused_fails_the_call_with_the_refusal():
    """What it would have said cannot be read (spec 5.2)."""
    script = Script()
    outcome = script.broker.root_reference().echo(1)
    given_up = script.broker.root_reference().echo(2)
    given_up.is_given_up = True
    script.heard()
    refused = packed({"type": "bank.Closed", "msg": "", "data": msgpack.ExtType(99, b"")})
    script.say([3, 1, refused], [3, 2, refused], [13, 1])

    with pytest.raises(pb.BadPayload):
        outcome.result()
    assert 0 == given_up.settled
    assert [[14, 1]] == script.heard()


def test_the_data_of_an_incident_may_be_anything():
    """A peer writes what it likes."""
    assert None is pb.RemoteError("pb.Internal", "x").incident
    assert None is pb.RemoteError("pb.Internal", "x", data=["ref"]).incident
    assert None is pb.RemoteError("pb.Internal", "x", data={"ref": 5}).incident
    assert None is pb.RemoteError("pb.Internal", "x", data={}).incident
    assert "id" == pb.RemoteError("pb.Internal", "x", data={"ref": "id"}).incident


@FAILS
def test_debug_tells_text_and_traceback(how):
    """For development, when asked for (PB-E6)."""
    found = failed(Pump(Server(RuntimeError("secret")), debug=True), how)

    assert "RuntimeError: secret" == found.message
    assert "remote_fail" in found.trace
    assert "incident-1" == found.incident


def test_debug_cuts_what_is_long():
    """4,096 are enough to read (PB-E2)."""
    found = failed(Pump(Server(RuntimeError("s" * 10_000)), debug=True))

    assert 4096 == len(found.message)
    assert 4096 >= len(found.trace)


@FAILS
def test_a_class_that_is_derived_from_a_registered_one_is_told_of_in_the_log(how, caplog):
    """Nobody has said that it may cross (PB-E4); so `except Overdrawn` at the caller misses it."""
    found = failed(Pump(Server(Poor("secret")), registry=bank()), how)

    assert ("pb.Internal", "internal error") == (found.remote_type, found.message)
    assert "failed: Poor is not registered, as its base 'bank.Overdrawn' is" in caplog.text


class Late(pb.Forbidden):
    """Derived from an error of the protocol, which notes in an attribute whose call it ended."""


@FAILS
def test_an_error_that_arrives_without_its_attributes_is_told_once_in_the_log(how, caplog):
    """It arrives as itself; its author hears of it, however often it is raised."""
    registry = bank()
    registry.add(Late, "test.Late")
    error = Overdrawn("no")
    error.balance = 5
    pump = Pump(Server(error), registry=registry)

    found = [failed(pump, how) for _ in range(2)]
    pump.server.broker.tables.exports[0].object.error = pb.errors.Busy("x")
    failed(pump)
    late = Late("x")
    late.is_of_own_call = True
    pump.call("echo", late)

    assert [(Overdrawn, "no"), (Overdrawn, "no")] == [(type(each), str(each)) for each in found]
    (told,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert ("error.incomplete", "Overdrawn") == (told.pb_event, told.pb_error)
    assert told.getMessage().startswith("Overdrawn errors arrive without their attributes: balance. ")


@FAILS
def test_an_error_that_cannot_be_sent_becomes_an_incident(how, caplog):
    """The call is answered all the same."""

    class Hostile(pb.Error):
        def __init__(self):
            super().__init__("x")

        def get_state_to_copy(self):
            raise SystemExit("no state")

        def set_copyable_state(self, state):
            pass

    registry = jelly.Registry()
    registry.add(Hostile, "test.Hostile")
    found = failed(Pump(Server(Hostile()), registry=registry), how)

    assert "pb.Internal" == found.remote_type
    assert "could not be sent" in caplog.text


def test_a_protocol_error_says_with_what_code_the_connection_ends():
    """3 unless told."""
    assert 3 == pb.ProtocolError("text").code
    assert 5 == pb.ProtocolError("text", 5).code


class Relay(pb.Root):
    """Calls back, and lets whatever comes of it escape."""

    async def remote_relay(self, callback):
        return await callback.fail()

    async def remote_take(self, items):
        return [item async for item in items]


FORGED = "2026-11-29 15:00:00,000 INFO cred: root logged in"
EVIL = f"x\n{FORGED}\n\x1b[2J\x9b2J\x85\r\x7f\u202e\u2028"


async def broken(error):
    """Give a stream that ends with an error."""
    yield 1
    raise error


@pytest.mark.parametrize("how", ["relay", "take"])
@pytest.mark.parametrize(
    "error", [Overdrawn(EVIL), pb.Forbidden(EVIL), pb.Gone(EVIL)], ids=lambda error: type(error).__name__
)
def test_the_log_of_an_error_that_a_peer_made_has_no_line_of_the_peers(error, how, caplog):
    """A handler lets the error of a callback or a stream escape; a traceback prints its text (PB-E8)."""
    error.add_note(EVIL)
    pump = Pump(Relay(), client_registry=bank())
    outcome = getattr(pump.root, how)(Server(error) if how == "relay" else broken(error))
    pump.run()

    with pytest.raises(pb.RemoteError, match="internal error"):
        outcome.result()
    assert "Traceback" in caplog.text
    assert [] == [line for line in caplog.text.split("\n") if line.startswith(FORGED)]
    assert set() == {char for char in caplog.text if char != "\n" and not char.isprintable()}


def test_an_incident_of_a_peer_is_shown_escaped():
    """It is a text like any other, and str() names it."""
    error = pb.RemoteError("a" + EVIL, EVIL, data={"ref": EVIL})

    assert EVIL == error.incident
    assert str(error).isprintable()
