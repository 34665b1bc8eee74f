"""The tables of spec/registry.md and those of the code are the same, both ways.

Whoever adds a message, an error or a limit in one place is told here about the other.
"""

from __future__ import annotations

import dataclasses

import pytest

import cred
import jelly
import pb
from cred import _scram_messages, login, names, passwords, throttle
from cred.channel import BINDING_TYPES, MIN_BINDING_BYTES
from jelly import _ext
from pb import errors, messages
from pb.auth import root, strangers
from pb.calling.reserved import METHODS
from pb.holding import published
from pb.wire import stranger

from .spec_tables import PAGES, SPEC, table_of

REGISTRY = SPEC / "registry.md"
KINDS = {"str": str, "int": int, "array": list, "map": dict, "bool": bool}
# What is no Ext of ours: the timestamp belongs to msgpack.
EXT_NUMBERS = {
    value: name for name, value in vars(_ext).items() if name.isupper() and type(value) is int and value > 0
}


def column(heading: str, key: str, value: str) -> dict[str, str]:
    """Return one column of a table by another."""
    rows = table_of(REGISTRY, heading)
    found = {row[key]: row[value] for row in rows}
    assert len(found) == len(rows), f"{heading}: {key} is given twice"
    return found


def test_messages_are_those_of_the_registry() -> None:
    """Code, name, lengths and feature decide what a receiver takes."""
    expected = [
        (
            int(row["code"]),
            row["message"],
            tuple(map(int, row["lengths"].split(", "))),
            row["feature"] or None,
        )
        for row in table_of(REGISTRY, "Messages")
    ]

    assert expected == [(each.code, each.name, each.arity, each.feature) for each in messages.MESSAGES]


def test_reserved_methods_are_those_of_the_registry() -> None:
    """A name with a colon that is in no table is taken by nobody."""
    states = column("Reserved methods", "method", "state")

    assert {name for name, state in states.items() if state == "built"} == set(METHODS)


def test_messages_have_a_section_that_begins_with_their_synopsis() -> None:
    """The synopsis is the format; two of them must not differ."""
    page = (SPEC / "3-messages.md").read_text()
    for row in table_of(REGISTRY, "Messages"):
        first = page.split(f"\n## {row['code']} {row['message']}\n\n")[1].split("\n")[0]
        shortest = row["synopsis"].replace(", payload?]", "]").replace(", opts?]", "]")

        assert first.startswith(f"`{shortest}`"), row["message"]


def test_ext_numbers_are_those_of_the_registry() -> None:
    """A number given twice, or to two things, could never be taken back."""
    assert {
        int(number): name for number, name in column("Ext numbers", "number", "name").items()
    } == EXT_NUMBERS


def test_ext_numbers_are_those_of_the_first_page() -> None:
    """The page on values explains each number that the registry lists."""
    page = {row["ext"]: row["name"] for row in table_of(SPEC / "1-values.md", "1.3 Extended values")}

    assert column("Ext numbers", "number", "name") == page


def test_error_types_are_those_of_the_registry() -> None:
    """A type without a class arrives as a stranger; a class without a type cannot be relied on."""
    assert set(column("Error types", "type", "executed")) == set(errors.WIRE_ERRORS)


def test_error_types_are_those_of_the_errors_page() -> None:
    """Each type says when it is raised."""
    page = [row["type"] for row in table_of(SPEC / "5-errors.md", "5.4 The errors of the protocol")]

    assert list(column("Error types", "type", "executed")) == page


def test_bye_codes_are_those_of_the_registry() -> None:
    """The name is what logs show; whether a code drains decides what becomes of calls."""
    rows = table_of(REGISTRY, "BYE codes")

    assert {int(row["code"]): row["name"] for row in rows} == messages.BYE_CODES
    assert {int(row["code"]) for row in rows if row["drains"] == "yes"} == messages.DRAINING_CODES


def test_hello_keys_are_those_of_the_registry() -> None:
    """Type and meaning of absence; for arrays and text absence is emptiness."""
    expected = {
        row["key"]: (KINDS[row["type"]], int(row["absent"]) if row["absent"] else None)
        for row in table_of(REGISTRY, "HELLO keys")
    }

    assert expected == {
        key: (kind, absent or None if kind is not int else absent)
        for key, (kind, absent) in messages.HELLO_KEYS.items()
    }


def test_call_options_are_those_of_the_registry() -> None:
    """A known option of a wrong type ends the connection, so both sides must know the same."""
    expected = {name: KINDS[kind] for name, kind in column("Call options", "option", "type").items()}

    assert expected == messages.CALL_OPTIONS


def test_features_are_those_of_the_registry() -> None:
    """What is announced must be built, and what is built announced."""
    assert column("Features", "feature", "state") == messages.FEATURES


def test_features_of_messages_and_options_exist() -> None:
    """A row cannot depend on a feature that nobody can announce."""
    named = {
        row["feature"]
        for heading in ("Messages", "Ext numbers", "Call options")
        for row in table_of(REGISTRY, heading)
    }

    assert set() == named - {""} - set(column("Features", "feature", "state"))


def test_limits_are_those_of_the_registry() -> None:
    """The numbers in the specification are the ones that are in force."""
    expected = {name: float(value) for name, value in column("Limits", "limit", "default").items()}

    assert expected == {field.name: float(field.default) for field in dataclasses.fields(pb.Limits)}


def test_limits_of_values_are_the_same_for_connections() -> None:
    """A connection that overrode a default of jelly's would contradict what jelly documents."""
    ours = {field.name: field.default for field in dataclasses.fields(pb.Limits)}

    assert {} == {
        field.name: field.default
        for field in dataclasses.fields(jelly.Limits)
        if ours[field.name] != field.default
    }


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("frame body before HELLO, bytes", messages.HELLO_MAX_FRAME),
        ("envelopes in a batch", messages.MAX_BATCH),
        ("bytes of an envelope without its payload", messages.MAX_ENVELOPE_BYTES),
        ("of the envelopes of a batch", messages.MAX_BATCH_BYTES),
        ("arrays and maps in a batch, beside payloads", messages.MAX_BATCH_CONTAINERS),
        ("largest id", messages.MAX_ID),
        ("PING token, bytes", messages.MAX_TOKEN_BYTES),
        ("method name, bytes", messages.MAX_METHOD_BYTES),
        ("wire name, bytes", jelly.Limits().max_name_bytes),
        ("BYE text, bytes", messages.MAX_BYE_TEXT_BYTES),
        ("name of an object, characters", published.MAX_NAME_CHARS),
        ("name of an identity, bytes", names.MAX_NAME_BYTES),
        ("password, bytes", passwords.MAX_PASSWORD_BYTES),
        ("message of a login, bytes", root._MAX_MESSAGE_BYTES),
        ("message of SCRAM, bytes", _scram_messages.MAX_MESSAGE_BYTES),
        ("iterations of SCRAM, least", passwords.MIN_ITERATIONS),
        ("iterations of SCRAM, most", passwords.MAX_ITERATIONS),
        ("salt of SCRAM, bytes", passwords.MAX_SALT_BYTES),
        ("nonce of a SCRAM client, characters", _scram_messages.MAX_CLIENT_NONCE),
        ("channel binding, least bytes", MIN_BINDING_BYTES),
    ],
)
def test_fixed_limits_are_those_of_the_registry(limit: str, expected: int) -> None:
    """These are the same for everybody, so a wrong one shows only against another implementation."""
    assert expected == int(column("Fixed limits", "limit", "value")[limit])


def test_login_mechanisms_are_those_of_the_registry() -> None:
    """A client chooses by these names; one that is listed and not there is a login that always fails."""
    binding = cred.Binding("tls-server-end-point", bytes(32))
    channel = cred.Channel(None, (binding,), vouched=(cred.Credential.of_uid(0),))
    states = column("Login mechanisms", "mechanism", "state")

    assert [name for name, state in states.items() if state == "built"] == cred.Authorizer(
        anonymous="guest"
    ).mechanisms(channel)
    assert {"built", "reserved"} == set(states.values())


def test_channel_bindings_are_those_of_the_registry() -> None:
    """Two sides that have no type in common cannot log in over TLS."""
    states = column("Channel bindings", "type", "state")

    assert tuple(states) == BINDING_TYPES
    assert ["tls-server-end-point"] == [type for type, state in states.items() if state == "mandatory"]


def test_limits_of_strangers_are_those_of_the_registry() -> None:
    """A client keeps to them without having been told by anything but the name of a HELLO key."""
    assert {name: int(value) for name, value in column("Strangers", "limit", "value").items()} == {
        "frame body, bytes": messages.HELLO_MAX_FRAME,
        "payload depth": stranger.MAX_DEPTH,
        "calls in all": stranger.MAX_CALLS,
        "frame bodies in all, bytes": stranger.MAX_BYTES,
        "refused logins": throttle.ATTEMPTS,
    }


def test_limits_of_logins_are_those_of_the_registry() -> None:
    """Whoever runs a server decides by these numbers whether they are enough."""
    assert {name: float(value) for name, value in column("Login limits", "limit", "value").items()} == {
        "time to log in, s": stranger.LOGIN_TIMEOUT_S,
        "time to answer a challenge, s": login.LOGIN_S,
        "refusal takes at least, s": root._REFUSAL_S,
        "iterations for new passwords": passwords.DEFAULT_ITERATIONS,
        "connections before any is refused": strangers.FREE,
        "connections refused by chance from there, percent, rising to 100": strangers.DROP_PERCENT,
        "connections at most": strangers.FULL,
        "connections of one source": strangers.MOST_OF_ONE_SOURCE,
        "source refused from its third failure, s, doubling": throttle.PENALTY_S[0],
        "source refused at most, s": throttle.PENALTY_S[1],
        "name delayed from its fourth failure, s, doubling": throttle.DELAY_S[0],
        "name delayed at most, s": throttle.DELAY_S[1],
        "failures halved after, s": throttle.HALF_LIFE_S,
        "sources and names remembered, each": throttle.REMEMBERED,
    }


@pytest.mark.parametrize("heading", ["Fixed limits", "Strangers", "Login limits"])
def test_each_limit_names_a_rule(heading: str) -> None:
    """A number without a rule says not what it bounds."""
    pages = "".join(page.read_text() for page in PAGES)

    assert [] == [row["limit"] for row in table_of(REGISTRY, heading) if f"**{row['rule']}**" not in pages]
