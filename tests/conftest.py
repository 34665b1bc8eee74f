"""What holds for every test, and what tests of several folders share."""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator, Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def _only_what_is_new_is_looked_at() -> None:
    """Leave what was there before the tests of a file out of their collections.

    Many tests collect garbage, to see what is let go. There are half a million objects of modules, of tests
    and of pytest, and looking at all of them took 80 ms each time: half of what the suite cost.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: object) -> Generator[None, object, object]:
    """Measure no coverage in what only repeats: it takes two to four times as long with it.

    Nothing is lost: were a branch reached by such a test alone, coverage would not be complete.
    """
    tracing = sys.gettrace()
    if tracing is None or item.get_closest_marker("unmeasured") is None:
        return (yield)
    sys.settrace(None)  # to stop and start coverage itself takes 60 ms, for it looks at all modules
    try:
        return (yield)
    finally:
        sys.settrace(tracing)


def pytest_sessionfinish() -> None:
    """Let the last collection, which is pytest's, find everything that nobody closed."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """One Chromium for all tests; each page in it is another user. Skips where there is none."""
    from .browser import browser_command, running_browser  # which most tests need not load
    from .interop.test_javascript import skip_without_node

    skip_without_node()  # the page is built by it
    browser_command()
    with running_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser
