"""What crosses to the page: the names that its registry has too (page/src/wire.ts)."""

from dataclasses import dataclass
from datetime import datetime

import pb

registry = pb.Registry()


@registry.copyable("chat.Message")
@dataclass(frozen=True)
class Message:
    """A line that somebody said. `text` is text and nothing else: it is the page that must keep it so."""

    author: str
    text: str
    at: datetime


@registry.cacheable("chat.Roster")
class Roster(pb.Tracked):
    """Who is in a room, and whether they are "here" or "away". Every page in it holds a replica."""

    people: dict[str, str]

    def __init__(self) -> None:
        self.people = {}


@registry.cacheable("chat.Directory")
class Directory(pb.Tracked):
    """Which rooms there are, and how many people are in each."""

    rooms: dict[str, int]

    def __init__(self) -> None:
        self.rooms = {}


@registry.copyable("chat.Refused")
class Refused(pb.Error):
    """What was asked for is not done. The text is for people and says why."""
