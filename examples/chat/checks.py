"""What a page may send. The library has looked at the form of a call, not at what its arguments are."""

import re
from typing import Final

from .wire import Refused

MAX_TEXT: Final = 2000
MAX_ROOM_NAME: Final = 32


def text_of(value: object) -> str:
    """Return a line to be said, without the space around it."""
    if not isinstance(value, str) or not value.strip():
        raise Refused("There is nothing to say in that.")
    text = value.strip()
    if len(text) > MAX_TEXT:
        raise Refused(f"That is longer than {MAX_TEXT} characters.")
    return text


def room_name_of(value: object) -> str:
    """Return the name of a room: words of letters and digits."""
    name = " ".join(value.split()).lower() if isinstance(value, str) and len(value) <= 200 else ""
    if len(name) > MAX_ROOM_NAME or not re.fullmatch(r"[^\W_]+(?:[ -][^\W_]+)*", name):
        raise Refused(f"A room has a name of letters and digits, of at most {MAX_ROOM_NAME} characters.")
    return name


class Pace:
    """How fast somebody may talk: so many lines in so many seconds."""

    def __init__(self, lines: int, seconds: float) -> None:
        self._lines = lines
        self._seconds = seconds
        self._left = float(lines)
        self._at = 0.0

    def take(self, now: float) -> None:
        """Take note of a line that is said now; refuse it where there were too many."""
        self._gain(now)
        if self._left < 1:
            raise Refused("Not so fast: wait a moment.")
        self._left -= 1

    def is_rested(self, now: float) -> bool:
        """Return whether nothing would be lost if somebody new came in their place."""
        self._gain(now)
        return self._left == self._lines

    def _gain(self, now: float) -> None:
        gained = (now - self._at) * self._lines / self._seconds
        self._left = min(float(self._lines), self._left + gained)
        self._at = now
