"""The few bytes of msgpack: compared with the real thing, and strict about everything else."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cred._msgpack import pack, unpack_map

SHORT = st.text(max_size=60) | st.binary(max_size=255)


@pytest.mark.unmeasured
@given(st.lists(SHORT, max_size=15))
def test_arrays_are_packed_as_msgpack_does(items):
    """The library is there in the tests, not in the package."""
    assert msgpack.packb(items) == pack(items)


@pytest.mark.unmeasured
@given(st.dictionaries(st.text(max_size=5), SHORT, max_size=15))
def test_maps_are_packed_with_their_keys_in_order(found):
    """Canonical: one map has one form."""
    assert msgpack.packb(dict(sorted(found.items()))) == pack(found)


@pytest.mark.parametrize("value", ["x" * 256, bytes(256), [""] * 16, {str(n): "" for n in range(16)}])
def test_what_is_too_long_for_a_login_is_refused(value):
    """There is no honest reason, so there is no code for it."""
    with pytest.raises(ValueError, match="expected at most"):
        pack(value)


@given(st.fixed_dictionaries({"key": SHORT, "nonce": SHORT, "user": SHORT}))
def test_a_map_is_read_as_it_was_packed(found):
    """With its keys in ascending order, as they were packed."""
    assert found == unpack_map(pack(found), ["key", "nonce", "user"])


GOOD = pack({"a": b"1", "b": "2"})


@pytest.mark.parametrize(
    "data",
    [
        b"", GOOD[:-1], GOOD + b"\0", pack({"a": b"1"}), pack({"a": b"1", "b": "2", "c": ""}),
        pack({"a": b"1", "c": "2"}), b"\xde\0\x02" + GOOD[1:], GOOD.replace(b"\xa12", b"\xd9\x012"),
        b"\x82" + GOOD[6:] + GOOD[1:6], GOOD.replace(b"\xa12", b"\xa1\xff"), GOOD.replace(b"\xa12", b"\x02"),
        GOOD.replace(b"\xa12", b"\xbf2"), b"\xc1" * 9,
    ],
)  # fmt: skip
def test_any_other_form_is_refused(data):
    """Two forms of one map would be two messages for one signature (PB-V42)."""
    assert {"a": b"1", "b": "2"} == unpack_map(GOOD, ["a", "b"])
    with pytest.raises(ValueError):
        unpack_map(data, ["a", "b"])


@given(st.binary(max_size=60))
def test_anything_is_read_or_is_a_value_error(data):
    """No other error comes out, whatever goes in."""
    try:
        found = unpack_map(b"\x81\xa1a" + data, ["a"])
    except ValueError:
        return
    assert pack(found) == b"\x81\xa1a" + data
