"""URLs of listeners and published objects."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pb.aio import url
from pb.aio.url import Address, BadURL, canonical_fingerprint

PIN = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrsa"

GOOD = {
    "pb://localhost": Address("pb", "localhost", 8787),
    "pb://localhost/": Address("pb", "localhost", 8787),
    "pb://Host.Example:1": Address("pb", "host.example", 1),
    "PB://localhost:0": Address("pb", "localhost", 0),
    "pb://127.0.0.1:65535/lobby": Address("pb", "127.0.0.1", 65535, name="lobby"),
    "pb://[::1]": Address("pb", "::1", 8787),
    "pb://[0:0::0:1]:99": Address("pb", "::1", 99),
    "pb://[fe80::1%25eth0]:99": Address("pb", "fe80::1%eth0", 99),
    "pbs://example.org:443": Address("pbs", "example.org", 443),
    f"pbs://{PIN.upper()}@[::1]/x": Address("pbs", "::1", 8787, fingerprint=PIN, name="x"),
    "pb+unix:///run/pb.sock": Address("pb+unix", path="/run/pb.sock"),
    "pb+unix:///run/pb.sock#lobby": Address("pb+unix", path="/run/pb.sock", name="lobby"),
    "pb+unix:///a%20b%23%c3%bc": Address("pb+unix", path="/a b#ü"),
    "memory://Lobby": Address("memory", "Lobby"),
    "ws://Localhost": Address("ws", "localhost", 80),
    "wss://localhost": Address("wss", "localhost", 443),
    "wss://[::1]/lobby": Address("wss", "::1", 443, name="lobby"),
    f"wss://{PIN}@localhost:8787": Address("wss", "localhost", 8787, fingerprint=PIN),
    "memory://lobby/x": Address("memory", "lobby", name="x"),
}

# URL -> what its error must say: the finding, or the remedy.
BAD = {
    "": "without a scheme",
    "localhost:8787": "expected pb://host:port",
    "http://localhost": "unknown scheme 'http'",
    "://x": "unknown scheme ''",
    "wss://localhost/pb#x": "no #",
    "ws://bob@localhost": "wss://fingerprint@host",
    "ws://localhost:x": "leave out the colon for 80",
    "pb://": "no host",
    "pb://:8787": "0.0.0.0",
    "pb://a b": "character ' ' at position 6",
    "pb://a\0b": "character '\\x00'",
    "pb://a\n": "remove it",
    "pb://bücher.example": "xn--",
    "pb://a..b": "no host name",
    "pb://-a": "no host name",
    "pb://*": "no host name",
    "pb://" + 64 * "a": "no host name",
    "pb://" + ".".join(64 * ["abc"]): "253",
    "pb://127.1": "no IPv4 address",
    "pb://2130706433": "no IPv4 address",
    "pb://127.0.0.0x1": "no IPv4 address",
    "pb://1.2.3.256": "no IPv4 address",
    "pb://::1": "in brackets",
    "pb://::1:8787": "in brackets",
    "pb://[::1": "[::1]",
    "pb://[::1]8787": "[::1]",
    "pb://[localhost]": "no IPv6 address",
    "pb://[::g]": "no IPv6 address",
    "pb://[fe80::1%eth0]": "%25",
    "pb://[fe80::1%25]": "no IPv6 address",
    "pb://[fe80::1%25et/h0]": "[::1]",
    "pb://a:": "leave out the colon",
    "pb://a:x": "port 'x'",
    "pb://a:-1": "port '-1'",
    "pb://a:65536": "port 65536 is out of range",
    "pb://a:000001": "port '000001'",
    "pb://a,b": "several hosts",
    "pb://a/x/y": "published object",
    "pb://a/x?y": "no ? part",
    "pb://a#x": "pb://.../NAME",
    "pb://a/" + 129 * "x": "129 characters",
    f"pb://{PIN}@a": "pbs://fingerprint@host",
    "pbs://me@a": "2 characters that are no fingerprint",
    "pbs://@a": "0 characters that are no fingerprint",
    f"pbs://{PIN[:-1]}b@a": "no fingerprint",
    f"pbs://{PIN}a@a": "no fingerprint",
    "pb+unix://run/pb.sock": "three slashes",
    "pb+unix://": "three slashes",
    "pb+unix:///a b": "%20",
    "pb+unix:///ü": "%C3%BC",
    "pb+unix:///a%": "%25",
    "pb+unix:///a%0": "%25",
    "pb+unix:///a%00": "NUL",
    "pb+unix:///a%ff": "not UTF-8",
    "pb+unix:///a?b": "%3F",
    "pb+unix:///a#": "0 characters",
    "pb+unix:///a#b#c": "published object",
    "pb+unix:///" + 107 * "a": "108 bytes",
    "pb+unix:///\ud800": "position 11",
    "memory://": "0 characters",
    "memory://a:1": "memory:// listener",
    "memory://a b": "remove it",
    "pb://" + 1_000_000 * "a": "1000005 characters",
    1_000_000 * "\0": "1000000 characters",
}


@pytest.mark.parametrize("text", GOOD)
def test_url_is_read_into_its_canonical_address(text: str) -> None:
    """Whoever compares addresses compares values, so spelling must not matter."""
    assert Address.parse(text) == GOOD[text]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: ascii(bad[:40]))
def test_bad_url_says_what_is_wrong_in_few_words(bad: str) -> None:
    """The text goes to a user or a log, whoever wrote the URL."""
    with pytest.raises(BadURL) as caught:
        Address.parse(bad)

    text = str(caught.value)
    assert BAD[bad] in text
    assert len(text) < 300
    assert text.isprintable()


@pytest.mark.parametrize(
    "secretive",
    [
        "pbs://user:hunter2@host",
        "pb://user:hunter2@host",
        "pbs://user:x/hunter2@host",
        "pbs://user:hunter2/x@host",
        "pbs://user:x#hunter2@host",
        "pbs://user:x?hunter2@host",
        "memory://user:hunter2@host",
        "pb://host/hunter2/secret",
        "pb+unix:///a#hunter2/",
    ],
)
def test_error_does_not_repeat_what_may_be_a_secret(secretive: str) -> None:
    """People put passwords before the @, and an unguessable name is all its holder needs."""
    with pytest.raises(BadURL) as caught:
        Address.parse(secretive)

    assert "hunter2" not in str(caught.value)


def test_repr_does_not_show_the_name_but_the_url_does() -> None:
    """repr() ends up in logs; str() is asked for."""
    address = Address.parse("pb://host/hunter2")

    assert "hunter2" not in repr(address)
    assert "pb://host:8787/hunter2" == str(address)


def test_only_text_is_a_url() -> None:
    """bytes would otherwise fail somewhere deep, with a text that names nothing."""
    with pytest.raises(TypeError, match=r"such as 'pb://127\.0\.0\.1:8787', not bytes"):
        Address.parse(b"pb://localhost")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "parts",
    [
        {"scheme": "ws", "host": "a", "fingerprint": PIN},
        {"scheme": "pb", "host": "a b"},
        {"scheme": "pb", "host": "a", "port": 65536},
        {"scheme": "pb", "host": "a", "port": -1},
        {"scheme": "pb", "host": "a", "path": "/a"},
        {"scheme": "pb", "host": "a", "fingerprint": PIN},
        {"scheme": "pb", "host": "fe80::1%a]b"},
        {"scheme": "pbs", "host": "bücher"},
        {"scheme": "pbs", "host": "a", "fingerprint": ""},
        {"scheme": "pb+unix", "path": "a"},
        {"scheme": "pb+unix", "path": "/\ud800"},
        {"scheme": "pb+unix", "path": "/a", "host": "a"},
        {"scheme": "memory", "host": "a", "port": 1},
        {"scheme": "memory", "host": "a", "name": ""},
    ],
    ids=str,
)
def test_address_made_by_hand_is_checked_like_a_url(parts: dict[str, object]) -> None:
    """str() of an address is always a URL that parse() reads."""
    with pytest.raises(BadURL):
        Address(**parts)  # type: ignore[arg-type]


def test_address_with_another_port_is_a_replace_away() -> None:
    """A server that asked for port 0 publishes the one it got."""
    address = dataclasses.replace(Address.parse("pb://[::1]:0/x"), port=4711)

    assert "pb://[::1]:4711/x" == str(address)


NAMES = st.none() | st.text("abcXYZ019._~-", min_size=1, max_size=128)
LABELS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}[A-Za-z]", fullmatch=True)
HOSTS = st.one_of(
    st.lists(LABELS, min_size=1, max_size=5).map(".".join),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: f"{address}%eth0"),
)
PORTS = st.integers(0, 65535)
PINS = st.binary(min_size=51, max_size=51).map(
    lambda raw: "".join("abcdefghijklmnopqrstuvwxyz234567"[byte % 32] for byte in raw) + "q"
)
PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=25).map(
    lambda tail: f"/{tail}"
)
ADDRESSES = st.one_of(
    st.builds(Address, st.just("pb"), HOSTS, PORTS, name=NAMES),
    st.builds(Address, st.just("pbs"), HOSTS, PORTS, fingerprint=st.none() | PINS, name=NAMES),
    st.builds(Address, st.just("pb+unix"), path=PATHS, name=NAMES),
    st.builds(Address, st.just("memory"), st.text("abcXYZ019._~-", min_size=1, max_size=128), name=NAMES),
)


@given(ADDRESSES)
def test_every_address_survives_its_url(address: Address) -> None:
    """A URL is how an address travels."""
    assert Address.parse(str(address)) == address


ANY_TEXT = st.text()
ANY_REST = st.builds("{}://{}".format, st.sampled_from(["pb", "pbs", "pb+unix", "memory"]), st.text())
PUNCTUATION = st.builds(
    "{}://{}".format,
    st.sampled_from(["pb", "pbs", "pb+unix", "memory"]),
    st.text("ps:+/@[]%#?,.019afg", max_size=30),  # what the parser splits at
)


@given(ANY_TEXT | ANY_REST | PUNCTUATION)
def test_any_text_is_an_address_or_a_bad_url(text: str) -> None:
    """Nothing but BadURL comes out, and what is accepted has one canonical form."""
    try:
        address = Address.parse(text)
    except BadURL:
        return
    assert Address.parse(str(address)) == address


def test_fingerprint_has_one_spelling() -> None:
    """Base32 has spare bits at its end; a pin that sets them was mistyped."""
    assert PIN == canonical_fingerprint(PIN.upper())


def test_parser_imports_neither_socket_nor_ssl() -> None:
    """It is used by code that may not pay for them."""
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1]);"
        " print({'ssl', 'socket', 'asyncio', 'cryptography'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(url.__file__)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "set()" == done.stdout.strip()
