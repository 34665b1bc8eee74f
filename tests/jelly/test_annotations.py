"""Rules are found in annotations, and what may be one and cannot be evaluated is noticed."""

from __future__ import annotations

import inspect
import sys
import typing
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, NewType

import attr
import pytest

from jelly import Registry
from jelly.visibility import visibility_of, visible_to

from .things import name_of

if TYPE_CHECKING:
    from nowhere import Missing

Pay = Annotated[int, visible_to("hr")]
NewPay = NewType("NewPay", Pay)


@pytest.mark.parametrize(
    "annotation",
    [
        Pay,
        Pay | None,
        list[Pay],
        dict[str, tuple[Pay, ...]],
        NewPay,
        "Pay",
        "Pay | None",
        "rules_of_others.Pay",
        list["Pay"],
        typing.Optional["Pay"],
        "Annotated[int, visible_to('hr')]",
        "Annotated[Annotated[int, 'unit'], 3, rules_of_others.Pay]",
    ],
    ids=name_of,
)
def test_a_rule_is_found_wherever_it_stands_in_an_annotation(annotation: Any) -> None:
    """Also in strings, which annotations are under `from __future__ import annotations`."""
    cls = type("Found", (), {"__annotations__": {"salary": annotation}, "__module__": __name__})

    found = visibility_of(cls, ["salary"])

    assert found is not None
    assert {"salary"} == found.names


rules_of_others = SimpleNamespace(Pay=Pay)
others = ModuleType("others")
others.Pay = Pay  # type: ignore[attr-defined]
others.to = visible_to  # type: ignore[attr-defined]
A = Annotated
ALIAS = "Missing | Pay"


@pytest.mark.parametrize(
    "annotation",
    [
        "Annotated[Missing, visible_to('hr')]",
        "A[Missing, 'hr']",
        "Missing.Annotated[int, Missing.rule]",
        "Pay | Missing",
        "Missing['Pay']",
        "others.Pay | Missing",
        "Missing[others.to('hr')]",
        "Missing | ALIAS",
        "Missing[Person.Pay]",
        typing.Optional["Missing | Pay"],
        dict[Pay, "Missing"],
    ],
    ids=name_of,
)
def test_an_annotation_that_may_hold_a_rule_and_has_no_value_is_refused(annotation: Any) -> None:
    """Missing exists for type checkers only; showing the field would be silent."""
    namespace = {
        "__annotations__": {"salary": annotation},
        "__module__": __name__,
        "Person": SimpleNamespace,
    }
    cls = type("Unclear", (), namespace)
    if "Person" in str(annotation):
        cls.Person = type("Person", (), {"Pay": Pay})  # type: ignore[attr-defined]

    with pytest.raises(TypeError, match=r"Unclear\.salary cannot be evaluated"):
        Registry().add(cls, "X")
    Registry().add(cls, "X", visible={"salary": visible_to("hr")})
    assert visibility_of(cls, []) is None


class Half:
    name: Missing
    salary: Pay


class Loose:
    name: Missing
    other: Missing.Name
    item: Missing[0].Name
    broken: "not a type"  # type: ignore[valid-type]  # noqa: F722
    salary: int


def test_other_annotations_without_a_value_are_refused_only_beside_rules() -> None:
    """Most classes have no rules, and imports for type checkers only are usual."""
    assert visibility_of(Loose, ["name", "salary"]) is None
    with pytest.raises(TypeError, match=r"Half\.name"):
        visibility_of(Half, ["name", "salary"])
    found = visibility_of(Half, ["name", "salary"], {"name": visible_to("hr")})
    assert found is not None
    assert {"name", "salary"} == found.names
    assert visibility_of(Half, ["salary"]) is not None


def test_class_variables_have_no_rules() -> None:
    """They do not cross."""
    cls = type("Counted", (), {"__annotations__": {"x": "int", "count": "typing.ClassVar[Pay]"}})

    assert visibility_of(cls, None) is None


@attr.s
class Unannotated:
    salary = attr.ib(type=Pay)  # type: ignore[var-annotated]


def test_types_that_attrs_holds_in_its_own_table_count() -> None:
    """That is where type= is kept; make_class() writes an annotation too."""
    assert {} == inspect.get_annotations(Unannotated)

    for cls in (Unannotated, attr.make_class("Made", {"salary": attr.ib(type=Pay)})):
        found = visibility_of(cls, ["salary"])
        assert found is not None
        assert {"salary"} == found.names


class Late:
    """Like what a type statement makes of a name that is not there."""

    @property
    def __value__(self) -> object:
        raise NameError


def test_an_alias_whose_value_cannot_be_had_may_hold_a_rule() -> None:
    """It is evaluated when it is asked for, and may fail then."""
    cls = type("C", (), {"__annotations__": {"salary": Late()}, "__module__": __name__})

    with pytest.raises(TypeError, match="cannot be evaluated"):
        visibility_of(cls, ["salary"])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type X = ...` is of Python 3.12")
def test_rules_in_type_statements() -> None:
    """They are evaluated late, and may fail then."""
    scope: dict[str, Any] = {"Pay": Pay, "__name__": __name__}
    exec("type Alias = Pay\ntype Late = Nowhere | Pay", scope)

    for alias in ("Alias", "Late"):
        cls = type("C", (), {"__annotations__": {"salary": scope[alias]}, "__module__": __name__})
        if alias == "Alias":
            assert visibility_of(cls, ["salary"]) is not None
        else:
            with pytest.raises(TypeError, match="cannot be evaluated"):
                visibility_of(cls, ["salary"])
