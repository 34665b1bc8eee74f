"""URLs of listeners and of published objects: text to Address and back.

Knows no socket, no ssl and no file: whether an address can be reached is for others to find out. A URL may
come from a stranger, and may hold a secret (a sturdy name, a password somebody put there by mistake), so
error texts quote only the piece that is wrong, cut short, and never the part before ``@`` nor a name.

The forms are those of spec/, "Third parties, sturdy references, revocation".
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

__all__ = ["DEFAULT_PORT", "Address", "BadURL", "canonical_fingerprint", "canonical_host"]

DEFAULT_PORT: Final = 8787

# Longest honest URL: scheme 8 + pin 53 + host 253 + port 6 + name 129, or a percent-encoded socket path
# (321).
MAX_URL_CHARS: Final = 1024
MAX_NAME_CHARS: Final = 128
# sockaddr_un holds 108 bytes on Linux with the closing NUL; the systems that hold fewer say so when they
# bind.
MAX_PATH_BYTES: Final = 107

EXPECTED_FORMS: Final = (
    "pb://host:port, pbs://fingerprint@host:port, pb+unix:///path, ws://host:port, wss://host:port"
    " or memory://name"
)

# Which fields each scheme uses, beside the name of a published object that all of them may have.
FIELDS: Final[dict[str, frozenset[str]]] = {
    "pb": frozenset({"host", "port"}),
    "pbs": frozenset({"host", "port", "fingerprint"}),
    "pb+unix": frozenset({"path"}),
    "memory": frozenset({"host"}),
    "ws": frozenset({"host", "port"}),
    "wss": frozenset({"host", "port", "fingerprint"}),
}
UNUSED: Final[dict[str, object]] = {"host": "", "port": 0, "path": "", "fingerprint": None}
# Those of the web have ports of their own, which browsers leave out too.
DEFAULT_PORTS: Final = {"pb": DEFAULT_PORT, "pbs": DEFAULT_PORT, "ws": 80, "wss": 443}

_NOT_PRINTABLE_ASCII = re.compile(r"[^!-~]")
_PERCENT_WITHOUT_HEX = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")
_NAME = re.compile(r"[A-Za-z0-9._~-]+")
# 52 base32 digits hold 260 bits, a SHA-256 has 256: the last digit has one bit of it, so it is "a" or "q".
_FINGERPRINT = re.compile(r"[a-z2-7]{51}[aq]")


class BadURL(ValueError):
    """Say what is wrong with a URL, or with a part of one, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Address:
    """Hold the parts of a URL, checked and in canonical form, so that equal addresses are equal values.

    Attributes:
        scheme: "pb", "pbs", "pb+unix", "ws", "wss" or "memory".
        host: where to connect or listen, in lower case, IPv6 without brackets. For memory:// it is the name
            that is listened on, case kept. Empty for pb+unix.
        port: 0 asks a listener for any free port, and is what schemes without ports have. parse() fills in
            the scheme's own where the URL has none.
        path: of the unix socket, absolute, not percent-encoded. Empty for the other schemes.
        fingerprint: pin of the server's key, 52 characters in lower case; None: the usual CA check applies.
        name: of a published object behind the listener (``pb://host/NAME``, ``pb+unix:///path#NAME``); None
            for the listener itself.

    Raises:
        BadURL: a part is unusable or does not belong to the scheme.
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    fingerprint: str | None = None
    # An unguessable name is all its holder needs, so repr(), which ends up in logs, does not show it.
    name: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        used = _fields_of(self.scheme)
        for part, default in UNUSED.items():
            if part not in used and getattr(self, part) != default:
                raise BadURL(f"{self.scheme}:// has no {part}; expected {EXPECTED_FORMS}")
        if self.scheme == "memory":
            check_name(self.host, "memory:// listener")
        elif "host" in used:
            object.__setattr__(self, "host", canonical_host(self.host))
        if not 0 <= self.port <= 65535:
            raise BadURL(f"port {self.port} is out of range, expected 0 to 65535")
        if self.fingerprint is not None:
            object.__setattr__(self, "fingerprint", canonical_fingerprint(self.fingerprint))
        if "path" in used:
            _check_path(self.path)
        if self.name is not None:
            check_name(self.name, "published object")

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read a URL.

        Raises:
            BadURL: it is no URL of ours; the text says what was found, what was expected and the remedy.
            TypeError: it is no str.
        """
        if not isinstance(url, str):
            raise TypeError(
                f"a URL is a str, such as 'pb://127.0.0.1:{DEFAULT_PORT}', not {type(url).__name__}"
            )
        if len(url) > MAX_URL_CHARS:
            raise BadURL(f"URL of {len(url)} characters, at most {MAX_URL_CHARS} are read")
        scheme, separator, rest = url.partition("://")
        if not separator:
            raise BadURL(f"URL without a scheme, expected {EXPECTED_FORMS}")
        scheme = scheme.lower()
        _fields_of(scheme)
        _check_characters(rest, scheme)
        if scheme == "pb+unix":
            path, mark, name = rest.partition("#")
            return cls(scheme, path=_unquoted_path(path), name=name if mark else None)
        where, _, rest_of_path = rest.partition("/")
        if "#" in rest or "?" in rest:
            raise BadURL(f"{scheme}:// has no # and no ? part; a published object is {scheme}://.../NAME")
        if "@" in rest_of_path:
            raise BadURL(
                "@ after the first /; expected pbs://fingerprint@host/NAME, without users and passwords"
            )
        # Software that normalises URLs adds the slash, so an empty name is no name here.
        name_or_none = rest_of_path or None
        if scheme == "memory":
            return cls(scheme, where, name=name_or_none)
        userinfo, mark, where = where.rpartition("@")
        if mark and scheme in ("pb", "ws"):
            raise BadURL(
                f"{scheme}:// has no part before @; a pinned key is {scheme}s://fingerprint@host, and no user"
                " or password belongs into a URL"
            )
        host, port = _split_port(where, scheme)
        return cls(scheme, host, port, fingerprint=userinfo if mark else None, name=name_or_none)

    def __str__(self) -> str:
        """Return the canonical URL; parse() of it gives an equal address."""
        if self.scheme == "pb+unix":
            return f"pb+unix://{quote(self.path)}" + (f"#{self.name}" if self.name else "")
        where = self.host
        if self.scheme != "memory":
            where = f"[{where.replace('%', '%25')}]" if ":" in where else where
            where = f"{where}:{self.port}"
        if self.fingerprint:
            where = f"{self.fingerprint}@{where}"
        return f"{self.scheme}://{where}" + (f"/{self.name}" if self.name else "")


def canonical_host(host: str) -> str:
    """Return a host name or IP address as an Address holds it: lower case, IPv6 compressed, without brackets.

    Raises:
        BadURL: it is neither.
    """
    if not host:
        raise BadURL("no host; 0.0.0.0 and [::] listen on every interface, localhost only on this machine")
    if ":" in host:
        return _canonical_ipv6(host)
    host = host.lower()
    labels = host.split(".")
    if not host.isascii():
        raise BadURL(f"host {_shown(host)} is not ASCII; write its xn-- form (IDNA)")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise BadURL(
            f"host {_shown(host)} is no host name: expected labels of 1 to 63 letters, digits, - and _,"
            " joined by dots, 253 characters in all"
        )
    # Resolvers read 127.1, 2130706433 and 0x7f.1 as 127.0.0.1; a reader, and a rule about loopback, would
    # not.
    if _NUMBER_LABEL.fullmatch(labels[-1]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise BadURL(f"host {_shown(host)} is no IPv4 address; write four decimal numbers") from None
    return host


def canonical_fingerprint(fingerprint: str) -> str:
    """Return the fingerprint of a public key in lower case.

    Raises:
        BadURL: it is not base32 of a SHA-256. The text does not quote it: people put passwords there.
    """
    lowered = fingerprint.lower()
    if not _FINGERPRINT.fullmatch(lowered):
        raise BadURL(
            f"{len(fingerprint)} characters that are no fingerprint stand where one belongs, before @;"
            " expected 52 of a-z and 2-7, as `pb keygen` prints them (a URL holds no user and no password)"
        )
    return lowered


def _fields_of(scheme: str) -> frozenset[str]:
    if scheme not in FIELDS:
        raise BadURL(f"unknown scheme {_shown(scheme)}, expected {EXPECTED_FORMS}")
    return FIELDS[scheme]


def _check_characters(rest: str, scheme: str) -> None:
    bad = _NOT_PRINTABLE_ASCII.search(rest)
    if not bad:
        return
    found = f"character {bad.group()!a} at position {len(scheme) + 3 + bad.start()}"
    if scheme == "pb+unix":
        raise BadURL(f"{found}; write it as {quote(bad.group(), errors='replace')} in a path")
    if bad.group() > "\x7f":
        raise BadURL(f"{found}; URLs are ASCII: write an international host name in its xn-- form (IDNA)")
    raise BadURL(f"{found}; remove it: {scheme}:// URLs have no blanks and no control characters")


def _split_port(where: str, scheme: str) -> tuple[str, int]:
    """Split ``host:port``, ``[ipv6]:port`` or either without its port."""
    if where.startswith("["):
        host, bracket, after = where[1:].partition("]")
        if not bracket or (after and not after.startswith(":")) or ":" not in host:
            raise BadURL(
                f"{_shown(where)} is no IPv6 address in brackets; write {scheme}://[::1]:{DEFAULT_PORT}"
            )
        if "%" in host:  # RFC 6874: the % before a zone is itself percent-encoded
            host, _, zone = host.partition("%")
            if not zone.startswith("25"):
                raise BadURL(f"zone of {_shown(host)} must be written after %25, as in [fe80::1%25eth0]")
            host = f"{host}%{zone[2:]}"
        if not after:
            return host, DEFAULT_PORTS[scheme]
        digits = after[1:]
    else:
        if "," in where:
            raise BadURL(f"several hosts in one URL ({_shown(where)}) are not built yet; give one")
        host, colon, digits = where.partition(":")
        if not colon:
            return host, DEFAULT_PORTS[scheme]
        if ":" in digits:
            raise BadURL(f"{_shown(where)}: IPv6 addresses go in brackets: {scheme}://[::1]:{DEFAULT_PORT}")
    if not _PORT.fullmatch(digits):
        raise BadURL(
            f"port {_shown(digits)} is no number from 0 to 65535;"
            f" leave out the colon for {DEFAULT_PORTS[scheme]}"
        )
    return host, int(digits)


def _canonical_ipv6(host: str) -> str:
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        raise BadURL(f"host {_shown(host)} is no IPv6 address") from None
    if address.scope_id is not None and not _NAME.fullmatch(address.scope_id):
        raise BadURL(f"zone of {_shown(host)} is no interface name")
    return str(address)


def _unquoted_path(path: str) -> str:
    if not path.startswith("/"):
        raise BadURL(
            f"pb+unix:// needs an absolute path, found {_shown(path)}; write three slashes: pb+unix:///run/pb"
        )
    if "?" in path:
        raise BadURL("pb+unix:// has no ? part; a ? in a path is written %3F")
    if _PERCENT_WITHOUT_HEX.search(path):
        raise BadURL(
            f"% in path {_shown(path)} is not followed by two hexadecimal digits; a % is written %25"
        )
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise BadURL(f"path {_shown(path)} is not UTF-8 once its %XX are decoded") from None


def _check_path(path: str) -> None:
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise BadURL(f"path {_shown(path)} cannot be written in UTF-8") from None
    if not path.startswith("/"):
        raise BadURL(f"path {_shown(path)} is not absolute")
    if "\0" in path:
        raise BadURL(f"NUL in path {_shown(path)}; abstract sockets are not supported")
    if size > MAX_PATH_BYTES:
        raise BadURL(f"socket path of {size} bytes, the system takes {MAX_PATH_BYTES}; choose a shorter one")


def check_name(name: str, whose: str) -> None:
    """Refuse what can be no name in a URL. Raises BadURL."""
    # The text is not quoted: the name of a published object may be all that protects it.
    if len(name) > MAX_NAME_CHARS or not _NAME.fullmatch(name):
        raise BadURL(
            f"name of a {whose} has {len(name)} characters, expected 1 to {MAX_NAME_CHARS} of letters, digits"
            " and . _ ~ -"
        )


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 60 else text[:57] + "...")
