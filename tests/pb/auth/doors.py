"""Both sides of a login by hand: honest ones, liars, and who stands between them. No loop, no clock."""

from __future__ import annotations

import functools
from typing import Any

import msgpack

import cred
import pb
from pb.auth.channel import channel_of
from pb.auth.remote_identity import log_in
from pb.limits import Limits
from pb.security import Security

from ..pump import Gate, Outcome, Side, Task, frame, messages_in

HERE = Security(is_local=True)
PASSWORD = "a pass phrase nobody guesses"
REF = 1  # the Ext of a reference
CALL, ANSWER, ERROR, CANCEL, RELEASE, PING, BYE = 1, 2, 3, 4, 6, 13, 15


def bound(data: bytes = b"b" * 32, type: str = "tls-server-end-point") -> Security:
    """Return what TLS with this channel binding says of itself."""
    return Security(address="192.0.2.7", is_encrypted=True, bindings=((type, data),))


def done(coroutine: Any) -> Any:
    """Return the result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise AssertionError("it waits")


@functools.cache
def hash_of(password: str) -> cred.PasswordHash:
    """Return a cheap hash, made once."""
    return cred.PasswordHash.of(password, iterations=4096, random=lambda size: b"salt of the test"[:size])


class Alias(pb.Perspective):
    """A perspective that keeps account of who came and went."""

    def attached(self, client, identity):
        self.service.seen.append(("attached", self.perspective_name))
        self.client = client

    def detached(self, client, identity):
        self.service.seen.append(("detached", self.perspective_name))

    def perspective_name_of_mine(self):
        return self.perspective_name


class Chat(pb.Service):
    perspective_class = Alias

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = []

    def get_perspective_named(self, name):
        return self.perspective_class(name, self)


def authorizer(*records: cred.IdentityRecord, service: type[Chat] = Chat, **options: Any) -> Any:
    """Return an Authorizer that knows alice, bob and guest, beside others."""
    store = options.pop("store", None) or cred.MemoryStore()
    known = [
        cred.IdentityRecord.new("alice", hash_of(PASSWORD), keys=[("chat", "alice"), ("chat", "ops")]),
        cred.IdentityRecord.new("bob", hash_of("the one of bob"), keys=[("chat", "bob")]),
        cred.IdentityRecord.new("guest", keys=[("chat", "guest")]),
        cred.IdentityRecord.new("off", hash_of(PASSWORD), keys=[("chat", "off")], disabled=True),
    ]
    for record in (*known, *records):
        done(store.add(record))
    made = cred.Authorizer(store, iterations=4096, **options)
    service("chat", made)
    return made


def alice(**options: Any) -> cred.Password:
    """What alice logs in with."""
    return cred.Password("alice", PASSWORD, **options)


class Host(Side):
    """The server's side.

    Attributes:
        slept: how long something was held back, each time.
        held_back: who is held back now, where `is_patient`.
    """

    def __init__(
        self, root: Any, security: Security = HERE, *, limits: Limits | None = None, is_patient: bool = False
    ) -> None:
        super().__init__("server", None, None, limits or Limits())
        self.facts = security
        self.is_patient = is_patient
        self.slept: list[float] = []
        self.held_back: list[Gate] = []
        made = root.make_root(self)
        self.broker.tables.set_root(made, self.broker.scope)
        self.broker.start()

    def security(self) -> Security:
        return self.facts

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not seconds:
            await super().sleep(seconds)
        elif self.is_patient:
            gate = Gate()
            self.held_back.append(gate)
            await gate

    def let_go(self) -> None:
        """Let all go on that are held back."""
        held_back, self.held_back = self.held_back, []
        for gate in held_back:
            gate.open()
        while self.has_work:
            self.run_tasks()


class Told(Exception):
    """An ERROR came."""

    def __init__(self, payload: bytes) -> None:
        found = msgpack.unpackb(payload)
        super().__init__(found["type"], found["msg"])
        self.type: str = found["type"]
        self.size = len(payload)


class Knock:
    """A peer at the door that says what the test writes, right or wrong."""

    def __init__(self, root: Any, security: Security = HERE, *, info: Any = None, **options: Any) -> None:
        self.host = Host(root, security, **options)
        self.hello = msgpack.packb([0, "PB", 1, info or {}])
        self.id = 0
        self.inbox: list[Any] = []
        self.bye: int | None = None  # the code of the server's BYE
        self.wire = b""  # all that came, byte for byte
        self.sent = b""
        self.send(len(self.hello).to_bytes(4, "big") + self.hello)
        size = int.from_bytes(self.wire[:4], "big")
        self.server_hello = self.wire[4 : 4 + size]
        self.offered = self.inbox[0][3].get("auth", [])

    @property
    def hello_hash(self) -> bytes:
        return cred.hello_hash(self.hello, self.server_hello)

    def send(self, data: bytes) -> None:
        """Send bytes, and take in what comes of them."""
        self.sent += data
        self.host.input(data)
        self.listen()

    def listen(self) -> None:
        """Take in what the server says."""
        while True:
            while self.host.has_work:
                self.host.run_tasks()
            data = self.host.output()
            if not data:
                return
            self.wire += data
            for message in messages_in(data):
                self.inbox.append(message)
                if message[0] == BYE and self.bye is None:
                    self.bye = message[1]

    def say(self, *messages: Any) -> None:
        """Send messages, each in a frame of its own."""
        self.send(b"".join(map(frame, messages)))

    def begin(self, target: int, method: str, *args: Any, **kwargs: Any) -> int:
        """Make a call, and return its id."""
        self.id += 1
        self.say([CALL, self.id, target, method, msgpack.packb([args, kwargs])])
        return self.id

    def told(self, id: int) -> Any:
        """Return the answer of a call; raises Told for an error, LookupError where none has come."""
        for message in self.inbox:
            if message[0] == ANSWER and message[1] == id:
                return msgpack.unpackb(message[2])
            if message[0] == ERROR and message[1] == id:
                raise Told(message[2])
        raise LookupError(f"no answer to {id} among {[each[:2] for each in self.inbox]}")

    def call(self, target: int, method: str, *args: Any, **kwargs: Any) -> Any:
        """Make a call and return its answer."""
        return self.told(self.begin(target, method, *args, **kwargs))

    def scram(self, user: str = "alice", password: str = PASSWORD, **options: Any) -> cred.ScramClient:
        """Return the client's side of SCRAM over this connection."""
        return cred.ScramClient(user, password, hello_hash=self.hello_hash, **options)

    def challenge(self, prover: Any) -> dict[str, Any]:
        """Begin to log in."""
        step: dict[str, Any] = self.call(0, "login", prover.mechanism, prover.start())
        return step

    def log_in(self, prover: Any) -> int:
        """Log in, and return the number of the identity."""
        step = self.challenge(prover)
        while "identity" not in step:
            step = self.call(number(step["next"]), "respond", prover.respond(step["data"]))
        prover.finish(step["data"])
        return number(step["identity"])


def number(reference: msgpack.ExtType) -> int:
    """Return the id in a REF."""
    assert reference.code == REF
    return int.from_bytes(reference.data, "big")


def ref(id: int) -> msgpack.ExtType:
    """Return REF(id)."""
    return msgpack.ExtType(REF, bytes([id]))


async def call(reference: Any, name: str, *args: Any) -> Any:
    """Call a method of a reference, as `pb.aio.reference.call_remote` does."""
    answer = Outcome()
    answer.id = reference._pb_import.scope.broker.calls.make(reference._pb_import, name, args, {}, answer)
    return await answer


async def at_once(work: Any, *args: Any) -> Any:
    return work(*args)  # in a thread, elsewhere


class Guest:
    """An honest client. `hear` gives it what comes; `said` takes what it says."""

    def __init__(self, security: Security = HERE) -> None:
        self.side = Side("client", None, None, Limits())
        self.security = security
        self.side.broker.start()

    def channel(self) -> cred.Channel:
        greeting = self.side.broker.greeting
        checked = () if greeting.hello is None else greeting.hello.bindings
        return channel_of(self.security, cred.hello_hash(greeting.sent, greeting.received), checked)

    def login(self, credentials: Any) -> Any:
        """Return the coroutine of a login."""
        broker = self.side.broker
        hello = broker.greeting.hello
        offered = () if hello is None else hello.auth
        return log_in(broker.root_reference(), credentials, offered, self.channel(), call, at_once)

    def until(self, coroutine: Any, carry: Any) -> Any:
        """Run a coroutine, and `carry()` what is said, until it has ended."""
        ended = Outcome()

        async def run() -> None:
            try:
                ended.set_result(await coroutine)
            except Exception as error:
                ended.set_exception(error)

        Task(run()).step()
        for _ in range(100):
            if ended.settled:
                return ended.result()
            carry()
        raise AssertionError("it never ends")


class Meeting:
    """An honest client and a server, and somebody between them who may change each frame.

    Args:
        up, down: get the body of a frame and return the bodies to be passed on.
    """

    def __init__(
        self,
        root: Any,
        *,
        server: Security = HERE,
        client: Security | None = None,
        up: Any = None,
        down: Any = None,
    ) -> None:
        self.host = Host(root, server)
        self.guest = Guest(server if client is None else client)
        self.up, self.down = up, down
        self.recorded: list[bytes] = []  # what the client said
        self.carry()

    def carry(self) -> None:
        """Carry what there is both ways, once."""
        for side, other, change in (
            (self.guest.side, self.host, self.up),
            (self.host, self.guest.side, self.down),
        ):
            for body in bodies(side.output()):
                if side is not self.host:
                    self.recorded.append(body)
                for each in [body] if change is None else change(body):
                    other.input(len(each).to_bytes(4, "big") + each)
            other.input(b"")
            side.input(b"")

    def do(self, coroutine: Any) -> Any:
        """Run something of the client's to its end."""
        return self.guest.until(coroutine, self.carry)

    def login(self, credentials: Any) -> Any:
        """Log in as the client does, and return the RemoteIdentity."""
        return self.do(self.guest.login(credentials))

    def call(self, reference: Any, name: str, *args: Any) -> Any:
        """Call a method and return its value."""
        return self.do(call(reference, name, *args))


class Impostor:
    """An honest client and a server that answers as the test says.

    Args:
        answer: gets method and arguments of each call, and returns the value to be answered.
        auth, cb: what its HELLO offers.
    """

    def __init__(self, answer: Any, *, security: Security = HERE, auth: Any = (), cb: Any = ()) -> None:
        self.guest = Guest(security)
        self.answer = answer
        self.calls: list[tuple[str, list[Any]]] = []
        self.hello = msgpack.packb([0, "PB", 1, {"auth": list(auth), "cb": list(cb)}])
        self.guest.side.input(len(self.hello).to_bytes(4, "big") + self.hello)
        self.guest_hello = bodies(self.guest.side.output())[0]

    @property
    def hello_hash(self) -> bytes:
        return cred.hello_hash(self.guest_hello, self.hello)

    def carry(self) -> None:
        for message in messages_in(self.guest.side.output()):
            if message[0] == CALL:
                args = msgpack.unpackb(message[4])[0]
                self.calls.append((message[3], args))
                value = self.answer(message[3], args)
                self.guest.side.input(frame([ANSWER, message[1], msgpack.packb(value)]))

    def login(self, credentials: Any) -> Any:
        """Let the client log in here."""
        return self.guest.until(self.guest.login(credentials), self.carry)


def bodies(stream: bytes) -> list[bytes]:
    """Return the bodies of a stream of whole frames."""
    found = []
    while stream:
        end = 4 + int.from_bytes(stream[:4], "big")
        found.append(stream[4:end])
        stream = stream[end:]
    return found
