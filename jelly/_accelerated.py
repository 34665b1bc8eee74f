"""Reading long plain payloads with msgspec, where that is installed: the extra [speed].

1,000 dicts of five scalars: 0.52 ms in place of 0.94, the look at their form included ("1,000 dicts" in
tests/bench). msgspec by itself is not as strict as we are: it makes datetimes of Ext -1, and takes any key,
also ints of one hash by the hundred thousand. So it is told what may be there: nil, booleans, numbers, text,
and arrays and maps of these with text as keys, to a depth that ends. All else (and bytes: it cannot tell them
from text in such a description) makes it give up, and the payload is read as if it had not been tried.

It is not used for writing: it takes subclasses, Decimals and empty tuples for plain values, in silence, and
to look at the type of every key and value costs more than it saves (0.34 ms and 0.06, for those 1,000 dicts).
Nor for short payloads: for the arguments of a call it is slower than msgpack (0.36 us and 0.28). Nor for the
envelopes of frames, which hold text and bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, Union

# Two levels are [args, kwargs]; a list of records that hold lists is three more. Making the description takes
# twice as long for each level (6: 0.9 ms, 8: 4.3 ms), reading with it does not. And an array that promises as
# much as is left takes 8 bytes for each of these, on every level: half of what a payload may cost.
MAX_LEVELS: Final = 6
# What is read twice, because of an Ext at its end, takes at most 10 ms longer.
MOST: Final = 1 << 20

ReadPlain = Callable[[bytes | memoryview], Any]
_SCALARS: Final = (None, bool, int, float, str)
_SCALAR: Any = Union[_SCALARS]  # noqa: UP007 - made of a tuple, here and below


@functools.cache
def plain_reader(max_depth: int) -> ReadPlain | None:
    """Return what reads payloads of plain values that nest no deeper than that; None without msgspec.

    It raises an exception of any kind for every other payload, also for such as are acceptable. It keeps
    nothing between payloads, so everybody may have the same one.
    """
    plain: Any = _SCALAR
    for _ in range(min(max_depth, MAX_LEVELS)):
        plain = Union[(*_SCALARS, list[plain], dict[str, plain])]
    return _reader(plain)


@functools.cache
def copy_reader() -> ReadPlain | None:
    """Return what reads the data of a COPY whose state are named scalars, as plain_reader() does.

    Data of five fields take 0.39 us in place of 0.81.
    """
    return _reader(tuple[str, dict[str, _SCALAR]])


def _reader(description: Any) -> ReadPlain | None:
    try:
        from msgspec.msgpack import Decoder
    except ImportError:
        return None
    # Before it allocates anything for an array it looks whether there are as many bytes left.
    read: ReadPlain = Decoder(description).decode
    return read
