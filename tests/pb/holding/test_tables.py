"""The two tables of a connection: who may forget what, and when. Spec: 4-references.md, R1 to R17."""

from __future__ import annotations

import gc
import weakref

import msgpack
import pytest

import jelly
import pb
from pb import messages

from ..pump import STEPS, Gate, Pump, Script, messages_in, packed, send

NOTHING = packed([[], {}])


class Thing(pb.Referenceable):
    def remote_name(self):
        return "thing"


class Server(pb.Root):
    def __init__(self):
        self.gate = Gate()
        self.thing = Thing()
        self.kept = []

    def remote_echo(self, *values):
        return list(values)

    def remote_thing(self, times=1):
        return [self.thing] * times

    def remote_fresh(self, count=1):
        return [Thing() for _ in range(count)]

    def remote_keep(self, value):
        self.kept.append(value)

    def remote_forget(self):
        self.kept.clear()

    async def remote_wait(self):
        return await self.gate


def ref(id):
    """Return REF id as a payload holds it."""
    return ext(1, id)


def home(id):
    return ext(2, id)


def ext(code, id):
    return msgpack.ExtType(code, id.to_bytes(1, "big"))


def exported(side):
    """Return id -> count of what the peer of a side holds, the root aside."""
    return {id: row.count for id, row in side.broker.tables.exports.items() if id}


def imported(side):
    """Return id -> count of what a side holds, the root aside."""
    return {id: handle.count for id, handle in side.broker.tables.imports.items() if id}


# --- counting


@STEPS
@pytest.mark.parametrize("times", [1, 2, 3, 200])
def test_each_occurrence_counts_on_both_sides(step, times):
    """A place in the bytes is one count (R1, R2), and all are given back at once."""
    pump = Pump(Server(), step=step)
    things = pump.call("thing", times)

    assert {1: times} == exported(pump.server) == imported(pump.client)
    assert 1 == len(set(map(id, things)))
    del things
    assert [[6, [1, times]]] == messages_in(pump.client.output())
    assert {} == imported(pump.client)


def test_identity_of_an_object_is_kept_while_the_peer_holds_it():
    """And a new one afterwards: ids are never used twice (R4, R11)."""
    pump = Pump(Server())
    first = pump.call("thing")[0]
    again = pump.call("thing")[0]
    assert first is again
    assert {1: 2} == exported(pump.server)

    del first, again
    pump.run()
    assert {} == exported(pump.server)
    later = pump.call("thing")[0]
    assert {2: 1} == exported(pump.server)
    assert later is pump.call("thing")[0]


def test_the_two_directions_have_ids_of_their_own():
    """Each side has its own object 1."""
    server = Server()
    pump = Pump(server)
    theirs = pump.call("thing")[0]
    mine = Thing()
    pump.call("keep", mine)

    assert {1: 1} == exported(pump.server) == exported(pump.client)
    assert mine is pump.call("echo", mine)[0]
    assert theirs is pump.call("echo", theirs)[0]
    assert [mine, theirs] == pump.call("echo", mine, theirs)


def test_home_never_counts():
    """The owner knows that it has it (R14)."""
    pump = Pump(Server())
    thing = pump.call("thing")[0]
    before = exported(pump.server)
    pump.call("keep", thing)
    pump.call("keep", pump.root)

    assert before == exported(pump.server)
    root = pump.server.broker.tables.exports[0].object
    assert [root.thing, root] == root.kept


def test_an_object_is_kept_alive_by_the_peer_and_no_longer():
    """That is what counting is for."""
    root = Server()
    pump = Pump(root)
    things = pump.call("fresh", 3)
    alive = [weakref.ref(pump.server.broker.tables.exports[number].object) for number in (1, 2, 3)]
    gc.collect()
    assert all(each() is not None for each in alive)

    del things[1]
    pump.run()
    assert [True, False, True] == [each() is not None for each in alive]


def test_a_part_of_a_graph_counts_once():
    """However many nodes name it (R1)."""
    root = Server()
    pump = Pump(root)
    shared = [Thing()]
    pump.call("keep", {"a": shared, "b": shared})

    assert root.kept[0]["a"] is root.kept[0]["b"]
    assert {1: 1} == exported(pump.client) == imported(pump.server)
    root.kept.clear()
    gc.collect()
    pump.run()
    assert {} == exported(pump.client)


# --- giving back


class Breaks(pb.Copyable):
    """A copy whose state cannot be taken."""

    def get_state_to_copy(self):
        raise RuntimeError("no state")

    def set_copyable_state(self, state):
        raise RuntimeError("no state")


@pytest.mark.parametrize("bad", [object(), lambda: 0, Breaks()], ids=["no flavour", "code", "broken hook"])
def test_a_payload_that_cannot_be_sent_gives_its_counts_back(bad):
    """Or the peer would be held to release what it never got (R7)."""
    registry = jelly.Registry()
    registry.add(Breaks, "test.Breaks")
    pump = Pump(Server(), registry=registry)
    new, old = Thing(), Thing()
    pump.call("keep", old)
    handle = pump.root._pb_import
    for make in (
        lambda: pump.root.keep([new, old, new, bad]).result(),
        lambda: send(pump.root, "keep", [new, {"old": old}], bad=bad),
        lambda: handle.scope.encoder.dumps([old, new, bad], handle.scope),
    ):
        with pytest.raises((jelly.Unjellyable, RuntimeError)):
            make()
        assert {1: 1} == exported(pump.client)

    pump.call("keep", new)
    assert 2 == len(exported(pump.client))
    assert [1, 1] == list(exported(pump.client).values())


def test_a_result_that_cannot_be_sent_gives_its_counts_back():
    """The same for answers, and for the data of errors."""
    root = Server()
    pump = Pump(root, registry=jelly.BUILTIN_ERRORS)

    def fail():
        raise ValueError(root.thing, object())

    root.remote_bad = lambda: [root.thing, object()]
    root.remote_fail = fail
    with pytest.raises(pb.RemoteError):
        pump.call("bad")
    with pytest.raises(ValueError):
        pump.call("fail")

    assert {} == exported(pump.server)


def test_an_error_nobody_is_told_of_counts_nothing():
    """What is not sent must not be counted (R7)."""
    root = Server()
    pump = Pump(root, registry=jelly.BUILTIN_ERRORS)

    def fail():
        raise ValueError(root.thing)

    root.remote_fail = fail
    send(pump.root, "fail")
    pump.run()

    assert {} == exported(pump.server)


@STEPS
def test_a_refused_payload_counts_all_the_same(step, caplog):
    """What was decoded is held, and given back (R7)."""
    caplog.set_level("CRITICAL", "pb")  # a record of an error would hold what its frames hold
    script = Script(Server(), step=step)
    for refused in (
        [1, 1, 0, "keep", packed([[ref(1), ref(1), ext(99, 1)], {}])],
        [1, 2, 0, "nope", packed([[ref(1), ref(1)], {}])],
        [1, 3, 99, "keep", packed([[ref(1), ref(1)], {}])],
        [1, 4, 0, "keep", packed([[ref(1), home(7), ref(1)], {}])],
        [1, 5, 0, "keep", packed([[ref(1), ref(1)], {"_x": 1}])],
        [1, 0, 0, "nope", packed([[ref(1), ref(1)], {}])],
    ):
        script.say(refused)
        gc.collect()
        heard = script.heard()
        assert [[6, [1, 2]]] == [message for message in heard if message[0] == messages.RELEASE]
        assert {} == imported(script.side)


def test_a_refused_answer_counts_all_the_same():
    """The call fails here, nothing is sent back but the release (PB-M16)."""
    script = Script()
    outcome = script.broker.root_reference().thing()
    script.heard()
    script.say([2, 1, packed([ref(5), ext(99, 1)])])

    with pytest.raises(pb.BadPayload):
        outcome.result()
    gc.collect()
    assert [[6, [5, 1]]] == script.heard()

    given_up = script.broker.root_reference().thing()
    given_up.is_given_up = True
    script.heard()
    script.say([2, 2, packed([ext(99, 1)])])
    assert 0 == given_up.settled


def test_an_answer_to_a_call_given_up_is_decoded_and_released():
    """It may carry references."""
    script = Script()
    outcome = script.broker.root_reference().thing()
    outcome.is_given_up = True
    script.heard()
    script.say([2, 1, packed([ref(5), ref(6)])])

    assert 0 == outcome.settled
    assert [[6, [5, 1, 6, 1]]] == [
        [code, [number for pair in sorted(zip(owed[::2], owed[1::2], strict=True)) for number in pair]]
        for code, owed in script.heard()
    ]


# --- races


def test_a_release_that_crosses_a_new_reference_leaves_one_count():
    """The example of the spec (R6)."""
    pump = Pump(Server())
    first = pump.root.thing(2)
    pump.run()
    again = pump.root.thing()
    pump.server.input(pump.client.output())
    answer = pump.server.output()
    assert {1: 3} == exported(pump.server)
    first.value = None
    pump.server.input(pump.client.output())  # the RELEASE of two
    assert {1: 1} == exported(pump.server)
    pump.client.input(answer)

    assert {1: 1} == imported(pump.client)
    assert "thing" == run_call(pump, again.result()[0].name())


def run_call(pump, outcome):
    pump.run()
    return outcome.result()


@STEPS
def test_a_reference_that_crosses_its_release_is_a_new_one(step):
    """The exporter's count never reached 0 (R2, R6)."""
    script = Script(step=step)
    outcome = script.broker.root_reference().thing()
    script.heard()
    script.say([2, 1, packed([ref(3), ref(3)])])
    value = outcome.result()
    outcome.value = None
    del value
    gc.collect()
    # Dropped, and not said yet: what comes now is a new import with a count of its own.
    outcome = script.broker.root_reference().thing()
    script.say([2, 2, packed([ref(3)])])
    new = outcome.result()[0]
    assert [[1, 2, 0, "thing", NOTHING], [6, [3, 2]]] == script.heard()
    assert {3: 1} == imported(script.side)

    assert "live" in repr(new)
    outcome.value = None
    del new
    assert [[6, [3, 1]]] == script.heard()


def test_a_release_leaves_after_the_frames_that_name_its_id():
    """Or the peer would have forgotten what they mean (R5)."""
    script = Script(Server())
    script.say([1, 1, 0, "keep", packed([[ref(4)], {}])])
    script.heard()
    (kept,) = script.side.broker.tables.exports[0].object.kept
    kept.name()
    script.broker.root_reference().echo(kept)
    script.side.broker.tables.exports[0].object.kept.clear()
    del kept

    assert [
        [1, 1, 4, "name", NOTHING],
        [1, 2, 0, "echo", packed([[home(4)], {}])],
        [6, [4, 1]],
    ] == script.heard()


def test_a_call_that_waits_for_its_turn_keeps_its_target():
    """Its id is not released before it was sent (R5, R10)."""
    root = Server()
    pump = Pump(root, limits=pb.Limits(max_calls=1))
    thing = pump.call("thing")[0]
    pump.root.wait()
    waiting = thing.name()
    del thing
    gc.collect()
    pump.run()
    root.gate.open()
    pump.run()

    assert "thing" == waiting.result()
    pump.run()
    del waiting
    assert {} == exported(pump.server)


def test_a_call_that_waits_for_its_turn_keeps_its_arguments():
    """They are encoded when it is sent."""
    root = Server()
    pump = Pump(root, limits=pb.Limits(max_calls=1))
    reference = pump.call("thing")[0]
    pump.root.wait()
    waiting = pump.root.echo(reference, Thing())
    del reference
    pump.run()
    assert [1] == list(exported(pump.server))
    root.gate.open()
    pump.run()

    assert "live" in repr(waiting.result()[0])


def test_the_tables_of_an_idle_connection_share_the_keys_of_their_dict():
    """An object of more attributes has all their names to itself, and servers have thousands of these."""
    assert 29 >= len(vars(Pump(Server()).server.broker.tables))
