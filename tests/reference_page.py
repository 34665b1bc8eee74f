"""The page of all public names: `python -m tests.reference_page` writes docs/reference.md.

What a name is comes from the first line of its docstring, what belongs together is said here. The tests in
test_docs.py see to it that every public name stands there, and that the page is the one this would write.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from zope.interface.interface import InterfaceClass, Method

import cred
import jelly
import pb
import pb.sync
import pb.testing

PAGE: Final = Path(__file__).parent.parent / "docs" / "reference.md"

# Heading, module, what is said first, and the names. `Class: a b c` shows those members of it too.
GROUPS: Final[list[tuple[str, ModuleType, str, list[str]]]] = [
    (
        "Connecting and serving",
        pb,
        "URLs are `pb://HOST:PORT`, `pbs://FINGERPRINT@HOST:PORT` (TLS), `pb+unix:///PATH`, `memory://NAME`,"
        " `ws://` and `wss://`.",
        [
            "serve",
            "Server: close connections publish serve_forever unpublish",
            "open_connection",
            "Connection: root login get_object close abort drain is_open wait_closed peer limits peer_limits"
            " usage",
            "connect",
            "get_object_at",
            "Limits",
            "Usage",
            "Web",
            "tls",
            "BadURL",
        ],
    ),
    (
        "Remote objects",
        pb,
        "",
        [
            "RemoteReference",
            "RemoteMethod: send nowait within idempotent",
            "Promise",
            "call_remote",
            "deadline",
            "on_disconnect",
            "connection_of",
            "release",
            "describe",
            "Description",
            "providing",
            "Stream: aclose",
            "stream_file",
            "receive_file",
            "is_live",
            "is_stale",
        ],
    ),
    (
        "What others may call, and what they receive",
        pb,
        "The flavour of an object is its base class; what travels by value is registered.",
        [
            "Root",
            "Referenceable",
            "Viewable",
            "Copyable: get_state_to_copy get_state_to_copy_for",
            "RemoteCopy: set_copyable_state",
            "Tracked: changed visibility_changed stopped_observing",
            "Cacheable: get_state_to_cache_and_observe_for stopped_observing",
            "RemoteCache: set_copyable_state",
            "Observers: add discard send tell",
            "Registry: add copyable cacheable add_codec include freeze",
            "visible_to",
            "visible_if",
            "HIDDEN",
            "is_hidden",
            "revoke",
        ],
    ),
    (
        "Within a method that is called",
        pb,
        "",
        [
            "current_call",
            "CurrentCall: connection perspective attach left_s answer_wanted trace",
            "Attachment: adopt detach on_end is_over",
            "in_thread",
            "on_loop",
            "from_thread",
            "idempotent",
            "events",
            "events_delivered",
            "event_usage",
            "EventUsage",
        ],
    ),
    (
        "Coming back after a loss",
        pb,
        "`open_connection(url, reconnect=True)` gives a `LastingConnection`.",
        [
            "LastingConnection: root login get_object keep status is_ready close abort",
            "Reconnect",
            "Status: watch changes wait_for next_try_s",
            "ConnectionState",
            "Change",
        ],
    ),
    (
        "Users and services",
        pb,
        "",
        [
            "Application: listen running start stop use_store keep add_service publish unpublish sturdy"
            " give_name given_names revoke_name",
            "Service: get_perspective_named get_perspective load_perspective create_perspective"
            " add_perspective attach_count",
            "Perspective: attached detached make_identity attach_count",
            "RemoteIdentity: attach detach keys logout",
            "AuthRoot",
        ],
    ),
    (
        "Watching",
        pb,
        "[observing.md](observing.md) says how these are used.",
        [
            "Hooks",
            "CallEvent",
            "LoginEvent",
            "AttachmentEvent",
            "ReferenceEvent",
            "AuditLog",
            "CallFields",
            "otel",
            "trace",
            "Trace",
            "reference_report",
            "HeldReference",
            "ReferenceReport",
        ],
    ),
    (
        "Errors",
        pb,
        "The README has a table of what each means for whoever sees it.",
        [
            "Error",
            "RemoteError",
            "PeerError",
            "NoSuchMethod",
            "NoSuchObject",
            "BadArguments",
            "BadPayload",
            "Unregistered",
            "TooLarge",
            "Busy",
            "Unsupported",
            "Forbidden",
            "Gone",
            "LoginFailed",
            "Cancelled",
            "DeadlineExceeded",
            "NotPipelinable",
            "BrokenPromise",
            "Unjellyable",
            "InsecureJelly",
            "ConnectionLost",
            "NotExecuted",
            "DeadReference",
            "OutcomeUnknown",
            "ForkedConnection",
            "ProtocolError",
        ],
    ),
    ("Programs without a loop, and tests", pb, "Below are the names of both.", ["sync", "testing"]),
]
# Modules of which all names are shown, in the order of the alphabet, but for what other groups have shown.
WHOLE: Final[list[tuple[str, ModuleType, str]]] = [
    (
        "`from pb import sync`: the same without a loop",
        pb.sync,
        "For scripts, threads and windows: the names of `pb`, and calls that wait.",
    ),
    ("`pb.testing`", pb.testing, ""),
    (
        "`cred`: who may see what",
        cred,
        "What a user store, a way to log in, or an administration of one's own needs.",
    ),
    (
        "`jelly`: values as bytes",
        jelly,
        "Programs need it seldom: `pb` has what they use. It knows no connection.",
    ),
]


def sentence(value: Any) -> str:
    """Return the first line of a docstring, as it fits into a cell of a table."""
    return " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split()).replace("|", "\\|")


def arguments(value: Any, is_method: bool = False) -> str:
    """Return what a function takes, by name only."""
    if not inspect.isroutine(value):
        return ""
    names = []
    for name, parameter in list(inspect.signature(value).parameters.items())[is_method:]:
        is_named = parameter.kind is parameter.KEYWORD_ONLY
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        names.append(f"{stars}{name}{'=' if is_named else ''}")
    return f"({', '.join(names)})"


def row(module: ModuleType, name: str) -> list[str]:
    """Return the lines of one name, with those of its members if they are wanted."""
    name, _, members = name.partition(": ")
    value = getattr(module, name)
    said = sentence(value) if not isinstance(value, jelly.Registry | frozenset) else CONSTANTS[name]
    lines = [f"| `{name}{arguments(value)}` | {said} |"]
    for member in members.split():
        found = inspect.getattr_static(value, member, None)
        described = MEMBERS.get(f"{name}.{member}") or sentence(getattr(value, member))
        lines.append(f"| `  .{member}{arguments(found, is_method=True)}` | {described} |")
    if isinstance(value, InterfaceClass):
        for member, described in value.namesAndDescriptions(all=True):
            taken = described.getSignatureString() if isinstance(described, Method) else ""
            lines.append(
                f"| `  .{member}{taken}` | {' '.join(described.getDoc().partition('.')[0].split())}. |"
            )
    return lines


# Of values that have no docstring of their own.
CONSTANTS: Final = {
    "BUILTIN_ERRORS": "A registry of Python's own errors, such as `ValueError`:"
    " `registry.include(jelly.BUILTIN_ERRORS)` on both sides, and they arrive as themselves.",
    "SCALARS": "The types of values that hold no others.",
}
# Of members that are plain attributes.
MEMBERS: Final = {
    "CurrentCall.connection": "The connection that the call came over.",
    "CurrentCall.perspective": "On whose behalf it is made: the perspective, or None.",
    "CurrentCall.answer_wanted": "False for a call that was made by `send`.",
    "CurrentCall.trace": "The `pb.Trace` that the call belongs to, or None.",
    "LastingConnection.status": "How it stands: a `pb.Status`.",
}


def limits() -> list[str]:
    """Return the table of limits, from the docstring of the class."""
    text = inspect.getdoc(pb.Limits) or ""
    said = dict(re.findall(r"^    (\w+): (.*(?:\n        .*)*)", text, re.M))
    own = dict(re.findall(r"^    (\w+): (.*(?:\n        .*)*)", inspect.getdoc(jelly.Limits) or "", re.M))
    lines = [
        "### `pb.Limits(...)`",
        "",
        sentence(pb.Limits) + " A call or a connection that meets one is told which, and what was found.",
        "",
        "| limit | default | what it bounds |",
        "|---|--:|---|",
    ]
    for each in dataclasses.fields(pb.Limits):
        what = " ".join((said.get(each.name) or own[each.name]).split()).replace("|", "\\|")
        default = f"{each.default:,}" if isinstance(each.default, int) else f"{each.default}"
        lines.append(f"| `{each.name}` | {default} | {what} |")
    return lines


def page() -> str:
    """Return the text of docs/reference.md."""
    lines = [
        "# All public names",
        "",
        "Written by a program, from the docstrings: `help(pb.serve)` says more of each, with arguments, units"
        " and errors. In brackets: what a function takes; `name=` is given by name. What is not here is not"
        " public. How things are done is in [howto.md](howto.md).",
    ]
    shown: set[str] = set()
    for heading, module, text, names in GROUPS:
        lines += ["", f"## {heading}", *(["", text] if text else []), "", "| name of `pb` | |", "|---|---|"]
        for name in names:
            shown.add(name.partition(": ")[0])
            lines += row(module, name)
        if "Limits" in names:
            lines += ["", *limits()]
    for heading, module, text in WHOLE:
        lines += ["", f"## {heading}", *(["", text] if text else []), "", "| name | |", "|---|---|"]
        is_new = [n for n in module.__all__ if module is not jelly or n not in shown]
        for name in sorted(is_new, key=str.lower):
            lines += row(module, name)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name}: {len(page().splitlines())} lines")
