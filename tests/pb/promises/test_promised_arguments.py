"""Results to come as arguments, wherever they stand."""

from __future__ import annotations

from ..houses import Mine, assert_quiet, make, pump_frames
from ..pump import messages_in
from ..results import tell


def test_promises_are_arguments_wherever_they_stand():
    """At the top, in containers, by name, twice, and settled ones; plain values in their place too."""
    house, pump = make()
    a, b = tell(pump.root, "room", "a"), tell(pump.root, "room", "b")
    settled = tell(pump.root, "same", 5)
    pump.run()
    c = tell(pump.root, "room", "c")
    same = tell(pump.root, "names", c, c, a, settled, more=[b, c])
    nested = tell(pump.root, "keep", {"x": [c, (c, a)], "y": settled})
    (_, call, other) = messages_in(pump.client.output())
    assert {"needs": [c.id]} == call[5] == other[5]
    pump.server.input(pump_frames([_, call, other]))
    pump.run()

    assert ["c", "c", "a", 5, "b", "c"] == same.result()
    kept = house.kept.pop()
    assert kept["x"][0] is kept["x"][1][0]
    assert "c" == kept["x"][0].name
    assert 5 == kept["y"]
    del kept, a, b, c, same, nested, settled, call, other, _
    assert_quiet(pump)


def test_shared_values_that_hold_promises_stay_shared():
    """A graph is written in another way."""
    house, pump = make()
    settled = tell(pump.root, "same", [1])
    pump.run()
    room = tell(pump.root, "room", "a")
    shared = [room, settled]
    cycle = [shared, shared, settled, {(1, 2): room}, {1, 2}]
    cycle.append(cycle)
    tell(pump.root, "keep", cycle)
    pump.run()

    found = house.kept.pop()
    assert found[0] is found[1]
    assert found is found[5]
    assert [1] == found[2]
    assert found[2] is found[0][1]
    assert found[0][0] is found[3][(1, 2)]
    assert "a" == found[0][0].name


def test_a_promise_may_be_a_key():
    """In a key nothing is shared, so what it has become is written out there."""
    house, pump = make()
    settled = tell(pump.root, "same", 5)
    pump.run()
    room = tell(pump.root, "room", "a")
    shared = [0]
    tell(pump.root, "keep", [shared, shared, {settled: 1}, {room}])
    pump.run()

    found = house.kept.pop()
    assert {5: 1} == found[2]
    assert ["a"] == [each.name for each in found[3]]


def test_an_argument_that_becomes_a_value_is_sent_as_that():
    """The call is made once more: it was not run the first time."""
    house, pump = make()
    number, room = tell(pump.root, "same", 5), tell(pump.root, "room", "a")
    on_root = tell(pump.root, "names", number)
    on_room = tell(room, "names", number)
    tell(pump.root, "note", number)
    pump.run()

    assert [5] == on_root.result() == on_room.result()
    assert [5] == house.heard
    del room, on_room
    assert_quiet(pump)


def test_an_argument_that_has_left_is_waited_for():
    """And what is called on a promise behind a call that waits stays behind it."""
    house, pump = make()
    slow = tell(pump.root, "later", "slow")
    pump.run()
    first = tell(pump.root, "names", slow)
    room = tell(pump.root, "room", "a")
    tell(room, "note", slow)
    tell(room, "note", 2)
    pump.run()
    assert not first.done()
    house.gates.pop().open()
    pump.run()

    assert ["slow"] == first.result()
    assert ["slow", 2] == [getattr(each, "name", each) for each in house.heard]


def test_a_call_that_is_made_again_keeps_its_place():
    """It was on its way before another one, which waits here; so it goes before that."""
    house, pump = make()
    slow = tell(pump.root, "later", "slow")
    pump.run()
    room, number = tell(pump.root, "room", "a"), tell(pump.root, "same", 5)
    names = tell(pump.root, "names", number)  # is made again, with 5
    tell(room, "note", names)  # so this is broken at the peer, and made again
    tell(room, "note", slow)
    tell(room, "note", 3)
    pump.run()
    assert [[5]] == house.heard
    house.gates.pop().open()
    pump.run()

    assert ["slow", 3] == [getattr(each, "name", each) for each in house.heard[1:]]


def test_a_call_here_gets_values_in_the_place_of_promises():
    """Wherever they stand, and what is shared stays shared."""
    _, pump = make()
    mine = Mine()
    pump.call("keep", mine)
    number = tell(pump.root, "same", 5)
    shared = [number]
    cycle = [shared, {number: shared}, {1, number}, (number, "x")]
    cycle.append(cycle)
    home = tell(pump.root, "peer")
    tell(home, "note", cycle)
    pump.run()

    (found,) = mine.heard
    assert [[5], {5: [5]}, {1, 5}, (5, "x")] == found[:4]
    assert found[0] is found[1][5]
    assert found is found[4]
