"""What a peer may do wrong with results that are kept for it, and what it gets. Frames made by hand."""

from __future__ import annotations

import msgpack
import pytest

import jelly
import pb
from pb import messages

from ..houses import REGISTRY, Room
from ..peers import envelopes_in
from ..pump import STEPS, Script

KEEP = {"keep": True}


def call(id, target, method, *args, **options):
    """Return a CALL."""
    payload = args[0] if args and type(args[0]) is bytes else msgpack.packb([args, {}])
    made = [messages.CALL, id, target, method, payload]
    return [*made, options] if options else made


def ext(code, number):
    return msgpack.ExtType(code, bytes([number]))


def script(house=None, **options):
    return Script(house or Room(), registry=REGISTRY, **options)


def told(script):
    """Return what the side said, errors by their type."""
    found = []
    for code, id, *rest in (msgpack.unpackb(each) for each in envelopes_in(script.side.output())):
        value = msgpack.unpackb(rest[0]) if rest and type(rest[0]) is bytes else None
        found.append((code, id, value["type"]) if code == messages.ERROR else (code, id))
    return found


def bye_of(script):
    """Return the code of the BYE that ended it, after whatever was said before."""
    assert script.side.has_ended
    last = msgpack.unpackb(envelopes_in(script.side.output())[-1])
    assert messages.BYE == last[0]
    return last[1]


@STEPS
def test_finish_before_the_answer_ends_the_connection(step):
    """What waits for the result would wait for ever."""
    peer = script(step=step)
    peer.say(call(1, 0, "later", "a", keep=True), [messages.FINISH, [1]])

    assert messages.BYE_PROTOCOL == bye_of(peer)
    assert 0 == peer.broker.serving.count


def test_more_kept_results_than_calls_end_the_connection():
    """An honest caller counts them."""
    peer = script(limits=pb.Limits(max_calls=3))
    peer.say(*[call(id, 0, "name", keep=True) for id in range(1, 4)])
    assert [messages.ANSWER] * 3 == [code for code, _ in told(peer)]
    peer.say([messages.FINISH, [2]], call(4, 0, "name", keep=True))
    assert [(messages.ANSWER, 4)] == told(peer)
    peer.say(call(5, 0, "name", keep=True))

    assert messages.BYE_LIMIT == bye_of(peer)


def test_a_pipelined_call_over_max_calls_is_busy_and_so_is_what_names_it():
    """Calls that wait count as those that run."""
    peer = script(limits=pb.Limits(max_calls=2))
    peer.say(
        call(1, 0, "later", "a", keep=True),
        call(2, -1, "name"),
        call(3, -1, "keep", ext(1, 9), keep=True),
        call(4, 0, "name", needs=[3]),
    )

    assert [(messages.ERROR, 3, "pb.Busy"), (messages.ERROR, 4, "pb.Busy")] == told(peer)[:2]


def test_calls_of_the_quiet_take_places_and_draw_nothing():
    """Whoever sends what wants no answer need not count those."""
    peer = script(limits=pb.Limits(max_calls=2))
    peer.say(call(1, 0, "name", keep=True), call(0, 0, "later", "a"), call(0, 0, "later", "b"))
    left = peer.broker.serving.budget._left
    peer.say(call(2, -1, "name"))

    assert [(messages.ANSWER, 1), (messages.ERROR, 2, "pb.Busy")] == told(peer)
    assert left == peer.broker.serving.budget._left


def test_an_unknown_target_is_told_when_what_is_needed_has_come():
    """It was looked up when the call came."""
    peer = script()
    peer.say(call(1, 0, "room", "a", keep=True), call(2, 42, "name", needs=[1]))
    assert [(messages.ANSWER, 1), (messages.ERROR, 2, "pb.NoSuchObject")] == told(peer)


def test_a_target_that_is_released_meanwhile_is_called_all_the_same():
    """The caller has named it; what it does behind that decides nothing."""
    house = Room()
    peer = script(house)
    peer.say(call(1, 0, "room", "x"), call(2, 0, "later", "a", keep=True))
    peer.say(call(3, 1, "name", needs=[2]), [messages.RELEASE, [1, 1]])
    told(peer)
    house.gates.pop().open()

    assert [(messages.ANSWER, 2), (messages.ANSWER, 3)] == told(peer)


@pytest.mark.parametrize("what", ["target", "argument", "result"])
def test_what_is_revoked_meanwhile_is_gone(what):
    """Whether it is called or handed over."""
    house = Room()
    peer = script(house)
    peer.say(call(1, 0, "room", "x", keep=True), call(2, 0, "later", "a", keep=True))
    if what == "target":
        peer.say(call(3, 1, "name", needs=[2]))
    elif what == "argument":
        peer.say(call(3, 0, "names", ext(3, 1), needs=[1, 2]))
    told(peer)
    assert 1 == peer.broker.holdings.revoke_object(peer.broker.tables.exports[1].object)
    if what == "result":
        peer.say(call(3, -1, "name"))
    house.gates.pop().open()

    assert (messages.ERROR, 3, "pb.Gone") in told(peer)


@pytest.mark.parametrize("ends", ["its turn", "cancel", "time"])
def test_a_payload_that_turns_out_malformed_ends_the_connection(ends):
    """Whoever is told of it: the end of a handler, a CANCEL, a timer."""
    house = Room()
    peer = script(house)
    peer.say(
        call(1, 0, "later", "a", keep=True), call(2, -1, "note", b"\xc1", ttl=5000), call(3, -1, "note", 3)
    )
    assert [] == told(peer)
    if ends == "its turn":
        house.gates[0].open()
    elif ends == "cancel":
        peer.say([messages.CANCEL, 2])
    else:
        peer.side.now = 6.0
        peer.broker.deadlines.sweep()

    assert messages.BYE_MALFORMED == bye_of(peer)
    assert [] == house.heard
    assert 0 == peer.broker.serving.count


def test_what_nests_too_deep_ends_the_connection_too():
    """With the code that says so."""
    house = Room()
    peer = script(house)
    deep = b"\x92\x91" + b"\x91" * 200 + b"\x90\x80"
    peer.say(call(1, 0, "later", "a", keep=True), call(2, -1, "note", deep))
    house.gates[0].open()

    assert messages.BYE_TOO_LARGE == bye_of(peer)


@pytest.mark.parametrize(
    ("code", "owed"),
    [(9, messages.RELEASE), (10, messages.RELEASE), (5, messages.STOP)],
    ids=["CACHE", "CACHED", "STREAM"],
)
def test_what_is_kept_up_to_date_is_refused_and_given_back(code, owed):
    """What was told of it while the call waited is lost."""
    data = msgpack.packb([7, "shop.Stock", {}]) if code == 9 else b"\x07"
    peer = script()
    peer.say(call(1, 0, "room", "a", keep=True), call(2, 0, "note", msgpack.ExtType(code, data), needs=[1]))
    found = told(peer)

    assert (messages.ERROR, 2, "pb.BadPayload") in found
    assert owed in [code for code, *_ in found + told(peer)]


def test_a_result_that_is_not_needed_is_not_named():
    """Whatever was asked to be kept."""
    peer = script()
    peer.say(
        call(1, 0, "room", "a", keep=True),
        call(2, 0, "room", "b", keep=True),
        call(3, 0, "names", ext(3, 2), needs=[1]),
    )

    assert [(messages.ERROR, 3, "pb.BadPayload")] == told(peer)[2:]


def test_options_that_ask_for_nothing_mean_nothing():
    """As if they were not there."""
    peer = script()
    peer.say(call(1, 0, "name", keep=False, needs=[]), call(0, 0, "note", 1, keep=False))
    assert [(messages.ANSWER, 1)] == told(peer)
    assert None is peer.broker.serving.slots


def test_a_target_out_of_range_ends_the_connection():
    """With `keep` as without."""
    peer = script()
    peer.say(call(1, -(2**53), "name", keep=True))

    assert messages.BYE_PROTOCOL == bye_of(peer)


def test_a_method_of_the_specification_can_be_called_on_a_result():
    """It is found where others are."""
    peer = script()
    peer.say(
        call(1, 0, "room", "a", keep=True),
        call(2, -1, "pb:interfaces"),
        call(3, -1, "pb:nothing"),
        call(4, -1, "no_such"),
    )

    refused = [(messages.ERROR, id, "pb.NoSuchMethod") for id in (3, 4)]
    assert [(messages.ANSWER, 2), *refused] == sorted(told(peer)[1:])


def test_a_cache_is_nothing_to_call():
    """Its owner is told of nothing but releases."""
    house = Room()
    peer = script(house, info={"features": ["cache"]})
    house.kept.append(StockOf())
    registry = jelly.Registry()
    registry.add(StockOf, "shop.StockOf")
    peer.broker.scope.encoder = jelly.Encoder(registry)
    peer.say(call(1, 0, "peer", keep=True), call(2, -1, "x"), call(3, 1, "x", needs=[1]))

    assert ["pb.NotPipelinable"] * 2 == [each[2] for each in told(peer) if each[0] == messages.ERROR]


class StockOf(pb.Cacheable):
    def get_state_to_cache_and_observe_for(self, perspective, observer):
        return {}

    def stopped_observing(self, perspective, observer):
        pass


class Odd(pb.Error):
    """An error whose state the test chooses."""

    state: object = None

    def get_state_to_copy(self):
        return self.state

    def set_copyable_state(self, state):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("text", "state", "kept"),
    [
        ("no", {"balance": 5}, {"balance": 5}),
        ("no", {"balance": [1, 2]}, None),
        ("no", {"room": Room()}, None),
        ("!" * 3000, {"balance": 5}, None),
    ],
    ids=["flat", "deep", "a reference", "long"],
)
def test_a_cause_holds_nothing_that_counts_or_grows(text, state, kept):
    """It is told once for each call that is broken by it."""

    class House(Room):
        def remote_fail(self):
            error = Odd(text)
            error.state = state
            raise error

    registry = jelly.Registry()
    registry.add(Odd, "bank.Odd")
    peer = Script(House(), registry=registry)
    peer.say(call(1, 0, "fail", keep=True), call(2, -1, "name", keep=True), call(3, -2, "name"))
    first, second, third = [
        msgpack.unpackb(msgpack.unpackb(each)[2]) for each in envelopes_in(peer.side.output())
    ]

    assert "bank.Odd" == first["type"]
    assert second == third
    assert "pb.BrokenPromise" == second["type"]
    cause = second["cause"]
    assert ("bank.Odd", text[:512]) == (cause["type"], cause["msg"])
    assert kept == cause.get("data")


def test_who_has_not_logged_in_may_finish_what_it_had_kept():
    """Within its few calls."""
    peer = script(greet=False)
    peer.broker.greeting.confine()
    peer.say([messages.HELLO, "PB", 1, {}])
    peer.heard()
    peer.say(call(1, 0, "name", keep=True), call(2, -1, "x"), [messages.FINISH, [1]])

    assert [(messages.ANSWER, 1), (messages.ERROR, 2, "pb.NotPipelinable")] == told(peer)
    assert not peer.side.has_ended


def test_what_waits_when_the_connection_ends_is_not_begun():
    """Not even what could: a call that is ready behind one that is not."""
    house = Room()
    peer = script(house)
    peer.say(call(1, 0, "later", "a", keep=True), call(2, 0, "note", 2, needs=[1]), call(3, 0, "note", 3))
    assert 3 == peer.broker.serving.count
    slots = peer.broker.serving.slots
    peer.broker.connection_lost("gone")
    peer.side.run_tasks()

    assert [] == house.heard
    assert 0 == peer.broker.serving.count
    assert not slots.has_lines


def test_a_handler_that_ends_after_the_connection_resolves_nothing():
    """There is nobody to tell."""
    house = Room()
    peer = script(house)
    peer.say(call(1, 0, "later", "a", keep=True))
    slots = peer.broker.serving.slots
    peer.broker.connection_lost("gone")
    slots.answer(1, peer.broker.scope, house)
    slots.fail(1, peer.broker.scope, ValueError())

    assert 0 == len(slots)


@pytest.mark.parametrize(
    "message",
    [
        call(0, 0, "later", "a", keep=True),
        call(0, -1, "look"),
        call(0, 0, "later", "a", needs=[1]),
    ],
    ids=["kept", "on a result", "with a result"],
)
def test_a_call_without_an_answer_has_no_part_in_pipelining(message):
    """There would be nothing to keep, and nobody to tell that what it waits for never came."""
    peer = script()
    peer.say(call(1, 0, "later", "a", keep=True), message)

    assert messages.BYE_PROTOCOL == bye_of(peer)


def test_a_malformed_payload_on_a_result_that_failed_ends_the_connection():
    """It is not run, and all the same what it brings must be counted, which cannot be done."""
    peer = script()
    peer.say(call(1, 0, "nobody_has_this", keep=True), call(2, -1, "look", b"\xc1"))

    assert messages.BYE_MALFORMED == bye_of(peer)


@pytest.mark.parametrize("names", ["the target", "an argument"])
def test_no_more_calls_begin_in_one_turn_than_of_those_that_arrive(names):
    """A result lets a thousand calls begin that wait for it; others are served in between."""
    house = Room()
    peer = script(house, limits=pb.Limits(turn_envelopes=10))
    peer.say(call(1, 0, "later", "a", keep=True))
    waiting = range(2, 37)
    if names == "the target":
        peer.say(*[call(id, -1, "name") for id in waiting])
    else:
        peer.say(*[call(id, 0, "name", needs=[1]) for id in waiting])
    peer.say(call(37, 0, "name"))
    begun = [told(peer)]
    house.gates.pop().open()
    begun.append(told(peer))
    while peer.side.turns:
        peer.side.run_turns()
        begun.append(told(peer))

    ids = [id for each in begun for _, id in each]
    assert ids == ([37, *range(1, 37)] if names == "the target" else [*range(1, 38)])
    assert max(map(len, begun)) <= 11  # with the result itself
    assert 0 == peer.broker.serving.count
    assert not peer.broker.serving.holds
