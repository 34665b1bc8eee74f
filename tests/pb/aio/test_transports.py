"""How several buffers are written at once."""

import asyncio

import pytest

from pb.aio.transports import write_buffers

LARGE = [bytes(1 << 16), b"and the rest"]


class Written(asyncio.Transport):
    """A transport that notes how it was written to; `writelines` is the one that joins."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def write(self, data):
        self.calls.append(("write", len(data)))


class Gathering(Written):
    """As of uvloop: all parts in one system call."""

    def writelines(self, list_of_data):
        self.calls.append(("writelines", len(list_of_data)))


class OfAsyncio(Gathering):
    """As of asyncio's sockets, where in some versions `writelines` never pauses who writes."""

    __module__ = "asyncio.selector_events"


@pytest.mark.parametrize(
    ("kind", "buffers", "expected"),
    [
        (Gathering, [b"a", b"bc"], [("write", 3)]),
        (Gathering, LARGE, [("writelines", 2)]),
        (Written, LARGE, [("write", 1 << 16), ("write", 12)]),
        (OfAsyncio, LARGE, [("write", 1 << 16), ("write", 12)]),
    ],
)
def test_buffers_leave_at_once_where_that_is_safe_and_spares_a_copy(kind, buffers, expected):
    """With `writelines` of asyncio 3.12.1 a peer that does not read filled the memory."""
    transport = kind()

    write_buffers(transport, buffers)

    assert expected == transport.calls
