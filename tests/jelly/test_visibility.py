"""Who is shown which field, and what stands in for the others."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple

import attrs
import pytest

from jelly import Copyable, Decoder, Encoder, InsecureJelly, Registry, RemoteCopy, Unjellyable
from jelly import visibility as rules
from jelly.visibility import HIDDEN, Visibility, is_hidden, visibility_of, visible_if, visible_to

from .things import Colour, Plain, Tables

HR = SimpleNamespace(roles=("hr",))
CLERK = SimpleNamespace(roles=["clerk"])
Pay = Annotated[int, visible_to("hr")]


@dataclasses.dataclass
class Person:
    name: str
    salary: Annotated[int, visible_to("hr", "payroll")] = 7


@attrs.define
class Attrs:
    name: str
    salary: Pay


class Tuple(NamedTuple):
    name: str
    salary: Pay


class Bare:
    name: str
    salary: Annotated[int, visible_to("hr")]

    def __init__(self, name: str, salary: int) -> None:
        self.name, self.salary = name, salary


class Flavoured(Copyable, RemoteCopy):
    name: str
    salary: Pay

    def __init__(self, name: str, salary: int) -> None:
        self.name, self.salary = name, salary


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    salary: Pay


@dataclasses.dataclass
class Given:
    name: str
    salary: int


CLASSES = [Person, Attrs, Tuple, Bare, Flavoured, Frozen, Given]


def admit(cls: Any, **options: Any) -> tuple[Encoder, Decoder]:
    registry = Registry()
    if cls is Given:
        options.setdefault("visible", {"salary": visible_to("hr")})
    registry.add(cls, "X", **options)
    return Encoder(registry), Decoder(registry)


def send(value: Any, perspective: object, **options: Any) -> Any:
    encoder, decoder = admit(type(value), **options)
    return decoder.loads(encoder.dumps([value], Tables(perspective)))[0]


@pytest.mark.parametrize("cls", CLASSES)
def test_a_field_with_a_rule_crosses_to_those_it_is_shown_to(cls: Any) -> None:
    """One declaration, whatever kind of class it is."""
    assert 5 == send(cls("ann", 5), HR).salary
    for perspective in (CLERK, None, SimpleNamespace(), SimpleNamespace(roles=None), "hr"):
        arrived = send(cls("ann", 5), perspective)
        assert ("ann", HIDDEN) == (arrived.name, arrived.salary)


def test_nothing_is_shown_where_there_is_no_connection() -> None:
    """No tables, no perspective."""
    encoder, decoder = admit(Person)
    payload = encoder.dumps(Person("ann", 5))

    assert b"salary" not in payload
    assert decoder.loads(payload).salary is HIDDEN
    assert (True, False) == (is_hidden(HIDDEN), is_hidden(0))


def test_many_at_once_are_restricted_too() -> None:
    """The short way for many copies must not be a way around the rules."""
    encoder, decoder = admit(Person)

    arrived = decoder.loads(encoder.dumps([Person("a", 5), Person("b", 6)], Tables(CLERK)))

    assert [HIDDEN, HIDDEN] == [person.salary for person in arrived]


def test_what_was_hidden_here_is_left_out_when_it_is_sent_on() -> None:
    """There is nothing to send, even to those who would be shown it (PB-V47)."""
    arrived = send(Person("ann", 5), CLERK)
    encoder, decoder = admit(Person)
    payload = encoder.dumps(arrived, Tables(HR))

    assert b"salary" not in payload
    assert decoder.loads(payload).salary is HIDDEN


def test_only_fields_with_a_rule_may_be_missing() -> None:
    """The receiver's own rules say which."""
    _, decoder = admit(Frozen)
    open_encoder, _ = admit(Given, fields=["salary"], visible={})

    with pytest.raises(InsecureJelly, match="'name' is missing"):
        decoder.loads(open_encoder.dumps(Given("ann", 5)))


def test_hidden_is_one_false_value() -> None:
    """`is HIDDEN` must hold whatever is done with it."""
    assert not HIDDEN
    assert "<hidden>" == repr(HIDDEN)
    assert type(HIDDEN)() is HIDDEN
    assert copy.deepcopy([HIDDEN])[0] is HIDDEN
    assert copy.copy(HIDDEN) is HIDDEN
    assert pickle.loads(pickle.dumps(HIDDEN)) is HIDDEN
    with pytest.raises(Unjellyable):
        Encoder(Registry()).dumps([HIDDEN])


def test_a_predicate_sees_the_object_and_the_perspective() -> None:
    """And decides for each object anew."""
    own = {"salary": visible_if(lambda person, perspective: person.name == perspective)}

    assert 5 == send(Given("ann", 5), "ann", visible=own).salary
    assert send(Given("ann", 5), "bob", visible=own).salary is HIDDEN
    always = {"salary": visible_if(lambda person, perspective: True)}
    assert send(Given("ann", 5), None, visible=always).salary is HIDDEN


def fail(obj: object, perspective: object) -> bool:
    raise LookupError("no such user")


async def later(obj: object, perspective: object) -> bool:
    return False


class LettersOnly:
    roles = "chris"


class NoIterable:
    roles = 3


class Failing:
    @property
    def roles(self) -> Any:
        raise LookupError("no such user")


@pytest.mark.parametrize(
    ("rule", "perspective"),
    [
        (visible_if(fail), "ann"),
        (visible_if(lambda obj, perspective: 1), "ann"),  # type: ignore[arg-type,return-value]
        (visible_if(lambda obj, perspective: None), "ann"),  # type: ignore[arg-type,return-value]
        (visible_to("h"), LettersOnly()),
        (visible_to("hr"), NoIterable()),
        (visible_to("hr"), Failing()),
    ],
    ids=["raises", "true, not True", "forgot to return", "roles is a str", "roles is an int", "roles raises"],
)
def test_a_rule_that_fails_fails_the_sending_and_names_the_field(rule: Any, perspective: object) -> None:
    """Neither shown nor hidden by accident."""
    encoder, _ = admit(Given, visible={"salary": rule})

    with pytest.raises(Unjellyable, match=r"Given\.salary"):
        encoder.dumps(Given("ann", 5), Tables(perspective))


@pytest.mark.parametrize(
    "make",
    [
        lambda: visible_to(),
        lambda: visible_to(""),
        lambda: visible_to(["hr"]),  # type: ignore[arg-type]
        lambda: visible_if("hr"),  # type: ignore[arg-type]
        lambda: visible_if(later),  # type: ignore[arg-type]
        lambda: admit(Given, visible={"salry": visible_to("hr")}),
        lambda: admit(Given, visible={"salary": "hr"}),
        lambda: admit(Colour, visible={"salary": visible_to("hr")}),
        lambda: admit(Overpaid),
        lambda: admit(ValueError, visible={}),
    ],
    ids=[
        "no role",
        "empty role",
        "a list",
        "no function",
        "a coroutine",
        "misspelt",
        "no rule",
        "enum",
        "error",
        "rules for an error",
    ],
)
def test_what_cannot_be_kept_is_refused_when_it_is_declared(make: Any) -> None:
    """A rule that is never asked is worse than none."""
    with pytest.raises(TypeError):
        make()


class Overpaid(Exception):
    salary: Pay


@dataclasses.dataclass
class Manager(Person):
    bonus: int = 0


@dataclasses.dataclass
class Redeclared(Person):
    salary: int = 8


@dataclasses.dataclass
class Twice(Person):
    salary: Annotated[int, visible_if(lambda obj, perspective: obj.name == "ann")] = 8


def test_rules_are_inherited_and_add_up() -> None:
    """A subclass cannot show by accident what its base does not."""
    for cls in (Manager, Redeclared, Twice):
        assert send(cls("ann", 5), CLERK).salary is HIDDEN
        assert 5 == send(cls("ann", 5), HR).salary
    assert send(Twice("bob", 5), HR).salary is HIDDEN
    both = {"salary": visible_if(lambda obj, perspective: False)}
    assert send(Person("ann", 5), HR, visible=both).salary is HIDDEN


class Hooked(Copyable, RemoteCopy):
    salary: Pay

    def __init__(self, state: Any = None) -> None:
        self.state = state

    def get_state_to_copy(self) -> object:
        return self.state

    def set_copyable_state(self, state: object) -> None:
        self.state = state


def test_rules_hold_for_the_state_a_hook_returns() -> None:
    """Its keys are the names the rules go by; where there are none, nothing is sent."""
    assert {"salary": 5, "x": 1} == send(Hooked({"salary": 5, "x": 1}), HR).state
    assert {"x": 1} == send(Hooked({"salary": 5, "x": 1}), CLERK).state
    encoder, _ = admit(Hooked)
    for state in ([5], 5, None, type("Dict", (dict,), {})(salary=5)):
        with pytest.raises(Unjellyable, match="must be a dict"):
            encoder.dumps(Hooked(state), Tables(HR))


def test_rules_hold_for_what_a_codec_makes() -> None:
    """A codec is one more hook."""
    registry = Registry()
    registry.add_codec(Bare, "X", lambda value: dict(vars(value)), lambda state: state)
    encoder, decoder = Encoder(registry), Decoder(registry)

    assert {"name": "a"} == decoder.loads(encoder.dumps(Bare("a", 5), Tables(CLERK)))
    assert {"name": "a", "salary": 5} == decoder.loads(encoder.dumps(Bare("a", 5), Tables(HR)))


def test_a_factory_and_a_check_see_hidden_fields_as_hidden() -> None:
    """They get the state as the object would have it."""
    seen: list[Any] = []
    made = send(Person("ann", 5), CLERK, check=seen.append, factory=lambda state: state)

    assert {"name": "ann", "salary": HIDDEN} == made
    assert [made] == seen


class AskedFor(BaseException):
    pass


class Asked:
    """Tables shared by connections: whoever asks for the perspective costs one more encoding."""

    @property
    def perspective(self) -> object:
        raise AskedFor


class ForAll(Copyable, RemoteCopy):
    def get_state_to_copy(self) -> object:
        return {}


class ForOne(Copyable, RemoteCopy):
    def get_state_to_copy_for(self, perspective: object) -> object:
        return {}


def test_the_perspective_is_asked_for_only_where_it_matters() -> None:
    """Not for classes whose state is the same for everybody."""
    registry = Registry()
    registry.add(Plain, "Plain", fields=["x"])
    for cls in (ForAll, ForOne):
        registry.add(cls, cls.__name__, factory=lambda state: state)
    registry.add(Person, "Person")
    registry.add(LookupError, "LookupError")
    encoder = Encoder(registry)
    plain = Plain()
    plain.x = 1  # type: ignore[attr-defined]

    encoder.dumps([plain, ForAll(), LookupError("x")], Asked())
    for value in (ForOne(), Person("ann", 5)):
        with pytest.raises(AskedFor):
            encoder.dumps(value, Asked())


def test_visibility_for_others() -> None:
    """What caches and their changes are filtered with."""
    found = visibility_of(Person, ["name", "salary"])
    person = Person("ann", 5)

    assert isinstance(found, Visibility)
    assert found.shows("name", person, None)
    assert not found.shows("salary", person, None)
    assert found.shows("salary", person, HR)
    assert {"name": 1, "x": HIDDEN} == found.select({"name": 1, "salary": 2, "x": HIDDEN}, person, CLERK)
    with pytest.raises(Unjellyable, match=r"Person\.salary"):
        found.shows("salary", person, Failing())
    assert visibility_of(Person, ["name"]) is None
    assert visibility_of(Plain, None) is None


def test_a_rule_is_made_by_its_functions_only() -> None:
    """So that whatever is found in an annotation can be asked."""
    assert isinstance(visible_to("hr"), rules.Rule)
    assert isinstance(visible_if(fail), rules.Rule)
