"""What a hostile peer can make grow: tables, buffers, texts, time. Each has an end."""

from __future__ import annotations

import gc
import tracemalloc

import msgpack
import pytest

from pb import messages

from ...counting import lines_in
from ..peers import (
    NO_ARGUMENTS,
    ask,
    bye_of,
    call,
    errors_said,
    frame,
    graph,
    is_alive,
    references,
    said,
    victim,
    with_argument,
)


def test_more_calls_than_the_limit_are_refused_and_the_first_ones_run_on():
    """Calls that never end fill a table; it has an end, and who is refused is told that nothing ran."""
    side = victim(max_calls=64)
    side.input(b"".join(call(method="wait", id=id) for id in range(1, 1001)))

    refused = errors_said(side)

    assert list(range(65, 1001)) == [id for id, _, _ in refused]
    assert {"pb.Busy"} == {error for _, error, _ in refused}
    assert 64 == side.broker.serving.count


def test_cancelling_frees_no_place_before_the_work_has_ended():
    """Call, cancel, call, cancel: who counts only what is not cancelled runs all of them at once."""
    side = victim(max_calls=8)
    for id in range(1, 101):
        side.input(call(method="deaf", id=id))
        side.input(frame([messages.CANCEL, id]))

    refused = errors_said(side)

    assert 92 == sum("pb.Busy" == error for _, error, _ in refused)
    assert 8 == side.broker.serving.count


def test_pings_and_empty_frames_without_end():
    """Whoever must answer each of them keeps no more than the answers."""
    side = victim()
    for _ in range(20):
        side.now += 30  # so much is borne
        side.input(frame([[messages.PING, 1]] * 1000))
        assert 1000 == len(said(side))
    side.input(bytes(4_000_000))

    assert messages.BYE_TOO_LARGE == bye_of(side)


def bytewise(size):
    side = victim()
    data = with_argument(msgpack.packb(bytes(size)), "sink")
    for at in range(len(data)):
        side.broker.receive_data(data[at : at + 1])
    assert [[messages.ANSWER, 1, b"\xc0"]] == said(side)


def many_at_once(count):
    side = victim()
    side.input(
        b"".join([call(method="sink", id=id, payload=b"\x92\x91\x01\x80") for id in range(1, count + 1)])
    )
    assert count == len(said(side))


@pytest.mark.parametrize(
    ("parse", "size"), [(bytewise, 2_000), (many_at_once, 500)], ids=["a long frame", "short frames"]
)
def test_twice_as_much_takes_twice_as_many_steps(parse, size):
    """Whoever looks again at what was there already is quadratic, and 1 MiB then takes minutes.

    What is copied by a parser that joins it with what comes is no step; tests/bench/bench_frames.py sees it.
    """
    assert lines_in(parse, 2 * size) < 3 * lines_in(parse, size)


def test_what_comes_after_the_end_is_not_kept():
    """The transport may still deliver while it closes."""
    side = victim()
    side.input(bytes(4))
    assert side.has_ended

    tracemalloc.start()
    for _ in range(50):
        side.broker.receive_data(bytes(20_000))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert kept < 100_000


def test_more_references_than_the_limit_are_refused_and_given_back():
    """A table of ours that the peer fills has an end, and those it already has keep working."""
    side = victim(max_refs=100)

    side.input(with_argument(references(50), "keep"))
    said(side)
    side.input(with_argument(references(2000), "sink", id=2))

    gc.collect()
    released, refused = {}, []
    for code, *fields in said(side):
        if code == messages.RELEASE:
            for id, count in zip(fields[0][::2], fields[0][1::2], strict=True):
                released[id] = released.get(id, 0) + count
        else:
            refused.append([code, fields[0], msgpack.unpackb(fields[1])["type"]])
    assert [[messages.ERROR, 2, "pb.TooLarge"]] == refused
    assert set(range(51, 2001)) <= released.keys()
    assert 50 <= len(side.broker.tables.imports) <= 51
    assert is_alive(side)


def test_a_peer_cannot_make_us_export_without_end():
    """Its own word for how much it holds is no bound on what we keep for it."""
    side = victim({"max_refs": 2**53 - 1}, max_refs=100)

    side.input(call(b"\x92\x91\xcd\x03\xe8\x80", "things"))

    ((_, error, _),) = errors_said(side)
    assert "pb.TooLarge" == error
    assert [0] == list(side.broker.tables.exports)


def test_the_text_of_an_error_is_cut():
    """An exception that quotes its input sends all of it back, once as text and once as data."""
    side = victim()

    side.input(call(b"\x92\x91\xcd\x13\x88\x80", "shout"))

    output = side.output()
    assert len(output) < 4096 + 1024


@pytest.mark.parametrize("most", [0, 1, 2**53 - 1])
def test_a_depth_that_fits_nothing_is_no_fault_of_ours(most):
    """What cannot even be told that it failed is at most told goodbye."""
    side = victim({"max_depth": most})

    side.input(call(method="fail") + call(method="nope", id=2) + call(method="thing", id=3))

    assert not [each for each in said(side) if each[:2] == [messages.BYE, messages.BYE_INTERNAL]]


def test_nothing_that_is_sent_exceeds_the_frames_the_peer_takes():
    """A frame over its limit would make it hang up: the call fails instead, and a long RELEASE is cut up."""
    side = victim({"max_frame": 4096})

    side.input(with_argument(msgpack.packb(bytes(100_000))))
    side.input(with_argument(references(3000), "sink", id=2))
    gc.collect()
    output = side.output()

    assert "pb.TooLarge" in str(output)
    while output:
        size = int.from_bytes(output[:4], "big")
        assert size <= 4096
        output = output[4 + size :]


def test_refusals_that_nobody_waits_for_do_not_fill_the_log(caplog):
    """Fifteen bytes of a peer must not become a kilobyte on the disk, again and again."""
    side = victim()

    side.input(b"".join(call(id=0, target=99) + call(id=0, method="nope") for _ in range(500)))

    assert [] == said(side)
    assert len([record for record in caplog.records if record.exc_info]) < 10


def test_gone_of_the_root_is_ignored():
    """The root is never counted and never revoked; a GONE for it names nothing."""
    side = victim()
    root = side.broker.root_reference()

    side.input(frame([messages.GONE, [0]]))

    ask(root, "x")
    assert [[messages.CALL, 1, 0, "x", NO_ARGUMENTS]] == said(side)


def test_gone_of_one_id_a_thousand_times_costs_a_thousand_steps():
    """Rows that pass a reference on are looked for once, not for each time its id is named."""
    giver, taker = victim(), victim()
    giver.input(with_argument(references(500), "keep"))
    taker.broker.tables.exports[0].object.kept = giver.broker.tables.exports[0].object.kept
    taker.input(call(method="kept"))
    assert 501 == len(taker.broker.tables.exports)

    steps = lines_in(giver.broker.receive_data, frame([messages.GONE, [1] * 20_000]))

    # A dozen for each id; 500 more, if each looked for the rows again.
    assert steps < 1_000_000
    giver.input(frame([messages.GONE, [1]]))  # and once more, where nobody counts
    assert is_alive(giver)


def test_an_error_of_the_peer_that_a_method_lets_out_is_logged_in_time(caplog):
    """A peer's error with shared parts in it has a text of 2^20 words; a traceback must not spell it."""
    side = victim()
    side.input(with_argument(b"\xd4\x01\x05", "call_back"))
    said(side)
    parts = [b"\x91\xa3lol", *[b"\x92" + 2 * (b"\xd4\x15" + bytes([each])) for each in range(20)]]
    error = b"\x83\xa4type\xa7pb.Busy\xa3msg\xa0\xa4data\x81\xa4args\x91\xd4\x15\x14"

    side.input(frame([messages.ERROR, 1, graph([*parts, error])]))

    assert max(len(record.exc_text or "") for record in caplog.records) < 100_000
    assert is_alive(side)
