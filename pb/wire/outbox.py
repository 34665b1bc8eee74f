"""What waits to be written: envelopes in order, leaving as few frames as possible.

All that one turn of the loop produces leaves as one frame, the batch form, so that the receiver unpacks
once: 1.24 times the speed with many calls outstanding (tests/bench). Spec: spec/2-frames.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .. import messages

if TYPE_CHECKING:
    from .flushed import Flushed

# From here on a payload travels as its own frame, written next to its header and never copied.
LARGE_PAYLOAD = 16 * 1024
_WRITE_NOW_BYTES = 128 * 1024
# What an envelope costs while it waits, beside its bytes.
_ENVELOPE_BYTES = 64
# How a frame begins: the length of what follows.
LENGTH: Final = struct.Struct(">I").pack


class Outbox:
    """Envelopes in the order in which they will be read; `take` turns them into frames.

    Attributes:
        batch: envelopes that will share a frame.
        frames: what is to be written before them.
        at_once: as `direct`, from when one message has come by itself until something is written by it or
            queued as frames, or more comes: what is said first after such a message is mostly all.
        due: whether somebody is about to take. Where nobody is, nothing is queued.
        direct: writes one frame past what is queued, so only where nothing is; None while each write has to
            be looked after.
        face: whose output it is.
        flushed: those whose output is about to be taken: while there are any, the face may be appended to it
            instead of being woken.
        thread: that of the face.
        told: stands for the change that was written by `direct` last.
        open_to: the thread in which an update may be appended to `batch` as it is, None while there is none:
            before HELLO, while a snapshot is being made (`Observing`), and after the end.
        follows: whether an answer has come, or a handler begun, and who has waited may put more.
        wake: called when something is put and nobody is about to take.
        write_now: called when too much has been put to wait for anything.
    """

    __slots__ = (
        "__weakref__",
        "_bytes",
        "at_once",
        "batch",
        "direct",
        "due",
        "face",
        "flushed",
        "follows",
        "frames",
        "has_spoken",
        "max_frame",
        "open_to",
        "thread",
        "told",
        "wake",
        "write_now",
    )

    def __init__(self, face: Any) -> None:
        self.face = face
        self.flushed: Flushed = face.flushed
        self.thread: object = face.thread
        self.open_to: object = None
        self.max_frame = messages.HELLO_MAX_FRAME
        self.direct: Callable[[bytes], None] | None = None
        self.at_once: Callable[[bytes], None] | None = None
        self.told: object = None
        self.due = False
        self.follows = False
        self.has_spoken = False  # whether something was taken since the last tick of the keepalive
        self.wake: Callable[[], None] = face.wants_write
        self.write_now: Callable[[], None] = face.write_now
        self._bytes = 0
        self.batch: list[bytes] = []
        self.frames: list[bytes] = []

    def open(self) -> None:
        """Let updates be appended to `batch` as they are."""
        self.open_to = self.thread

    def shut(self) -> None:
        """Let no updates be appended."""
        self.open_to = None

    def move(self, thread: object) -> None:
        """Belong to another thread, or to none, from here on."""
        self.thread = thread
        if self.open_to is not None:
            self.open()

    def put(self, envelope: bytes) -> None:
        """Queue one packed envelope."""
        self.batch.append(envelope)
        if not self.due:
            self.due = True
            self.wake()

    def write_at_once(self, envelope: bytes) -> None:
        """Write one packed envelope by `at_once`, past what is queued: so only where `batch` is empty."""
        write, self.at_once = self.at_once, None
        assert write is not None
        try:
            write(LENGTH(len(envelope)) + envelope)
        except Exception as error:
            self.face.write_failed(error)
        self.has_spoken = True

    def put_counted(self, envelope: bytes) -> None:
        """Queue one packed envelope of those that nothing else keeps from being many in one turn."""
        self.batch.append(envelope)
        self._count(len(envelope))

    def put_alone(self, head: bytes, *rest: bytes) -> None:
        """Queue one envelope as a frame of its own: its bytes are `head` followed by `rest`."""
        self._seal()
        self.at_once = None
        size = len(head) + sum(map(len, rest))
        self.frames.append(size.to_bytes(4, "big") + head)
        self.frames.extend(rest)
        self._count(size)

    def _count(self, size: int) -> None:
        self._bytes += size + _ENVELOPE_BYTES
        if self._bytes > _WRITE_NOW_BYTES:
            # Not at the end of the turn: the network must be able to say that it takes no more.
            self._bytes = 0
            self.write_now()
        elif not self.due:
            self.due = True
            self.wake()

    def take(self) -> list[bytes]:
        """Return all that is queued, as buffers to be written one after the other."""
        self.due = False
        frames = self.frames
        if not frames:
            batch = self.batch
            if len(batch) == 1:  # one call at a time
                self.has_spoken = True
                envelope = batch[0]
                batch.clear()
                return [LENGTH(len(envelope)) + envelope]
            if not batch:
                return frames
        self.has_spoken = True
        self._seal()
        self.frames = []
        return frames

    def clear(self) -> None:
        """Forget what is queued: the transport is gone."""
        self.batch.clear()
        self.frames.clear()

    def _seal(self) -> None:
        """Make frames of the envelopes collected so far."""
        batch = self.batch
        if not batch:
            return
        count = len(batch)
        if count == 1:
            envelope = batch[0]
            self.frames.append(len(envelope).to_bytes(4, "big") + envelope)
            batch.clear()
            return
        size = sum(map(len, batch)) + 3
        most = min(self.max_frame, messages.MAX_BATCH_BYTES)
        if count <= messages.MAX_BATCH and size <= most:
            self.frames.append(_batch_frame(batch))
            batch.clear()
            return
        first = 0
        size = 3
        for index, envelope in enumerate(batch):
            size += len(envelope)
            if index > first and (size > most or index - first == messages.MAX_BATCH):
                self.frames.append(_batch_frame(batch[first:index]))
                first = index
                size = 3 + len(envelope)
        self.frames.append(_batch_frame(batch[first:]))
        batch.clear()


def frame_of(envelope: bytes) -> bytes:
    """Return one packed envelope as a frame of its own."""
    return LENGTH(len(envelope)) + envelope


def _batch_frame(batch: list[bytes]) -> bytes:
    count = len(batch)
    if count == 1:
        return len(batch[0]).to_bytes(4, "big") + batch[0]
    head = bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
    body = b"".join(batch)
    return (len(head) + len(body)).to_bytes(4, "big") + head + body
