"""The room and its things. They know players, and nothing of connections."""

from typing import Any

import pb

from .shared import NotNow, Sight


class Thing(pb.Viewable):
    """Something in the room. A player holds a view of it, through which it is told who is calling."""

    def __init__(self, name: str, text: str, runes: str = "") -> None:
        self.name = name
        self.sight = Sight(text, runes)

    def is_seen_by(self, player: "Player") -> bool:
        return True

    def view_look(self, actor: "Player") -> Sight:
        return self.sight


class Door(Thing):
    """Invisible, but for those under a spell."""

    def is_seen_by(self, player: "Player") -> bool:
        return player.under_spell


class Ivy(Thing):
    """Something may be behind it."""

    def __init__(self, name: str, text: str, behind: Thing) -> None:
        super().__init__(name, text)
        self.behind = behind

    def view_look(self, actor: "Player") -> Sight:
        """The same object, asked by two players: two answers."""
        if self.behind.is_seen_by(actor):
            return Sight(f"{self.sight.text}, and behind it a {self.behind.name}")
        return self.sight


class Crowd(pb.Cacheable):
    """Who is in the room. Every player's client holds a replica of it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.observers = pb.Observers()

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> object:
        self.observers.add(observer)
        return {"names": self.names}

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        self.observers.discard(observer)

    def come(self, name: str) -> None:
        self.names.append(name)
        self.observers.send("came", name)

    def go(self, name: str) -> None:
        self.names.remove(name)
        self.observers.send("went", name)


class Room:
    def __init__(self) -> None:
        door = Door("door", "a door of silver, ajar")
        self.crowd = Crowd()
        self.things: list[Thing | Player] = [
            Thing("lamp", "a lamp of brass", runes="rub me twice"),
            Ivy("ivy", "ivy on a wall", behind=door),
            door,
        ]

    def come(self, player: "Player") -> None:
        self.things.append(player)
        self.crowd.come(player.name)

    def go(self, player: "Player") -> None:
        self.things.remove(player)
        self.crowd.go(player.name)


class Player(pb.Viewable):
    """One player, to its own client a perspective, and to the other players one more thing to look at.

    Its own client calls perspective_ methods, the others view_ methods.
    """

    def __init__(self, name: str, roles: frozenset[str], room: Room) -> None:
        self.name = name
        self.roles = roles  # jelly.visible_to() looks at these
        self.room = room
        self.under_spell = "wizard" in roles
        self.senses: Any = None  # the object of its client that is told things

    def is_seen_by(self, player: "Player") -> bool:
        return player is not self

    def perspective_get_crowd(self) -> Crowd:
        return self.room.crowd

    def perspective_look_around(self) -> dict[str, object]:
        """Return views of what this player sees, by name."""
        return {thing.name: thing for thing in self.room.things if thing.is_seen_by(self)}

    def view_look(self, actor: "Player") -> Sight:
        return Sight(f"a {self.name}, who looks back at the {actor.name}")

    def view_enchant(self, actor: "Player") -> None:
        """Let this player see what is invisible. Only wizards can."""
        if "wizard" not in actor.roles:
            raise NotNow(f"a {actor.name} casts no spells")
        self.under_spell = True
        self.senses.show.send(self.perspective_look_around())
