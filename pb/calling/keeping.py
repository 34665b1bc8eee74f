"""Arguments of the peer's calls, for as long as these are under way: what they take of memory.

A method that returns at once keeps nothing, and what is short is bounded by `max_calls`: neither is looked
at. Spec: spec/6-limits.md, PB-L17 and PB-L18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..errors import Busy

if TYPE_CHECKING:
    from ..bounds.ledger import Ledger
    from .running import Served

# A payload, or what it weighs; 0 where it is too short to be counted.
Load = bytes | memoryview | int

# Payloads up to so many bytes are not counted: 1,024 calls of such take 72 MiB at worst.
SHORT: Final = 1024
# Of a connection that keeps nothing. Nothing is ever put into it.
_NOTHING: Final[dict[Any, int]] = {}


def load_of(payload: bytes | memoryview) -> Load:
    """Return what is to be counted of a payload."""
    return payload if len(payload) > SHORT else 0


class Keeping:
    """What `Serving` knows of the arguments that are kept.

    Attributes:
        ledger: counts them.
        kept: what the arguments of each call that is under way weigh, but of those that are not counted.
    """

    __slots__ = ("kept", "ledger")

    ledger: Ledger
    kept: dict[Any, int]

    if TYPE_CHECKING:
        running: dict[int, Any]
        _quiet: dict[Any, None]

    def __init__(self) -> None:
        self.kept = _NOTHING

    def keep(self, served: Any, load: Load) -> int:
        """Count the arguments of a call from now on; return what they weigh."""
        weight = load if type(load) is int else self.ledger.weigh(load)  # type: ignore[arg-type]
        if self.kept is _NOTHING:
            self.kept = {}
        self.kept[served] = weight
        self.ledger.add(weight)
        return weight

    def keep_on(self, served: Served, load: Load) -> None:
        """Count the arguments of a call that has begun, unless its first step was its last."""
        if self.running.get(served.id) is served or served in self._quiet:
            self.keep(served, load)

    def let_go(self, served: Any) -> None:
        """Count them no longer."""
        self.ledger.less(self.kept.pop(served, 0))

    def why_too_much(self, load: Load) -> Busy | None:
        """Return why a call is not run whose arguments may have to be kept; None where they may.

        What is short is run in any case, so that a peer can always put an end to something.
        """
        why = load and self.ledger.why_full()
        if not why:
            return None
        return Busy(
            f"the arguments of the calls that are under way are too large: {why}; it was not run, and may be "
            "made again when some of them have ended"
        )
