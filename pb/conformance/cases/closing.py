"""The end: BYE that drains, BYE that aborts, and what becomes of calls. Spec: spec/2-frames.md, 2.7."""

from __future__ import annotations

from typing import Any

from .. import values
from ..case import Group
from ..peer import ANSWERED, BYE, CALL, CANCEL, ERROR, Peer, Unmet, shown

GROUP = Group("closing")


@GROUP.case("a BYE that drains is answered by one", "PB-F30", "PB-M38", level="leaf")
def bye_for_bye(peer: Peer) -> None:
    peer.send(BYE, 0, "", 0)
    said = peer.expect(BYE)
    if said[1] not in (0, 1):
        raise Unmet(f"{shown(said)} came; expected a BYE that drains")


@GROUP.case("last of its BYE is the highest call that it has run", "PB-F49")
def last(peer: Peer) -> None:
    for number in range(3):
        peer.ask(0, "echo", number)
    peer.send(BYE, 0, "", 0)
    said = peer.expect(BYE)
    if said[3] != 3:
        raise Unmet(f"last of its BYE is {said[3]}; expected 3")


@GROUP.case("what runs when BYE comes is finished and answered", "PB-F32")
def drain(peer: Peer) -> None:
    call = peer.call(0, "slow", 30)
    peer.send(BYE, 0, "", 0)
    seen: dict[int, list[Any]] = {}
    while len(seen) < 2:
        envelope = peer.read()
        seen[envelope[0]] = envelope
    if seen.get(ANSWERED, [None, None])[1] != call:
        raise Unmet(f"a call that ran when BYE came was not answered: {seen}")


@GROUP.case("a handler that calls back while both sides drain goes on, or is refused", "PB-F31", "PB-F32")
def callback_while_draining(peer: Peer) -> None:
    """To make such a call is allowed, no duty; to answer the call that it serves is one."""
    id = peer.new_id()
    call = peer.call(0, "call_later", values.ref(id), "hear", ["late"], 200)
    peer.send(BYE, 0, "", 0)
    said = is_called = False
    while True:
        envelope = peer.read()
        if envelope[0] == BYE:
            said = True
        elif envelope[0] == CALL:
            if envelope[2:4] != [id, "hear"]:
                raise Unmet(f"{shown(envelope)} came; expected hear on object {id}")
            is_called = True
            peer.send(ANSWERED, envelope[1], values.pack("heard"))
        elif envelope[:2] == [ANSWERED if is_called else ERROR, call]:
            break
        else:
            raise Unmet(f"{shown(envelope)} came while it drained")
    if not said:
        raise Unmet("it has not answered our BYE")


@GROUP.case("it cancels on request while it drains", "PB-F32")
def cancel_while_draining(peer: Peer) -> None:
    call = peer.call(0, "slow", 60_000)
    peer.send(BYE, 0, "", 0)
    peer.send(CANCEL, call)
    seen = {envelope[0]: envelope for envelope in (peer.read(), peer.read())}
    if ERROR not in seen or seen[ERROR][1] != call:
        raise Unmet(f"a call cancelled while it drains was not answered: {seen}")


@GROUP.case("nothing is sent after an aborting BYE was seen", "PB-F34", "PB-F28")
def abort(peer: Peer) -> None:
    peer.call(0, "slow", 20)
    peer.send(BYE, 8, "go away", 0)
    peer.closes()


@GROUP.case("an unknown code aborts", "PB-F28")
def unknown_abort(peer: Peer) -> None:
    peer.send(BYE, 77, "", 0)
    peer.closes()


@GROUP.case("a BYE that is none is a violation", "PB-M38", "PB-F8", "PB-F27", level="leaf")
def bad_bye(peer: Peer) -> None:
    peer.send(BYE, 0, 5, 0)
    peer.bye(3)


@GROUP.case("a half closed stream ends the connection, and nothing waits for ever", "PB-F36")
def cut(peer: Peer) -> None:
    peer.call(0, "slow", 60_000)
    peer.alive()
    peer.stream.close()


@GROUP.case("a call that serves one of its own is run, although both have said BYE", "PB-F31")
def served_while_draining(peer: Peer) -> None:
    id = peer.new_id()
    call = peer.call(0, "call", values.ref(id), "hear", ["late"])
    back = peer.expect(CALL)
    peer.send(BYE, 0, "", back[1])
    peer.expect(BYE)
    if peer.ask(0, "echo", "for you") != "for you":
        raise Unmet("what was called for a call of its own was not run")
    peer.send(ANSWERED, back[1], values.pack("heard"))
    if peer.result(call) != "heard":
        raise Unmet("the call whose handler called back was not answered with what that brought")


@GROUP.case("a call after BYE that can serve nothing is refused", "PB-F47")
def late_call(peer: Peer) -> None:
    """It is busy meanwhile, so that it does not close before."""
    call = peer.call(0, "slow", 60_000)
    peer.send(BYE, 0, "", 0)
    peer.expect(BYE)
    peer.fails(peer.call(0, "echo", 1), "pb.Busy")
    peer.send(CANCEL, call)
    peer.fails(call, "pb.Cancelled")


@GROUP.case("the text of a BYE holds nothing that came from us", "PB-M37")
def discreet(peer: Peer) -> None:
    peer.send(CALL, 1, 0, "echo", values.pack([[1], {}]), {"ttl": "a secret", "trace": "a secret"})
    said = peer.bye(3)
    if said is not None and "secret" in said[2]:
        raise Unmet(f"{shown(said)} came; its text repeats what we sent")


@GROUP.case("a second BYE that drains is ignored", "PB-F27", "PB-F32")
def second_bye(peer: Peer) -> None:
    call = peer.call(0, "slow", 60_000)
    for code in (0, 0, 1):
        peer.send(BYE, code, "", 0)
    peer.expect(BYE)
    peer.send(CANCEL, call)
    peer.fails(call, "pb.Cancelled")
