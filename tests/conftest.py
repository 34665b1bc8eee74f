"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """One Chromium for all tests; each page in it is another user. Skips where there is none."""
    from .browser import browser_command, running_browser  # which most tests need not load
    from .interop.test_javascript import skip_without_node

    skip_without_node()  # the page is built by it
    browser_command()
    with running_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser
