"""Streams, as producer and as consumer. Feature `stream`. Spec: the page on streams, spec/3-messages.md."""

from __future__ import annotations

from typing import Any

from .. import values
from ..case import Group
from ..peer import CANCEL, END, ERROR, ITEMS, PULL, STOP, Peer, Unmet, shown

GROUP = Group("streams")
ENDLESS = -1


def begin(peer: Peer, count: int) -> int:
    """Ask for a stream; return its id."""
    peer.need("stream")
    id = values.number_of(peer.ask(0, "stream", count), values.STREAM)
    if id is None:
        raise Unmet("stream(n) returned no STREAM")
    return id


def take(peer: Peer, id: int, count: int) -> list[Any]:
    """Return so many items, which must come in ITEMS."""
    items: list[Any] = []
    while len(items) < count:
        envelope = peer.expect(ITEMS)
        found = values.unpack(envelope[2])
        if envelope[1] != id or not isinstance(found, list) or not found:
            raise Unmet(f"{shown(envelope)} came; expected items of stream {id}")
        items += found
    return items


def ended(peer: Peer, id: int) -> Any:
    """Return the error of the END that must come next; None where it ended well."""
    envelope = peer.expect(END)
    if envelope[1] != id:
        raise Unmet(f"{shown(envelope)} came; expected the END of stream {id}")
    return values.unpack(envelope[2]) if len(envelope) == 3 else None


@GROUP.case("a stream brings its items and one END", "PB-M32", level="full")
def whole(peer: Peer) -> None:
    id = begin(peer, 3)
    if take(peer, id, 3) != [0, 1, 2]:
        raise Unmet("the items are others than 0, 1, 2")
    if ended(peer, id) is not None:
        raise Unmet("the stream ended with an error")
    peer.alive()


@GROUP.case("a producer waits when the window of our HELLO is used up", "PB-M30", level="full")
def window(peer: Peer) -> None:
    id = begin(peer, ENDLESS)
    if take(peer, id, 4) != [0, 1, 2, 3]:
        raise Unmet("the first four items are others")
    peer.alive()
    peer.send(PULL, id, 3)
    if take(peer, id, 3) != [4, 5, 6]:
        raise Unmet("the three items that were granted are others")
    peer.alive()


@GROUP.case("without a window nothing is produced before PULL", "PB-M30", level="full", raw=True)
def no_window(peer: Peer) -> None:
    peer.hello(window=0)
    id = begin(peer, ENDLESS)
    peer.alive()
    peer.send(PULL, id, 1)
    if take(peer, id, 1) != [0]:
        raise Unmet("the first item is another")


@GROUP.case("STOP is answered by END, and the producer has ended", "PB-M32", level="full")
def stop(peer: Peer) -> None:
    id = begin(peer, ENDLESS)
    take(peer, id, 4)
    before = peer.ask(0, "stopped")
    peer.send(STOP, id)
    ended(peer, id)
    if peer.ask(0, "stopped") != before + 1:
        raise Unmet("the producer of a stopped stream goes on: stopped() has not grown")


@GROUP.case("PULL and STOP that cross END are ignored", "PB-M9", level="full")
def crossing(peer: Peer) -> None:
    id = begin(peer, 2)
    take(peer, id, 2)
    ended(peer, id)
    peer.send(PULL, id, 1)
    peer.send(STOP, id)
    peer.alive()


@GROUP.case("PULL for what never was a stream ends the connection", "PB-M9", level="full")
def no_stream(peer: Peer) -> None:
    peer.need("stream")
    peer.send(PULL, 99, 1)
    peer.bye(3)


@GROUP.case(
    "a producer that fails ends its stream with the error, after the items before it", "PB-M32", level="full"
)
def failing(peer: Peer) -> None:
    peer.need("stream")
    id = values.number_of(peer.ask(0, "failing_stream", 2), values.STREAM)
    if id is None:
        raise Unmet("failing_stream(n) returned no STREAM")
    if take(peer, id, 2) != [0, 1]:
        raise Unmet("the items before the error are others")
    error = ended(peer, id)
    if not isinstance(error, dict) or error.get("type") != "bank.Insufficient":
        raise Unmet(f"the stream ended with {error!r}; expected bank.Insufficient")


@GROUP.case("two streams at once do not hold each other up", "PB-M30", level="full")
def two(peer: Peer) -> None:
    first, second = begin(peer, ENDLESS), None
    take(peer, first, 4)
    second = begin(peer, 2)
    if take(peer, second, 2) != [0, 1]:
        raise Unmet("the items of a second stream are others")
    ended(peer, second)


# --- as the consumer


@GROUP.case("a stream of ours is consumed, with grants as it goes", "PB-M30", level="full")
def consumed(peer: Peer) -> None:
    peer.need("stream")
    id = peer.new_id()
    call = peer.call(0, "sum", values.stream(id))
    credit, sent = peer.info.get("window", 0), 0
    while sent < 50:
        while not credit:
            envelope = peer.expect(PULL)
            if envelope[1] != id or envelope[2] < 1:
                raise Unmet(f"{shown(envelope)} came; expected a grant for stream {id}")
            credit += envelope[2]
        size = min(credit, 50 - sent, 7)
        peer.send(ITEMS, id, values.pack([1] * size))
        credit, sent = credit - size, sent + size
    peer.send(END, id)
    while True:
        envelope = peer.read()
        if envelope[0] != PULL:
            break
    if envelope[:2] != [2, call] or values.unpack(envelope[2]) != 50:
        raise Unmet(f"{shown(envelope)} came; expected the sum 50")


@GROUP.case("items beyond the credit end the connection with BYE 6", "PB-M31", level="full")
def beyond(peer: Peer) -> None:
    peer.need("stream")
    id = peer.new_id()
    peer.call(0, "slow_sum", values.stream(id))
    credit = peer.info.get("window", 0)
    for envelope in peer.fence():
        if envelope[0] == PULL:
            credit += envelope[2]
    peer.send(ITEMS, id, values.pack([0] * (credit + 1)))
    seen = None
    while seen is None or seen[0] == PULL:
        seen = peer.read()
    if seen[:2] != [15, 6]:
        raise Unmet(f"{shown(seen)} came; expected BYE 6")


@GROUP.case("a stream in a refused payload is stopped", "PB-M33", level="full")
def refused(peer: Peer) -> None:
    peer.need("stream")
    id = peer.new_id()
    peer.fails(peer.call(0, "nobody_has_this", values.stream(id)), "pb.NoSuchMethod")
    for _ in range(20):
        peer.alive()
        if id in peer.stopped:
            return
    raise Unmet("a stream in a refused payload was not stopped")


@GROUP.case("to cancel a call stops the streams that it was given", "PB-M33", level="full")
def cancelled(peer: Peer) -> None:
    peer.need("stream")
    id = peer.new_id()
    call = peer.call(0, "slow_sum", values.stream(id))
    peer.fence()
    peer.send(CANCEL, call)
    seen = None
    while seen is None or seen[0] != ERROR:
        seen = peer.read()
    for _ in range(20):
        peer.fence()
        if id in peer.stopped:
            peer.send(END, id)
            return
    raise Unmet("the stream of a cancelled call was not stopped")


@GROUP.case("an item that is unacceptable fails the stream only", "PB-M31", level="full")
def bad_item(peer: Peer) -> None:
    peer.need("stream")
    id = peer.new_id()
    call = peer.call(0, "sum", values.stream(id))
    while peer.info.get("window", 0) < 1:
        if peer.expect(PULL)[1] == id:
            break
    peer.send(ITEMS, id, values.pack([values.copy("os.system", {})]))
    seen = None
    while seen is None or seen[0] == PULL:
        seen = peer.read()
    if seen[:2] != [ERROR, call]:
        raise Unmet(f"{shown(seen)} came; expected the error of call {call}")
    for _ in range(20):
        peer.fence()
        if id in peer.stopped:
            peer.send(END, id)
            peer.alive()
            return
    raise Unmet("a stream with an item that was refused was not stopped")
