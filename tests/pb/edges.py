"""What a limit does, tried from outside: a peer that says exactly as much as it may, and one more.

Each function here takes how far to go over the limit, 0 or 1, and returns in one word what came of it: "ok",
the name of an error, or "BYE" and its code.
"""

from __future__ import annotations

from types import SimpleNamespace

import msgpack

import jelly
import pb
from pb import messages
from pb.auth.root import AuthRoot, Responder
from pb.bounds.ledger import Ledger
from pb.wire.codec import _ENVELOPE_BYTES as ROOM

from .auth.doors import Knock, authorizer, done
from .peers import (
    REGISTRY,
    Victim,
    array,
    ask,
    call,
    ext,
    frame,
    framed,
    hello,
    references,
    said,
    with_argument,
)
from .pump import Pump, Side, Task, packed


class Root(Victim):
    """Waits, and gives and takes streams, beside all that a victim does."""

    def __init__(self):
        super().__init__()
        self.streams = []

    async def remote_hold(self, value):
        await self.gate

    def remote_take(self, *streams):
        self.streams += streams

    def remote_texts(self, size):
        raise ValueError("x" * size)


def server(told=None, greeted=True, **limits):
    """Return a side that a peer has greeted, with what the peer's HELLO told."""
    side = Side("server", Root(), REGISTRY, pb.Limits(**limits))
    side.broker.start()
    if greeted:
        side.input(hello(**(told or {})))
    side.output()
    return side


def pump(**limits):
    """Return a client of a server that has announced these limits."""
    return Pump(Root(), registry=REGISTRY, limits=pb.Limits(**limits), client_limits=pb.Limits())


def outcome(side):
    """Return in a word what a side said last; "ok" where there is neither error nor BYE in it."""
    for message in said(side):
        if message[0] == messages.BYE:
            assert side.has_ended
            return f"BYE {message[1]}"
        if message[0] == messages.ERROR:
            return msgpack.unpackb(message[2], strict_map_key=False)["type"]
    return "closed" if side.has_ended else "ok"


def heard(side, *frames):
    """Return what a side says to frames of its peer's."""
    side.input(b"".join(frames))
    return outcome(side)


def made(pumped, method, *args):
    """Return what comes of an honest client's call: "ok", or the name of the error that it raises."""
    try:
        pumped.call(method, *args)
    except Exception as error:
        return getattr(error, "remote_type", None) or f"raises {type(error).__name__}"
    return "ok"


def blob_for(body_bytes, id=1):
    """Return an argument with which a call of `sink` is a frame body of so many bytes."""
    rest = len(call(b"\x92\x91" + msgpack.packb(bytes(4000)) + b"\x80", "sink", id)) - 4 - 4000
    return bytes(body_bytes - rest)


def nested(depth, around=2):
    """Return arrays in arrays, so that a call's payload is so deep: two are around every argument."""
    return b"\x91" * (depth - around - 1) + b"\x90"


def value_nested(depth):
    value = []
    for _ in range(depth - 3):
        value = [value]
    return value


# --- limits of one side, announced or not


def max_frame_sender(extra):
    """It keeps room for the largest envelope, whatever the one at hand is."""
    around = len(packed([[bytes(4000)], {}])) - 4000
    return made(pump(max_frame=5000), "sink", bytes(5000 - ROOM - around + extra))


def max_frame_receiver(extra):
    return heard(server(max_frame=5000), with_argument(msgpack.packb(blob_for(5000 + extra)), "sink"))


def max_calls(extra):
    side = server(max_calls=4)
    return heard(side, *(call(method="wait", id=id) for id in range(1, 5 + extra)))


def max_refs_exported(extra):
    return heard(server(max_refs=4), with_argument(msgpack.packb(4 + extra), "things"))


def max_refs_announced(extra):
    return heard(server({"max_refs": 4}), with_argument(msgpack.packb(4 + extra), "things"))


def max_refs_imported(extra):
    return heard(server(max_refs=4), with_argument(references(4 + extra), "keep"))


def max_depth_sender(extra):
    return made(pump(max_depth=8), "sink", value_nested(8 + extra))


def max_depth_receiver(extra):
    return heard(server(max_depth=8), with_argument(nested(8 + extra), "sink"))


def max_exts_sender(extra):
    return made(pump(max_exts=300), "sink", [1 << 70] * (300 + extra))


def max_exts_receiver(extra):
    big = ext(24, b"\x00" + (1 << 70).to_bytes(9, "big"))
    return heard(server(max_exts=300), with_argument(array([big] * (300 + extra)), "sink"))


def max_containers_sender(extra):
    return made(pump(max_containers=5000), "sink", [[] for _ in range(5000 - 4 + extra)])


def max_containers_receiver(extra):
    lists = array([b"\x90"] * (5000 - 4 + extra))
    return heard(server(max_containers=5000), with_argument(lists, "sink"))


def max_floodable_keys_sender(extra):
    return made(pump(max_floodable_keys=100), "sink", dict.fromkeys(range(1 << 40, (1 << 40) + 100 + extra)))


def max_floodable_keys_receiver(extra):
    members = msgpack.packb([*range(1 << 40, (1 << 40) + 100 + extra)])
    return heard(server(max_floodable_keys=100), with_argument(ext(17, members), "sink"))


def max_int_bits_sender(extra):
    return made(pump(), "sink", (1 << (4096 + extra)) - 1)


def max_int_bits_receiver(extra):
    magnitude = (1 << (4096 + extra)) - 1
    data = b"\x00" + magnitude.to_bytes((magnitude.bit_length() + 7) // 8, "big")
    return heard(server(), with_argument(ext(24, data), "sink"))


def decimal(text):
    return heard(server(max_decimal_digits=40), with_argument(ext(25, text.encode()), "sink"))


def max_decimal_digits_receiver(extra):
    return decimal("1" * (40 + extra))


def max_decimal_exponent_receiver(extra):
    return decimal(f"1E+{6144 + extra}")


def max_decimal_exponent_below_receiver(extra):
    return decimal(f"1E-{6144 + extra}")


def max_name_bytes_receiver(extra):
    registry = jelly.Registry()
    name = "n" * 128
    registry.add(type("Named", (jelly.Copyable, jelly.RemoteCopy), {}), name, fields=[])
    side = Side("server", Root(), registry, pb.Limits())
    side.broker.start()
    side.input(hello())
    side.output()
    return heard(side, with_argument(ext(8, msgpack.packb([name + "n" * extra, {}])), "sink"))


def max_error_bytes(extra):
    """An error's text is cut, so nothing fails; but it is cut only where it is too long."""
    registry = jelly.Registry()
    registry.include(jelly.BUILTIN_ERRORS)
    pumped = Pump(Root(), registry=registry)
    try:
        pumped.call("texts", 4096 + extra)
    except ValueError as error:
        return "ok" if str(error) == "x" * (4096 + extra) else "the text is cut"
    raise AssertionError("it raised nothing")


def window_receiver(extra):
    side = server({"features": ["stream"]}, window=4)
    start = call(b"\x92\x91" + ext(5, b"\x01") + b"\x80", "take")
    return heard(side, start, frame([messages.ITEMS, 1, msgpack.packb([0] * (4 + extra))]))


def streams(count):
    return array([ext(5, bytes([number])) for number in range(1, count + 1)])


def max_streams_receiver(extra):
    side = server({"features": ["stream"]}, max_streams=4)
    return heard(side, with_argument(streams(4 + extra), "take"))


def max_streams_sender(extra):
    return made(pump(max_streams=4), "take", *(iter([number]) for number in range(4 + extra)))


def max_call_bytes(extra):
    """Two blobs that fill it but for 1 byte, or to the last one; then one call more."""
    size = 70_000
    one = Ledger("", 0).weigh(packed([[bytes(size)], {}]))
    side = server(max_call_bytes=2 * one + 1 - extra)
    for id in (1, 2):
        side.input(with_argument(msgpack.packb(bytes(size)), "hold", id))
    return heard(side, with_argument(msgpack.packb(bytes(size)), "sink", 3))


def max_stream_bytes(extra):
    size = 70_000
    one = Ledger("", 0).weigh(packed([bytes(size)]))
    side = server({"features": ["stream"]}, max_stream_bytes=2 * one + 1 - extra)
    start = call(b"\x92\x91" + ext(5, b"\x01") + b"\x80", "take")
    item = frame([messages.ITEMS, 1, packed([bytes(size)])])
    side.input(start + item + item)
    told = said(side)
    (stream,) = side.broker.tables.exports[0].object.streams
    ends = []

    async def take():
        try:
            async for _ in stream:
                pass
        except pb.TooLarge:
            ends.append("the stream fails with pb.TooLarge")

    Task(take()).step()
    assert ([messages.STOP, 1] in told) == bool(ends)
    return ends[0] if ends else "ok"


# --- fixed ones


def hello_frame(extra):
    rest = len(hello(padding="x" * 3000)) - 4 - 3000
    side = server(greeted=False)
    word = heard(side, hello(padding="x" * (4096 - rest + extra)))
    return word if word != "ok" else heard(side, call(b"\x92\x91\x01\x80"))


def calls_before_hello(extra):
    """Four of depth 4 may follow a HELLO unasked; more nobody can refuse, but we make none at all."""
    if not extra:
        calls = [with_argument(nested(4), id=id) for id in range(1, 5)]
        return heard(server(greeted=False), hello(), *calls)
    side = Side("client", None, REGISTRY, pb.Limits())
    side.broker.start()
    try:
        ask(side.broker.root_reference(), "sink", 1)
    except pb.NotExecuted:
        return "NotExecuted"
    return "ok"


def login_message(extra):
    knock = Knock(AuthRoot(authorizer()))
    responder = Responder(knock.host.broker.tables.exports[0].object)
    responder.login = Login()
    try:
        done(responder.receive(bytes(4096 + extra)))
    except pb.LoginFailed:
        return "pb.LoginFailed"
    return "ok"


class Login:
    """A mechanism that asks for more, whatever it is told."""

    user = None

    async def receive(self, data):
        return SimpleNamespace(identity=None, data=b"")


def batch(extra):
    return heard(server(), frame([[messages.PONG, 0]] * (1024 + extra)))


def largest_frame(extra):
    """Of what anybody may say: the four bits above are reserved."""
    side = server(max_frame=2**28 - 1 + 1)
    side.input((2**28 - 1 + extra).to_bytes(4, "big"))
    return outcome(side)


def envelope_nesting(extra):
    """Looked at where there is room for many levels: a short frame cannot cost much."""
    value = msgpack.packb("x" * 2000)
    for _ in range(8 - 2 + extra):
        value = b"\x91" + value
    fields = b"".join(map(msgpack.packb, [1, 1, 0, "echo", b"\x92\x91\x01\x80"]))
    return heard(server(), framed(b"\x96" + fields + b"\x81" + msgpack.packb("new") + value))


def largest_id(extra):
    return heard(server(), call(b"\x92\x91\x01\x80", "echo", 2**53 - 1 + extra))


def ping_token(extra):
    return heard(server(), frame([messages.PING, "t" * (64 + extra)]))


def method_name(extra):
    side = server()
    name = "m" * (128 + extra)
    setattr(Root, f"remote_{name}", lambda root, value: value)
    try:
        return heard(side, call(b"\x92\x91\x01\x80", name))
    finally:
        delattr(Root, f"remote_{name}")


def bye_text(extra):
    side = server()
    side.broker.close(0, "x" * (4096 + extra))
    ((_, _, text, _),) = said(side)
    return "ok" if len(text) == 4096 + extra else "the text is cut"


def object_name(extra):
    side = server()
    side.broker.serving.reserved.resolve = _resolve
    return heard(side, with_argument(msgpack.packb("n" * (128 + extra)), "pb:resolve"))


async def _resolve(name):
    return None
