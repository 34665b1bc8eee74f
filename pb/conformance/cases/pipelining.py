"""Calls on results to come. Feature `pipeline`. Spec: the page on pipelining, spec/3-messages.md."""

from __future__ import annotations

from .. import values
from ..case import Group
from ..peer import ANSWERED, CANCEL, ERROR, FINISH, RELEASE, Peer, Unmet, shown

GROUP = Group("pipelining")
KEEP = {"keep": True}


@GROUP.case("a call on the result of a call is one round trip", "PB-M22", level="full")
def chain(peer: Peer) -> None:
    peer.need("pipeline")
    first = peer.call(0, "make", opts=KEEP)
    second = peer.call(-first, "itself", opts=KEEP)
    third = peer.call(-second, "ping")
    id = peer.object_of(peer.result(first))
    if peer.object_of(peer.result(second)) != id:
        raise Unmet("itself() of a new object is another object")
    if peer.result(third) != "pong":
        raise Unmet("ping() on a result to come is not 'pong'")
    peer.send(FINISH, [first, second])
    peer.send(RELEASE, [id, 2])
    peer.fails(peer.call(id, "ping"), "pb.NoSuchObject")


@GROUP.case(
    "a kept result can be named until FINISH, also where its object was released", "PB-M21", level="full"
)
def kept(peer: Peer) -> None:
    peer.need("pipeline")
    call = peer.call(0, "make", opts=KEEP)
    id = peer.object_of(peer.result(call))
    peer.send(RELEASE, [id, 1])
    if peer.ask(-call, "ping") != "pong":
        raise Unmet("a kept result does not answer")
    peer.send(FINISH, [call])
    peer.alive()


@GROUP.case("a result to come may be an argument", "PB-M22", "PB-M23", level="full")
def argument(peer: Peer) -> None:
    peer.need("pipeline")
    call = peer.call(0, "make", opts=KEEP)
    same = peer.call(0, "same", values.answer(call), values.answer(call), opts={"needs": [call]})
    peer.object_of(peer.result(call))
    if peer.result(same) is not True:
        raise Unmet("same(q, q) of one result to come is not true")
    peer.send(FINISH, [call])


@GROUP.case(
    "a call waits for its target, and only calls to the same target wait with it", "PB-M8", level="full"
)
def waits(peer: Peer) -> None:
    peer.need("pipeline")
    slow = peer.call(0, "slow_make", 50, opts=KEEP)
    waiting = peer.call(-slow, "ping")
    if peer.ask(0, "echo", 1) != 1:
        raise Unmet("a call to another target waited too")
    peer.object_of(peer.result(slow))
    if peer.result(waiting) != "pong":
        raise Unmet("the call that waited was answered otherwise")
    peer.send(FINISH, [slow])


@GROUP.case(
    "where the first fails, the second fails with the same cause and is not run", "PB-M22", level="full"
)
def broken(peer: Peer) -> None:
    peer.need("pipeline")
    first = peer.call(0, "fail", "registered", opts=KEEP)
    second = peer.call(-first, "ping")
    peer.fails(first, "bank.Insufficient")
    error = peer.fails(second, "pb.BrokenPromise")
    if (error.get("cause") or {}).get("type") != "bank.Insufficient":
        raise Unmet(f"the cause of BrokenPromise is {error.get('cause')!r}; expected bank.Insufficient")
    peer.send(FINISH, [first])
    peer.alive()


@GROUP.case("a result that is no object can be called by nobody", "PB-M22", level="full")
def no_object(peer: Peer) -> None:
    peer.need("pipeline")
    first = peer.call(0, "echo", 5, opts=KEEP)
    second = peer.call(-first, "ping")
    if peer.result(first) != 5:
        raise Unmet("echo is another")
    peer.fails(second, "pb.NotPipelinable")
    peer.send(FINISH, [first])


@GROUP.case("our own object, coming back, is called by nobody on our behalf", "PB-M22", level="full")
def our_own(peer: Peer) -> None:
    peer.need("pipeline")
    id = peer.new_id()
    first = peer.call(0, "echo", values.ref(id), opts=KEEP)
    second = peer.call(-first, "ping")
    if peer.result(first) != values.home(id):
        raise Unmet("our object did not come home")
    peer.fails(second, "pb.NotPipelinable")
    peer.send(FINISH, [first])


@GROUP.case("FINISH of what was not kept, or twice, ends the connection", "PB-M9", level="full")
def finish_twice(peer: Peer) -> None:
    peer.need("pipeline")
    call = peer.call(0, "make", opts=KEEP)
    peer.result(call)
    peer.send(FINISH, [call])
    peer.alive()
    peer.send(FINISH, [call])
    peer.bye(3)


@GROUP.case("FINISH before the answer ends the connection", "PB-M9", level="full")
def finish_early(peer: Peer) -> None:
    peer.need("pipeline")
    call = peer.call(0, "slow_make", 60_000, opts=KEEP)
    peer.send(FINISH, [call])
    peer.bye(3)


@GROUP.case("a call on the result of one that was not kept ends the connection", "PB-M23", level="full")
def not_kept(peer: Peer) -> None:
    peer.need("pipeline")
    call = peer.call(0, "make")
    peer.result(call)
    peer.call(-call, "ping")
    peer.bye(3)


@GROUP.case("a waiting call can be cancelled", "PB-M19", level="full")
def cancel_waiting(peer: Peer) -> None:
    peer.need("pipeline")
    slow = peer.call(0, "slow_make", 60_000, opts=KEEP)
    waiting = peer.call(-slow, "ping")
    peer.send(CANCEL, waiting)
    seen = peer.expect(ERROR)
    if seen[1] != waiting:
        raise Unmet(f"{shown(seen)} came; expected the error of call {waiting}")
    peer.send(CANCEL, slow)
    peer.fails(slow, "pb.Cancelled")
    peer.send(FINISH, [slow])
    peer.alive()


@GROUP.case("a chain of 300 does not make it fail", "PB-M8", "PB-P20", level="full")
def long_chain(peer: Peer) -> None:
    peer.need("pipeline")
    length = min(300, peer.info.get("max_calls", 16) - 2)
    first = last = peer.call(0, "slow_make", 30, opts=KEEP)
    calls = [first]
    for _ in range(length):
        last = peer.call(-last, "itself", opts=KEEP)
        calls.append(last)
    ids = set()
    for call in calls:
        envelope = peer.expect(ANSWERED)
        if envelope[1] != call:
            raise Unmet(f"{shown(envelope)} came; expected the answer to call {call}")
        ids.add(peer.object_of(values.unpack(envelope[2])))
    if len(ids) != 1:
        raise Unmet("the objects of a chain are not one")
    peer.send(FINISH, calls)
    peer.alive()


@GROUP.case("more results kept than max_calls end the connection with BYE 6", "PB-P4", level="full")
def kept_too_many(peer: Peer) -> None:
    peer.need("pipeline")
    limit = peer.info.get("max_calls", 16)
    if limit > 5000:
        return
    for _ in range(limit):
        peer.result(peer.call(0, "echo", None, opts=KEEP))
    peer.call(0, "echo", None, opts=KEEP)
    said = peer.read()
    while said[0] == ANSWERED:
        said = peer.read()
    if said[:2] != [15, 6]:
        raise Unmet(f"{shown(said)} came; expected BYE 6")
