"""References: counted, released, coming home, called back, revoked. Spec: spec/4-references.md."""

from __future__ import annotations

from .. import values
from ..case import Group
from ..peer import ANSWERED, CALL, ERROR, GONE, RELEASE, Peer, Unmet, shortest, shown

GROUP = Group("references")


def given(peer: Peer) -> int:
    """How many of its objects we hold, as it counts."""
    count = peer.ask(0, "count")
    if not isinstance(count, int):
        raise Unmet(f"count() is {count!r}; expected an integer")
    return count


@GROUP.case("an object of its own can be called, and is given back", "PB-R1", "PB-R3")
def make(peer: Peer) -> None:
    before = given(peer)
    id = peer.object_of(peer.ask(0, "make"))
    if peer.ask(id, "ping") != "pong":
        raise Unmet("ping() of a new object is not 'pong'")
    if given(peer) != before + 1:
        raise Unmet("count() has not grown by the one that we hold")
    peer.send(RELEASE, [id, 1])
    if given(peer) != before:
        raise Unmet("a released object is still counted")
    peer.fails(peer.call(id, "ping"), "pb.NoSuchObject")


@GROUP.case("each occurrence counts, and all have to come back", "PB-R1", "PB-R3", "PB-R11")
def occurrences(peer: Peer) -> None:
    before = given(peer)
    id = peer.object_of(peer.ask(0, "make"))
    again = peer.ask(0, "echo", [values.home(id), values.home(id)])
    found = [peer.object_of(one) for one in again]
    if found != [id, id]:
        raise Unmet(f"its own object {id}, sent home twice, came back as {found}; expected its id (PB-R11)")
    peer.send(RELEASE, [id, 2])
    if given(peer) != before + 1:
        raise Unmet("after two of three releases the object is not held any longer")
    peer.send(RELEASE, [id, 1])
    if given(peer) != before:
        raise Unmet("after three of three releases the object is still held")


@GROUP.case("ids are never used again", "PB-R4")
def fresh_ids(peer: Peer) -> None:
    seen = set()
    for _ in range(20):
        id = peer.object_of(peer.ask(0, "make"))
        if id in seen:
            raise Unmet(f"id {id} was used again after it was released")
        seen.add(id)
        peer.send(RELEASE, [id, 1])


@GROUP.case("to release more than is held, nothing, or the root ends the connection", "PB-R3", "PB-M9")
def over_release(peer: Peer) -> None:
    id = peer.object_of(peer.ask(0, "make"))
    peer.send(RELEASE, [id, 2])
    peer.bye(3)


@GROUP.case("to release the root ends the connection", "PB-R3")
def root_release(peer: Peer) -> None:
    peer.send(RELEASE, [0, 1])
    peer.bye(3)


@GROUP.case("our object comes home as itself", "PB-R8", "PB-V10")
def comes_home(peer: Peer) -> None:
    id = peer.new_id()
    found = peer.ask(0, "echo", values.ref(id))
    if values.number_of(found, values.HOME) != id:
        raise Unmet(f"our object {id}, echoed, came as {found!r}; expected HOME {id}")
    shortest(found)
    peer.released_all({id: 1})


@GROUP.case("two references to one object are the same object", "PB-R6", "PB-R13")
def identity(peer: Peer) -> None:
    id, other = peer.new_id(), peer.new_id()
    if peer.ask(0, "same", values.ref(id), values.ref(id)) is not True:
        raise Unmet("same(a, a) of one reference is not true")
    if peer.ask(0, "same", values.ref(id), values.ref(other)) is not False:
        raise Unmet("same(a, b) of two references is not false")
    peer.released_all({id: 3, other: 1})


@GROUP.case("a callback is a call to our object, while ours still waits", "PB-M1")
def callback(peer: Peer) -> None:
    id = peer.new_id()
    call = peer.call(0, "call", values.ref(id), "hear", ["words"])
    back = peer.expect(CALL)
    if back[2] != id or back[3] != "hear" or values.unpack(back[4]) != [["words"], {}]:
        raise Unmet(f"{shown(back)} came; expected hear('words') on object {id}")
    if peer.ask(0, "echo", "meanwhile") != "meanwhile":
        raise Unmet("no other call is served while it waits for a callback")
    peer.send(ANSWERED, back[1], values.pack("heard"))
    if peer.result(call) != "heard":
        raise Unmet("the result of the callback is not that of the call")
    peer.released_all({id: 1})


@GROUP.case("an error of a callback fails the call that made it, without its content", "PB-E4", "PB-E7")
def failing_callback(peer: Peer) -> None:
    id = peer.new_id()
    call = peer.call(0, "call", values.ref(id), "hear", [])
    back = peer.expect(CALL)
    told = {"type": "secret.Thing", "msg": "a secret"}
    peer.send(ERROR, back[1], values.pack(told))
    error = peer.fails(call)
    if "secret" in str(error):
        raise Unmet(f"the error of a callback was passed on: {error}")


@GROUP.case("what it keeps it has not released; what it drops comes back, once", "PB-R2")
def keep_and_drop(peer: Peer) -> None:
    id = peer.new_id()
    peer.ask(0, "keep", [values.ref(id), {"again": values.ref(id)}])
    peer.alive()
    if peer.released[id]:
        raise Unmet("it released an object that it keeps")
    found = peer.ask(0, "kept")
    if found != [values.home(id), {"again": values.home(id)}]:
        raise Unmet(f"what it kept came back as {found!r}")
    peer.released_all({id: 2})


@GROUP.case("a mention goes before the release that drops it", "PB-R5")
def home_before_release(peer: Peer) -> None:
    id = peer.new_id()
    call = peer.call(0, "echo", values.ref(id))
    envelope = peer.settled(call)
    if peer.released[id]:
        raise Unmet("RELEASE came before the ANSWER that names the object")
    if values.unpack(envelope[2]) != values.home(id):
        raise Unmet("the answer does not name our object")
    peer.released_all({id: 1})


@GROUP.case("a reference sent again while its release is under way is a new one", "PB-R6")
def crossing_release(peer: Peer) -> None:
    id = peer.new_id()
    peer.ask(0, "keep", values.ref(id))
    drop = peer.call(0, "drop")
    again = peer.call(0, "keep", values.ref(id))
    peer.result(drop)
    peer.result(again)
    call = peer.call(0, "call", values.ref(id), "hear", [])
    back = peer.expect(CALL)
    peer.send(ANSWERED, back[1], values.pack(None))
    peer.result(call)
    peer.released_all({id: 3})


@GROUP.case("a release and a mention of its own object that cross are both right", "PB-R3", "PB-R6")
def crossing_mention(peer: Peer) -> None:
    id = peer.object_of(peer.ask(0, "make"))
    peer.ask(0, "keep", values.home(id))
    call = peer.call(0, "kept")
    peer.send(RELEASE, [id, 1])
    if peer.object_of(peer.result(call)) != id:
        raise Unmet("an object in two hands got two ids")
    if peer.ask(id, "ping") != "pong":
        raise Unmet("the object does not answer any longer")
    peer.send(RELEASE, [id, 1])
    peer.fails(peer.call(id, "ping"), "pb.NoSuchObject")


@GROUP.case("HOME of what is not there is unacceptable, not malformed", "PB-R9", "PB-V36")
def no_home(peer: Peer) -> None:
    peer.fails(peer.call(0, "echo", values.home(99)), "pb.NoSuchObject")
    peer.alive()


@GROUP.case("a call on an object that we have taken back fails at its caller, and is not sent", "PB-M29")
def gone(peer: Peer) -> None:
    id = peer.new_id()
    peer.ask(0, "keep", values.ref(id))
    peer.send(GONE, [id])
    peer.alive()
    call = peer.call(0, "call_kept", "hear", [])
    peer.fails(call, "pb.Gone", "pb.Internal")
    peer.released_all({id: 1})


@GROUP.case("GONE of what is not held is ignored", "PB-M9")
def gone_of_nothing(peer: Peer) -> None:
    peer.send(GONE, [77, 78])
    peer.alive()


@GROUP.case("calls with a reference in every odd place leave nothing behind", "PB-R2", "PB-R1")
def everywhere(peer: Peer) -> None:
    before = given(peer)
    ids = [peer.new_id() for _ in range(4)]
    value = {
        "list": [values.ref(ids[0])],
        "tuple": values.ExtType(values.TUPLE, values.pack([values.ref(ids[1])])),
        "set": values.ExtType(values.SET, values.pack([values.ref(ids[2])])),
        "copy": values.copy("geo.Point", {"x": values.ref(ids[3]), "y": 0}),
    }
    peer.ask(0, "echo", value)
    peer.released_all(dict.fromkeys(ids, 1))
    if given(peer) != before:
        raise Unmet("count() has changed")


@GROUP.case("an answer that is not sent gives back what it counted", "PB-R7", raw=True)
def unsent(peer: Peer) -> None:
    peer.hello(max_frame=4096)
    before = given(peer)
    id = peer.object_of(peer.ask(0, "make"))
    peer.fails(peer.call(0, "echo", [values.home(id), bytes(5000)]), "pb.TooLarge")
    peer.send(RELEASE, [id, 1])
    if given(peer) != before:
        raise Unmet("an answer too long for us was not sent, but the object in it is counted all the same")
    peer.fails(peer.call(id, "ping"), "pb.NoSuchObject")
