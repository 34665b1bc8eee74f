"""What is told of calls on results that are no objects, as bytes."""

from __future__ import annotations

import msgpack
import pytest

from pb.promises.broken import NOT_PIPELINABLE, broken_by, row_id_of


def ext(code, data):
    return msgpack.packb(msgpack.ExtType(code, data))


@pytest.mark.parametrize(
    ("payload", "id"),
    [
        (ext(1, b"\x07"), 7),
        (ext(1, b"\x01\x00"), 256),
        (ext(1, b"\x00\x01\x00\x00"), 65_536),
        (ext(4, msgpack.packb([9, {"kind": "proxy"}])), 9),
        (ext(2, b"\x07"), None),
        (ext(10, b"\x07"), None),
        (msgpack.packb(msgpack.Timestamp(5)), None),
        (msgpack.packb([msgpack.ExtType(1, b"\x07")]), None),
        (msgpack.packb(7), None),
        (msgpack.packb("x" * 300), None),
    ],
)
def test_a_result_is_an_object_if_it_is_one_reference_and_nothing_else(payload, id):
    """PB-P13: told from the bytes alone."""
    assert id == row_id_of(payload)


def test_a_chain_has_one_cause():
    """However many calls it has, the error does not grow."""
    first = broken_by(msgpack.packb({"type": "bank.Odd", "msg": "no"}))
    assert {"type": "bank.Odd", "msg": "no"} == msgpack.unpackb(first)["cause"]
    assert first is broken_by(first)
    assert "pb.NotPipelinable" == msgpack.unpackb(broken_by(NOT_PIPELINABLE))["cause"]["type"]
