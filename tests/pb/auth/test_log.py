"""What the log tells of logins: who came from where, and who left; for people and for programs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

import cred
import pb
from pb.aio import logged
from pb.aio.transports import peer_name
from pb.auth.root import AuthRoot

from .doors import BYE, PASSWORD, Knock, Meeting, Told, alice, authorizer, done

ADDRESS = "the peer of server"  # what a transport would tell: host and port

PAGE = (Path(__file__).parents[3] / "docs" / "running.md").read_text(encoding="utf-8")
HOST = r"\[?(?P<host>[0-9a-f:.]+)\]?"  # as fail2ban has it, with or without the brackets of IPv6


class Transport(asyncio.Transport):
    def __init__(self, address):
        super().__init__({"peername": address})


def banned(level, logger, line):
    """Return what fail2ban finds in a line that `pb run` writes, once it has taken the date away."""
    pattern = re.search("^failregex = (.*)$", PAGE, re.MULTILINE)[1].replace("<HOST>", HOST)
    return re.search(pattern, f" {level} {logger}: {line}")


def lines(caplog, event):
    return [record for record in caplog.records if record.pb_event == event]


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (lambda peer: peer.log_in(peer.scram(password="wrong")), "SCRAM-SHA-256 as 'alice': wrong password"),
        (lambda peer: peer.call(0, "login", "PLAIN", b""), "a mechanism that is not offered here"),
        (lambda peer: peer.call(0, "login", 5, 6), "a mechanism that is no str"),
    ],
    ids=["password", "mechanism", "misuse"],
)
def test_a_refused_login_is_logged_with_where_it_came_from(caplog, attempt, text):
    """At the front: what is behind may have been chosen by whoever tried, so as to look like another line."""
    caplog.set_level("INFO")
    peer = Knock(AuthRoot(authorizer()))
    with pytest.raises(Told):
        attempt(peer)

    [record] = lines(caplog, "login.refused")
    assert f"login refused from {ADDRESS}: {text}" == record.getMessage()
    assert ADDRESS == record.pb_peer


@pytest.mark.parametrize("user", ["bob", "x' (login refused from 192.0.2.9:1: "])
@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7"])
def test_the_filter_of_the_manual_finds_the_address(caplog, host, user):
    """Not one that the user wrote, so as to have somebody else banned."""
    caplog.set_level("INFO")
    peer = Knock(AuthRoot(authorizer()))
    transport = Transport((host, 50312, 0, 0) if ":" in host else (host, 50312))
    channel = cred.Channel(bytes(32), peer=peer_name(transport))
    login = authorizer().begin_login("SCRAM-SHA-256", channel)
    with pytest.raises(cred.LoginFailed):
        done(login.receive(peer.scram(user=user).start()))
        done(login.receive(b"wrong"))

    (line,) = (record.getMessage() for record in lines(caplog, "login.refused"))
    assert host == banned("INFO", "cred", line)["host"]
    assert user in line


def test_the_filter_of_the_manual_finds_nothing_in_what_peers_say(caplog):
    """Anybody could else have anybody banned, by the text with which a connection is ended."""
    said = "pb: login refused from 192.0.2.9:1: "
    peer = Knock(AuthRoot(authorizer()))
    peer.say([BYE, 3, said, 0])
    logged.ends("192.0.2.7:50312", peer.host.broker.error, None)

    (line,) = (record.getMessage() for record in lines(caplog, "connection.failed"))
    assert said in line
    assert banned("WARNING", "pb", line) is None


def test_a_login_and_a_logout_are_logged(caplog):
    """An operator sees who was there."""
    caplog.set_level("INFO")
    meeting = Meeting(AuthRoot(authorizer()))
    identity = meeting.login(alice())
    [came] = lines(caplog, "login.accepted")
    meeting.do(identity.logout())

    [left] = lines(caplog, "login.ended")
    assert f"'alice' logged in from {ADDRESS} by SCRAM-SHA-256" == came.getMessage()
    assert f"'alice' logged out at {ADDRESS}" == left.getMessage()
    assert [("alice", ADDRESS)] * 2 == [(each.pb_identity, each.pb_peer) for each in (came, left)]


def test_who_logs_in_again_and_again_does_not_fill_the_log(caplog):
    """A peer with a password is a peer all the same."""
    caplog.set_level("INFO")
    meeting = Meeting(AuthRoot(authorizer()))
    tables = meeting.host.broker.tables
    while tables.may_log(20, "login.accepted"):
        pass
    while tables.may_log(20, "login.ended"):
        pass
    meeting.do(meeting.login(alice()).logout())

    assert "more are only counted" in caplog.text
    assert "'alice'" not in caplog.text


def test_whoever_has_not_logged_in_is_told_to_whatever_they_ask_for():
    """In the words that are right for all of it: what there is behind the login is not told."""
    peer = Knock(AuthRoot(authorizer()))
    texts = set()
    for name in ("employee", "remote_login", "pb:describe", "pb:nothing", "no name"):
        with pytest.raises(Told) as told:
            peer.call(0, name)
        assert "pb.NoSuchMethod" == told.value.args[0]
        texts.add(told.value.args[1].replace(repr(name), "of that name"))

    after = "nobody has logged in over this connection yet: log in first, connection.login(...)"
    assert {f"no method of that name; {after}"} == texts


def test_who_has_logged_in_is_told_what_everybody_is():
    """It would be wrong by then."""
    peer = Knock(AuthRoot(authorizer()))
    peer.log_in(peer.scram())
    for name in ("employee", "pb:nothing"):
        with pytest.raises(Told) as told:
            peer.call(0, name)
        assert told.value.args[1].startswith("no method")
        assert "log in" not in told.value.args[1]


def test_a_root_without_logins_asks_for_none():
    """There is nothing to log in to."""
    with pytest.raises(pb.NoSuchMethod) as refused:
        pb.testing.Pump(pb.Root()).call("employee")

    assert "no method 'employee'" == str(refused.value)


def test_the_password_is_in_no_line(caplog):
    """Nor what was tried in its place."""
    caplog.set_level("DEBUG")
    peer = Knock(AuthRoot(authorizer()))
    with pytest.raises(Told):
        peer.log_in(peer.scram(password="wrong pass phrase"))
    peer.log_in(peer.scram())

    assert PASSWORD not in caplog.text
    assert "wrong pass phrase" not in caplog.text


def test_a_channel_knows_its_peer_for_the_log_only():
    """The name is in no hash and no proof."""
    here = cred.Channel(None, peer="10.0.0.7:50312").greeted(bytes(32))

    assert "10.0.0.7:50312" == here.peer
