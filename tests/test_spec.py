"""The pages of spec/ agree with themselves: links, rule ids, examples, vectors. No code of ours is needed."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import jsonschema
import msgpack
import pytest

from . import spec_coverage
from .spec_tables import PAGES, SPEC, Example, anchor_of, examples, headings_of
from .vectors import bytes_of

VECTORS = SPEC / "vectors"
RULE = re.compile(r"PB-[A-Z]\d+")
DEFINED = re.compile(r"\*\*(PB-[A-Z]\d+)\*\*")
PAGE_OF_LETTER = {
    "V": "1-values.md",
    "F": "2-frames.md",
    "M": "3-messages.md",
    "R": "4-references.md",
    "E": "5-errors.md",
    "L": "6-limits.md",
    "C": "7-caches.md",
    "T": "8-tracked.md",
    "A": "9-login.md",
    "P": "11-pipelining.md",
    "K": "12-reconnecting.md",
    "S": "10-streams.md",
}
# Message code -> where its payload stands.
PAYLOADS = {1: 4, 2: 2, 3: 2, 7: 4, 10: 2, 11: 2}
FILES = ["values", "reject-values", "frames-reject", "flavours"]
CONVERSATIONS = sorted((VECTORS / "conversations").glob("*.json"))


def load(path: Path) -> object:
    return json.loads(path.read_text())


def unpack(data: bytes) -> object:
    """Unpack with extensions left as they are; timestamps too."""
    return msgpack.unpackb(data, strict_map_key=True, timestamp=0)


def envelopes_of(frame: bytes) -> list[list[object]]:
    assert len(frame) - 4 == int.from_bytes(frame[:4], "big")
    body = unpack(frame[4:])
    assert isinstance(body, list)
    return body if isinstance(body[0], list) else [body]


def decode_frame(frame: bytes) -> None:
    """Check length, envelope and payload of a frame."""
    for envelope in envelopes_of(frame):
        code = envelope[0]
        assert isinstance(code, int)
        index = PAYLOADS.get(code)
        if index is not None and len(envelope) > index:
            payload = envelope[index]
            assert isinstance(payload, bytes)
            unpack(payload)


def ids_defined() -> list[tuple[str, str]]:
    return [(rule, page.name) for page in PAGES for rule in DEFINED.findall(page.read_text())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A specification that points into nothing is not finished."""
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        aim = (page.parent / name).resolve() if name else page
        assert aim.exists(), target
        if anchor:
            assert anchor in map(anchor_of, headings_of(aim)), target


def test_each_rule_has_one_place() -> None:
    """Two rules of one id cannot both be cited."""
    counts = Counter(rule for rule, _ in ids_defined())

    assert {} == {rule: count for rule, count in counts.items() if count > 1}
    assert [] == [(rule, page) for rule, page in ids_defined() if PAGE_OF_LETTER[rule[3]] != page]


def test_rules_that_are_named_exist() -> None:
    """An id in a page, a vector or a schema is a promise that the rule can be looked up."""
    defined = {rule for rule, _ in ids_defined()}
    texts = {path: path.read_text() for path in [*PAGES, *VECTORS.rglob("*.json")]}

    assert {} == {
        path.name: unknown for path, text in texts.items() if (unknown := set(RULE.findall(text)) - defined)
    }


@pytest.mark.parametrize("name", PAGE_OF_LETTER.values())
def test_what_must_be_done_has_an_id(name: str) -> None:
    """Every MUST can be cited by a test, so every paragraph or list item with one carries an id."""
    text = re.sub(r"```.*?```", "", (SPEC / name).read_text(), flags=re.S)
    blocks = re.split(r"\n\n|\n(?=\* )", text)

    assert [] == [block for block in blocks if "MUST" in block and not DEFINED.search(block)]


@pytest.mark.parametrize(
    "example", examples(), ids=lambda example: f"{example.page} {example.frame.hex()[:24]}"
)
def test_examples_are_frames_and_their_explanations_repeat_them(example: Example) -> None:
    """A worked example that is wrong costs every implementer a day."""
    decode_frame(example.frame)

    assert example.frame.hex() == example.explained.hex()


def test_each_message_has_an_example() -> None:
    """A message that nobody has seen on the wire is read differently by everybody."""
    seen = {envelope[0] for example in examples() for envelope in envelopes_of(example.frame)}

    assert set(range(16)) == seen


def test_hex_in_tables_and_text_is_msgpack() -> None:
    """Bytes given for values on the first page decode."""
    found = re.findall(r"`((?:[0-9a-f]{2})+)`", (SPEC / "1-values.md").read_text())

    assert len(found) > 15
    for data in found:
        unpack(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        *[(VECTORS / f"{name}.json", name) for name in [*FILES, "login"]],
        *[(path, "conversation") for path in CONVERSATIONS],
    ],
    ids=lambda each: each.stem if isinstance(each, Path) else "",
)
def test_vectors_have_the_form_of_their_schema(path: Path, schema: str) -> None:
    """Other languages read these files too; a key that is only sometimes there breaks them."""
    form = load(VECTORS / "schema" / f"{schema}.schema.json")
    assert isinstance(form, dict)
    jsonschema.Draft202012Validator.check_schema(form)

    jsonschema.validate(load(path), form, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", FILES)
def test_vectors_have_names_of_their_own(name: str) -> None:
    """A failure is reported by name."""
    found = load(VECTORS / f"{name}.json")
    rows = found["cases"] if isinstance(found, dict) else found
    assert isinstance(rows, list)

    assert [] == [each for each, count in Counter(row["name"] for row in rows).items() if count > 1]


def test_value_vectors_decode() -> None:
    """Plain msgpack reads every value vector; what its extensions mean is for jelly's tests."""
    rows = load(VECTORS / "values.json")
    assert isinstance(rows, list)
    for row in rows:
        unpack(bytes.fromhex(row["hex"]))


@pytest.mark.parametrize("name", ["frames-reject", "flavours"])
def test_frames_that_must_not_be_refused_as_frames_decode(name: str) -> None:
    """Cases that expect an error or nothing are well-formed frames: else they would test something else."""
    found = load(VECTORS / f"{name}.json")
    assert isinstance(found, dict)
    decode_frame(bytes.fromhex(found["hello"]))
    for case in found["cases"]:
        if "bye" not in case["expect"]:
            data = bytes.fromhex(case.get("hello", "")) + bytes_of(case)
            while data:
                size = 4 + int.from_bytes(data[:4], "big")
                decode_frame(data[:size])
                data = data[size:]


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.stem)
def test_conversations_decode(path: Path) -> None:
    """Each frame is one whole frame, and file and content bear one name."""
    conversation = load(path)
    assert isinstance(conversation, dict)
    assert path.stem == conversation["name"]
    for frame in conversation["frames"]:
        decode_frame(bytes.fromhex(frame["hex"]))


def test_no_page_or_vector_file_is_too_long() -> None:
    """What is read must be readable in one sitting."""
    assert [] == [path.name for path in SPEC.rglob("*.*") if len(path.read_text().splitlines()) > 400]


def test_every_rule_is_checked_by_something():
    """What nobody checks is a wish. Where bytes cannot show a rule, the table says which test sees to it."""
    assert [] == spec_coverage.uncovered()
    assert [] == [path for path in spec_coverage.ELSEWHERE.values() if not (SPEC.parent / path).exists()]
    assert set() == spec_coverage.ELSEWHERE.keys() - spec_coverage.rules().keys()


def test_a_file_that_sees_to_a_rule_names_it():
    """A file alone is soon one in which nothing looks at the rule: three of them were."""
    files = {rule: (SPEC.parent / path).read_text() for rule, path in spec_coverage.ELSEWHERE.items()}

    assert [] == [rule for rule, text in files.items() if not re.search(rf"{rule}\b", text)]


def test_the_table_of_coverage_is_up_to_date():
    """`python -m tests.spec_coverage` writes it."""
    assert spec_coverage.page() == (SPEC / "coverage.md").read_text(encoding="utf-8")
