"""A reference in the hand: what it says of itself, how it dies, and how many there may be."""

from __future__ import annotations

import copy
import gc
import pickle

import msgpack
import pytest

import jelly
import pb

from .holding.test_tables import NOTHING, Server, Thing, exported, ext, home, imported, ref, run_call
from .pump import Pump, Script, packed, send


def test_a_reference_can_be_copied_but_not_pickled():
    """It belongs to its connection."""
    thing = Pump(Server()).call("thing")[0]

    assert thing is copy.copy(thing)
    assert thing is copy.deepcopy(thing)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(thing)


def test_a_reference_shows_whose_it_is_and_whether_it_lives():
    """And asks nobody."""
    pump = Pump(Server())
    thing = pump.call("thing")[0]
    assert "<RemoteReference 1 of the peer of client, live>" == repr(thing)
    pump.lose()
    assert "<RemoteReference 1 of the peer of client, dead>" == repr(thing)


# --- given back while it is about


def test_a_reference_given_back_is_dead_and_the_next_is_new():
    """Its owner said that it will not be used any more."""
    pump = Pump(Server())
    thing = pump.call("thing", 2)[0]
    tables = pump.client.broker.tables
    tables.drop_now(thing._pb_import)
    tables.drop_now(thing._pb_import)

    with pytest.raises(pb.DeadReference):
        thing.name().result()
    with pytest.raises(pb.DeadReference):
        send(thing, "name")
    with pytest.raises(jelly.Unjellyable, match=r"argument 0 of keep is .* dead, because it was released"):
        pump.root.keep(thing).result()
    assert "dead" in repr(thing)
    pump.run()
    assert {} == exported(pump.server)

    again = pump.call("thing")[0]
    assert thing is not again
    assert "thing" == run_call(pump, again.name())
    del thing
    gc.collect()
    pump.run()
    assert {2: 1} == exported(pump.server) == imported(pump.client)


def test_a_reference_given_back_and_collected_is_gone_from_the_tables():
    """It is forgotten when it is given back, and there is nothing left to forget later."""
    pump = Pump(Server())
    thing = pump.call("thing", 2)[0]
    pump.client.broker.tables.drop_now(thing._pb_import)
    del thing
    gc.collect()
    pump.call("echo", 1)

    assert [] == [id for id in pump.client.broker.tables._by_id if id]
    assert {} == exported(pump.server)


class Keeper(pb.Root):
    def remote_keep(self, thing):
        self.kept = thing

    def remote_get(self):
        return {"workers": [1, self.kept]}

    async def remote_get_slowly(self):
        return self.kept


def test_a_dead_reference_among_arguments_is_no_dead_callee():
    """Who gives work to another when the callee is lost would otherwise give up all of them, one by one."""
    pump = Pump(Server())
    thing = pump.call("thing")[0]
    pump.client.broker.tables.drop_now(thing._pb_import)

    with pytest.raises(jelly.Unjellyable) as caught:
        pump.root.keep({"k": [thing]}).result()
    assert "argument 0 of keep: ['k'][0] is a reference that is dead" in str(caught.value)
    assert not isinstance(caught.value, pb.ConnectionLost)


@pytest.mark.parametrize(("method", "place"), [("get", r", at \['workers'\]\[1\]"), ("get_slowly", "")])
def test_a_dead_reference_in_a_result_is_told_with_its_place(method, place, caplog):
    """It is no fault of who gives the result, so no incident: nobody could ask any more for what is left."""
    root = Keeper()
    pump = Pump(root)
    pump.call("keep", Thing())
    pump.server.broker.tables.drop_now(root.kept._pb_import)

    with pytest.raises(pb.Gone, match=f"^the result holds a reference that is dead{place}$"):
        pump.call(method)
    (record,) = caplog.records
    assert ("WARNING", "call.failed") == (record.levelname, record.pb_event)
    assert f"the result of Keeper.remote_{method} for" in record.getMessage()
    assert pb.is_live(pump.root)


def test_whether_a_reference_is_live_can_be_asked():
    """Before it is given to somebody, or called."""
    pump = Pump(Server())
    thing, other = pump.call("thing")[0], pump.root
    assert (True, True) == (pb.is_live(thing), pb.is_live(other))
    pump.client.broker.tables.drop_now(thing._pb_import)
    assert (False, True) == (pb.is_live(thing), pb.is_live(other))
    pump.lose()
    assert (False, False) == (pb.is_live(thing), pb.is_live(other))
    with pytest.raises(TypeError, match="a remote reference is expected"):
        pb.is_live("thing")


def test_the_root_given_back_is_dead_and_can_be_had_again():
    """It is never counted, so nothing is said."""
    pump = Pump(Server())
    root = pump.root
    pump.client.broker.tables.drop_now(root._pb_import)

    assert b"" == pump.client.output()
    with pytest.raises(pb.DeadReference):
        root.echo().result()
    assert [] == pump.call("echo")


def test_every_release_that_waits_wakes_the_face():
    """Two threads may drop at once: counting which was first would lose a wake-up; the face joins them."""
    pump = Pump(Server())
    things = pump.call("fresh", 2)
    pump.run()
    before = pump.client.releases
    del things[0]
    assert before + 1 == pump.client.releases
    del things[0]
    assert before + 2 == pump.client.releases


def test_a_wake_up_is_not_lost_behind_a_reference_that_was_too_many():
    """What is owed for it waits too, and must not wait for something else to be said."""
    script = Script(limits=pb.Limits(max_refs=1))
    outcome = script.broker.root_reference().thing()
    script.heard()
    before = script.side.releases
    script.say([2, 1, packed([ref(1), ref(2)])])

    with pytest.raises(pb.TooLarge):
        outcome.result()
    assert before < script.side.releases


# --- given back wrongly


@pytest.mark.parametrize(
    "owed",
    [[1, 0], [1, -1], [1, 3], [2, 1], [0, 1], [-1, 1], [1, 1, 1, 2], [1, 2, 1, 1], [1, 2**53]],
    ids=repr,
)
def test_a_release_of_what_is_not_held_is_a_violation(owed):
    """Its sender has lost count (R3)."""
    script = Script(Server())
    script.say([1, 1, 0, "thing", packed([[2], {}])])
    assert {1: 2} == exported(script.side)
    script.say([6, owed])

    assert [15, 3] == script.heard()[-1][:2]


def test_a_release_may_come_in_parts():
    """Any split is right as long as the sum is."""
    script = Script(Server())
    script.say([1, 1, 0, "thing", packed([[3], {}])])
    script.say([6, [1, 1]])
    assert {1: 2} == exported(script.side)
    script.say([6, [1, 1, 1, 1]], [13, 1])

    assert {} == exported(script.side)
    assert [14, 1] == script.heard()[-1]


def test_an_id_beyond_the_largest_is_refused():
    """Both sides must be able to hold it (PB-F7)."""
    script = Script(Server())
    beyond = msgpack.ExtType(1, (2**53).to_bytes(8, "big"))
    script.say([1, 1, 0, "keep", packed([[beyond], {}])])

    assert [3] == [message[0] for message in script.heard()] or script.side.has_ended
    assert {} == imported(script.side)
    with pytest.raises(jelly.InsecureJelly):
        script.broker.scope.reference(2**53)


# --- revoked


def test_a_revoked_object_is_gone_for_the_peer():
    """Calls fail on its side already; what is owed is still given back (R15, R17)."""
    root = Server()
    pump = Pump(root)
    thing = pump.call("thing", 2)[0]
    server = pump.server.broker
    export = server.tables.exports[1]
    crossing = thing.name()
    server.holdings.revoke(export)
    server.holdings.revoke(export)
    pump.run()

    with pytest.raises(pb.Gone):
        crossing.result()
    with pytest.raises(pb.Gone):
        thing.name().result()
    with pytest.raises(jelly.Unjellyable, match="dead, because its owner has revoked the object"):
        pump.root.keep(thing).result()
    assert None is export.object
    assert {1: 2} == exported(pump.server)

    again = pump.call("thing")[0]
    assert "thing" == run_call(pump, again.name())
    assert [1, 2] == list(exported(pump.server))
    del thing
    crossing.error = None
    gc.collect()
    pump.run()
    assert {2: 1} == exported(pump.server)


def test_the_death_of_a_reference_is_the_affair_of_the_method_that_holds_it():
    """`pb.Gone` would tell the caller that its own call was not run (registry, column executed)."""
    root = Server()
    root.remote_use = lambda: root.kept[0].name().result()
    pump = Pump(root)
    pump.call("keep", Thing())
    pump.client.broker.holdings.revoke(pump.client.broker.tables.exports[1])
    pump.run()

    with pytest.raises(pb.RemoteError, match=r"pb\.Internal"):
        pump.call("use")


def test_a_tombstone_answers_and_is_said_once():
    """GONE once per id, then `pb.Gone` until the count is 0, then `pb.NoSuchObject` (R14 to R16)."""
    script = Script(Server())
    script.say([1, 1, 0, "thing", packed([[2], {}])])
    script.heard()
    export = script.broker.tables.exports[1]
    script.broker.holdings.revoke(export)
    script.broker.holdings.revoke(export)
    assert [[8, [1]]] == script.heard()

    script.say([1, 2, 1, "name", NOTHING], [1, 3, 0, "keep", packed([[home(1)], {}])], [6, [1, 2]])
    script.say([1, 4, 1, "name", NOTHING], [1, 5, 0, "keep", packed([[home(1)], {}])])
    script.broker.holdings.revoke(export)
    told = [(message[0], message[1], msgpack.unpackb(message[2])["type"]) for message in script.heard()]
    assert [
        (3, 2, "pb.Gone"),
        (3, 3, "pb.Gone"),
        (3, 4, "pb.NoSuchObject"),
        (3, 5, "pb.NoSuchObject"),
    ] == told


def test_the_text_for_an_unknown_object_does_not_tell_whether_it_ever_was():
    """Ids are no secrets, their history is (R9)."""
    script = Script(Server())
    script.say([1, 1, 0, "thing", NOTHING], [6, [1, 1]])
    script.heard()
    script.say([1, 2, 1, "name", NOTHING], [1, 3, 7, "name", NOTHING])
    released, never = (msgpack.unpackb(message[2])["msg"] for message in script.heard())

    assert released.replace("1", "7") == never


@pytest.mark.parametrize("id", [255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53 - 1])
def test_ids_of_every_size_cross(id):
    """In the shortest form that holds them."""
    pump = Pump(Server())
    pump.server.broker.tables._next_id = id
    thing = pump.call("thing")[0]

    assert {id: 1} == imported(pump.client)
    assert thing is pump.call("echo", thing)[0]
    assert "thing" == run_call(pump, thing.name())


# --- how many


def test_no_more_than_the_peer_holds_are_sent():
    """It said how many it takes; the call fails here, and others go on (R12)."""
    pump = Pump(Server(), limits=pb.Limits(max_refs=3))
    things = [Thing() for _ in range(4)]
    pump.call("keep", things[:3])
    with pytest.raises(pb.TooLarge, match="max_refs is 3"):
        pump.root.keep(things[3]).result()
    with pytest.raises(pb.TooLarge, match="max_refs is 3"):
        pump.root.keep(things).result()

    assert {1: 1, 2: 1, 3: 1} == exported(pump.client)
    assert things[:3] == pump.call("echo", *things[:3])
    pump.call("forget")
    pump.run()
    pump.call("keep", things[3])


def test_the_root_is_none_of_those_that_are_counted():
    """Both sides must mean the same number (R1, R12)."""
    pump = Pump(Server(), client_limits=pb.Limits(max_refs=3), limits=pb.Limits())
    root = pump.root

    assert 3 == len(pump.call("fresh", 3))
    assert "live" in repr(root)


def test_an_answer_with_more_than_the_caller_holds_fails_its_call():
    """And not the next one."""
    pump = Pump(Server(), client_limits=pb.Limits(max_refs=3), limits=pb.Limits())
    with pytest.raises(pb.TooLarge, match="max_refs"):
        pump.call("fresh", 4)

    assert {} == exported(pump.server)
    assert 3 == len(pump.call("fresh", 3))


def test_a_peer_that_sends_more_than_we_hold_is_refused_and_loses_no_count():
    """What came in excess is given back at once (R12, PB-V36)."""
    script = Script(Server(), limits=pb.Limits(max_refs=2))
    script.say([1, 1, 0, "keep", packed([[ref(1)], {}])])
    script.heard()
    script.say([1, 2, 0, "keep", packed([[ref(1), ref(2), ref(3), ref(3)], {}])])
    gc.collect()
    heard = script.heard()

    assert ["pb.TooLarge"] == [msgpack.unpackb(m[2])["type"] for m in heard if m[0] == 3]
    owed = {1: 0, 2: 0, 3: 0}
    for message in heard:
        if message[0] == 6:
            for number, count in zip(message[1][::2], message[1][1::2], strict=True):
                owed[number] += count
    assert {1: 0, 2: 1, 3: 2} == {**owed, 1: owed[1] - (imported(script.side).get(1, 0) == 1)}


# --- results to come


def test_a_result_to_come_that_the_call_does_not_need_is_refused():
    """PB-M23: what a payload names is said beside it, so that nothing is decoded before it is there."""
    script = Script(Server())
    script.say([1, 1, 0, "keep", packed([[ext(3, 1)], {}])], [1, 2, 0, "echo", NOTHING])
    (_, _, told), answer = script.heard()

    assert "pb.BadPayload" == msgpack.unpackb(told)["type"]
    assert [2, 2, packed([])] == answer
