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

# Rules with a MUST that bytes alone cannot show, because no peer sees whether they are kept, or because they
# are about another transport, a clock or a store: the tests that see to them here.
ELSEWHERE: Final[dict[str, str]] = {
    "PB-V42": "tests/cred/test_msgpack.py",
    "PB-V47": "tests/jelly/test_visibility.py",
    "PB-V50": "tests/pb/test_rules_to_server.py",
    "PB-F1": "tests/pb/aio/test_websocket.py",
    "PB-F38": "tests/pb/aio/test_websocket_server.py",
    "PB-F39": "tests/pb/aio/test_websocket_server.py",
    "PB-F40": "tests/pb/aio/test_websocket.py",
    "PB-F42": "tests/pb/aio/test_websocket.py",
    "PB-F44": "tests/pb/aio/test_tls.py",
    "PB-F46": "tests/pb/aio/test_websocket_flood.py",
    "PB-F48": "tests/pb/wire/test_envelopes.py",
    "PB-F29": "tests/pb/calling/test_closing.py",
    "PB-F33": "tests/pb/wire/test_turns.py",
    "PB-F35": "tests/pb/faults/test_cuts.py",
    "PB-F37": "tests/pb/test_broker.py",
    "PB-M7": "tests/pb/calling/test_model.py",
    "PB-M11": "tests/pb/calling/test_calls.py",
    "PB-M44": "tests/pb/test_tracing.py",
    "PB-R18": "tests/pb/holding/test_proxies.py",
    "PB-R22": "tests/pb/holding/test_relay.py",
    "PB-E8": "tests/pb/test_errors.py",
    "PB-E11": "tests/pb/wire/test_codec.py",
    "PB-L7": "tests/pb/wire/test_frames.py",
    "PB-L17": "tests/pb/calling/test_keeping.py",
    "PB-L18": "tests/pb/calling/test_keeping.py",
    "PB-L11": "tests/pb/auth/test_attacks_on_server.py",
    "PB-L16": "tests/pb/aio/test_pulse.py",
    "PB-L14": "tests/pb/holding/test_relay.py",
    "PB-C11": "tests/pb/caches/test_caches.py",
    "PB-C16": "tests/pb/caches/test_tracked_rules.py",
    "PB-C25": "tests/pb/caches/test_hostile_zombies.py",
    "PB-C21": "tests/pb/caches/test_cache_ends.py",
    "PB-C23": "tests/pb/caches/test_replicas.py",
    "PB-T4": "tests/pb/caches/test_tracked_replica.py",
    "PB-T10": "tests/pb/caches/test_tracked_replica.py",
    "PB-T11": "tests/pb/caches/test_tracked_rules.py",
    "PB-A3": "tests/pb/aio/test_login.py",
    "PB-A9": "tests/cred/test_authorizer.py",
    "PB-A10": "tests/pb/auth/test_attacks_on_client.py",
    "PB-A14": "tests/cred/test_saslprep.py",
    "PB-A16": "tests/pb/auth/test_secrets.py",
    "PB-A18": "tests/cred/test_channel.py",
    "PB-A33": "tests/cred/test_external.py",
    "PB-A40": "tests/pb/wire/test_stranger.py",
    "PB-A41": "tests/pb/auth/test_strangers.py",
    "PB-A48": "tests/pb/auth/test_forgetting.py",
    "PB-A51": "tests/pb/aio/test_door.py",
    "PB-S2": "tests/pb/streams/test_streams.py",
    "PB-S4": "tests/pb/promises/test_pipelining.py",
    "PB-S5": "tests/pb/streams/test_streams.py",
    "PB-S7": "tests/pb/streams/test_streams.py",
    "PB-S8": "tests/pb/streams/test_stream_items.py",
    "PB-S10": "tests/pb/streams/test_stream_items.py",
    "PB-S15": "tests/pb/streams/test_stream_hostile.py",
    "PB-S25": "tests/pb/streams/test_stream_relays.py",
    "PB-P18": "tests/pb/promises/test_pipelining.py",
    "PB-K1": "tests/pb/aio/test_backoff.py",
    "PB-K2": "tests/pb/aio/test_reconnecting_logins.py",
    "PB-K3": "tests/pb/aio/test_reconnecting.py",
    "PB-K6": "tests/pb/auth/test_sessions.py",
    "PB-K7": "tests/pb/aio/test_reconnecting_logins.py",
    "PB-K15": "tests/pb/caches/test_resync.py",
    "PB-K17": "tests/cred/test_sturdy.py",
    "PB-K19": "tests/pb/aio/test_named.py",
    "PB-K20": "tests/pb/auth/test_naming.py",
    "PB-K21": "tests/pb/auth/test_naming.py",
    "PB-K22": "tests/pb/auth/test_naming.py",
    "PB-K23": "tests/pb/auth/test_grants.py",
}


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
        " *cases* those of [`pb conformance`](conformance.md). Where bytes cannot show it, a file of the"
        " reference implementation's tests stands there.",
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
        if rule in ELSEWHERE:
            cells[2] = f"`{ELSEWHERE[rule]}`"
        lines.append(f"| {rule} | [{name[:-3]}]({name}) | {'yes' if must else ''} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def uncovered() -> list[str]:
    """Return the rules with a MUST that nothing covers."""
    found = covered()
    return [
        rule for rule, (_, must) in rules().items() if must and rule not in found and rule not in ELSEWHERE
    ]


if __name__ == "__main__":
    (SPEC / "coverage.md").write_text(page(), encoding="utf-8")
    print(f"{len(rules())} rules; without a check: {', '.join(uncovered()) or 'none'}")
