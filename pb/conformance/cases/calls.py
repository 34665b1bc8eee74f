"""Calls, their answers, cancelling and order. Spec: spec/3-messages.md."""

from __future__ import annotations

from typing import Any

import msgpack

from .. import values
from ..case import Group
from ..peer import ANSWERED, CALL, CANCEL, ERROR, Missing, Peer, Unmet, shown

GROUP = Group("calls")


@GROUP.case("a call is answered", "PB-M4")
def echo(peer: Peer) -> None:
    if peer.ask(0, "echo", "hello") != "hello":
        raise Unmet("echo of 'hello' is another")


@GROUP.case("an argument by name is one, or is refused", "PB-M40")
def by_name(peer: Peer) -> None:
    call = peer.call(0, "echo", x=5)
    envelope = peer.settled(call)
    value = values.unpack(envelope[2])
    if envelope[0] == ERROR and value.get("type") != "pb.BadArguments":
        raise Unmet(f"echo(x=5) failed with {value}; expected 5, or pb.BadArguments")
    if envelope[0] == ANSWERED and value != 5:
        raise Unmet(f"echo(x=5) returned {value!r}")


@GROUP.case("a call with id 0 runs and is not answered, whatever comes of it", "PB-M13")
def no_answer(peer: Peer) -> None:
    peer.tell(0, "keep", "told")
    peer.tell(0, "nobody_has_this")
    peer.tell(0, "fail", "internal")
    peer.alive()
    if peer.ask(0, "kept") != "told":
        raise Unmet("a call with id 0 was not run")


@GROUP.case("an id that is not above all earlier ones ends the connection", "PB-M10")
def falling_id(peer: Peer) -> None:
    payload = values.pack([[1], {}])
    peer.send(CALL, 5, 0, "echo", payload)
    peer.result(5)
    peer.send(CALL, 5, 0, "echo", payload)
    peer.bye(3)


@GROUP.case("ids may leave gaps", "PB-M10")
def gaps(peer: Peer) -> None:
    for id in (3, 1000, 2**53 - 1):
        peer.send(CALL, id, 0, "echo", values.pack([[id], {}]))
        if peer.result(id) != id:
            raise Unmet(f"the call with id {id} was answered otherwise")


@GROUP.case("a method that is not there fails that call only", "PB-M5")
def no_method(peer: Peer) -> None:
    for name in ("nobody_has_this", "", "_keep", "__class__", "a.b", "a" * 129, "ｅcho", "x\0", "pb:nothing"):
        peer.fails(peer.call(0, name), "pb.NoSuchMethod")
    peer.alive()


@GROUP.case("an object that is not there fails that call only", "PB-M9")
def no_object(peer: Peer) -> None:
    for target in (1, 99, 2**53 - 1):
        peer.fails(peer.call(target, "ping"), "pb.NoSuchObject")
    peer.alive()


@GROUP.case(
    "a negative target is no object where there is no pipelining, else a violation", "PB-M39", "PB-M23"
)
def negative_target(peer: Peer) -> None:
    call = peer.call(-1, "ping")
    if "pipeline" in peer.info.get("features", []):
        peer.bye(3)
    else:
        peer.fails(call, "pb.NoSuchObject")


@GROUP.case("arguments that do not fit fail that call only", "PB-E9", "PB-M40")
def bad_arguments(peer: Peer) -> None:
    peer.fails(peer.call(0, "echo"), "pb.BadArguments")
    peer.fails(peer.call(0, "echo", 1, 2, 3), "pb.BadArguments")
    peer.fails(peer.call(0, "echo", nobody_knows=1), "pb.BadArguments")
    peer.fails(peer.call(0, "echo", 1, nobody_knows=1), "pb.BadArguments")
    peer.alive()


@GROUP.case("references of a refused call are counted and given back", "PB-M3", "PB-V36")
def refused_arguments(peer: Peer) -> None:
    first, second = peer.new_id(), peer.new_id()
    peer.fails(peer.call(0, "nobody_has_this", values.ref(first), [values.ref(first)]), "pb.NoSuchMethod")
    peer.fails(peer.call(99, "ping", values.ref(second)), "pb.NoSuchObject")
    peer.released_all({first: 2, second: 1})


@GROUP.case(
    "a payload with something unacceptable fails that call, and its references are given back", "PB-V36"
)
def unacceptable(peer: Peer) -> None:
    id = peer.new_id()
    bad = values.copy("os.system", {"inner": values.ref(id)})
    peer.fails(peer.call(0, "keep", bad, values.ref(id)), "pb.Unregistered")
    peer.released_all({id: 2})


@GROUP.case("a malformed payload ends the connection with BYE 4", "PB-V37")
def malformed(peer: Peer) -> None:
    peer.send(CALL, 1, 0, "echo", b"\xc1")
    peer.bye(4)


@GROUP.case("a payload too deep ends the connection with BYE 5", "PB-V27")
def too_deep(peer: Peer) -> None:
    depth = peer.info.get("max_depth", 64) + 1
    peer.send(CALL, 1, 0, "echo", b"\x92\x91" + b"\x91" * depth + b"\xc0" + b"\x80")
    peer.bye(5)


@GROUP.case("a payload as deep as announced is taken", "PB-V27", "PB-V44")
def just_deep_enough(peer: Peer) -> None:
    depth = min(peer.info.get("max_depth", 64), 64) - 2
    value = b"\x91" * depth + b"\xc0"
    peer.send(CALL, 1, 0, "echo", b"\x92\x91" + value + b"\x80")
    found = peer.settled(1)
    if found[0] != ANSWERED or found[2] != value:
        raise Unmet(f"the echo of {depth} nested arrays is {found}")


@GROUP.case("a handler that takes its time holds up no other call", "PB-M6")
def slow_is_alone(peer: Peer) -> None:
    peer.call(0, "slow", 60_000)
    if peer.ask(0, "echo", 1) != 1:
        raise Unmet("echo is another")


@GROUP.case("a cancelled call is answered once, with pb.Cancelled", "PB-M19", "PB-M4")
def cancel(peer: Peer) -> None:
    calls = [peer.call(0, "slow", 60_000) for _ in range(3)]
    for call in calls:
        peer.send(CANCEL, call)
        peer.send(CANCEL, call)
    failed = []
    for _ in calls:
        envelope = peer.expect(ERROR)
        if values.unpack(envelope[2])["type"] != "pb.Cancelled":
            raise Unmet(f"call {envelope[1]} failed otherwise")
        failed.append(envelope[1])
    if sorted(failed) != calls:
        raise Unmet(f"the answers were to the calls {failed}; expected one to each of {calls}")
    peer.alive()


@GROUP.case("to cancel what is answered, or 1,000 times, does nothing", "PB-M9")
def late_cancel(peer: Peer) -> None:
    call = peer.call(0, "echo", 1)
    peer.result(call)
    for _ in range(3):
        peer.send(CANCEL, call)
    peer.alive()


@GROUP.case("to cancel a call never made ends the connection", "PB-M9")
def early_cancel(peer: Peer) -> None:
    peer.send(CANCEL, 7)
    peer.bye(3)


@GROUP.case("no time left: the call is not run", "PB-M14")
def no_time(peer: Peer) -> None:
    peer.fails(peer.call(0, "keep", "late", opts={"ttl": 0}), "pb.DeadlineExceeded")
    if peer.ask(0, "kept") == "late":
        raise Unmet("a call with ttl 0 was run")


@GROUP.case("when the time is over the callee says so, unasked", "PB-M14")
def time_over(peer: Peer) -> None:
    peer.fails(peer.call(0, "slow", 60_000, opts={"ttl": 50}), "pb.DeadlineExceeded")


@GROUP.case("calls to one object start in the order they were sent", "PB-M6")
def fifo(peer: Peer) -> None:
    for number in range(100):
        peer.tell(0, "keep", number)
    if peer.ask(0, "kept") != 99:
        raise Unmet("calls were run in another order than they were sent")


@GROUP.case("calls over max_calls are answered pb.Busy, and not run", "PB-M9", "PB-L4")
def busy(peer: Peer) -> None:
    limit = peer.info.get("max_calls", 16)
    if limit > 5000:
        raise Missing(f"takes {limit} calls at once, more than are made here")
    for _ in range(limit):
        peer.call(0, "slow", 60_000)
    peer.fails(peer.call(0, "echo", 1), "pb.Busy")
    for call in range(1, limit + 1):
        peer.send(CANCEL, call)
    for _ in range(limit):
        peer.expect(ERROR)
    if peer.ask(0, "echo", 1) != 1:
        raise Unmet("after the calls are over a new one is not served")


@GROUP.case("an answer nobody waits for ends the connection", "PB-M9")
def unasked_answer(peer: Peer) -> None:
    peer.send(ANSWERED, 12_345, b"\xc0")
    peer.bye(3)


@GROUP.case("an ext of nobody is unacceptable, not malformed", "PB-V12")
def unknown_ext(peer: Peer) -> None:
    for code in (0, 6, 7, 13, 22, 29, 63):
        peer.fails(peer.call(0, "echo", msgpack.ExtType(code, b"x")), "pb.BadPayload")
    peer.alive()


@GROUP.case("a message of an unknown code ends the connection", "PB-F8", level="leaf")
def unknown_code(peer: Peer) -> None:
    peer.send(17, 1)
    peer.bye(3)


def caused(peer: Peer, opts: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the call that a call with these options makes, and let both end well."""
    id = peer.new_id()
    call = peer.call(0, "call", values.ref(id), "hear", [], opts=opts)
    back = peer.expect(CALL)
    peer.send(ANSWERED, back[1], values.pack("heard"))
    if peer.result(call) != "heard":
        raise Unmet("the result of the callback is not that of the call")
    return back[5] if len(back) == 6 and isinstance(back[5], dict) else {}


@GROUP.case("what is called on behalf of a call gets what is left of its time", "PB-M14")
def inherited_time(peer: Peer) -> None:
    left = caused(peer, {"ttl": 60_000}).get("ttl")
    if type(left) is not int or not 0 < left <= 60_000:
        raise Unmet(f"ttl of the call it made is {left!r}; expected what is left of 60000")
    if "ttl" in caused(peer, {}):
        raise Unmet("a call made on behalf of one without ttl has one")


@GROUP.case("what is called on behalf of a call belongs to its trace", "PB-M42")
def inherited_trace(peer: Peer) -> None:
    """It may have put a span of its own in between: the trace is the same all the same."""
    told = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    trace = caused(peer, {"trace": {"traceparent": told}}).get("trace")
    parent = trace.get("traceparent") if isinstance(trace, dict) else None
    if not isinstance(parent, str) or parent[:36] != told[:36] or len(parent) != len(told):
        raise Unmet(f"trace of the call it made is {trace!r}; expected one of {told[3:35]}")


@GROUP.case("a call given up by its caller is still waited for: its answer may hold references", "PB-M18")
def late_answer(peer: Peer) -> None:
    id, late = peer.new_id(), peer.new_id()
    call = peer.call(0, "call", values.ref(id), "hear", [])
    back = peer.expect(CALL)
    peer.send(CANCEL, call)
    seen = peer.fence() + peer.fence()  # time to give up
    peer.send(ANSWERED, back[1], values.pack(values.ref(late)))
    while [call] not in [envelope[1:2] for envelope in seen if envelope[0] in (ANSWERED, ERROR)]:
        seen.append(peer.read())
    others = [each for each in seen if each[:2] != [CANCEL, back[1]] and each[1] != call]
    if others:
        raise Unmet(f"{shown(others[0])} came; expected CANCEL {back[1]}, and the answer to call {call}")
    peer.released_all({id: 1, late: 1})
