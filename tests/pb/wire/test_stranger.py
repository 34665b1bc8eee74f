"""The stranger profile: what a peer may do before it has logged in. spec/9-login.md, "Strangers"."""

from __future__ import annotations

import msgpack
import pytest

import cred
from jelly import InsecureJelly, MalformedJelly
from pb import messages
from pb.auth.root import AuthRoot
from pb.errors import ProtocolError
from pb.wire.stranger import MAX_BYTES, MAX_CALLS, Stranger

from ..auth.doors import ANSWER, CALL, CANCEL, PING, RELEASE, Knock, Told, authorizer, number
from ..pump import frame

POLICY = messages.BYE_POLICY


def knock(**options):
    """Come to a server as nobody."""
    return Knock(AuthRoot(authorizer(), **options))


def loads(value):
    return Stranger().loads_call(msgpack.packb(value), None)


def test_plain_values_are_read():
    """What the messages of a login are made of, and no more."""
    assert (["m", b"data", 1, None, True, [1]], {"initial": b""}) == loads(
        [["m", b"data", 1, None, True, [1]], {"initial": b""}]
    )


@pytest.mark.parametrize(
    "value", [None, [], [[]], [{}, {}], [[], []], [[], {}, 1], [[], {b"k": 1}], {"a": 1}], ids=repr
)
def test_what_is_no_call_is_malformed(value):
    """The connection ends: no honest client sends it."""
    with pytest.raises(MalformedJelly):
        loads(value)


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x92\x90", b"\x92\x90\x80\x00", b"\x92\x91\xa1\xff\x80"])
def test_what_is_no_msgpack_is_malformed(payload):
    """Cut short, with something behind it, not UTF-8."""
    with pytest.raises(MalformedJelly):
        Stranger().loads_call(payload, None)


def test_deep_values_are_too_large():
    """Four levels hold [args, kwargs], a list in it, and one in that."""
    assert ([[[]]], {}) == loads([[[[]]], {}])
    with pytest.raises(MalformedJelly) as error:
        loads([[[[[]]]], {}])
    assert error.value.too_large


@pytest.mark.parametrize("code", [*range(1, 12), 100, 127])
def test_exts_are_refused(code):
    """No reference, no copy, no cache: nothing is counted or built for a stranger."""
    with pytest.raises(InsecureJelly, match="only plain values"):
        loads([[msgpack.ExtType(code, b"\x01")], {}])


def test_times_are_refused():
    """The rule says no Ext at all; a time is one, wherever it stands."""
    time = msgpack.Timestamp(1, 2)
    for args, kwargs in ([[time], {}], [[], {"initial": time}], [[{"initial": [time]}], {}]):
        with pytest.raises(InsecureJelly):
            loads([args, kwargs])
    assert ([{"initial": b"\xff"}], {}) == loads([[{"initial": b"\xff"}], {}])


def test_an_ext_fails_the_call_and_keeps_the_connection():
    """A mistake of a client is told to it."""
    peer = knock()
    with pytest.raises(Told) as told:
        peer.call(0, "login", "SCRAM-SHA-256", msgpack.ExtType(1, b"\x01"))
    assert "pb.Forbidden" == told.value.type
    assert peer.bye is None
    assert peer.log_in(peer.scram())


def test_the_ninth_call_ends_the_connection():
    """A login takes two."""
    peer = knock()
    for _ in range(MAX_CALLS):
        assert peer.bye is None
        peer.begin(0, "nothing")
    peer.begin(0, "nothing")

    assert POLICY == peer.bye
    assert 8 == MAX_CALLS


def test_calls_that_want_no_answer_count_as_calls():
    """Else they were free."""
    peer = knock()
    peer.say(*[[CALL, 0, 0, "nothing", msgpack.packb([[], {}])]] * 9)

    assert POLICY == peer.bye


def test_a_batch_is_no_way_around_the_count():
    """Nine calls in one frame."""
    peer = knock()
    peer.say([[CALL, id, 0, "nothing", msgpack.packb([[], {}])] for id in range(1, 10)])

    assert POLICY == peer.bye


def test_frames_of_4_kib_are_read_and_larger_ones_end_the_connection():
    """The bound of HELLO stays in force: nothing larger is ever buffered."""
    call = msgpack.packb([CALL, 1, 0, "login", msgpack.packb([["m", b""], {}])])
    room = 4096 - len(call) - 2  # of two lengths, each takes one byte more
    for size, bye in ((room, None), (room + 1, messages.BYE_TOO_LARGE)):
        peer = knock()
        data = frame([CALL, 1, 0, "login", msgpack.packb([["m", bytes(size)], {}])])
        assert (4096 if bye is None else 4097) == len(data) - 4
        peer.send(data)
        assert bye == peer.bye


def test_the_length_of_a_large_frame_is_enough_to_refuse_it():
    """Before a byte of it is there."""
    peer = knock()
    peer.send((4097).to_bytes(4, "big"))

    assert messages.BYE_TOO_LARGE == peer.bye


@pytest.mark.unmeasured
@pytest.mark.parametrize("message", [[PING, 7], [CANCEL, 1], [14, 7]], ids=["PING", "CANCEL", "PONG"])
def test_floods_end_at_16_kib(message):
    """Whatever may be said by strangers: in all it is 16 KiB."""
    peer = knock()
    peer.begin(0, "nothing")
    sent = 0
    while peer.bye is None:
        peer.say(message)
        sent += len(frame(message)) - 4
        assert sent <= MAX_BYTES + 4

    assert POLICY == peer.bye
    assert 16 * 1024 == MAX_BYTES


@pytest.mark.parametrize(
    "message",
    [
        [ANSWER, 1, b"\xc0"],
        [3, 1, b"\x80"],
        [7, 0, 1, "set", b"\x92\x90\x80"],
        [8, [1]],
        [0, "PB", 1, {}],
        [5, 1],
        [10, 1],
        [99, 1],
        [[]],
    ],
    ids=repr,
)
def test_messages_that_only_those_inside_may_send_end_the_connection(message):
    """Nothing was asked of a stranger, and nothing is held for it."""
    peer = knock()
    peer.say(message)

    assert messages.BYE_PROTOCOL == peer.bye


@pytest.mark.parametrize("target", [1, 2, 2**53 - 1])
def test_there_is_no_other_object_to_call(target):
    """Authority lives in references, and none has been given (PB-A40)."""
    peer = knock()
    with pytest.raises(Told) as told:
        peer.call(target, "login", "ANONYMOUS", b"")
    assert "pb.NoSuchObject" == told.value.type


@pytest.mark.parametrize(
    "method", ["attach", "keys", "logout", "refuse", "accept", "hold_back", "", "__init__"]
)
def test_the_root_has_one_method(method):
    """Who is not logged in can log in."""
    peer = knock()
    with pytest.raises(Told) as told:
        peer.call(0, method)
    assert "pb.NoSuchMethod" == told.value.type


@pytest.mark.parametrize("args", [[], ["m"], ["m", b"", b""]])
def test_arguments_that_do_not_fit_are_refused(args):
    """An ordinary refusal, and no incident."""
    peer = knock()
    with pytest.raises(Told) as told:
        peer.call(0, "login", *args)
    assert "pb.BadArguments" == told.value.type
    assert 0 == peer.host.incidents


def test_the_object_of_a_challenge_has_one_method():
    """It is given to strangers too."""
    peer = knock()
    target = number(peer.challenge(peer.scram())["next"])
    for method in ("receive", "login", "is_void"):
        with pytest.raises(Told) as told:
            peer.call(target, method, b"")
        assert "pb.NoSuchMethod" == told.value.type


def test_the_challenge_may_be_released():
    """As an honest client does after it has answered: spec/9-login.md, worked example."""
    peer = knock()
    prover = peer.scram()
    step = peer.challenge(prover)
    target = number(step["next"])
    step = peer.call(target, "respond", prover.respond(step["data"]))
    peer.say([RELEASE, [target, 1]])

    assert peer.bye is None
    assert "identity" in step
    assert {0, number(step["identity"])} == set(peer.host.broker.tables.exports)


def test_releasing_the_challenge_before_it_is_answered_ends_the_login_and_no_more():
    """RELEASE of what is held is no violation."""
    peer = knock()
    target = number(peer.challenge(peer.scram())["next"])
    peer.say([RELEASE, [target, 1]])
    with pytest.raises(Told) as told:
        peer.call(target, "respond", b"")
    assert "pb.NoSuchObject" == told.value.type
    assert peer.log_in(peer.scram())


@pytest.mark.parametrize("released", [[0, 1], [1, 1], [7, 2**60], [1], [0, 1, 2]])
def test_releasing_what_is_not_held_ends_the_connection(released):
    """As for everybody."""
    peer = knock()
    peer.say([RELEASE, released])
    assert messages.BYE_PROTOCOL == peer.bye


def test_nothing_of_it_is_left_after_a_login():
    """Calls, bytes, frames, values: as if it had never been."""
    peer = knock()
    identity = peer.log_in(peer.scram())
    assert peer.host.broker.scope.decoder is not None
    assert not isinstance(peer.host.broker.scope.decoder, Stranger)
    for _ in range(3 * MAX_CALLS):
        peer.call(identity, "keys")
    with pytest.raises(Told) as told:
        peer.call(identity, "attach", "x" * 3 * MAX_BYTES, [[[[[[msgpack.ExtType(1, b"\x05")]]]]]])
    assert "pb.Forbidden" == told.value.type
    peer.say(*[[PING, 1]] * 1_000)
    assert peer.bye is None
    assert peer.host.broker.limits.max_frame == peer.host.broker.reader.max_frame


def test_a_second_login_is_no_stranger_s():
    """Two identities on one connection, and each lists its own."""
    peer = knock()
    first = peer.log_in(peer.scram())
    second = peer.log_in(peer.scram("bob", "the one of bob"))

    assert [["chat", "alice"], ["chat", "ops"]] == peer.call(first, "keys")
    assert [["chat", "bob"]] == peer.call(second, "keys")


def test_the_tries_count_on_after_a_login():
    """Who has one password has no free guesses at others."""
    peer = knock()
    peer.log_in(peer.scram())
    for _ in range(3):
        assert peer.bye is None
        with pytest.raises(Told):
            peer.call(0, "login", "nothing", b"")
    peer.listen()
    assert POLICY == peer.bye


def test_who_has_logged_out_is_no_stranger_again():
    """The profile is lifted for the connection; the identity is gone."""
    peer = knock()
    identity = peer.log_in(peer.scram())
    assert peer.call(identity, "logout") is None
    with pytest.raises(Told) as told:
        peer.call(identity, "keys")
    assert "pb.Gone" == told.value.type
    assert peer.log_in(peer.scram())


def test_bye_is_no_way_around_the_count():
    """A stranger that has said BYE is a stranger all the same."""
    peer = knock()
    peer.say([messages.BYE, messages.BYE_NORMAL, "", 0])
    served = 0
    for _ in range(2 * MAX_CALLS):
        peer.begin(0, "nothing")
        served = sum(message[0] == 3 for message in peer.inbox)
    assert served <= MAX_CALLS


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_login_that_meets_a_bye_is_no_incident(who):
    """What is under way is finished, or refused: an error of ours, with a traceback, it is not."""
    peer = Knock(AuthRoot(authorizer(), anonymous="guest"), is_patient=True)
    for _ in range(4):
        peer.host.broker.tables.exports[0].object._auth.throttle.failed("elsewhere", "guest")
    peer.begin(0, "login", "ANONYMOUS", b"")
    if who == "server":
        peer.host.broker.close()
    else:
        peer.say([messages.BYE, messages.BYE_NORMAL, "", 0])
    peer.host.wake()
    peer.listen()
    assert 0 == peer.host.incidents


def test_a_stranger_is_not_told_apart_by_who_it_will_be():
    """The first answer to anonymous, and what it lifts."""
    peer = knock(anonymous="guest")
    identity = peer.log_in(cred.Anonymous())
    assert [["chat", "guest"]] == peer.call(identity, "keys")


def test_a_count_raises_at_its_bound_and_not_before():
    """Both counts by themselves."""
    stranger = Stranger()
    stranger.count_bytes(MAX_BYTES)
    with pytest.raises(ProtocolError, match="bytes before login"):
        stranger.count_bytes(1)
    for _ in range(MAX_CALLS):
        stranger.count_call()
    with pytest.raises(ProtocolError, match="calls before login"):
        stranger.count_call()
