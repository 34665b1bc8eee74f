"""How much may be said without being answered to a peer that does not take it.

Calls that want an answer are bounded by the peer's `max_calls`, but for those that serve its own calls and so
cannot wait; these, and messages that want no answer, are bounded here. Spec: spec/6-limits.md, PB-L4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..errors import Busy

# Bytes of messages that are still taken in after the network has said that it takes no more.
MOST_BYTES: Final = 256 * 1024
# Messages that may wait behind calls that wait for their turn.
MOST_WAITING: Final = 4096
# Calls without answer, whatever the peer announces: to take so many costs it nothing, and this side memory.
MOST_CALLS: Final = 65_536
# Those that serve the peer, beyond twice its `max_calls`. It refuses what is above that, so one that has so
# many and answers none has them made without end.
MOST_SERVING: Final = 4096


class Room:
    """The room for messages without answer, on one connection.

    Attributes:
        bytes: taken in since the network has said that it takes no more.
        waiting: how many wait behind calls.
        when_free: called when there is room again, where somebody waits for it.
    """

    __slots__ = ("bytes", "waiting", "when_free")

    def __init__(self) -> None:
        self.bytes = 0
        self.waiting = 0
        self.when_free: Callable[[], None] | None = None

    @property
    def is_short(self) -> bool:
        """Whether who has much to say had better wait, even if the network takes more."""
        return self.waiting > MOST_WAITING // 2

    def check(self) -> None:
        """Refuse a message that would be one too many. Called while the network takes no more.

        Raises:
            Busy: it was not sent.
        """
        if self.bytes > MOST_BYTES:
            raise _own(
                f"the message was not sent: the peer reads too slowly, and {self.bytes} bytes wait for it"
            )

    def wait(self) -> None:
        """Count a message that waits behind calls. Raises as `check`."""
        if self.waiting >= MOST_WAITING:
            raise _own(f"the message was not sent: {self.waiting} others wait behind calls over max_calls")
        self.waiting += 1

    @staticmethod
    def serve(unanswered: int, most: int) -> None:
        """Refuse a call that serves one of the peer's, where so many have no answer that none will come.

        Args:
            most: how many calls the peer takes at once.

        Raises:
            Busy: it was not made.
        """
        if unanswered >= 2 * most + MOST_SERVING:
            error = Busy(
                f"the call was not made: {unanswered} have no answer, and the peer's max_calls is {most}; "
                "await some of them first"
            )
            error.is_of_own_call = True  # as below
            raise error

    def put(self, size: int) -> None:
        """Count a message that was taken in while the network takes no more."""
        self.bytes += size

    def started(self) -> None:
        """Count a message that waits no longer."""
        self.waiting -= 1
        if self.waiting <= MOST_WAITING // 2:
            self._tell()

    def resumed(self) -> None:
        """The network takes more again, or there will never be room any more."""
        self.bytes = 0
        self._tell()

    def _tell(self) -> None:
        told, self.when_free = self.when_free, None
        if told is not None:
            told()


def _own(text: str) -> Busy:
    error = Busy(f"{text}; wait for `await connection.drain()` and send it again")
    error.is_of_own_call = True  # where a handler lets it pass, it is that handler's own
    return error
