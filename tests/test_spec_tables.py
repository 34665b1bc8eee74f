"""The tables of spec/registry.md and those of the code are the same, both ways.

Whoever adds a message, an error or a limit in one place is told here about the other.
"""

from __future__ import annotations

import dataclasses

import pytest

import jelly
import pb
from jelly import _ext
from pb import errors, messages

from .spec_tables import SPEC, table_of

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
        ("largest id", messages.MAX_ID),
        ("PING token, bytes", messages.MAX_TOKEN_BYTES),
        ("method name, bytes", messages.MAX_METHOD_BYTES),
        ("wire name, bytes", jelly.Limits().max_name_bytes),
        ("BYE text, bytes", messages.MAX_BYE_TEXT_BYTES),
    ],
)
def test_fixed_limits_are_those_of_the_registry(limit: str, expected: int) -> None:
    """These are the same for everybody, so a wrong one shows only against another implementation."""
    assert expected == int(column("Fixed limits", "limit", "value")[limit])
