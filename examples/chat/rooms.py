"""Rooms, and all of them together. They know participants, and nothing of connections."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pb

from .checks import Pace, room_name_of, text_of
from .wire import Directory, Message, Refused, Roster

if TYPE_CHECKING:
    from .participant import Participant

OPEN_ALWAYS: Final = ("lobby", "garden", "workshop")
MAX_ROOMS: Final = 100
MAX_ROOMS_OF_ONE: Final = 12  # so that nobody can use up all
MAX_REMEMBERED: Final = 100


class Room(pb.Viewable):
    """A room. Each participant in it holds a view of it, through which it is told who speaks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.roster = Roster()
        self.said: deque[Message] = deque(maxlen=MAX_REMEMBERED)
        self.participants: dict[Participant, None] = {}

    def view_say(self, actor: Participant, text: object) -> None:
        """Tell everybody in the room, who speaks as well."""
        if actor not in self.participants:
            raise Refused(f"You are not in the {self.name} any more.")
        line = text_of(text)
        actor.person.pace.take(actor.person.clock())
        message = Message(actor.perspective_name, line, datetime.now(UTC))
        self.said.append(message)
        for participant in self.participants:
            participant.hear(self.name, message)

    def has(self, name: str) -> bool:
        """Tell whether a person is in the room, through whichever window."""
        return any(participant.perspective_name == name for participant in self.participants)


class Person:
    """What the windows of one user have in common.

    Args:
        clock: returns seconds that never go back.
    """

    def __init__(self, clock: Any) -> None:
        self.status = "here"
        self.clock = clock
        self.pace = Pace(lines=20, seconds=10.0)


class House:
    """All rooms. The first few are always open; others are while somebody is in them."""

    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.directory = Directory()
        for name in OPEN_ALWAYS:
            self._open(name)

    def enter(self, participant: Participant, name: object) -> Room:
        """Let a participant in, and return the room, which is made where there is none."""
        name = room_name_of(name)
        room = self.rooms.get(name)
        person = participant.perspective_name
        others = sum(person in each.roster.people for each in self.rooms.values() if each is not room)
        if others >= MAX_ROOMS_OF_ONE:
            raise Refused(f"You are in {MAX_ROOMS_OF_ONE} rooms already.")
        if room is None:
            if len(self.rooms) >= MAX_ROOMS:
                raise Refused("There are as many rooms as there may be.")
            room = self._open(name)
        room.participants[participant] = None
        room.roster.people[person] = participant.person.status
        self.directory.rooms[name] = len(room.roster.people)
        return room

    def leave(self, participant: Participant, room: Room) -> None:
        """Let a participant out, and close a room behind the last."""
        if participant not in room.participants:
            return
        del room.participants[participant]
        if not room.has(participant.perspective_name):
            del room.roster.people[participant.perspective_name]
        if room.roster.people or room.name in OPEN_ALWAYS:
            self.directory.rooms[room.name] = len(room.roster.people)
        else:
            del self.rooms[room.name], self.directory.rooms[room.name]

    def show(self, name: str, status: str) -> None:
        """Tell every room that a person is in how that person is."""
        for room in self.rooms.values():
            if name in room.roster.people:
                room.roster.people[name] = status

    def _open(self, name: str) -> Room:
        room = self.rooms[name] = Room(name)
        self.directory.rooms[name] = 0
        return room
