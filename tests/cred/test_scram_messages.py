"""The grammar of SCRAM: what strangers may send, cut and twisted in every way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cred import _scram_messages as messages
from cred._scram_messages import Malformed
from cred.passwords import encode64

NONCE = "rOprNGfwEbeRWgbNEkqO"
PROOF = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
READERS = [
    messages.read_client_first,
    messages.read_server_first,
    messages.read_client_final,
    messages.read_server_final,
]


@pytest.mark.parametrize(
    ("flag", "type", "has_binding"),
    [("n", None, False), ("y", None, True), ("p=tls-exporter", "tls-exporter", False)],
)
def test_client_first_is_taken_apart(flag, type, has_binding):
    """What the proofs cover is kept as it was sent, for a byte more or less is another proof."""
    first = messages.read_client_first(f"{flag},,n=a=2Cb=3Dc,r={NONCE},x=more".encode())

    assert (flag + ",,", type, has_binding) == (first.gs2, first.binding_type, first.has_binding)
    assert ("a,b=c", NONCE, f"n=a=2Cb=3Dc,r={NONCE},x=more") == (first.user, first.nonce, first.bare)


@pytest.mark.parametrize(
    "text",
    [
        "", "n", "n,", "n,,", "n,,n=user", f"n,,r={NONCE},n=user", f"n,,n=,r={NONCE}", "n,,n=user,r=",
        f"n,a=admin,n=user,r={NONCE}", f"n,admin,n=user,r={NONCE}", f"q,,n=user,r={NONCE}",
        f"p,,n=user,r={NONCE}", f"p=,,n=user,r={NONCE}", f"p=tls unique,,n=user,r={NONCE}",
        f"N,,n=user,r={NONCE}", f"n,,m=x,n=user,r={NONCE}",
        f"n,,n=us=er,r={NONCE}", f"n,,n=user=2c,r={NONCE}",
        f"n,,n=user=,r={NONCE}", f"n,,n=a\0b,r={NONCE}", "n,,n=user,r=tooshort", f"n,,n=user,r={'x' * 129}",
        f"n,,n=user,r={NONCE}é", f"n,,n=user,r={NONCE} x", f"n,,n=user,r={NONCE},", f"n,,n=user,r={NONCE},xy",
        f"n,,n=user,r={NONCE},xyz",
        f"n,,n=user,r={NONCE},é=x", f"n,,n=user,r={NONCE},1=x", f"n,,n={'u' * 3000},r={NONCE}",
    ],
)  # fmt: skip
def test_a_client_first_that_is_none(text):
    """An authzid too: acting for somebody else is what keys are for."""
    with pytest.raises(Malformed):
        messages.read_client_first(text.encode())


def test_server_first_is_taken_apart():
    """Extensions that are not mandatory may be there, RFC 5802 section 7."""
    first = messages.read_server_first(f"r={NONCE},s=AAEC,i=4096,x=y,h=AAED".encode())

    assert (NONCE, b"\0\1\2", 4096, b"\0\1\3") == (first.nonce, first.salt, first.iterations, first.hello)
    assert None is messages.read_server_first(f"r={NONCE},s=AAEC,i=4096".encode()).hello


@pytest.mark.parametrize(
    "text",
    [
        f"r={NONCE}", f"r={NONCE},s=AAEC", f"s=AAEC,r={NONCE},i=4096", f"r={NONCE},s=,i=4096",
        f"r={NONCE},s=A,i=4096", f"r={NONCE},s=AAEC,i=", f"r={NONCE},s=AAEC,i=04096",
        f"r={NONCE},s=AAEC,i=-1",
        f"r={NONCE},s=AAEC,i=4096x", f"r={NONCE},s=AAEC,i=٤٠٩٦", f"r={NONCE},s=AAEC,i={'9' * 11}",
        f"m=x,r={NONCE},s=AAEC,i=4096", f"r={NONCE},s=AAEC,i=4096,h=AAED,h=AAEE",
        f"r={NONCE},s=AAEC,i=4096,h=A", f"r={NONCE},s={'AAEC' * 22},i=4096", "e=other-error",
    ],
)  # fmt: skip
def test_a_server_first_that_is_none(text):
    """A second h= is what somebody in between would add."""
    with pytest.raises(Malformed):
        messages.read_server_first(text.encode())


def test_client_final_is_taken_apart():
    """The proof covers what stands before it, extensions and all."""
    final = messages.read_client_final(f"c=biws,r={NONCE},x=y,p={PROOF}".encode())

    assert ("biws", NONCE, 32) == (final.binding, final.nonce, len(final.proof))
    assert f"c=biws,r={NONCE},x=y" == final.without_proof


@pytest.mark.parametrize(
    "text",
    [
        f"c=biws,r={NONCE}", f"p={PROOF}", f"c=biws,p={PROOF}", f"r={NONCE},c=biws,p={PROOF}",
        f"c=biws,r={NONCE},p=AAAA", f"c=biws,r={NONCE},p=", f"c=biws,r={NONCE},p={PROOF},x=y",
        f"c=biws,r={NONCE},p={PROOF},p={PROOF}", f"c=biws,r={NONCE},p={PROOF[:-2]}R=",
        f"c=,r={NONCE},p={PROOF}",
        f"m=x,c=biws,r={NONCE},p={PROOF}",
    ],
)  # fmt: skip
def test_a_client_final_that_is_none(text):
    """Two proofs would let the sender choose which one is looked at."""
    with pytest.raises(Malformed):
        messages.read_client_final(text.encode())


@pytest.mark.parametrize("flag", ["n", "y", "p=tls-exporter"])
@pytest.mark.parametrize("user", ["user", "us er", "usér"])
def test_the_usual_form_has_the_same_parts_as_any_other(flag, user):
    """It is read in another way, which must find the same: an extension leads past it."""
    text = f"{flag},,n={user},r={NONCE}"
    usual = messages.read_client_first(text.encode())
    other = messages.read_client_first(f"{text},x=y".encode())
    assert usual == other._replace(bare=f"n={user},r={NONCE}")

    text = f"c=biws,r={NONCE}"
    usual_final = messages.read_client_final(f"{text},p={PROOF}".encode())
    other_final = messages.read_client_final(f"{text},x=y,p={PROOF}".encode())
    assert usual_final == other_final._replace(without_proof=text)


def test_every_last_digit_that_is_canonical_is_taken_and_no_other():
    """Of it four bits count; a proof in two forms could be said twice."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for index, digit in enumerate(digits):
        text = f"c=biws,r={NONCE},p={'A' * 42}{digit}="
        if index % 4 == 0:
            proof = messages.read_client_final(text.encode()).proof
            assert bytes(31) + bytes([index // 4]) == proof
        else:
            with pytest.raises(Malformed):
                messages.read_client_final(text.encode())


def test_the_limits_themselves_are_taken():
    """A nonce of 128 characters, one of 16, a salt of 64 bytes, a message of 2 048."""
    nonce = "x" * 128
    text = f"n,,n=user,r={nonce},x="
    assert nonce == messages.read_client_first((text + "y" * (2_048 - len(text))).encode()).nonce
    with pytest.raises(Malformed, match="2049 bytes"):
        messages.read_client_first((text + "y" * (2_049 - len(text))).encode())
    assert "x" * 16 == messages.read_client_first(f"n,,n=user,r={'x' * 16}".encode()).nonce
    with pytest.raises(Malformed, match="nonce"):
        messages.read_client_first(f"n,,n=user,r={'x' * 15}".encode())
    salt = encode64(bytes(64))
    assert bytes(64) == messages.read_server_first(f"r={NONCE},s={salt},i=4096".encode()).salt


@pytest.mark.parametrize("text", ["", "e=invalid-proof", "v=", "v=A", "x=AAAA", "m=x,v=AAAA"])
def test_a_server_final_that_is_none(text):
    """An error is no proof either."""
    with pytest.raises(Malformed):
        messages.read_server_final(text.encode())


@pytest.mark.unmeasured
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@given(data=st.binary(max_size=80) | st.text(alphabet="nyprsicve=,A+/", max_size=60).map(str.encode))
def test_anything_is_read_or_is_malformed(read, data):
    """No other error comes out, whatever goes in."""
    try:
        read(data)
    except Malformed as error:
        assert str(error)


@given(st.text(alphabet="a=,2C3D"))
def test_names_are_escaped_and_unescaped(name):
    """A comma in a name must not begin another attribute."""
    escaped = messages.escape(name)

    assert "," not in escaped
    assert name == messages.unescape(escaped)
