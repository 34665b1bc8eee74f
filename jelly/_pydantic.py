"""Models of pydantic are built by their own validation. pydantic is not imported before one is registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._fields import model_fields_of
from .errors import InsecureJelly
from .visibility import HIDDEN

Build = Callable[[Any], object]


def model_builder(
    cls: Any, names: frozenset[str], hidden: frozenset[str], check: Callable[[Any], object] | None
) -> Build:
    """Return what makes a model of a state, by validating it.

    Args:
        names: the fields that cross.
        hidden: those of them that the peer may leave out because of a rule.

    Raises:
        TypeError: pydantic is too old, or a field has a rule and no default.
    """
    import pydantic

    if tuple(map(int, pydantic.VERSION.split(".")[:2])) < (2, 11):
        raise TypeError(f"models need pydantic 2.11 or later, this is {pydantic.VERSION}")
    for name in sorted(hidden):
        if model_fields_of(cls)[name].is_required():
            raise TypeError(
                f"{cls.__name__}.{name} has a rule, so the peer may leave it out; give it a default, "
                "which is what validators see then"
            )
    title = cls.__name__
    is_root = issubclass(cls, pydantic.RootModel)

    def build(state: Any) -> object:
        if type(state) is not dict:
            raise InsecureJelly(f"{title}: the state is not a map")
        if not state.keys() <= names:
            raise InsecureJelly(f"{title}: the state has a field that is not declared")
        if check is not None:
            check(state)
        missing = hidden.difference(state)
        try:
            # By name: an alias is how others call the field, in JSON.
            made = cls.model_validate(state["root"] if is_root else state, by_alias=False, by_name=True)
        except pydantic.ValidationError as error:
            # Neither its text nor the place inside the field, which hold what the peer sent.
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            field = next((step for step in first["loc"][:1] if step in names), "as a whole")
            raise InsecureJelly(f"{title}: {field} is refused by its validation ({first['type']})") from None
        except Exception as error:
            raise InsecureJelly(f"{title}: its validation failed ({type(error).__name__})") from error
        for name in missing:
            made.__dict__[name] = HIDDEN
        return made

    return build
