"""Which rules of the specification something checks: `python -m tests.spec_coverage` writes spec/coverage.md.

A rule is covered by a row of the vectors that names it, a conversation whose `rules` name it, or a case of
`pb conformance`. What no peer can see from outside is listed with the test that sees to it here.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from pb.conformance.cases import built_in

SPEC: Final = Path(__file__).parent.parent / "spec"
RULE: Final = re.compile(r"PB-[A-Z]\d+")
DEFINED: Final = re.compile(r"\*\*(PB-[A-Z]\d+)\*\*")

# Rules with a MUST that no vector can show, because no peer sees whether they are kept: where it is tested.
UNSEEN: Final[dict[str, str]] = {}


def rules() -> dict[str, tuple[str, bool]]:
    """Return for each rule the page that defines it, and whether it says MUST."""
    found: dict[str, tuple[str, bool]] = {}
    for page in sorted(SPEC.glob("[0-9]*.md"), key=lambda path: int(path.name.partition("-")[0])):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
        for block in re.split(r"\n\n|\n(?=\* )|(?=\*\*PB-)", text):
            for rule in DEFINED.findall(block)[:1]:
                found[rule] = page.name, "MUST" in block
    return found


def covered() -> dict[str, dict[str, list[str]]]:
    """Return for each rule what covers it, by kind, in order."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted((SPEC / "vectors").glob("*.json")):
        for rule in RULE.findall(path.read_text(encoding="utf-8")):
            found[rule]["vectors"].append(path.stem)
    for path in sorted((SPEC / "vectors" / "conversations").glob("*.json")):
        for rule in json.loads(path.read_text(encoding="utf-8")).get("rules", []):
            found[rule]["conversations"].append(path.stem)
    for case in built_in():
        for rule in case.rules:
            found[rule]["cases"].append(case.name)
    return found


def page() -> str:
    """Return the text of spec/coverage.md."""
    lines = [
        "# Coverage",
        "",
        "Written by a program, from the pages, the vectors and the cases of the runner: which rule"
        " is checked by what. *vectors* are rows that name the rule, *conversations* exchanges that show it,"
        " *cases* those of [`pb conformance`](conformance.md).",
        "",
        "| rule | page | MUST | vectors | conversations | cases |",
        "|---|---|---|---|---|---|",
    ]
    found = covered()
    for rule, (name, must) in rules().items():
        by = found.get(rule, {})
        vectors = ", ".join(
            f"{stem} ({by['vectors'].count(stem)})" for stem in dict.fromkeys(by.get("vectors", []))
        )
        cells = [vectors, ", ".join(by.get("conversations", [])), ", ".join(by.get("cases", []))]
        if rule in UNSEEN:
            cells[2] = f"not to be seen from outside: {UNSEEN[rule]}"
        lines.append(f"| {rule} | [{name[:-3]}]({name}) | {'yes' if must else ''} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def uncovered() -> list[str]:
    """Return the rules with a MUST that nothing covers."""
    found = covered()
    return [rule for rule, (_, must) in rules().items() if must and rule not in found and rule not in UNSEEN]


if __name__ == "__main__":
    (SPEC / "coverage.md").write_text(page(), encoding="utf-8")
    print(f"{len(rules())} rules; without a check: {', '.join(uncovered()) or 'none'}")
