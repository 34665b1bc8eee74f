"""Python's own values that cross as copies in the namespace `py.`; other languages see harmless copies."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

from ._blueprint import Blueprint, plan_codec
from .errors import InsecureJelly

_NUMBERS: Final = frozenset({int, float})
_INTS: Final = frozenset({int})


def _parts(state: Any, count: int, name: str, types: frozenset[type] | None) -> list[Any]:
    if type(state) is not list or len(state) != count:
        raise InsecureJelly(f"{name} is sent as a list of {count}")
    if types is not None and not types.issuperset(map(type, state)):
        raise InsecureJelly(f"{name} is sent as a list of numbers")
    return state


def _build_complex(state: object) -> complex:
    real, imaginary = _parts(state, 2, "py.complex", _NUMBERS)
    try:
        return complex(real, imaginary)
    except OverflowError:
        raise InsecureJelly("py.complex: an int is too large for a float") from None


def _build_slice(state: object) -> slice:
    return slice(*_parts(state, 3, "py.slice", None))


def _build_range(state: object) -> range:
    start, stop, step = _parts(state, 3, "py.range", _INTS)
    if step == 0:
        raise InsecureJelly("py.range: the step is 0")
    return range(start, stop, step)


def _build_fraction(state: object) -> Fraction:
    numerator, denominator = _parts(state, 2, "py.Fraction", _INTS)
    if denominator < 1:
        raise InsecureJelly("py.Fraction: the denominator is below 1")
    return Fraction(numerator, denominator)


PYTHON_COPIES: Final[dict[str, Blueprint]] = {
    plan.name: plan
    for plan in (
        plan_codec(complex, "py.complex", lambda value: [value.real, value.imag], _build_complex),
        plan_codec(slice, "py.slice", lambda value: [value.start, value.stop, value.step], _build_slice),
        plan_codec(range, "py.range", lambda value: [value.start, value.stop, value.step], _build_range),
        plan_codec(
            Fraction, "py.Fraction", lambda value: [value.numerator, value.denominator], _build_fraction
        ),
    )
}
PYTHON_COPIES["py.slice"].stores = True
