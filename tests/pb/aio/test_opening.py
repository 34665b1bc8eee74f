"""What is opened by `await` or `async with`: the ways of getting that wrong are told apart."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest

import pb

from .loops import run


class Root(pb.Root):
    """A root like any other."""


def test_what_was_forgotten_to_be_opened_says_so():
    """Nothing listens, and the program would only find out much later."""
    with pytest.warns(RuntimeWarning, match=r"pb\.serve\(\.\.\.\) was never awaited") as caught:
        pb.serve(Root(), "memory://forgotten")
        gc.collect()

    assert 1 == len(caught)


def test_what_is_asked_of_an_unopened_server_names_the_remedy():
    """`server = pb.serve(...)` looks right until `server.url`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opening = pb.serve(Root(), "memory://unopened")
        assert "<pb.serve(...), not awaited yet>" == repr(opening)
        with pytest.raises(AttributeError, match=r"no 'url'; .* `async with pb\.serve\(\.\.\.\) as it`"):
            opening.url  # noqa: B018
        assert not hasattr(opening, "close")
        del opening
        gc.collect()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: pb.serve(Root(), "memory://with"),
            r"^pb\.serve\(\.\.\.\) .* pb\.sync\.serve\(\.\.\.\) by `with`",
        ),
        (
            lambda: pb.open_connection("memory://with"),
            r"^pb\.open_connection\(\.\.\.\) .* pb\.sync\.open_connection\(\.\.\.\) by `with`",
        ),
        (lambda: pb.deadline(5), r"^pb\.deadline\(\.\.\.\) .* pb\.sync\.deadline\(\.\.\.\) by `with`"),
        (
            lambda: pb.connect("memory://with", None, None, "shop"),
            r"^pb\.connect\(\.\.\.\) .* pb\.sync\.open_connection\(\.\.\.\) by `with`",
        ),
    ],
    ids=["serve", "open_connection", "deadline", "connect"],
)
def test_who_forgets_the_async_of_with_is_told(make, text):
    """Python's own words tell of a protocol; and that nothing was opened would be said on top of it."""
    with warnings.catch_warnings(record=True) as caught:
        with pytest.raises(TypeError, match=text.replace(".*", ".* by `async with`, .*")), make():
            raise AssertionError("it was entered")
        gc.collect()

    assert [] == caught


def test_an_opening_is_used_once():
    """A second server would be opened, and the first forgotten."""

    async def main():
        opening = pb.serve(Root(), "memory://once")
        async with opening:
            assert "<pb.serve(...), used>" == repr(opening)
            with pytest.raises(AttributeError, match="in what awaiting or entering it gave"):
                opening.url  # noqa: B018
            with pytest.raises(RuntimeError, match=r"awaited or entered before; call it again"):
                await opening
        with warnings.catch_warnings(record=True) as caught:
            del opening
            gc.collect()
        assert [] == caught

    run(main())


def test_a_server_closes_by_async_with_too(loop):
    """`async with await pb.serve(...)` means what it says, as with the loop's own servers."""

    async def main():
        async with await pb.serve(Root(), "memory://awaited") as server:
            assert "<Server at memory://awaited, 0 connections>" == repr(server)
        assert "<Server at memory://awaited, closed>" == repr(server)
        await asyncio.wait_for(server.serve_forever(), 10)

    run(main(), loop)
