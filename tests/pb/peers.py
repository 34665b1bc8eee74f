"""A scripted peer: frames made by hand, and a side that has whatever a peer could try."""

from __future__ import annotations

import msgpack

import jelly
import pb
from pb import messages

from .pump import Cancelled, Gate, Outcome, Side


def ask(reference, method, *args, **kwargs):
    """Call a method of the peer's object; return the outcome to come."""
    handle, reply = reference._pb_import, Outcome()
    reply.id = handle.scope.broker.calls.make(handle, method, args, kwargs, reply)
    return reply


class Point(jelly.Copyable, jelly.RemoteCopy):
    x: int
    y: int

    def __init__(self, x, y):
        self.x, self.y = x, y


class BankError(pb.Error):
    pass


class Insufficient(BankError):
    def __init__(self, balance):
        super().__init__(f"balance is {balance}")
        self.balance = balance

    def get_state_to_copy(self):
        return {"balance": self.balance}

    def set_copyable_state(self, state):
        self.balance = state["balance"]


REGISTRY = jelly.Registry()
REGISTRY.include(jelly.BUILTIN_ERRORS)
REGISTRY.add(Point, "geo.Point")
REGISTRY.add(BankError, "bank.BankError")
REGISTRY.add(Insufficient, "bank.Insufficient")


NO_ARGUMENTS = b"\x92\x90\x80"
MOST = 5_000  # of whatever a peer asks for


class Thing(pb.Referenceable):
    def remote_open(self):
        return "open"


class Victim(pb.Root):
    """A root object with one of everything."""

    remote_number = 42
    secret = "secret"

    def __init__(self):
        self.thing = Thing()
        self.kept = []
        self.gate = Gate()

    def remote_echo(self, value):
        return value

    def remote_sink(self, value):
        pass

    def remote_keep(self, value):
        self.kept = [value]

    def remote_kept(self):
        return self.kept

    def remote_thing(self):
        return self.thing

    def remote_same(self, times):
        return [self.thing] * min(times, MOST)

    def remote_things(self, times):
        return [Thing() for _ in range(min(times, MOST))]

    async def remote_wait(self):
        return await self.gate

    async def remote_deaf(self):
        try:
            await self.gate
        except Cancelled:  # as work in a thread, it goes on all the same
            await self.gate

    async def remote_call_back(self, reference, value=None):
        return await ask(reference, "x", value)

    def remote_fail(self):
        raise ZeroDivisionError("secret text")

    def remote_shout(self, size):
        raise BankError("!" * min(size, MOST))

    def remote_guarded(self, path, _trusted=False):
        return [path, _trusted]

    def perspective_admin(self):
        return self.secret

    def view_admin(self, perspective):
        return self.secret

    def admin(self):
        return self.secret


def framed(body):
    """Put the length before a body."""
    return len(body).to_bytes(4, "big") + body


def frame(envelope):
    """Make a frame of an envelope, or of a list of them."""
    return framed(msgpack.packb(envelope))


def hello(**keys):
    """Return the HELLO of a peer."""
    return frame([messages.HELLO, messages.MAGIC, messages.VERSION, keys])


def call(payload=NO_ARGUMENTS, method="echo", id=1, target=0):
    """Return a CALL with a payload that is bytes already."""
    return frame([messages.CALL, id, target, method, payload])


def with_argument(value, method="echo", id=1):
    """Return a CALL with one argument that is bytes already."""
    return call(b"\x92\x91" + value + b"\x80", method, id)


def ext(code, data):
    """Return an Ext as bytes."""
    return msgpack.packb(msgpack.ExtType(code, data))


def array(items):
    """Return an array of values that are bytes already."""
    return msgpack.Packer().pack_array_header(len(items)) + b"".join(items)


def graph(parts):
    """Return a GRAPH of parts that are bytes already."""
    return ext(20, array([msgpack.packb(part) for part in parts]))


def references(count, first=1):
    """Return an array of so many references of the peer's, as bytes."""
    return array([b"\xd6\x01" + number.to_bytes(4, "big") for number in range(first, first + count)])


def victim(told=None, **limits):
    """Return a side that is greeted by a peer whose HELLO tells `told`."""
    side = Side("victim", Victim(), REGISTRY, pb.Limits(**limits))
    side.broker.start()
    side.input(hello(**(told or {})))
    side.output()
    return side


def envelopes_in(data):
    """Cut what a side wrote into the bytes of its envelopes, whether it used batches or not."""
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        body, data = data[4 : 4 + size], data[4 + size :]
        assert size == len(body)
        if body[0] in b"\xdc" or 0x90 <= body[1] <= 0x9F:
            unpacker = msgpack.Unpacker(max_buffer_size=size)
            unpacker.feed(body)
            for _ in range(unpacker.read_array_header()):
                start = unpacker.tell()
                unpacker.skip()
                found.append(body[start : unpacker.tell()])
        else:
            found.append(body)
    return found


def said(side):
    """Return the envelopes that a side writes now."""
    return [msgpack.unpackb(each, strict_map_key=False, timestamp=0) for each in envelopes_in(side.output())]


def errors_said(side):
    """Return (call, error type, text) of the ERRORs that a side writes now; it must write nothing else."""
    found = []
    for code, id, payload in said(side):
        assert messages.ERROR == code
        error = msgpack.unpackb(payload)
        found.append((id, error["type"], error["msg"]))
    return found


def bye_of(side):
    """Return the code of the BYE that a side ended with; it must have said nothing else."""
    (bye,) = said(side)
    assert messages.BYE == bye[0]
    assert side.has_ended
    return bye[1]


def is_alive(side):
    """Tell whether a side still answers."""
    side.input(frame([messages.PING, "alive?"]))
    return [messages.PONG, "alive?"] in said(side)
