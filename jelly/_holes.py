"""The parts of a GRAPH, and the places that wait for parts which come later. spec/1-values.md 1.6.

A place is filled as soon as its part is read. Until then no code of others sees the container: copies
around it are made empty and get their state when nothing waits any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgpack

from ._checks import blame, read_uint
from ._ext import CONTAINERS
from .errors import InsecureJelly, MalformedJelly

if TYPE_CHECKING:
    from ._reading import Reading


class Hole:
    """Stand, until the part of this number is read, where it belongs."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Holes:
    """What one GRAPH has read so far and still owes.

    Attributes:
        count: how many parts there are.
        values: of the parts read so far.
        depths: of the same, for the NODEs that stand for them.
        known: the depth and the value that the data of a NODE stand for, of finished parts named before. Not
            to be used where `closed`. A part may be named by the hundred thousand.
        fresh: holes that collect() has not found yet.
        marks: changes whenever something is read that is not finished yet.
        closed: above 0 where no NODE may stand.
        late: (name, fill, object, state) of each copy that is made but not filled.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.values: list[Any] = []
        self.depths: list[int] = []
        self.known: dict[bytes, tuple[int, Any]] = {}
        self.fresh = 0
        self.marks = 0
        self.closed = 0
        self.late: list[tuple[str, Callable[[Any, Any], None], Any, Any]] = []
        self._waiting: dict[int, list[tuple[Any, Any]]] = {}
        self._unfinished: set[int] = set()

    def read_node(self, reading: Reading, payload: bytes) -> Any:
        """Return what a NODE with these data stands for, or a hole for it."""
        number = read_uint(payload, 0, "NODE")
        is_back = number < len(self.values)
        weight = self.depths[number] if is_back else 1
        if reading.weight < weight:
            reading.weight = weight
        if self.closed:
            return reading.refuse(InsecureJelly("NODE in a key, in a member of a set, or in metadata"))
        if number >= self.count:
            return reading.refuse(InsecureJelly(f"NODE {number} in a GRAPH of {self.count} parts"))
        if not is_back:
            self.fresh += 1
            self.marks += 1
            return Hole(number)
        value = self.values[number]
        if type(value) in CONTAINERS:
            reading.set_apart(value)
        if number in self._unfinished:
            self.marks += 1
        else:
            self.known[payload] = weight, value
        return value

    def are_in(self, content: Any) -> bool:
        """Tell whether a hole stands directly in a list or dict."""
        if type(content) not in CONTAINERS:
            return False
        return Hole in map(type, content.values() if type(content) is dict else content)

    def collect(self, reading: Reading, content: Any, direct: bool) -> None:
        """Remember where the fresh holes are in an unpacked object.

        Args:
            direct: whether holes may stand in the outermost array or map itself.
        """
        apart = reading.apart or ()
        layer = [content] if type(content) in CONTAINERS and id(content) not in apart else []
        if type(content) is Hole:
            self.fresh -= 1
            reading.refuse(InsecureJelly("a part that is nothing but a forward NODE"))
        while layer:
            below: list[Any] = []
            for container in layer:
                for key, item in container.items() if type(container) is dict else enumerate(container):
                    if type(item) is Hole:
                        self.fresh -= 1
                        if direct:
                            self._waiting.setdefault(item.number, []).append((container, key))
                        else:
                            reading.refuse(
                                InsecureJelly("a forward NODE where only a finished value may stand")
                            )
                    elif type(item) in CONTAINERS and id(item) not in apart:
                        below.append(item)
            layer = below
            direct = True

    def unpack_pairs(self, reading: Reading, payload: bytes) -> list[Any]:
        """Unpack the array of a MAP one by one, to tell a NODE in a key from one in a value."""
        unpacker = msgpack.Unpacker(ext_hook=reading.read_ext, timestamp=3, max_buffer_size=len(payload))
        unpacker.feed(payload)
        items: list[Any] = []
        try:
            for at in range(unpacker.read_array_header()):
                if at & 1:
                    items.append(unpacker.unpack())
                else:
                    self.closed += 1
                    items.append(unpacker.unpack())
                    self.closed -= 1
        except Exception as error:
            raise blame(error, reading.read_ext) from None
        if unpacker.tell() != len(payload):
            raise MalformedJelly("MAP has bytes after its end")
        return items

    def finish_part(self, reading: Reading, value: Any, depth: int, marks: int) -> None:
        """Take in the part that was just read, and fill the places that waited for it.

        Args:
            marks: what .marks was before the part was read.
        """
        number = len(self.values)
        self.values.append(value)
        self.depths.append(depth)
        if self._waiting:
            for container, key in self._waiting.pop(number, ()):
                container[key] = value
        if self._waiting:
            if self.marks != marks:
                self._unfinished.add(number)
            return
        self._unfinished.clear()
        late, self.late = self.late, []
        for name, fill, made, state in late:
            if reading.violation is None:
                try:
                    fill(made, state)
                except Exception as error:
                    reading.refuse_failed(name, error)
