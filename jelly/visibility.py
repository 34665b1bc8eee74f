"""Which fields of an object are shown to whom: rules at the fields themselves, or given with the class.

One declaration serves copies, the first state of caches, and their changes. Knows neither bytes nor tables;
a perspective is any object, of which only `roles` is looked at.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, final

from ._annotations import find_marks
from ._article import a
from .errors import Unjellyable


@final
class Hidden:
    """Stand in an attribute for what the peer did not show. There is one, HIDDEN; it is false."""

    __slots__ = ()

    def __new__(cls) -> Hidden:
        return HIDDEN

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "<hidden>"

    def __reduce__(self) -> str:
        return "HIDDEN"


HIDDEN: Final[Hidden] = object.__new__(Hidden)


@final
class Rule:
    """Say who is shown a field. Made by visible_to() and visible_if().

    Attributes:
        to_server: whether it is sent, too, to a server that this side has dialed, of which it knows no roles.
    """

    __slots__ = ("_predicate", "to_server")

    def __init__(self, predicate: Callable[[Any, Any], bool], to_server: bool = False) -> None:
        self._predicate = predicate
        self.to_server = to_server

    def shows(self, obj: object, perspective: object) -> bool:
        """Ask the rule.

        Raises:
            TypeError: the predicate returned something else than a bool, such as a coroutine, which is true.
        """
        answer = self._predicate(obj, perspective)
        if type(answer) is not bool:
            raise TypeError(f"a predicate returned {a(type(answer).__name__)}, not a bool")
        return answer


@final
class Unknown:
    """Stand for a receiver of whom this side knows no perspective, where that does not mean a stranger.

    There are two: DIALED, a server that this side has dialed, and OWNER, the side itself.
    """

    __slots__ = ("is_owner",)

    def __init__(self, is_owner: bool) -> None:
        self.is_owner = is_owner

    def is_shown(self, field: str, obj: object, rules: Iterable[Rule]) -> bool:
        """Tell whether a field with rules is sent.

        Raises:
            Unjellyable: nobody has said. It is not left out in silence: what was to be saved would be lost.
        """
        if self.is_owner or all(rule.to_server for rule in rules):
            return True
        name = f"{type(obj).__qualname__}.{field}"
        raise Unjellyable(
            f"{name} has a rule on who is shown it, and this side, which has dialed, does not know whom it "
            "sends it to; say to_server=True in the rule if the server may have it, send the value itself "
            "and not in this object, or set the field to HIDDEN to leave it out"
        )


DIALED: Final = Unknown(is_owner=False)
OWNER: Final = Unknown(is_owner=True)


def is_hidden(value: object) -> bool:
    """Tell whether the peer did not show what would stand in an attribute: `is_hidden(board.budget)`.

    The same as `value is HIDDEN`, which type checkers find impossible where the attribute has a type.
    """
    return value is HIDDEN


def visible_to(*roles: str, to_server: bool = False) -> Rule:
    """Return a rule that shows a field to perspectives with one of these roles.

    The roles of a perspective are the str in its attribute `roles`, none if it has no such attribute.

    Args:
        to_server: whether a program that has dialed sends it to the server too. It knows no perspective of
            the server, whose rule it normally is. Else such an object is sent only if the field is HIDDEN.
    """
    if not roles or not all(isinstance(role, str) and role for role in roles):
        raise TypeError('visible_to needs roles: visible_to("hr", "payroll")')
    wanted = frozenset(roles)

    def has_role(obj: object, perspective: Any) -> bool:
        held: Iterable[object] | None = getattr(perspective, "roles", None)
        if held is None:
            return False
        if isinstance(held, str):
            # Its members are letters: a role of one letter would be found in many a name.
            raise TypeError(f"roles is a str; a set of str is expected: roles = {{{held[:80]!r}}}")
        return not wanted.isdisjoint(held)

    return Rule(has_role, to_server)


def visible_if(predicate: Callable[[Any, Any], bool], *, to_server: bool = False) -> Rule:
    """Return a rule that shows a field where predicate(obj, perspective) is True.

    It is called once for each object sent, never without a perspective. If it raises, nothing is sent.

    Args:
        to_server: as for `visible_to`.
    """
    if not callable(predicate) or inspect.iscoroutinefunction(predicate):
        raise TypeError("visible_if needs a function of (obj, perspective) that returns a bool at once")
    return Rule(predicate, to_server)


class Visibility:
    """The rules of one class.

    Attributes:
        names: the fields that have a rule. All others are shown to everybody.
    """

    __slots__ = ("_rules", "names")

    def __init__(self, rules: Mapping[str, tuple[Rule, ...]]) -> None:
        self._rules = dict(rules)
        self.names = frozenset(rules)

    def shows(self, field: str, obj: object, perspective: object) -> bool:
        """Tell whether a field of an object is shown to a perspective. Without one no rule shows anything.

        Args:
            perspective: or an Unknown, which says what to do without one.

        Raises:
            Unjellyable: a rule failed, so nobody knows; or there is none that says so. Send nothing.
        """
        rules = self._rules.get(field)
        if rules is None:
            return True
        if perspective is None:
            return False
        if type(perspective) is Unknown:
            return perspective.is_shown(field, obj, rules)
        try:
            return all(rule.shows(obj, perspective) for rule in rules)
        except Exception as error:
            raise Unjellyable(
                f"who is shown {type(obj).__qualname__}.{field} could not be told: {error!r:.200}"
            ) from error

    def select(self, state: object, obj: object, perspective: object) -> dict[Any, Any]:
        """Return the part of a state that a perspective is shown, without what is HIDDEN here already.

        Raises:
            TypeError: the state is no dict, so that its fields cannot be told apart.
            Unjellyable: as shows().
        """
        if type(state) is not dict:
            raise TypeError(
                f"{type(obj).__qualname__} has fields with a rule; its state must be a dict with their names"
            )
        names = self.names
        return {
            name: item
            for name, item in state.items()
            if name not in names or (item is not HIDDEN and self.shows(name, obj, perspective))
        }


def visibility_of(
    cls: type, names: Iterable[str] | None, given: Mapping[str, Rule] | None = None
) -> Visibility | None:
    """Return the rules for the fields of a class; None if it has none.

    Rules come from Annotated[...] in the annotations of the class and its bases, wherever in the annotation
    they stand, and from `given`. All that are found for a field must show it.

    Args:
        names: the fields that cross; None if that is not known, because a hook makes the state.

    Raises:
        TypeError: a rule is given for no field or is none; or an annotation that may hold a rule cannot be
            evaluated, because a name in it exists for type checkers only, or in a function.
    """
    known = None if names is None else frozenset(names)
    found: dict[str, list[Rule]] = {}
    for field, rule in (given or {}).items():
        if type(rule) is not Rule:
            raise TypeError(f"{cls.__name__}.{field}: visible={{...}} takes visible_to() and visible_if()")
        if known is not None and field not in known:
            raise TypeError(f"{cls.__name__} has no field {field!r}, which is in visible={{...}}")
        found[field] = [rule]
    marks = find_marks(cls, Rule, (visible_to, visible_if))
    for field, rules in marks.found.items():
        if known is None or field in known:
            found[field] = [*rules, *found.get(field, ())]
    # Where rules are in use, an annotation that cannot be evaluated may be one more of them.
    for field in marks.suspect + (marks.unclear if marks.found else []):
        if field not in found and (known is None or field in known):
            raise TypeError(
                f"the annotation of {cls.__name__}.{field} cannot be evaluated and may restrict who is shown "
                "it; import its names at run time, or say visible={...} for it"
            )
    return Visibility({field: tuple(rules) for field, rules in found.items()}) if found else None
