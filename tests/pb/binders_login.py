"""What the conversations and cases about logins need: a server with users, and a client that logs in.

Conversations: spec/vectors/conversations 10, 25 to 31, 38. Cases: `strangers` in spec/vectors/login.json.
"""

from __future__ import annotations

import base64
import gc

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import cred
import jelly
import pb
from pb import messages
from pb.auth.channel import channel_of
from pb.auth.remote_identity import RemoteIdentity, log_in
from pb.bounds.crowded import Crowded
from pb.security import Security

from ..test_spec import unpack
from ..vectors import bytes_of
from .peers import ask, envelopes_in
from .pump import Outcome, Side

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
KEY = Ed25519PrivateKey.from_private_bytes(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)
LOCAL = Security(is_local=True)
TLS = Security(address="192.0.2.1", is_encrypted=True, bindings=(("tls-server-end-point", bytes(range(32))),))


class Weapon(jelly.Viewable):
    def view_swing(self, perspective):
        return perspective.perspective_name


WEAPON = Weapon()


class Customer(pb.Perspective):
    def perspective_who(self):
        return f"{self.service.name}/{self.perspective_name}"

    def perspective_weapon(self):
        return WEAPON


class Shop(pb.Service):
    perspective_class = Customer


class Client(pb.Referenceable):
    """What a client gives of itself."""


def finish(coroutine):
    """Run a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")


def make_authorizer():
    """Return what knows the user of the conversations, without anything that comes by chance."""
    store = cred.MemoryStore(random=lambda size: bytes(range(size)))
    authorizer = cred.Authorizer(
        store,
        verifiers=[
            cred.ScramVerifier(make_nonce=lambda: SERVER_NONCE),
            cred.Ed25519Verifier(random=lambda size: bytes(range(size, 2 * size))),
            cred.AnonymousVerifier("guest"),
        ],
    )
    for name in ("shop", "forum"):
        service = Shop(name, authorizer)
        for user in ("user", "guest"):
            service.create_perspective(user)
    password = cred.PasswordHash.of("pencil", iterations=4_096, random=lambda size: SALT)
    keys = [("shop", "user"), ("shop", "guest"), ("forum", "user")]
    credentials = [cred.public_credential(KEY.public_key())]
    finish(store.add(cred.IdentityRecord.new("user", password, keys=keys, credentials=credentials)))
    finish(store.add(cred.IdentityRecord.new("guest", keys=[("shop", "guest")])))
    return authorizer


class LoginSide(Side):
    """A side whose transport says something of itself, and whose waits are over at once."""

    def __init__(self, name, security, registry=None):
        super().__init__(name, None, registry, pb.Limits())
        self._security = security
        self.watchers = []
        self.waited_s = []

    def security(self):
        return self._security

    def watch(self, watcher):
        self.watchers.append(watcher)
        return lambda: self.watchers.remove(watcher)

    async def sleep(self, seconds):
        self.waited_s.append(seconds)
        if not seconds:
            await super().sleep(seconds)


def server_side(security=LOCAL, throttle=None):
    """Return a server that has not greeted yet, and its root factory."""
    side = LoginSide("S", security)
    auth = pb.AuthRoot(make_authorizer(), throttle=throttle)
    side.broker.tables.set_root(auth.make_root(side), side.broker.scope)
    return side, auth


async def call(reference, method, *args):
    return await ask(reference, method, *args)


async def at_once(function, *args):
    return function(*args)


class LoginPlay:
    """One side of a conversation with a login; `replies` keep what it asked."""

    def __init__(self, role, conversation):
        self._shown = {
            frame["dir"][0]: bytes.fromhex(frame["hex"])[4:] for frame in conversation["frames"][:2]
        }
        security = TLS if "cb" in unpack(self._shown["S"])[3] else LOCAL
        self._role = role
        if role == "S":
            self.side, self.auth = server_side(security)
            self.root = None
        else:
            self.side, self.auth = LoginSide("C", security), None
        self.replies = []

    def greeted(self):
        """Let the HELLO of this side count as what the conversation shows: the proofs cover it."""
        greeting = self.side.broker.greeting
        said, shown = (unpack(body)[3] for body in (greeting.sent, self._shown[self._role]))
        assert [shown.get(key) for key in ("auth", "cb")] == [said.get(key) for key in ("auth", "cb")]
        greeting.sent = self._shown[self._role]

    def ask(self, method, *args, of=None):
        """Call a method of the server's root, or of what the reply number `of` brought."""
        target = self.side.broker.root_reference() if of is None else self.replies[of].result()
        if isinstance(target, RemoteIdentity):
            self.run(getattr(target, method)(*args))
        else:
            self.replies.append(ask(target, method, *args))

    def run(self, coroutine):
        """Run something that takes several calls, as one reply."""
        reply = Outcome()
        self.replies.append(reply)

        async def settle():
            try:
                reply.set_result(await coroutine)
            except Exception as error:
                # Without its frames: they hold on to references that are to be released.
                reply.set_exception(error.with_traceback(None))

        self.side.spawn(settle())

    def log_in(self, credentials):
        greeting = self.side.broker.greeting
        channel = channel_of(self.side.security(), cred.hello_hash(greeting.sent, greeting.received))
        root = self.side.broker.root_reference()
        self.run(log_in(root, credentials, greeting.hello.auth, channel, call, at_once))

    def drop(self, number):
        """Drop what a reply brought."""
        self.replies[number].value = None
        gc.collect()


def password(user="user", word="pencil"):
    return cred.Password(user, word, make_nonce=lambda: CLIENT_NONCE)


def logs_in(make=password, *args):
    return lambda play: play.log_in(make(*args))


def asks(method, *args, of=None):
    """Return an act: call a method; a number in a tuple of one stands for what that reply brought."""

    def act(play):
        given = [play.replies[arg[0]].result() if type(arg) is tuple else arg for arg in args]
        play.ask(method, *given, of=of)

    return act


def private_key():
    return cred.PrivateKey("user", KEY, random=lambda size: bytes(range(size)))


def locked_out(play):
    """Refuse the client, as three logins from its address have failed."""
    face = LoginSide("S", Security(address="192.0.2.7", is_local=True))
    for _ in range(3):
        play.auth.throttle.connection(face.security().address).failed("user")
    with pytest.raises(pb.Forbidden) as caught:
        play.auth.make_root(face)
    play.side.broker.close(messages.BYE_POLICY, str(caught.value))


def crowded(play):
    """Refuse the client, as others from its address wait."""
    face = LoginSide("S", Security(address="192.0.2.7", is_local=True))
    for _ in range(16):
        play.auth.knock("192.0.2.7")
    with pytest.raises(Crowded) as caught:
        play.auth.make_root(face)
    play.side.broker.close(messages.BYE_LIMIT, str(caught.value))


# (conversation, role) -> what a side does of its own, each before the frame of that number.
ACTS = {
    ("10-login-scram", "C"): {
        2: logs_in(),
        7: lambda play: play.ask("attach", "shop", "user", Client(), of=0),
        9: asks("who", of=1),
    },
    ("25-login-scram-plus", "C"): {2: logs_in(), 7: asks("keys", of=0)},
    ("26-login-ed25519", "C"): {
        2: logs_in(private_key),
        7: asks("attach", "shop", of=0),
        9: asks("who", of=1),
    },
    ("27-login-anonymous", "C"): {
        2: logs_in(cred.Anonymous),
        4: asks("attach", "shop", of=0),
        6: asks("who", of=1),
    },
    ("28-login-identity", "C"): {
        2: logs_in(),
        7: asks("keys", of=0),
        9: asks("attach", "shop", "user", of=0),
        11: asks("attach", "shop", "guest", of=0),
        13: asks("weapon", of=2),
        15: asks("weapon", of=3),
        17: asks("swing", of=5),
        19: asks("attach", "shop", "root", of=0),
        21: asks("attach", "bank", "user", of=0),
        23: asks("detach", (3,), of=0),
        26: asks("swing", of=4),
        28: lambda play: play.ask("detach", play.replies[0].result()._reference, of=0),
        30: asks("logout", of=0),
        34: logs_in(cred.Anonymous),
    },
    ("29-login-refused", "C"): {
        2: logs_in(password, "user", "wrong"),
        7: logs_in(password, "nobody"),
        12: asks("login", "SCRAM-SHA-1", f"n,,n=user,r={CLIENT_NONCE}".encode()),
    },
    ("30-login-two-services", "C"): {
        2: logs_in(),
        7: asks("attach", "shop", "user", of=0),
        9: asks("attach", "forum", of=0),
        11: logs_in(cred.Anonymous),
        13: asks("attach", "shop", "guest", of=3),
        15: asks("who", of=1),
        17: asks("who", of=2),
        19: asks("who", of=4),
        21: asks("logout", of=0),
        26: asks("who", of=4),
    },
    ("31-login-revoked", "S"): {9: lambda play: play.auth.authorizer.kick("user")},
    ("31-login-revoked", "C"): {
        2: logs_in(),
        7: asks("attach", "shop", "user", of=0),
        9: asks("who", of=1),  # before the GONE is read
        13: lambda play: [play.drop(number) for number in (0, 1)],
        14: logs_in(),
        19: asks("attach", "shop", "user", of=3),
    },
    ("38-locked-out", "S"): {0: locked_out},
    ("38-locked-out", "C"): {3: logs_in()},
    ("41-crowded", "S"): {0: crowded},
    ("41-crowded", "C"): {3: logs_in()},
}


def play_stranger(case, hello, step=None):
    """Play one case of `strangers` against a server, and check what it says."""
    side, _ = server_side()
    side.broker.start()
    side.output()
    side.input(bytes.fromhex(hello))
    side.input(bytes_of(case), step)
    side.run_tasks()
    said = [unpack(each) for each in envelopes_in(side.output())]
    expect = case["expect"]
    found = [[each[1], unpack(each[2])["type"]] for each in said if each[0] == messages.ERROR]
    assert expect.get("errors", []) == found
    ended = [each[1] for each in said if each[0] == messages.BYE]
    if "bye" in expect:
        assert len(ended) == 1 and ended[0] in expect["bye"]
        assert side.has_ended
        return
    assert [] == ended
    side.input(bytes.fromhex("00000003920d07"))
    assert ["920e07"] == [each.hex() for each in envelopes_in(side.output())]
