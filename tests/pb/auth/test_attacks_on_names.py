"""Somebody who wants an object without its name: he guesses, measures, looks around, and holds on."""

from __future__ import annotations

import msgpack
import pytest

import pb
from pb.auth.root import AuthRoot
from pb.messages import GONE
from pb.security import Security
from pb.wire.stranger import MAX_CALLS

from .doors import CANCEL, Knock, Told, done, number
from .doors import authorizer as make_authorizer

REFUSED = ("pb.NoSuchObject", "no object of that name, or not for you")
NOW = 1_000_000
HOUR_S = 3600
NEVER_GIVEN = "~" + "a" * 32
WHY = [
    "cut short",
    "empty",
    "expired",
    "for others",
    "gone",
    "long",
    "never given",
    "not published",
    "revoked",
]
PUBLISHED = ("for others", "not published")  # which are no secrets


class Document(pb.Referenceable):
    def remote_read(self):
        return "a secret"


class Library(pb.Application):
    """An application with a document, and names for it that are void for each reason there is."""

    def __init__(self):
        super().__init__("library", authorizer=make_authorizer())
        self.now = NOW - HOUR_S
        self.names.clock = lambda: self.now
        self.sturdy("document", {"minutes": Document()}.get)
        self.publish("lobby", Document())
        void = {
            "expired": self.secret(expires_s=HOUR_S - 1),
            "revoked": self.secret(),
            "gone": self.secret("x"),
        }
        self.now = NOW
        assert done(self.revoke_name(void["revoked"]))
        void |= {"never given": NEVER_GIVEN, "empty": "~", "not published": "nothing", "for others": "lobby"}
        self.void = void | {"cut short": self.secret()[:-1], "long": "~" + "a" * 127}

    def secret(self, key="minutes", expires_s=None):
        """Return a secret name."""
        return done(self.names.give("document", key, expires_s))


def refusal_of(knock, name):
    """Return what the server says of a name that it refuses, without the call's id, and how it waits."""
    knock.host.slept.clear()
    before = len(knock.wire)
    id = knock.begin(0, "pb:resolve", name)
    with pytest.raises(Told) as told:
        knock.told(id)
    assert REFUSED == told.value.args
    return knock.wire[before:].replace(bytes([id]), b"?", 1), list(knock.host.slept)


@pytest.mark.parametrize("why", WHY)
def test_nobody_learns_why_a_name_is_refused(why):
    """Not from what is said, byte for byte, nor from how long it takes: published ones take no time."""
    library = Library()
    assert sorted(library.void) == WHY
    usual = refusal_of(Knock(AuthRoot(library)), NEVER_GIVEN)
    said, waits = refusal_of(Knock(AuthRoot(library)), library.void[why])
    assert usual[0] == said
    assert ([0.05] if why not in PUBLISHED else []) == waits
    assert [0.05] == usual[1]


def test_a_stranger_has_three_guesses_and_no_more():
    """Whatever he mixes; then the connection ends, and the next one is not even greeted."""
    root = AuthRoot(Library())
    knock = Knock(root, security=Security(address="192.0.2.1", is_encrypted=True))
    for guess in range(3):
        assert None is knock.bye
        refusal_of(knock, "~" + str(guess) * 32)
    assert 8 == knock.bye
    assert 0 < root.throttle.penalty_s("192.0.2.1")
    with pytest.raises(pb.Forbidden):
        Knock(root, security=Security(address="192.0.2.1", is_encrypted=True))


@pytest.mark.parametrize("name", ["lobby", "nothing"])
def test_who_asks_for_published_names_before_the_login_is_not_punished(name):
    """It is an ordinary slip, and gains nothing: there is one answer for all of them."""
    root = AuthRoot(Library())
    here = Security(address="192.0.2.1", is_encrypted=True)
    knock = Knock(root, security=here)
    for _ in range(MAX_CALLS):
        assert [] == refusal_of(knock, name)[1]
    assert None is knock.bye
    assert 0 == root.throttle.penalty_s("192.0.2.1")
    for _ in range(3):
        refusal_of(Knock(root, security=here), name)
    assert 0 == root.throttle.penalty_s("192.0.2.1")


def test_guesses_that_are_taken_back_count():
    """CANCEL ends the wait of who asked, not the count of what he tried."""
    knock = Knock(AuthRoot(Library()), is_patient=True)
    for guess in range(3):
        id = knock.begin(0, "pb:resolve", "~" + str(guess) * 32)
        knock.say([CANCEL, id])
    knock.host.let_go()
    knock.host.let_go()
    knock.listen()
    assert 8 == knock.bye


def test_guesses_without_answer_count():
    """Messages that want none would tell nothing, but they cost the server as much."""
    knock = Knock(AuthRoot(Library()))
    for guess in range(3):
        knock.say([1, 0, 0, "pb:resolve", msgpack.packb([["~" + str(guess) * 32], {}])])
    assert 8 == knock.bye


@pytest.mark.parametrize("method", ["pb:describe", "pb:interfaces", "pb:idempotent", "names", "given"])
def test_a_stranger_cannot_list_names(method):
    """There is nothing to ask for them by: neither before a login nor with one object in hand."""
    library = Library()
    knock = Knock(AuthRoot(library))
    with pytest.raises(Told, match=r"pb\.NoSuchMethod"):
        knock.call(0, method)
    knock.call(0, "pb:resolve", library.secret())
    try:
        said = repr(knock.call(0, method))
    except Told as told:
        said = repr(told)
    assert "lobby" not in said and "minutes" not in said


def test_hashes_are_no_names():
    """Who has read the store has no way in: neither by what is kept of a name, nor by its id."""
    library = Library()
    library.secret()
    for record in done(library.given_names())[-1:]:
        knock = Knock(AuthRoot(library))
        refusal_of(knock, "~" + record.hash)
        refusal_of(knock, "~" + record.id)
        refusal_of(knock, f"~{record.hash[:32]}")


def test_a_secret_name_is_found_at_the_root_only():
    """And not at what it gave, nor without its mark, nor with another one in front."""
    library = Library()
    name = library.secret()
    knock = Knock(AuthRoot(library))
    given = number(knock.call(0, "pb:resolve", name))
    with pytest.raises(Told, match=r"pb\.NoSuchMethod"):
        knock.call(given, "pb:resolve", name)
    refusal_of(knock, name[1:])
    refusal_of(knock, f"~{name}")
    refusal_of(Knock(AuthRoot(library)), f"~x{name}")


@pytest.mark.parametrize("argument", [b"~" + b"a" * 32, None, 7, ["~"], {}, "~" + "a" * 128])
def test_what_is_no_name_is_no_guess(argument):
    """It fails as the wrong argument it is, eight times if need be: that is what strangers may call."""
    knock = Knock(AuthRoot(Library()))
    for _ in range(MAX_CALLS):
        with pytest.raises(Told, match=r"pb\.BadArguments"):
            knock.call(0, "pb:resolve", argument)
    assert None is knock.bye


def test_who_holds_on_after_revocation_is_told_gone():
    """By id, in the same turn, also where he ignores GONE; and a new use of the name is refused."""
    library = Library()
    knock = Knock(AuthRoot(library))
    name = library.secret()
    given = number(knock.call(0, "pb:resolve", name))
    assert "a secret" == knock.call(given, "read")
    assert done(library.revoke_name(name))
    knock.listen()
    assert [GONE, [given]] == knock.inbox[-1]
    with pytest.raises(Told, match=r"pb\.Gone"):
        knock.call(given, "read")
    refusal_of(knock, name)


def test_who_had_one_object_is_not_logged_in():
    """A secret name is no identity: what published names and perspectives are for, it does not open."""
    library = Library()
    knock = Knock(AuthRoot(library))
    given = number(knock.call(0, "pb:resolve", library.secret()))
    for method in ("attach", "keys", "logout"):
        with pytest.raises(Told, match=r"pb\.NoSuchMethod"):
            knock.call(given, method)
        with pytest.raises(Told, match=r"pb\.NoSuchMethod"):
            knock.call(0, method)
    refusal_of(knock, "lobby")
