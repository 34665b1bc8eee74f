"""Caches, as owner and as holder. Feature `cache`. Spec: spec/7-caches.md."""

from __future__ import annotations

from typing import Any

from .. import values
from ..case import Group
from ..peer import GONE, OBSERVE, RELEASE, Peer, Unmet, shown

GROUP = Group("caches")


def stock(peer: Peer) -> tuple[int, Any]:
    """Ask for its cache; return id and state."""
    peer.need("cache")
    found = values.array_of(peer.ask(0, "stock"), values.CACHE)
    if found is None or len(found) != 3 or found[1] != "shop.Stock":
        raise Unmet(f"stock() returned {found!r}; expected a CACHE of shop.Stock")
    return found[0], found[2]


def update(peer: Peer, id: int) -> dict[str, Any]:
    """Return the arguments of the next update of its cache, which sets n."""
    envelope = peer.expect(OBSERVE)
    args, kwargs = values.unpack(envelope[4])
    if envelope[1:4] != [0, id, "set"]:
        raise Unmet(f"{shown(envelope)} came; expected an update 'set' of cache {id}")
    return kwargs or {"n": args[0]}


@GROUP.case("the first time a cache is sent it is a CACHE with its state, then CACHED", "PB-C2", level="full")
def twice(peer: Peer) -> None:
    id, state = stock(peer)
    if not isinstance(state, dict) or "n" not in state:
        raise Unmet(f"the state of shop.Stock is {state!r}; expected a map with n")
    again = peer.ask(0, "stock")
    if values.number_of(again, values.CACHED) != id:
        raise Unmet(f"the second time it came as {again!r}; expected CACHED {id}")


@GROUP.case("a change reaches the holder before the answer that follows it", "PB-C13", "PB-M6", level="full")
def change(peer: Peer) -> None:
    id, _ = stock(peer)
    call = peer.call(0, "bump", 42)
    if update(peer, id) != {"n": 42}:
        raise Unmet("the update does not set n to 42")
    peer.result(call)


@GROUP.case("changes come in the order in which they were made, each once", "PB-C13", level="full")
def many_changes(peer: Peer) -> None:
    id, _ = stock(peer)
    calls = [peer.call(0, "bump", number) for number in range(20)]
    for number, call in enumerate(calls):
        if update(peer, id) != {"n": number}:
            raise Unmet(f"the update does not set n to {number}")
        peer.result(call)


@GROUP.case(
    "after the last release it observes no longer, and says GONE, once", "PB-C3", "PB-C4", level="full"
)
def given_back(peer: Peer) -> None:
    id, _ = stock(peer)
    peer.send(RELEASE, [id, 1])
    gone = peer.expect(GONE)
    if gone[1] != [id]:
        raise Unmet(f"{shown(gone)} came; expected GONE {id}")
    peer.ask(0, "bump", 7)
    peer.alive()


@GROUP.case(
    "after GONE the cache is sent anew, under a new id and with its state of now", "PB-C4", level="full"
)
def anew(peer: Peer) -> None:
    id, _ = stock(peer)
    peer.send(RELEASE, [id, 1])
    peer.expect(GONE)
    peer.ask(0, "bump", 11)
    again, state = stock(peer)
    if again == id:
        raise Unmet(f"id {id} was used again after GONE")
    if state.get("n") != 11:
        raise Unmet(f"the new state is {state!r}; expected n = 11")


@GROUP.case("a release that crosses CACHED leaves the cache alive", "PB-C17", "PB-R6", level="full")
def crossing(peer: Peer) -> None:
    id, _ = stock(peer)
    call = peer.call(0, "stock")
    peer.send(RELEASE, [id, 1])
    if values.number_of(peer.result(call), values.CACHED) != id:
        raise Unmet("the cache that was asked for before its release did not come as CACHED")
    bump = peer.call(0, "bump", 3)
    if update(peer, id) != {"n": 3}:
        raise Unmet("the update does not set n to 3")
    peer.result(bump)
    peer.send(RELEASE, [id, 1])
    peer.expect(GONE)


@GROUP.case("its cache comes home as the original", "PB-C6", level="full")
def home(peer: Peer) -> None:
    id, _ = stock(peer)
    found = peer.ask(0, "echo", values.home(id))
    if values.number_of(found, values.CACHED) != id:
        raise Unmet(f"its cache, sent home and back, came as {found!r}; expected CACHED {id}")


@GROUP.case("a CALL on a cache is no method", "PB-M1", level="full")
def call_on_cache(peer: Peer) -> None:
    id, _ = stock(peer)
    peer.fails(peer.call(id, "set", 1), "pb.NoSuchMethod")


# --- as the holder


def keep(peer: Peer, state: Any = None) -> int:
    """Let it keep a replica of ours; return its id."""
    peer.need("cache")
    id = peer.new_id()
    peer.ask(0, "keep", values.cache(id, "shop.Stock", {"n": 10} if state is None else state))
    return id


def tell(peer: Peer, id: int, method: str, *args: Any, call: int = 0) -> None:
    """Tell an update of our cache."""
    peer.send(OBSERVE, call, id, method, values.pack([list(args), {}]))


@GROUP.case("a replica has the state and follows the updates", "PB-C5", "PB-M26", level="full")
def follows(peer: Peer) -> None:
    id = keep(peer)
    if peer.ask(0, "state") != {"n": 10}:
        raise Unmet("the replica has not the state that was sent")
    tell(peer, id, "set", 11)
    if peer.ask(0, "state") != {"n": 11}:
        raise Unmet("the replica has not followed an update")
    if peer.ask(0, "is_stale") is not False:
        raise Unmet("a replica that follows counts as stale")


@GROUP.case("the same cache twice is the same replica", "PB-C7", level="full")
def same(peer: Peer) -> None:
    peer.need("cache")
    id = peer.new_id()
    first = values.cache(id, "shop.Stock", {"n": 1})
    if peer.ask(0, "same", first, values.cached(id)) is not True:
        raise Unmet("same(CACHE, CACHED) of one cache is not true")
    peer.released_all({id: 2})


@GROUP.case("a replica sent back to its owner is HOME", "PB-C6", level="full")
def replica_home(peer: Peer) -> None:
    id = keep(peer)
    found = peer.ask(0, "kept")
    if found != values.home(id):
        raise Unmet(f"a replica, sent to its owner, came as {found!r}; expected HOME {id}")


@GROUP.case("a dropped replica is released, and still follows until GONE", "PB-C17", "PB-M26", level="full")
def zombie(peer: Peer) -> None:
    id = keep(peer)
    peer.released_all({id: 1})
    tell(peer, id, "set", 12)
    peer.ask(0, "keep", values.cached(id))
    if peer.ask(0, "state") != {"n": 12}:
        raise Unmet("a replica that was revived has missed an update")
    peer.released.clear()
    peer.released_all({id: 1})
    peer.send(GONE, [id])
    peer.fails(peer.call(0, "keep", values.cached(id)), "pb.NoSuchObject", "pb.Gone")


@GROUP.case(
    "an update that cannot be applied makes the replica stale, and is told", "PB-C19", "PB-M27", level="full"
)
def stale(peer: Peer) -> None:
    id = keep(peer)
    tell(peer, id, "nobody_has_this")
    if peer.ask(0, "is_stale") is not True:
        raise Unmet("a replica that missed an update does not count as stale")
    for _ in range(20):
        peer.alive()
    if peer.released[id] != 1:
        raise Unmet(
            f"it has released {peer.released[id]} counts of a cache that it cannot follow; expected 1"
        )
    tell(peer, id, "set", 5)
    if peer.ask(0, "state") == {"n": 5}:
        raise Unmet("a stale replica was changed")


@GROUP.case("an update with an id is answered", "PB-C15", level="full")
def answered(peer: Peer) -> None:
    id = keep(peer)
    call = peer.next_call()
    tell(peer, id, "set", 3, call=call)
    peer.result(call)
    call = peer.next_call()
    tell(peer, id, "nobody_has_this", call=call)
    peer.fails(call, "pb.NoSuchMethod")
    if peer.ask(0, "is_stale") is not False:
        raise Unmet("a replica whose owner was told of the failure counts as stale")


@GROUP.case("our GONE ends a replica that is held", "PB-C20", level="full")
def revoked(peer: Peer) -> None:
    id = keep(peer)
    peer.send(GONE, [id])
    peer.alive()
    if peer.ask(0, "is_stale") is not True:
        raise Unmet("a replica whose owner said GONE does not count as stale")
    peer.released_all({id: 1})


@GROUP.case("a cache of a name nobody registered fails its call and is given back", "PB-C9", level="full")
def unregistered(peer: Peer) -> None:
    peer.need("cache")
    id = peer.new_id()
    peer.fails(peer.call(0, "keep", values.cache(id, "os.system", {})), "pb.Unregistered")
    peer.released_all({id: 1})


@GROUP.case("the end of the connection stops its observing", "PB-C4", "PB-F36", level="full")
def lost(peer: Peer) -> None:
    stock(peer)
    peer.stream.close()
