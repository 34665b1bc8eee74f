"""Errors: what is told, and what is not. Spec: spec/5-errors.md."""

from __future__ import annotations

from .. import values
from ..case import Group
from ..peer import CALL, ERROR, Peer, Unmet

GROUP = Group("errors")


@GROUP.case("a registered error travels with its type, text and data", "PB-E1", "PB-E4")
def registered(peer: Peer) -> None:
    error = peer.fails(peer.call(0, "fail", "registered"), "bank.Insufficient")
    if error.get("msg") != "balance is 5":
        raise Unmet(f"the error is {error}; expected the text 'balance is 5'")


@GROUP.case("its registered bases are told, nearest first", "PB-E14")
def bases(peer: Peer) -> None:
    error = peer.fails(peer.call(0, "fail", "registered"), "bank.Insufficient")
    if error.get("bases", [])[:1] != ["bank.BankError"]:
        raise Unmet(f"bases is {error.get('bases')!r}; expected to begin with bank.BankError")


@GROUP.case("any other error is pb.Internal: no name, text, path or value of the callee", "PB-E5", "PB-E6")
def internal(peer: Peer) -> None:
    error = peer.fails(peer.call(0, "fail", "internal"), "pb.Internal")
    if "hidden" in str(error) or "trace" in error:
        raise Unmet(f"an error that is not registered was told: {error}")


@GROUP.case("each incident has an id of its own", "PB-E5")
def incidents(peer: Peer) -> None:
    ids = set()
    for _ in range(3):
        error = peer.fails(peer.call(0, "fail", "internal"), "pb.Internal")
        told = error.get("data")
        if not isinstance(told, dict) or not isinstance(told.get("ref"), str):
            raise Unmet(f"data of pb.Internal is {told!r}; expected a map whose ref is a str")
        ids.add(told["ref"])
    if len(ids) != 3:
        raise Unmet(f"the incidents of three errors are {ids}; expected three")


@GROUP.case("an error as a value is a value", "PB-E1")
def as_value(peer: Peer) -> None:
    error = values.ExtType(11, values.pack({"type": "bank.Insufficient", "msg": "balance is 5"}))
    found = peer.ask(0, "echo", [error])
    told = values.unpack(found[0].data) if found and isinstance(found[0], values.ExtType) else None
    if not isinstance(told, dict) or (told.get("type"), told.get("msg")) != (
        "bank.Insufficient",
        "balance is 5",
    ):
        raise Unmet(f"an error, echoed, came back as {found!r}")


@GROUP.case("names of errors are looked up among those registered, and nowhere else", "PB-E3", "PB-V14")
def hostile_names(peer: Peer) -> None:
    for name in ("constructor", "__class__", "__proto__", "toString", "builtins.SystemExit", "SystemExit"):
        error = values.ExtType(11, values.pack({"type": name, "msg": "x"}))
        call = peer.call(0, "type_of", error)
        found = peer.settled(call)
        value = values.unpack(found[2])
        if found[0] == 2 and not str(value).startswith(("error", "pb.")):
            raise Unmet(f"an error of the type {name!r} became a {value!r}")
    peer.alive()


@GROUP.case("an answer that cannot be sent fails its call, and no other", "PB-M15", "PB-V26")
def unsendable(peer: Peer) -> None:
    call = peer.call(0, "fail", "unsendable")
    error = peer.fails(call)
    if not isinstance(error["type"], str):
        raise Unmet("the error has no type")
    if peer.ask(0, "echo", 1) != 1:
        raise Unmet("the next call is not served")


@GROUP.case("an error map that is none, in an error of ours, ends the connection or fails the call", "PB-E1")
def no_map(peer: Peer) -> None:
    id = peer.new_id()
    call = peer.call(0, "call", values.ref(id), "hear", [])
    back = peer.read()
    peer.send(3, back[1], values.pack([1, 2]))
    found = peer.read()
    if found[0] == 15:
        if found[1] not in (3, 4):
            raise Unmet(f"BYE {found[1]} came; expected 4")
    elif found[:2] != [3, call]:
        raise Unmet(f"{found} came; expected BYE 4")


@GROUP.case("a pb. error of a callback is not told as one of the call itself", "PB-E10", "PB-E12")
def callbacks_own(peer: Peer) -> None:
    for told in ("pb.Gone", "pb.NoSuchMethod", "pb.Busy"):
        id = peer.new_id()
        call = peer.call(0, "call", values.ref(id), "hear", [])
        back = peer.expect(CALL)
        peer.send(ERROR, back[1], values.pack({"type": told, "msg": "of the callback"}))
        peer.fails(call, "pb.Internal")
