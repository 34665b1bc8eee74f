"""What the connections of one thread share because only one of them uses it at a time.

A scratch space, not a registry: nothing is looked up in it by name, and losing it loses nothing.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

from pb._codec import Codec

if TYPE_CHECKING:
    import jelly

# asyncio allocates 256 KiB for every read of a plain Protocol; one buffer for all connections of the
# loop gains 1.3x on 50 connections x 10 calls and keeps idle connections small (tests/bench).
_BUFFER_BYTES = 256 * 1024


class Shared(threading.local):
    """The receive buffer and the codecs of the current thread."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._plain: Codec | None = None
        self._codecs: weakref.WeakKeyDictionary[jelly.Registry, tuple[int, Codec]] = (
            weakref.WeakKeyDictionary()
        )

    def codec(self, registry: jelly.Registry | None) -> Codec:
        """Return this thread's codec for a registry as it is now; later additions make a new one."""
        if registry is None:
            if self._plain is None:
                self._plain = Codec(None)
            return self._plain
        found = self._codecs.get(registry)
        if found is None or found[0] != registry.version:
            found = self._codecs[registry] = (registry.version, Codec(registry))
        return found[1]


shared = Shared()
