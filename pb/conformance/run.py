"""Running cases against an implementation, one connection each, and collecting what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from .case import LEVELS, Case
from .peer import Missing, Peer, Unmet
from .streams import Closed, FrameStream, Silence

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
# So many cases in a row that got no connection are the end: what was under test is gone.
MISSES: Final = 3
# A failure quotes what came, which may be as long as a frame.
_LONGEST_TEXT: Final = 600


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case.

    Attributes:
        outcome: "passed", "failed" or "skipped".
        text: why, where it has not passed.
        log: the messages, where it has failed.
        took_s: how long it took.
        is_met: whether there was a connection at all.
    """

    case: Case
    outcome: str
    text: str
    log: tuple[str, ...]
    took_s: float
    is_met: bool = True


def chosen(cases: Iterable[Case], level: str, only: str | None) -> list[Case]:
    """Return the cases of a level and below; of these, those whose name or rules match `only`.

    Args:
        only: the beginning of a case's name, or a rule such as PB-R3, or PB-R* for all of a letter.
    """
    allowed = LEVELS[: LEVELS.index(level) + 1]
    found = [case for case in cases if case.level in allowed]
    if only is None:
        return found
    if only.endswith("*"):
        return [case for case in found if any(rule.startswith(only[:-1]) for rule in case.rules)]
    return [case for case in found if only in case.rules or case.name.startswith(only)]


def run_all(cases: Iterable[Case], connect: Callable[[], FrameStream], timeout_s: float) -> Iterator[Result]:
    """Run cases one after another, each over a connection of its own; end early where nobody is there."""
    misses = 0
    for case in cases:
        result = run(case, connect, timeout_s)
        yield result
        misses = 0 if result.is_met else misses + 1
        if misses == MISSES:
            return


def run(case: Case, connect: Callable[[], FrameStream], timeout_s: float) -> Result:
    """Run one case. Whatever goes wrong is its result."""
    begun = time.monotonic()
    peer: Peer | None = None
    outcome, text = FAILED, ""
    try:
        peer = Peer(connect(), timeout_s)
        if not case.is_raw:
            peer.hello()
        case.run(peer)
        outcome = PASSED
    except Missing as missing:
        outcome, text = SKIPPED, str(missing)
    except Unmet as unmet:
        text = str(unmet)
    except (Silence, Closed, OSError) as error:
        text = f"{type(error).__name__}: {error}"
    except Exception as error:  # what it sent is of no form that a case expects
        text = f"it sent something unexpected ({type(error).__name__}: {error})"
    finally:
        if peer is not None:
            peer.stream.close()
    log = tuple(peer.log) if peer is not None and outcome == FAILED else ()
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]}… ({len(text)} characters)"
    return Result(case, outcome, text, log, time.monotonic() - begun, peer is not None)
