"""The client's side: what a program is given after a login, and what it is told where it is refused."""

from __future__ import annotations

import msgpack
import pytest

import cred
import pb
from pb.auth.root import AuthRoot

from ..pump import Gate, Task
from .doors import HERE, Impostor, Meeting, alice, authorizer, bound, ref


def meet():
    meeting = Meeting(AuthRoot(authorizer()))
    return meeting, meeting.login(alice())


def test_a_login_gives_who_one_is():
    """As the server has it, in a form that prints."""
    _, identity = meet()

    assert ("alice", "<RemoteIdentity 'alice'>") == (identity.name, repr(identity))


def test_the_name_is_prepared():
    """What a person types and what the store has are one name."""
    meeting = Meeting(AuthRoot(authorizer()))

    assert "alice" == meeting.login(cred.Password("al\u00adice", "a pass phrase nobody guesses")).name


def test_keys_are_pairs():
    """(service, perspective), sorted."""
    meeting, identity = meet()

    assert [("chat", "alice"), ("chat", "ops")] == meeting.do(identity.keys())


def test_attaching_gives_the_perspective():
    """By name, or the one that is chosen."""
    meeting, identity = meet()
    for name in (None, "alice", "ops"):
        user = meeting.do(identity.attach("chat", name))
        assert (name or "alice") == meeting.call(user, "name_of_mine")


@pytest.mark.parametrize(
    "arguments, text",
    [
        (
            ("chat", "bob"),
            "'alice' cannot attach 'bob' of 'chat': no such perspective, or no key for it; see keys()",
        ),
        (("shop",), "'alice' cannot attach 'shop': no such perspective, or no key for it; see keys()"),
    ],
)
def test_a_refusal_says_what_was_asked_for(arguments, text):
    """The server says nothing; here it is known."""
    meeting, identity = meet()
    with pytest.raises(pb.Forbidden) as error:
        meeting.do(identity.attach(*arguments))
    assert text == str(error.value)


def test_detaching_ends_the_perspective():
    """And the identity stays."""
    meeting, identity = meet()
    user = meeting.do(identity.attach("chat"))
    meeting.do(identity.detach(user))
    with pytest.raises((pb.Gone, pb.DeadReference)):
        meeting.call(user, "name_of_mine")
    assert meeting.do(identity.keys())


def test_logging_out_ends_all_and_the_connection_stays():
    """One may log in again."""
    meeting, identity = meet()
    user = meeting.do(identity.attach("chat"))
    meeting.do(identity.logout())
    for asked in (identity.keys(), identity.attach("chat")):
        with pytest.raises((pb.Gone, pb.DeadReference)):
            meeting.do(asked)
    with pytest.raises((pb.Gone, pb.DeadReference)):
        meeting.call(user, "name_of_mine")
    assert "alice" == meeting.login(alice()).name


def test_what_takes_long_is_done_elsewhere():
    """PBKDF2 takes a quarter of a second: the loop must go on."""
    meeting = Meeting(AuthRoot(authorizer()))
    work = []

    async def in_thread(function, *args):
        work.append(function.__name__)
        return function(*args)

    from pb.auth import remote_identity

    from . import doors

    async def login():
        broker = meeting.guest.side.broker
        return await remote_identity.log_in(
            broker.root_reference(),
            alice(),
            broker.greeting.hello.auth,
            meeting.guest.channel(),
            doors.call,
            in_thread,
        )

    assert "alice" == meeting.do(login()).name
    # Not the beginning, which is cheap: a wait before the call would part it from the RELEASE before it.
    assert ["respond"] == work


def test_a_login_that_is_given_up_is_given_up():
    """Cancelled while the server takes its time: nothing is left that waits."""
    from pb.auth.remote_identity import log_in

    gate = Gate()
    asked = []

    async def call(reference, name, *args):
        asked.append(name)
        await gate

    async def at_once(work, *args):
        return work(*args)

    task = Task(log_in(None, alice(), ("SCRAM-SHA-256",), cred.Channel(bytes(32)), call, at_once))
    task.step()
    task.coroutine.close()
    assert ["login"] == asked


@pytest.mark.parametrize("answer", [None, 7, [ref(5)], "chat", msgpack.ExtType(5, b"\x09")])
def test_a_perspective_that_is_none_is_a_protocol_error(answer):
    """The program would call methods of an int, or wait for items of a stream that nobody has asked for."""
    step = {"data": b"", "identity": ref(1), "user": "guest"}
    impostor = Impostor(lambda method, args: step if method == "login" else answer, auth=("ANONYMOUS",))
    identity = impostor.login(cred.Anonymous())
    with pytest.raises(pb.ProtocolError, match="expected a reference, found "):
        impostor.guest.until(identity.attach("chat"), impostor.carry)


@pytest.mark.parametrize("keys", [None, 7, [["a"]], [1], [["a", "b", "c"]], "ab"])
def test_keys_that_are_none_are_a_protocol_error(keys):
    """A TypeError would send the program's author looking in the wrong place."""

    step = {"data": b"", "identity": ref(1), "user": "guest"}
    impostor = Impostor(lambda method, args: step if method == "login" else keys, auth=("ANONYMOUS",))
    identity = impostor.login(cred.Anonymous())
    with pytest.raises(pb.ProtocolError):
        impostor.guest.until(identity.keys(), impostor.carry)


@pytest.mark.parametrize(
    "facts, used",
    [(HERE, ("SCRAM-SHA-256", None)), (bound(), ("SCRAM-SHA-256-PLUS", "tls-server-end-point"))],
    ids=["local", "TLS"],
)
def test_who_logs_in_can_see_how(facts, used):
    """A program may insist on a binding, and say so when there was none."""
    identity = Meeting(AuthRoot(authorizer()), server=facts).login(alice())

    assert used == (identity.mechanism, identity.binding)


def test_a_name_with_control_characters_prints_escaped():
    """It comes from the server, and goes to a log."""
    step = {"data": b"", "identity": ref(1), "user": "al\x1b[31m\nice"}
    identity = Impostor(lambda method, args: step, auth=("ANONYMOUS",)).login(cred.Anonymous())

    assert repr(identity).isprintable()
