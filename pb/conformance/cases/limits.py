"""What we announce is kept, and what it announces is enough. Spec: spec/6-limits.md."""

from __future__ import annotations

import time

from .. import values
from ..case import Group
from ..peer import CALL, GONE, PING, Missing, Peer, Unmet, shown

GROUP = Group("limits")


@GROUP.case("it hands out no more objects than we hold", "PB-R12", "PB-F19", raw=True)
def max_refs(peer: Peer) -> None:
    peer.hello(max_refs=3)
    for _ in range(3):
        peer.object_of(peer.ask(0, "make"))
    peer.fails(peer.call(0, "make"), "pb.TooLarge")
    if peer.ask(0, "echo", 1) != 1:
        raise Unmet("after an object too many nothing is served")


@GROUP.case("it sends nothing deeper than we take", "PB-V28", raw=True)
def max_depth(peer: Peer) -> None:
    peer.hello(max_depth=8)
    value: object = 1
    for _ in range(12):
        value = [value]
    peer.fails(peer.call(0, "echo", value), "pb.TooLarge")
    if peer.ask(0, "echo", [[1]]) != [[1]]:
        raise Unmet("a value that is not too deep is not echoed")


@GROUP.case("it sends no more arrays and maps than we take", "PB-V49", "PB-F19", raw=True)
def max_containers(peer: Peer) -> None:
    peer.hello(max_containers=4096)
    if peer.info.get("max_containers", 131_072) < 5000:
        raise Missing("takes no more itself, so it cannot be asked to echo them")
    many: list[object] = [[] for _ in range(4096)]
    peer.fails(peer.call(0, "echo", many), "pb.TooLarge")
    if peer.ask(0, "echo", many[1:]) != many[1:]:
        raise Unmet("a value of as many as we take is not echoed")


@GROUP.case("a payload of too many arrays ends the connection with BYE 5", "PB-V49")
def too_many_containers(peer: Peer) -> None:
    most = peer.info.get("max_containers", 131_072)
    if most + 100 > peer.info.get("max_frame", 65_536):
        raise Missing("takes no frame that could hold too many")
    # Of the payload there are four beside: both, the arguments, this one and the map of names.
    allowed, too_many = (
        b"\x92\x91\xdd" + count.to_bytes(4, "big") + b"\x90" * count + b"\x80"
        for count in (most - 4, most - 3)
    )
    call = peer.next_call()
    peer.send(CALL, call, 0, "keep", allowed)
    if peer.result(call) is not None:
        raise Unmet("as many as it takes are not kept")
    peer.send(CALL, peer.next_call(), 0, "keep", too_many)
    peer.bye(5)


@GROUP.case("it sends no frame longer than we take", "PB-F19", "PB-M15", raw=True)
def max_frame(peer: Peer) -> None:
    peer.hello(max_frame=4096)
    peer.ask(0, "keep", bytes(3000), bytes(3000))
    peer.fails(peer.call(0, "echo", [bytes(2500), bytes(2500)]), "pb.TooLarge")
    if peer.ask(0, "echo", bytes(2000)) != bytes(2000):
        raise Unmet("a value that is not too long is not echoed")


@GROUP.case("keys that anybody can make collide are bounded", "PB-V18", "PB-L1")
def floodable(peer: Peer) -> None:
    limit = peer.info.get("max_floodable_keys", 4096)
    if limit > 20_000:
        raise Missing(f"takes {limit} floodable keys, more than are sent here")
    pairs = [part for key in range(limit + 1) for part in (2**40 + key * 7, None)]
    map_ext = values.ExtType(19, values.pack(pairs))
    peer.fails(peer.call(0, "echo", map_ext), "pb.TooLarge")
    peer.alive()


@GROUP.case("who announced a limit to silence hears something in half that time", "PB-F23", raw=True)
def idle(peer: Peer) -> None:
    peer.hello(idle=2)
    begun = time.monotonic()
    # Read below `read`, which would answer the PING and go on.
    envelope = peer.next_of_any_kind(2.0)
    if envelope is None:
        raise Unmet(
            f"nothing came within {time.monotonic() - begun:.1f} s; expected a sign of life within 1 s"
        )
    if envelope[0] != PING:
        raise Unmet(f"{shown(envelope)} came; expected a PING, which is what there is to say")


@GROUP.case("PONGs come in the order of the PINGs, between the answers", "PB-M34")
def pongs(peer: Peer) -> None:
    calls = [peer.call(0, "echo", 0)]
    for number in range(20):
        peer.send(PING, number)
        calls.append(peer.call(0, "echo", number))
    pongs: list[int] = []
    answers: list[int] = []
    while len(answers) < len(calls):
        envelope = peer.read()
        (pongs if envelope[0] == 14 else answers).append(envelope[1])
    if pongs != list(range(20)) or answers != calls:
        raise Unmet(f"PONGs came as {pongs} and answers as {answers}")


@GROUP.case("GONE of the root is ignored: a root cannot be taken away", "PB-R35", "PB-M9")
def gone_root(peer: Peer) -> None:
    peer.send(GONE, [0])
    peer.alive()


@GROUP.case("a peer that does not read for a while loses nothing", "PB-F25", "PB-F26")
def slow_reader(peer: Peer) -> None:
    size = min(peer.info.get("max_frame", 65_536) // 4, 50_000)
    count = min(peer.info.get("max_calls", 16), 60)
    calls = [peer.call(0, "echo", bytes(size)) for _ in range(count)]
    time.sleep(0.2)
    for call in calls:
        if len(peer.result(call)) != size:
            raise Unmet("an answer that waited for us is another")


@GROUP.case("what may be called is told in plain values, or not at all", "PB-M41")
def described(peer: Peer) -> None:
    call = peer.call(0, "pb:describe")
    envelope = peer.settled(call)
    told = values.unpack(envelope[2])
    if envelope[0] == 3:
        if told.get("type") != "pb.NoSuchMethod":
            raise Unmet(f"pb:describe failed with {told}; expected pb.NoSuchMethod where it is not there")
        return
    names = [method["name"] for method in told["methods"]]
    if "echo" not in names or any(name.startswith("_") for name in names):
        raise Unmet(f"the methods described are {names}; expected echo and no private ones")
    peer.fails(peer.call(0, "pb:describe", 1), "pb.BadArguments")


@GROUP.case("it sends no more Exts than we take", "PB-V48", "PB-F19", raw=True)
def max_exts(peer: Peer) -> None:
    peer.hello(max_exts=256)
    if peer.info.get("max_exts", 20_480) < 257:
        raise Missing("takes no more itself, so it cannot be asked to echo them")
    many = [values.ExtType(28, number.to_bytes(16, "big")) for number in range(257)]
    peer.fails(peer.call(0, "echo", many), "pb.TooLarge")
    if peer.ask(0, "echo", many[1:]) != many[1:]:
        raise Unmet("a value of as many as we take is not echoed")
