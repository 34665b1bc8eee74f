"""The vectors of the specification as cases: values echoed, payloads and frames that must be refused.

They are read from the folder spec/vectors, whose README says what each row means.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from . import values
from .case import Case
from .peer import ANSWERED, CALL, ERROR, Missing, Peer, Unmet, shown
from .same import say_the_same

_REFERENCES = ("$ref", "$home", "$answer", "$stream", "$cached", "$cache", "$refx")


def from_folder(folder: Path, lossy: Collection[str] = ()) -> list[Case]:
    """Return the cases of the vectors in a folder.

    Args:
        lossy: languages under test, by the names that rows have under `lossy`: what such a one may turn into
            a neighbouring value (PB-V43) may come back as one. Of any other language it must not.

    Raises:
        OSError, ValueError: they cannot be read.
    """
    # A call nests two deeper than its argument, so what is as deep as may be cannot be echoed.
    rows = [row for row in _load(folder, "values.json") if not row["name"].startswith("depth ")]
    cases = [_echo(row, lossy) for row in rows if not _holds_references(row["value"])]
    cases += [_refused(row) for row in _load(folder, "reject-values.json")]
    for name in ("frames-reject", "flavours"):
        path = folder / f"{name}.json"
        if path.exists():
            content = json.loads(path.read_text(encoding="utf-8"))
            cases += [_frames(name, content["hello"], row) for row in content["cases"]]
    counts: dict[str, int] = {}
    numbered = []
    for case in cases:
        counts[case.name] = counts.get(case.name, 0) + 1
        name = f"{case.name}.{counts[case.name]:03}"
        numbered.append(Case(name, case.title, case.rules, case.level, case.run, case.is_raw))
    return numbered


def _load(folder: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / name).read_text(encoding="utf-8"))
    return found


def _holds_references(value: Any) -> bool:
    if isinstance(value, dict):
        return any(key in _REFERENCES or _holds_references(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_holds_references, value))


def _payload(row: dict[str, Any]) -> bytes:
    if "hex" in row:
        return bytes.fromhex(row["hex"])
    piece, times = row["hex_repeat"]
    head, tail = bytes.fromhex(row.get("hex_head", "")), bytes.fromhex(row.get("hex_tail", ""))
    return head + bytes.fromhex(piece) * int(times) + tail


def _call_of(value: bytes) -> bytes:
    """Return the payload of echo(value); where the value is a GRAPH, the whole payload is one."""
    graph = values.array_of(_unpacked(value), values.GRAPH)
    if not graph or not isinstance(graph[-1], bytes):
        return b"\x92\x91" + value + b"\x80"
    root = values.pack(values.ExtType(values.NODE, values.uint(len(graph) - 1)))
    parts = [*graph, b"\x92\x91" + root + b"\x80"]
    return values.pack(values.ExtType(values.GRAPH, values.pack(parts)))


def _unpacked(value: bytes) -> Any:
    try:
        return values.unpack(value)
    except Exception:
        return None


def _echo(row: dict[str, Any], lossy: Collection[str]) -> Case:
    payload = _payload(row)
    may_differ = bool(row.get("decode_only")) or any(name in lossy for name in row.get("lossy", ()))

    def run(peer: Peer) -> None:
        peer.send(CALL, 1, 0, "echo", _call_of(payload))
        envelope = peer.settled(1)
        if envelope[0] == ERROR:
            told = values.unpack(envelope[2])
            if "may_refuse" not in row or told.get("type") != row["may_refuse"]:
                raise Unmet(f"the echo failed with {shown(envelope)}")
            return
        if may_differ or say_the_same(envelope[2], payload):
            return
        told = "; a neighbouring value needs --lossy" if row.get("lossy") else ""
        raise Unmet(f"the echo is {envelope[2].hex()}; expected {payload.hex()}{told}")

    rules = tuple(row.get("rules", ())) or ("PB-V1",)
    return Case("values", f"echo: {row['name']}", rules, "core", run)


def _refused(row: dict[str, Any]) -> Case:
    payload = _payload(row)

    def run(peer: Peer) -> None:
        peer.need(*row.get("needs", []))
        limit = peer.info.get("max_frame", 65_536)
        if len(payload) + 32 > limit:
            raise Missing("takes no frame so long")
        peer.send(CALL, 1, 0, "echo", _call_of(payload))
        if row["expect"] == "fatal":
            peer.bye(4, 5)
            return
        envelope = peer.read()
        if row["expect"] == "either":
            if envelope[0] == 15 and envelope[1] in (4, 5):
                return
        elif envelope[0] != ERROR:
            raise Unmet(f"{shown(envelope)} came; expected the error {row.get('type')}")
        if envelope[0] == ERROR and row.get("type") and row["expect"] == "call":
            found = values.unpack(envelope[2]).get("type")
            if found != row["type"]:
                raise Unmet(f"the call failed with {found}; expected {row['type']}")
        if envelope[0] not in (ANSWERED, ERROR):
            raise Unmet(f"{shown(envelope)} came; expected an answer")
        peer.alive()

    return Case("refused", row["name"], (row["rule"],), "full" if row.get("needs") else "core", run)


def _frames(group: str, hello: str, row: dict[str, Any]) -> Case:
    def run(peer: Peer) -> None:
        if row.get("first"):
            peer.read_hello()
        else:
            peer.send_bytes(bytes.fromhex(row.get("hello", hello)))
            peer.read_hello()
        features = peer.info.get("features", [])
        there = [feature for feature in row.get("without", []) if feature in features]
        if there:
            raise Missing(f"announces {', '.join(there)}")
        for need in row.get("needs", []):
            if need in ("cache", "pipeline", "resync", "stream"):
                peer.need(need)
            else:
                peer.need("ability " + need)
        content = _payload(row)
        if "hex_repeat" in row and len(content) - 4 > peer.info.get("max_frame", 65_536):
            raise Missing("takes no frame so long")
        if not _are_frames(content):
            peer.need_lengths()
        peer.send_bytes(content)
        peer.skip_calls(100)  # a row makes fewer
        _expect(peer, row["expect"], bool(row.get("collect")))

    level = "full" if group == "flavours" or row.get("needs") else "core"
    return Case(group, row["name"], (row["rule"],), level, run, is_raw=True)


def _are_frames(content: bytes) -> bool:
    """Tell whether bytes are whole frames, which can be messages of WebSocket too."""
    while len(content) >= 4:
        length = int.from_bytes(content[:4], "big")
        if not length or len(content) < 4 + length:
            return False
        content = content[4 + length :]
    return not content


def _is_same(found: list[Any], wanted: list[Any]) -> bool:
    """Tell whether two messages say the same, however their payloads are written."""
    return len(found) == len(wanted) and all(
        say_the_same(one, other)
        if isinstance(one, bytes) and isinstance(other, bytes)
        else (type(one), one) == (type(other), other)
        for one, other in zip(found, wanted, strict=True)
    )


def _in_hex(envelope: list[Any]) -> str:
    """Return the payloads of a message in hex, for those that look alike."""
    return " ".join(field.hex() for field in envelope if isinstance(field, bytes)) or "without payload"


def _expect(peer: Peer, expect: dict[str, Any], must_drop: bool) -> None:
    """Look at what comes; where its application has had our objects in hand, let it collect garbage."""
    for body in expect.get("answers", []):
        wanted = values.unpack(bytes.fromhex(body))
        found = peer.read()
        if not _is_same(found, wanted):
            raise Unmet(f"{shown(found)} came, {_in_hex(found)}; expected {shown(wanted)}, {_in_hex(wanted)}")
    if "bye" in expect:
        peer.bye(*expect["bye"], may_be_silent=bool(expect.get("silent")))
        return
    if "error" in expect:
        peer.fails(expect["error"]["id"], expect["error"]["type"])
    releases, stops = dict(expect.get("releases", [])), set(expect.get("stops", []))
    for _ in range(20):
        peer.alive()
        if stops <= peer.stopped and all(peer.released[id] >= count for id, count in releases.items()):
            break
        if must_drop:
            peer.ask(0, "drop")
    if dict(peer.released) != releases:
        raise Unmet(f"it has released {dict(peer.released)} (count by id of ours); expected {releases}")
    if peer.stopped != stops:
        raise Unmet(f"it has stopped the streams {sorted(peer.stopped)}; expected {sorted(stops)}")
