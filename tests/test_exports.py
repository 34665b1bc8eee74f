"""A name is public if and only if it is in a package's `__all__`."""

from __future__ import annotations

import inspect

import pytest

import cred
import jelly
import pb
import pb.sync
import pb.testing

PACKAGES = (jelly, cred, pb, pb.sync, pb.testing)
PUBLIC = [(package, name) for package in PACKAGES for name in package.__all__]


@pytest.mark.parametrize(("package", "name"), PUBLIC, ids=[f"{p.__name__}.{n}" for p, n in PUBLIC])
def test_every_public_name_exists_and_says_what_it_is(package, name):
    """A name without a docstring is a promise nobody can read."""
    value = getattr(package, name)

    if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
        assert inspect.getdoc(value)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_no_name_is_listed_twice(package):
    """Two entries would hide that one of them is to be removed."""
    assert len(set(package.__all__)) == len(package.__all__)


def test_dir_shows_what_is_public():
    """Completion at the prompt is where many read an interface first."""
    assert set(pb.__all__) <= set(dir(pb))


def test_an_unknown_name_is_an_attribute_error():
    """The lazy look-up must not hide typing errors."""
    with pytest.raises(AttributeError, match="no_such_name"):
        pb.no_such_name  # noqa: B018
