"""A participant: what the page of one user may do, and whom the server calls back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

import pb
from cred import AttachRefused

from .checks import room_name_of
from .rooms import House, Person
from .wire import Directory, Message, Refused

MAX_WINDOWS: Final = 8  # of one user


class Participant(pb.Perspective):
    """One window of a user. The same user may have several: each is a participant, all are one person."""

    service: Chat
    person: Person
    ear: Any

    def attached(self, client: Any, identity: Any) -> Participant:
        """Make a participant for this window; it has to bring an object that hears."""
        if client is None:
            raise AttachRefused("bring an object with a method `hear`")
        if (
            sum(each.perspective_name == self.perspective_name for each in self.service.windows)
            >= MAX_WINDOWS
        ):
            raise AttachRefused(f"there are {MAX_WINDOWS} windows of yours already")
        window = Participant(self.perspective_name, self.service)
        window.person = self.service.person_of(self.perspective_name)
        # A page that is asleep neither keeps the others waiting nor fills the memory.
        window.ear = pb.events(client, "drop_oldest", max_queued=200)
        self.service.windows[window] = None
        return window

    def detached(self, client: Any, identity: Any) -> None:
        """Leave every room: the page was closed, the network lost, or the user thrown out."""
        del self.service.windows[self]
        for room in list(self.service.house.rooms.values()):
            self.service.house.leave(self, room)
        self.service.forget(self.perspective_name)

    def perspective_directory(self) -> Directory:
        """Return which rooms there are."""
        return self.service.house.directory

    def perspective_enter(self, name: object) -> dict[str, object]:
        """Enter a room, and return it with who is in it and what was said of late."""
        room = self.service.house.enter(self, name)
        return {"name": room.name, "room": room, "roster": room.roster, "said": list(room.said)}

    def perspective_leave(self, name: object) -> None:
        """Leave a room."""
        room = self.service.house.rooms.get(room_name_of(name))
        if room is not None:
            self.service.house.leave(self, room)

    def perspective_set_status(self, status: object) -> None:
        """Be "here" or "away", in every room."""
        if status not in ("here", "away"):
            raise Refused("One is here or away.")
        self.person.status = str(status)
        self.service.house.show(self.perspective_name, self.person.status)

    def hear(self, room: str, message: Message) -> None:
        """Call the page back. Nobody waits for it."""
        with contextlib.suppress(pb.ConnectionLost, pb.Gone):  # then `detached` is on its way
            self.ear.hear(room, message)


class Chat(pb.Service):
    """The chat.

    Args:
        clock: returns seconds that never go back.
    """

    def __init__(self, name: str, application: Any, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(name, application)
        self.house = House()
        self.windows: dict[Participant, None] = {}
        self._clock = clock
        self._people: dict[str, Person] = {}

    def get_perspective_named(self, name: str) -> Participant:
        """Everybody who has the key has a place."""
        return Participant(name, self)

    def person_of(self, name: str) -> Person:
        """Return the person of that name, who may have other windows already."""
        return self._people.setdefault(name, Person(self._clock))

    def forget(self, name: str) -> None:
        """Forget a person whose last window has gone, and who has not talked of late.

        Who has, and is back at once, has no fresh lines for it; such are forgotten when others go.
        """
        if any(window.perspective_name == name for window in self.windows):
            return
        here, now = {window.perspective_name for window in self.windows}, self._clock()
        self._people[name].status = "here"
        for gone in self._people.keys() - here:
            if self._people[gone].pace.is_rested(now):
                del self._people[gone]
