"""What serve and open_connection are given is checked where it is given."""

from __future__ import annotations

import pytest

import pb
from pb import sync

from .loops import run


class Root(pb.Root):
    """A root like any other."""


@pytest.mark.parametrize(
    ("root", "text"),
    [
        (None, "the root is a NoneType"),
        ({}, "the root is a dict"),
        (Root, r"give an instance: Root\(\)"),
        (lambda: Root(), "give it one parameter"),
    ],
    ids=["None", "a dict", "a class", "a function of nothing"],
)
def test_what_can_be_no_root_is_refused_where_it_is_given(root, text):
    """Not when the first client has connected, and not to that client."""
    with pytest.raises(TypeError, match=text):
        pb.serve(root, "memory://root")


def test_what_is_no_registry_is_refused_where_it_is_given():
    """The class without its brackets, most of all."""
    for registry in (pb.Registry, {}):
        with pytest.raises(TypeError, match=r"a pb\.Registry\(\) is expected"):
            pb.open_connection("memory://registry", registry=registry)


@pytest.mark.parametrize("limits", [pb.Limits, {"max_frame": 1}], ids=["the class", "a dict"])
@pytest.mark.parametrize("face", [pb, sync], ids=["pb", "pb.sync"])
def test_what_are_no_limits_is_refused_where_it_is_given(face, limits):
    """A dict of them above all, which would be taken for the defaults if it is empty."""
    with pytest.raises(
        TypeError, match=r"limits= is (the class itself|a dict); a pb\.Limits\(\.\.\.\) is expected"
    ):
        face.open_connection("memory://limits", limits=limits)
    with pytest.raises(TypeError, match="limits= is"):
        face.serve(Root(), "memory://limits", limits=limits)


def test_a_url_that_names_an_object_is_not_taken_for_the_root():
    """Getting another object than the one named would be worse than an error."""
    with pytest.raises(pb.BadURL, match="names an object"):
        pb.open_connection("pb://127.0.0.1:8787/lamp")


def test_options_that_do_not_fit_the_url_say_so(tmp_path, loop):
    """Before anything is tried."""

    async def main():
        with pytest.raises(pb.BadURL, match="pb keygen"):
            await pb.serve(Root(), "pbs://127.0.0.1:0")
        with pytest.raises(pb.BadURL, match="wss:// only"):
            await pb.serve(Root(), "pb://127.0.0.1:0", tls="server.pem")
        with pytest.raises(pb.BadURL, match="web= is for ws://"):
            await pb.serve(Root(), "pb://127.0.0.1:0", web=pb.Web())
        with pytest.raises(pb.BadURL, match="wss:// only"):
            await pb.open_connection("memory://x", tls=pb.tls.client_context(None))
        with pytest.raises(FileNotFoundError, match="pb keygen"):
            await pb.serve(Root(), "pbs://127.0.0.1:0", tls=tmp_path / "missing.pem")

    run(main(), loop)
