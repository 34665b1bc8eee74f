"""Models of pydantic cross by their fields and are built by their own validation."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgpack import ExtType, packb

from jelly import Copyable, Decoder, Encoder, InsecureJelly, Registry, RemoteCopy, Unjellyable
from jelly.visibility import HIDDEN, visible_to

from .things import Point, Tables

pydantic = pytest.importorskip("pydantic")


class Address(pydantic.BaseModel):
    street: str
    code: int = 0


class User(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    name: str = pydantic.Field(alias="userName", min_length=1)
    born: datetime.date | None = None
    homes: list[Address] = []
    note: Any = None
    password: str = pydantic.Field(default="", exclude=True)
    _secret: int = 7


def make(**fields: Any) -> Any:
    return User.model_validate(fields, by_name=True)


def admit(cls: Any, *others: Any, **options: Any) -> tuple[Encoder, Decoder]:
    registry = Registry()
    registry.add(cls, "X", **options)
    for other in others:
        registry.add(other, other.__name__)
    return Encoder(registry), Decoder(registry)


def copy(state: object) -> bytes:
    return packb(ExtType(8, packb(["X", state])))


def test_a_model_arrives_as_it_was() -> None:
    """By the names of its fields, whatever its aliases; nested models are copies of their own."""
    encoder, decoder = admit(User, Address)
    user = make(name="ann", born=datetime.date(2000, 1, 2), homes=[Address(street="a", code=3)])

    arrived = decoder.loads(encoder.dumps([user, user]))

    assert user == arrived[0]
    assert arrived[0] is arrived[1]
    assert type(arrived[0].homes[0]) is Address
    assert 7 == arrived[0]._secret


def test_private_excluded_and_extra_attributes_stay_here() -> None:
    """What a model does not declare, or keeps out of its own serialization, is not for a peer."""
    encoder, decoder = admit(User)
    user = make(name="ann", password="secret", more="extra")
    user._secret = 8

    arrived = decoder.loads(encoder.dumps(user))

    assert ("", 7, {}) == (arrived.password, arrived._secret, arrived.model_extra)
    assert b"secret" not in encoder.dumps(user)


def test_a_nested_model_that_is_not_registered_is_refused_at_the_sender() -> None:
    """Only what is registered crosses, however deep."""
    encoder, _ = admit(User)

    with pytest.raises(Unjellyable, match="Address"):
        encoder.dumps(make(name="ann", homes=[Address(street="a")]))


HOSTILE = [
    ({}, "name is refused by its validation"),
    ({"name": ""}, r"name is refused by its validation \(string_too_short\)"),
    ({"name": ["peer's value"]}, r"name is refused by its validation \(string_type\)"),
    ({"userName": "ann"}, "not declared"),
    ({"name": "ann", "peer's key": 1}, "not declared"),
    ({"name": "ann", "_secret": 1}, "not declared"),
    ({"name": "ann", "__class__": 1}, "not declared"),
    ({"name": "ann", "__dict__": {}}, "not declared"),
    ({"name": "ann", "__pydantic_private__": {}}, "not declared"),
    ({"name": "ann", "model_dump": 1}, "not declared"),
    ({"name": "ann", "remote_x": 1}, "not declared"),
    ({"name": "ann", "password": "x"}, "not declared"),
    ({"name": "ann", b"name": 1}, "not declared"),
    ({"name": "ann", "homes": [{"street": 5}]}, r"homes is refused by its validation \(string_type\)"),
    ({"name": "ann", "homes": {"peer's value": 1}}, "homes is refused"),
    (["ann"], "not a map"),
    ("ann", "not a map"),
    (None, "not a map"),
]


@pytest.mark.parametrize(("state", "text"), HOSTILE, ids=[repr(state)[:40] for state, _ in HOSTILE])
def test_a_hostile_state_is_refused_without_being_repeated(state: object, text: str) -> None:
    """The peer knows what it sent, and logs are read by others."""
    _, decoder = admit(User, Address)

    with pytest.raises(InsecureJelly, match=text) as caught:
        decoder.loads(copy(state))
    assert len(str(caught.value)) < 120
    assert "peer's" not in str(caught.value)


class Judge(pydantic.BaseModel):
    a: int
    b: int = 0

    @pydantic.field_validator("a")
    @classmethod
    def look(cls, value: int) -> int:
        if value == 13:
            raise LookupError(f"peer's {value}")
        return value

    @pydantic.model_validator(mode="after")
    def compare(self) -> Judge:
        if self.b > self.a:
            raise ValueError(f"peer's {self.b}")
        return self


def test_validators_of_the_class_decide_and_their_words_stay_here() -> None:
    """They may quote what they were given."""
    _, decoder = admit(Judge)

    assert Judge(a=2, b=1) == decoder.loads(copy({"a": 2, "b": 1}))
    for state, text in (
        ({"a": 13}, r"its validation failed \(LookupError\)"),
        ({"a": 1, "b": 2}, r"as a whole is refused by its validation \(value_error\)"),
    ):
        with pytest.raises(InsecureJelly, match=text) as caught:
            decoder.loads(copy(state))
        assert "peer's" not in str(caught.value)


def test_a_check_comes_before_the_validation() -> None:
    """As for every class."""
    seen: list[object] = []
    _, decoder = admit(Judge, check=seen.append)

    with pytest.raises(InsecureJelly):
        decoder.loads(copy({"a": "x"}))
    assert [{"a": "x"}] == seen


def test_fields_can_be_chosen_and_factories_used() -> None:
    """As for every class; a factory builds without validation."""
    encoder, decoder = admit(Judge, fields=["a"])
    assert 0 == decoder.loads(encoder.dumps(Judge(a=2, b=1))).b

    encoder, decoder = admit(User, factory=lambda state: state, fields=None)
    state = decoder.loads(encoder.dumps(make(name="ann", password="x")))
    assert {"name": "ann", "born": None, "homes": [], "note": None} == state
    assert {"a": 1, "b": 0} == admit(Judge, factory=lambda state: state)[1].loads(copy({"a": 1}))
    with pytest.raises(TypeError, match="choose among its fields"):
        admit(Judge, fields=["c"])


def test_root_models_and_empty_ones() -> None:
    """A root model has one field, `root`."""
    names = pydantic.RootModel[list[int]]
    encoder, decoder = admit(names)
    assert names([1, 2]) == decoder.loads(encoder.dumps(names([1, 2])))
    for state in ({}, {"root": ["x"]}):
        with pytest.raises(InsecureJelly):
            decoder.loads(copy(state))

    empty = pydantic.create_model("Empty")
    encoder, decoder = admit(empty)
    assert empty() == decoder.loads(encoder.dumps(empty()))


class FrozenPay(pydantic.BaseModel, frozen=True):
    name: str
    salary: Annotated[int, visible_to("hr")] = 0
    bonus: Annotated[int, pydantic.Field(gt=0), visible_to("hr")] | None = None


class Required(pydantic.BaseModel):
    salary: Annotated[int, visible_to("hr")]


def test_rules_hold_for_models() -> None:
    """What is not shown is HIDDEN, after validators have seen its default."""
    encoder, decoder = admit(FrozenPay)
    hr = Tables(type("Hr", (), {"roles": ["hr"]})())

    shown = decoder.loads(encoder.dumps(FrozenPay(name="ann", salary=5, bonus=6), hr))
    hidden = decoder.loads(encoder.dumps(FrozenPay(name="ann", salary=5), Tables("eve")))

    assert (5, 6) == (shown.salary, shown.bonus)
    assert (HIDDEN, HIDDEN) == (hidden.salary, hidden.bonus)
    assert {"name"} == hidden.model_fields_set
    assert b"salary" not in encoder.dumps(hidden, hr)
    with pytest.raises(TypeError, match=r"Required\.salary has a rule.* give it a default"):
        admit(Required)


def test_a_model_on_a_cycle_is_refused() -> None:
    """It cannot be validated before it is complete."""
    encoder, decoder = admit(User, Point)
    user = make(name="ann", note=Point(1))
    user.note.x = user

    with pytest.raises(InsecureJelly, match="cannot be part of a cycle"):
        decoder.loads(encoder.dumps(user))
    assert user.name == decoder.loads(encoder.dumps(make(name="ann", note=Point([1])))).name


class Hooked(pydantic.BaseModel, Copyable, RemoteCopy):
    a: int

    def get_state_to_copy(self) -> object:
        return {"a": self.a + 1}

    def set_copyable_state(self, state: Any) -> None:
        Hooked.__init__(self, a=state["a"] + 1)


def test_hooks_of_a_model_are_used_instead() -> None:
    """As for every class."""
    encoder, decoder = admit(Hooked)

    assert 3 == decoder.loads(encoder.dumps(Hooked(a=1))).a


class Later(pydantic.BaseModel):
    other: NotThere  # type: ignore[name-defined]  # noqa: F821


def test_models_that_cannot_be_used_are_refused_when_registered() -> None:
    """An annotation without a value could hold anything, a rule among it."""
    with pytest.raises(TypeError, match=r"Later has an annotation that cannot be evaluated"):
        admit(Later)


def test_models_of_pydantic_1_are_refused() -> None:
    """They have no validation that goes by names. Told by name, as its package may not be there."""
    ancient = type("BaseModel", (), {"__module__": "pydantic.v1.main"})

    with pytest.raises(TypeError, match="pydantic 1"):
        admit(type("Model", (ancient,), {"__annotations__": {"a": int}}))


def test_older_releases_of_pydantic_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 2.11 validation goes by aliases only."""
    monkeypatch.setattr(pydantic, "VERSION", "2.10.6")

    with pytest.raises(TypeError, match=r"need pydantic 2\.11 or later, this is 2\.10\.6"):
        admit(Judge)


def test_pydantic_is_not_imported_for_those_who_do_not_use_it() -> None:
    """It takes longer than all of ours."""
    code = (
        "import sys, dataclasses, jelly\n"
        "point = dataclasses.make_dataclass('Point', ['x', 'y'])\n"
        "registry = jelly.Registry()\n"
        "registry.add(point, 'Point')\n"
        "jelly.Encoder(registry).dumps(point(1, 2))\n"
        "sys.exit('pydantic' in sys.modules)"
    )
    root = Path(__file__).parent.parent.parent

    assert 0 == subprocess.run([sys.executable, "-c", code], cwd=root).returncode
