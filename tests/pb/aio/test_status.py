"""The status of a connection that reconnects: its states, and who is told."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pb.aio.status import NEXT, Change, ConnectionState, Status

from .loops import run

S = ConnectionState


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_every_state_has_its_row():
    """A state that nothing leads to, or out of, is one too many."""
    assert set(S) == set(NEXT)
    assert set(S) == {S.CONNECTING} | {state for row in NEXT.values() for state in row}
    assert [S.FAILED, S.CLOSED] == [state for state in S if state.is_final]
    assert "down; the next try is at a time" == S.WAITING.meaning


def test_a_change_that_is_not_in_the_table_is_a_fault():
    """What was closed does not come back."""
    status = Status(Clock())

    with pytest.raises(AssertionError, match="from connecting to connected"):
        status.enter(S.CONNECTED)


def test_a_watcher_is_told_everything():
    """What a program shows its user: what is the matter, and when it is tried again."""
    clock = Clock()
    status = Status(clock)
    told = []
    forget = status.watch(told.append)
    error = OSError("refused")

    status.enter(S.WAITING, error=error, attempts=2, due=107.5)
    clock.now = 102.0
    assert (S.WAITING, 2, error, 5.5) == (status.state, status.attempts, status.error, status.next_try_s)
    clock.now = 110.0
    assert 0.0 == status.next_try_s
    assert "<Status waiting, 2 tries failed>" == repr(status)
    forget()
    forget()
    status.enter(S.CONNECTING)

    assert [Change(S.WAITING, 2, error, 7.5)] == told
    assert None is status.next_try_s


def test_a_watcher_that_fails_harms_nobody(caplog):
    """Neither the others, nor the connection."""
    status = Status(Clock())
    told = []
    status.watch(lambda change: 1 / 0)
    status.watch(told.append)

    with caplog.at_level(logging.ERROR, "pb"):
        status.enter(S.CLOSED)

    assert [S.CLOSED] == [change.state for change in told]
    assert ["a watcher of the status of a connection failed"] == [each.message for each in caplog.records]


def test_changes_can_be_iterated_to_the_end():
    """An async for over what happens ends with the connection, and misses nothing on the way."""

    async def main():
        status = Status(Clock())
        seen = []

        async def look():
            async for change in status.changes():
                seen.append(change.state)

        looking = asyncio.create_task(look())
        await asyncio.sleep(0)
        status.enter(S.RESTORING)
        status.enter(S.CONNECTED)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [S.RESTORING, S.CONNECTED] == seen
        status.enter(S.WAITING)
        status.enter(S.CLOSED)
        await looking
        assert [S.RESTORING, S.CONNECTED, S.WAITING, S.CLOSED] == seen
        assert [] == [change async for change in status.changes()]
        assert [] == status._watchers

    run(main())


def test_waiting_for_a_state_ends_with_the_connection_too():
    """Who waits for it to be connected must not wait for ever on what was closed."""

    async def main():
        status = Status(Clock())
        assert S.CONNECTING is await status.wait_for("connecting")
        waiting = [asyncio.create_task(status.wait_for(*states)) for states in (["connected"], [S.RESTORING])]
        await asyncio.sleep(0)
        status.enter(S.RESTORING)
        status.enter(S.CLOSED)
        assert [S.CLOSED, S.RESTORING] == await asyncio.gather(*waiting)
        with pytest.raises(ValueError):
            await status.wait_for("nonsense")

    run(main())


def test_what_nobody_holds_is_not_lost():
    """The status must not be what keeps a reference about, which would then be asked for again and again."""

    class Held:
        pass

    status = Status(lambda: 0.0)
    first, second, error = Held(), Held(), OSError("not there")
    for held in (first, second, first):
        status.note_lost(held, error)
    assert [(first, error), (second, error)] == status.kept_lost
    status.forget_lost(second)
    status.forget_lost(second)
    del held
    assert [(first, error)] == status.kept_lost
    del first
    assert [] == status.kept_lost
    status.forget_dropped()
    assert {} == status._kept_lost
