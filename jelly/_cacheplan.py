"""How the objects of one class are cached: what makes a replica, and what fills it. spec/7-caches.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ._blueprint import checked_state, set_fields
from ._fields import declared_fields
from .flavours import Cacheable, RemoteCache, check_flavour
from .visibility import Rule, Visibility, visibility_of

Hook = TypeVar("Hook", bound=Callable[..., object])


def asks_rules(hook: Hook) -> Hook:
    """Mark a get_state_to_cache_and_observe_for that asks the rules itself: they are not asked again."""
    hook._jelly_asks_rules = True  # type: ignore[attr-defined]
    return hook


class CachePlan:
    """Send the objects of one class as caches, or make replicas of them, or both.

    Attributes:
        cls: the class; its subclasses are not meant.
        name: the wire name.
        makes_replicas: whether this side may build instances: the class is a RemoteCache.
        from_clients: whether also where the peer is a client.
        finish: the post_unjelly hook, or None.
        visibility: who is shown which key of the state, or None.
        selection: the rules that the state is still to be cut by, or None.
    """

    __slots__ = (
        "_accept",
        "_put",
        "cls",
        "finish",
        "from_clients",
        "makes_replicas",
        "name",
        "selection",
        "visibility",
    )

    def __init__(
        self,
        cls: type,
        name: str,
        put: Callable[[Any, Any], object],
        accept: Callable[[Any], Any],
        visibility: Visibility | None,
        from_clients: bool,
    ) -> None:
        self.cls = cls
        self.from_clients = from_clients
        self.visibility = visibility
        # A mark of the function, not of the class: an override that adds to the state has not got it.
        hook = getattr(cls, "get_state_to_cache_and_observe_for", None)
        self.selection = None if hasattr(hook, "_jelly_asks_rules") else visibility
        self.name = name
        self.makes_replicas = issubclass(cls, RemoteCache)
        self.finish: Callable[[Any], object] | None = getattr(cls, "post_unjelly", None)
        self._put = put
        self._accept = accept

    def allocate(self) -> Any:
        """Return a replica without state. No constructor runs."""
        new: Any = self.cls.__new__
        return new(self.cls)

    def fill(self, replica: Any, state: object) -> None:
        """Give a replica the state it starts with. Raises InsecureJelly, or whatever a hook raises."""
        self._put(replica, self._accept(state))


def plan_cache(
    cls: type,
    name: str,
    fields: Sequence[str] | None = None,
    check: Callable[[Any], object] | None = None,
    visible: Mapping[str, Rule] | None = None,
    from_clients: bool | None = None,
) -> CachePlan:
    """Make the plan of a class that is Cacheable, a RemoteCache, or both.

    Raises:
        TypeError: replicas of it could not be kept until the owner lets go of them.
    """
    check_flavour(cls)
    # Rules are for the keys of whatever state the owner's hook makes.
    visibility = visibility_of(cls, None, visible)
    put: Any = getattr(cls, "set_copyable_state", None)
    declared = None
    if issubclass(cls, RemoteCache):
        _check_replica(cls)
        if put is RemoteCache.set_copyable_state:
            declared = declared_fields(cls, fields)
            if declared is not None:
                put = set_fields
        elif fields is not None:
            raise TypeError(
                f"{cls.__name__} takes over its state itself (set_copyable_state), so fields= would restrict "
                "nothing; leave it out"
            )
    elif fields is not None:
        raise TypeError(
            f"{cls.__name__} chooses its state itself, so fields= would restrict nothing; leave it out"
        )
    hidden = frozenset() if visibility is None else visibility.names
    accept = checked_state(cls.__name__, None, declared, check, hidden)
    if from_clients is None:  # who publishes objects of a class wants none that somebody else has made
        from_clients = not issubclass(cls, Cacheable)
    return CachePlan(cls, name, put, accept, visibility, from_clients)


def _check_replica(cls: type) -> None:
    if cls.__dictoffset__ == 0 or any(
        name != "__dict__" for base in cls.__mro__ if base is not RemoteCache for name in _slots(base)
    ):
        raise TypeError(f"{cls.__name__} is a RemoteCache with __slots__; its state must live in a __dict__")
    if cls.__del__ is not RemoteCache.__del__:  # type: ignore[attr-defined]
        raise TypeError(f"{cls.__name__} is a RemoteCache and may not define __del__")


def _slots(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
