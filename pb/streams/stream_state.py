"""The life of a stream, as each of its two ends sees it: two tables, looked at for every message.

Spec: spec/10-streams.md, "The life of a stream".
"""

from __future__ import annotations

import enum
from typing import Final


class Phase(enum.Enum):
    """Where a stream stands."""

    OPEN = "open"
    STOPPED = "given up by its consumer; END has still to come"
    ENDED = "ended"


# (phase, what happens) -> the next phase. What a table does not name is not done.
PRODUCER: Final[dict[tuple[Phase, str], Phase]] = {
    (Phase.OPEN, "items"): Phase.OPEN,
    (Phase.OPEN, "pull"): Phase.OPEN,
    (Phase.OPEN, "stop"): Phase.STOPPED,
    (Phase.OPEN, "end"): Phase.ENDED,
    (Phase.STOPPED, "pull"): Phase.STOPPED,  # a consumer that is of two minds
    (Phase.STOPPED, "stop"): Phase.STOPPED,
    (Phase.STOPPED, "end"): Phase.ENDED,
    **{(phase, "lost"): Phase.ENDED for phase in Phase},
}
CONSUMER: Final[dict[tuple[Phase, str], Phase]] = {
    (Phase.OPEN, "items"): Phase.OPEN,
    (Phase.OPEN, "pull"): Phase.OPEN,
    (Phase.OPEN, "stop"): Phase.STOPPED,
    (Phase.OPEN, "end"): Phase.ENDED,
    (Phase.STOPPED, "items"): Phase.STOPPED,  # under way when STOP was sent: counted, and dropped
    (Phase.STOPPED, "end"): Phase.ENDED,
    **{(phase, "lost"): Phase.ENDED for phase in Phase},
}
