"""PasswordHash: vectors for the derivation, the syntax at rest, and who stands in for nobody."""

from __future__ import annotations

import hashlib

import pytest

import cred
from cred import PasswordHash
from cred.passwords import decode64, derive_keys, encode64, mock_hash, prepare_password

SALT = decode64("W22ZaJ0SNY7soEsUEjb6gQ==")
# PostgreSQL's own form of the password "pencil" with the salt of RFC 7677.
PENCIL = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


@pytest.mark.parametrize(
    ("password", "salt", "iterations", "expected"),
    [
        (b"passwd", b"salt", 1,
         "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
         "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"),
        (b"Password", b"NaCl", 80000,
         "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
         "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"),
    ],
)  # fmt: skip
def test_the_hash_function_gives_the_vectors_of_rfc_7914(password, salt, iterations, expected):
    """Section 11. It is the interpreter's, and everything here rests on it."""
    expected = bytes.fromhex(expected)

    assert expected == hashlib.pbkdf2_hmac("sha256", password, salt, iterations, len(expected))


def test_the_password_of_the_rfc_gives_the_hash_that_postgresql_keeps():
    """Its tables and tools can be used."""
    assert PENCIL == str(PasswordHash.of("pencil", iterations=4_096, random=lambda size: SALT))


def test_the_syntax_is_read_and_written_alike():
    """What a store keeps comes back the same."""
    assert PENCIL == str(PasswordHash.parse(PENCIL))


@pytest.mark.parametrize(
    "text",
    [
        "", "md5c4ca4238a0b923820dcc509a6f75849b", PENCIL + "\n", PENCIL + "x", " " + PENCIL,
        PENCIL.replace("4096", "04096"), PENCIL.replace("4096", "-1"), PENCIL.replace("4096", "4095"),
        PENCIL.replace("4096", "10000001"), PENCIL.replace("4096", "99999999999"),
        PENCIL.replace("W22Z", "AA=="), PENCIL.replace("gQ==", "gR=="), PENCIL.replace("4qY=", "4q=="),
        PENCIL.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "AAAA"), PENCIL.replace("SHA-256", "SHA-1"),
        PENCIL.replace("4096", "٤٠٩٦"),
    ],
)  # fmt: skip
def test_what_is_no_hash_is_refused_and_not_shown(text):
    """The text of the error goes to logs."""
    with pytest.raises(ValueError) as refused:
        PasswordHash.parse(text)

    assert "WG5d" not in str(refused.value)


def test_the_default_costs_who_steals_the_store():
    """600 000 is OWASP's figure; less needs a reason."""
    assert 600_000 == PasswordHash.of("x").iterations


def test_two_hashes_of_one_password_differ():
    """Or one table of hashes would open all stores."""
    assert PasswordHash.of("x", iterations=4_096) != PasswordHash.of("x", iterations=4_096)


def test_a_password_is_prepared():
    """RFC 5802 section 2.2: I<soft hyphen>X is IX."""
    assert derive_keys("IX", SALT, 4_096) == derive_keys("I\u00adX", SALT, 4_096)


@pytest.mark.parametrize(
    "password",
    ["", "\u00ad", "a\0b", "x" * 1_025, "\u00e9" * 600, "\ud800", 5, None, b"pencil"],
    ids=["empty", "empty once prepared", "NUL", "long", "long in bytes", "surrogate", "int", "None", "bytes"],
)
def test_what_cannot_be_a_password_is_refused_and_not_shown(password):
    """Empty ones too: they are left by forms that were not filled in."""
    with pytest.raises(cred.BadPassword, match="password") as refused:
        prepare_password(password, stored=True)

    assert not password or str(password) not in str(refused.value)


def test_a_long_password_is_refused_before_it_costs_anything():
    """1 MB of letters that would have to be normalized first."""
    with pytest.raises(cred.BadPassword, match="more than 1024 bytes"):
        prepare_password("\u2168" * 1_000_000, stored=False)


def test_the_longest_password_is_taken():
    """The limit is in bytes and includes its value."""
    assert b"x" * 1_024 == prepare_password("x" * 1_024, stored=True)


def test_a_client_may_try_what_no_store_would_keep():
    """A hash that was made elsewhere, by rules of its own, is still tried."""
    assert derive_keys("\u0221", SALT, 1) != derive_keys("x", SALT, 1)
    with pytest.raises(cred.BadPassword):
        PasswordHash.of("\u0221", iterations=4_096)


def test_nothing_secret_is_shown():
    """Reprs end up in logs and tracebacks."""
    hash = PasswordHash.parse(PENCIL)

    assert not [part for part in ("wfPL", repr(hash.stored_key), repr(hash.server_key)) if part in repr(hash)]
    assert "ScramKeys()" == repr(derive_keys("pencil", SALT, 4_096))


def test_nobody_has_the_same_hash_each_time():
    """A salt that changes from one try to the next is the salt of nobody."""
    assert mock_hash(bytes(32), "bob", {4_096: 1}) == mock_hash(bytes(32), "bob", {4_096: 1})


def test_nobody_differs_by_name_and_by_store():
    """Two stores with the same mock salts would give themselves away."""
    salts = {mock_hash(secret, name, {4_096: 1}).salt for secret in (b"a", b"b") for name in ("bob", "eve")}

    assert {16} == {len(salt) for salt in salts}
    assert 4 == len(salts)


def test_nobodys_keys_are_not_to_be_known():
    """A proof could be made with a stored key that everyone can compute."""
    one, other = mock_hash(b"a", "bob", {}), mock_hash(b"b", "bob", {})

    assert 6 == len(
        {one.stored_key, one.server_key, one.salt, other.stored_key, other.server_key, other.salt}
    )


def test_nobodys_keys_are_not_shown():
    """Nor are those of anybody."""
    assert "<MockHash of 600000 iterations>" == repr(mock_hash(b"a", "bob", {}))


def test_nobodys_iterations_are_drawn_like_the_real_ones():
    """If three quarters of a store have 15 000, nobody must not stand out with the default."""
    drawn = [mock_hash(b"a", f"user {n}", {15_000: 300, 4_096: 100}).iterations for n in range(2_000)]

    assert {15_000, 4_096} == set(drawn)
    assert 0.72 < drawn.count(15_000) / 2_000 < 0.78


def test_two_counts_of_one_hash_each_are_both_drawn():
    """The smallest store that could give itself away."""
    assert {5_000, 4_096} == {
        mock_hash(b"a", f"user {n}", {5_000: 1, 4_096: 1}).iterations for n in range(50)
    }


def test_an_empty_histogram_gives_the_default():
    """The first identity of a store is not there yet."""
    assert 600_000 == mock_hash(b"a", "bob", {}).iterations


@pytest.mark.parametrize(
    "text", ["A", "AA", "AAA", "AB==", "AA==\n", " AA==", "A A=", "é===", "AA=A", "-_=="]
)
def test_only_canonical_base64_is_read(text):
    """Python's decoder takes AB== for AA==; one value must have one form."""
    with pytest.raises(ValueError, match="base64"):
        decode64(text)


@pytest.mark.parametrize(
    "change",
    [
        {"iterations": 4_095},
        {"salt": b"1234567"},
        {"salt": bytes(65)},
        {"stored_key": b""},
        {"server_key": b""},
    ],
)
def test_parts_that_fit_nobody_are_refused(change):
    """A client refuses such challenges: the identity could never log in."""
    parts = {"iterations": 4_096, "salt": SALT, "stored_key": bytes(32), "server_key": bytes(32), **change}

    with pytest.raises(ValueError, match=r"expected|have 32"):
        PasswordHash(**parts)


@pytest.mark.parametrize(
    "change", [{"iterations": 4_096}, {"iterations": 10_000_000}, {"salt": bytes(8)}, {"salt": bytes(64)}]
)
def test_the_limits_themselves_fit(change):
    """What clients do is what may be kept."""
    parts = {"iterations": 5_000, "salt": SALT, "stored_key": bytes(32), "server_key": bytes(32), **change}

    assert PasswordHash(**parts) == PasswordHash.parse(str(PasswordHash(**parts)))


def test_base64_is_written_with_padding():
    """RFC 4648 section 4, as SCRAM wants it."""
    assert "AAE=" == encode64(b"\x00\x01")
