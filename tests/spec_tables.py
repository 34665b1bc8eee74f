"""Read the tables and the frame examples of the pages in spec/. Knows Markdown, not what the pages say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SPEC = Path(__file__).resolve().parent.parent / "spec"
PAGES = sorted(SPEC.rglob("*.md"))

_HEADING = re.compile(r"#+ (.*)")
_FENCE = re.compile(r"```(\w*)")
_FRAME = re.compile(r"(C>S|S>C) ([0-9a-f]+)")


class Example(NamedTuple):
    """One frame of an example: who sends it, its bytes, and the bytes that its explanation repeats."""

    page: str
    sender: str
    frame: bytes
    explained: bytes


def headings_of(page: Path) -> list[str]:
    """Return the headings of a page, in order, without code blocks."""
    return [match[1].strip() for line in _prose_of(page) if (match := _HEADING.fullmatch(line))]


def anchor_of(heading: str) -> str:
    """Return the anchor that Markdown viewers make of a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.strip().replace(" ", "-")


def table_of(page: Path, heading: str) -> list[dict[str, str]]:
    """Return the rows of the first table under `heading`: one dict a row, by column; backquotes dropped."""
    lines = iter(_prose_of(page))
    for line in lines:
        match = _HEADING.fullmatch(line)
        if match and match[1].strip() == heading:
            break
    else:
        raise AssertionError(f"{page.name} has no heading {heading!r}")
    rows: list[list[str]] = []
    for line in lines:
        if _HEADING.fullmatch(line) or (rows and not line.startswith("|")):
            break
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    assert len(rows) > 2, f"no table under {heading!r} in {page.name}"
    columns, _, *body = rows
    assert all(len(row) == len(columns) for row in body), f"ragged table under {heading!r} in {page.name}"
    return [dict(zip(columns, (cell.strip("`") for cell in row), strict=True)) for row in body]


def examples() -> list[Example]:
    """Return every frame in the blocks marked `frames` of all pages."""
    return [example for page in PAGES for example in _examples_of(page)]


def _examples_of(page: Path) -> Iterator[Example]:
    sender, frame, explained = "", b"", b""
    inside = False
    for line in page.read_text().splitlines():
        fence = _FENCE.match(line)
        if fence:
            if sender:
                yield Example(page.name, sender, frame, explained)
            sender, inside = "", fence[1] == "frames" and not inside
        elif inside and line.startswith("    "):
            # The explanation starts after two spaces, or where a line is all bytes at its end.
            pieces = re.split(r"  +", line.strip(), maxsplit=1)[0]
            explained += bytes.fromhex(pieces)
        elif inside:
            match = _FRAME.fullmatch(line)
            assert match, f"{page.name}: no frame: {line}"
            if sender:
                yield Example(page.name, sender, frame, explained)
            sender, frame, explained = match[1], bytes.fromhex(match[2]), b""


def _prose_of(page: Path) -> Iterator[str]:
    inside = False
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield line
