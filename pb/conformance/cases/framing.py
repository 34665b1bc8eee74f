"""Frames, batches, HELLO and PING. Spec: spec/2-frames.md."""

from __future__ import annotations

from .. import values
from ..case import Group
from ..peer import ANSWERED, CALL, HELLO, PING, PONG, Peer, Unmet, shown

GROUP = Group("framing")


@GROUP.case("HELLO comes at once, without waiting for ours", "PB-F14", level="leaf", raw=True)
def hello_first(peer: Peer) -> None:
    peer.read_hello()
    peer.hello_only()
    peer.alive()


@GROUP.case(
    "a HELLO of today's version with unknown keys is taken", "PB-F16", "PB-F17", level="leaf", raw=True
)
def unknown_keys(peer: Peer) -> None:
    peer.hello(x_unknown={"a": [1, None]}, features=["cache", "nobody-knows"])
    peer.alive()


@GROUP.case("the lower of two versions is spoken", "PB-F16", level="leaf", raw=True)
def later_version(peer: Peer) -> None:
    peer.send(HELLO, "PB", 7, {})
    peer.read_hello()
    peer.alive()


@GROUP.case("version 0 is refused with BYE 2", "PB-F16", level="leaf", raw=True)
def version_0(peer: Peer) -> None:
    peer.send(HELLO, "PB", 0, {})
    peer.read_hello()
    peer.bye(2, 3, may_be_silent=True)


@GROUP.case("its own HELLO keeps within what every side may ask for", "PB-F18", "PB-F19", level="leaf")
def own_hello(peer: Peer) -> None:
    info = peer.info
    for key, least in (("max_frame", 4096), ("max_calls", 4), ("max_depth", 4)):
        value = info.get(key, least)
        if type(value) is not int or value < least:
            raise Unmet(f"{key} of its HELLO is {value!r}; expected an integer of at least {least}")
    features = info.get("features", [])
    if not isinstance(features, list) or not all(isinstance(name, str) for name in features):
        raise Unmet(f"features of its HELLO is {features!r}; expected an array of str")


@GROUP.case("a HELLO in long forms of msgpack is taken", "PB-F14", level="leaf", raw=True)
def long_forms(peer: Peer) -> None:
    body = bytes.fromhex("dc0004" + "d000" + "d9025042" + "cd0001" + "de0000")
    peer.send_bytes(len(body).to_bytes(4, "big") + body)
    peer.read_hello()
    peer.alive()


@GROUP.case(
    "calls right behind our HELLO are served, in order, after its HELLO", "PB-F21", "PB-F22", raw=True
)
def zero_round_trips(peer: Peer) -> None:
    peer.send(HELLO, "PB", 1, {})
    calls = [peer.call(0, "echo", number) for number in range(4)]
    peer.read_hello()
    found = [peer.result(call) for call in calls]
    if found != [0, 1, 2, 3]:
        raise Unmet(f"echo answered {found}; expected [0, 1, 2, 3]")


@GROUP.case("frames that arrive byte by byte are the same frames", "PB-F5", "PB-F3")
def bytewise(peer: Peer) -> None:
    peer.need_lengths()
    body = values.pack([CALL, 1, 0, "echo", values.pack([["slowly"], {}])])
    for byte in len(body).to_bytes(4, "big") + body:
        peer.stream.send(bytes([byte]))
    if peer.result(1) != "slowly":
        raise Unmet("the echo of a call that came byte by byte is another")


@GROUP.case("many frames in one segment are all acted on, in order", "PB-F5")
def many_at_once(peer: Peer) -> None:
    frames = b""
    for number in range(1, 301):
        body = values.pack([PING, number])
        frames += len(body).to_bytes(4, "big") + body
    peer.send_bytes(frames)
    for number in range(1, 301):
        found = peer.expect(PONG)
        if found[1] != number:
            raise Unmet(f"PONG {found[1]} came; expected {number}")


@GROUP.case("a batch is its messages, in order", "PB-F11", "PB-F12", level="leaf")
def batch(peer: Peer) -> None:
    peer.send_batch([PING, 1], [PING, "two"], [PING, 3])
    found = [peer.expect(PONG)[1] for _ in range(3)]
    if found != [1, "two", 3]:
        raise Unmet(f"the PONGs were {found}; expected [1, 'two', 3]")


@GROUP.case("a batch of 1,024 messages is taken", "PB-F11", level="leaf")
def long_batch(peer: Peer) -> None:
    peer.send_batch(*([PING, number] for number in range(1024)))
    if [peer.expect(PONG)[1] for _ in range(1024)] != list(range(1024)):
        raise Unmet("the PONGs of a batch came in another order")


@GROUP.case("what came before a bad message of a batch has taken effect", "PB-F13", level="leaf")
def bad_in_batch(peer: Peer) -> None:
    peer.send_batch([PING, 5], [99, 1], [PING, 6])
    found = peer.read()
    if found != [PONG, 5]:
        raise Unmet(f"{shown(found)} came; expected PONG 5")
    peer.bye(3)


@GROUP.case("a frame as long as it said that it takes is taken", "PB-F2", "PB-V31", "PB-L2")
def longest_frame(peer: Peer) -> None:
    limit = min(peer.info.get("max_frame", 65_536), 1 << 20)
    around = len(values.pack([CALL, 1, 0, "echo", b""])) + len(values.pack([[b""], {}]))
    content = bytes(limit - around - 8)
    found = peer.ask(0, "echo", content)
    if found != content:
        raise Unmet(f"the echo of {len(content)} bytes has {len(found)} bytes")


@GROUP.case("a length beyond its limit ends the connection before the body has come", "PB-F3", level="leaf")
def too_long(peer: Peer) -> None:
    peer.need_lengths()
    peer.send_bytes((peer.info.get("max_frame", 65_536) + 1).to_bytes(4, "big") + b"\x95")
    peer.bye(5)


@GROUP.case("unknown options of a call are ignored", "PB-F8")
def unknown_options(peer: Peer) -> None:
    if peer.result(peer.call(0, "echo", 1, opts={"x-unknown": [1.5, {"a": None}], "meta": {"a": "b"}})) != 1:
        raise Unmet("a call with an unknown option was answered otherwise")


@GROUP.case("it sends nothing of features that we did not announce", "PB-F20", raw=True)
def no_features(peer: Peer) -> None:
    peer.hello(features=None, window=None)
    if "cache" in peer.info.get("features", []):
        peer.fails(peer.call(0, "stock"), "pb.Unsupported")
    if "stream" in peer.info.get("features", []):
        peer.fails(peer.call(0, "stream", 3), "pb.Unsupported")
    peer.alive()


@GROUP.case("the answer is complete before our end of the stream is acted on", "PB-F5")
def ordered_answers(peer: Peer) -> None:
    calls = [peer.call(0, "echo", number) for number in range(50)]
    for number, call in enumerate(calls):
        envelope = peer.expect(ANSWERED)
        if envelope[1] != call or values.unpack(envelope[2]) != number:
            raise Unmet(f"{shown(envelope)} came; expected the echo of call {call}")
