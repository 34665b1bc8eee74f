"""What a listener does for browsers: which files it serves, which pages may connect."""

from __future__ import annotations

import os

import pytest

import pb
from pb.aio.web import Web


@pytest.fixture
def folder(tmp_path):
    """A folder with a page, something hidden, and a link that leads out."""
    page = tmp_path / "page"
    (page / "sub").mkdir(parents=True)
    (page / "index.html").write_text("<p>hello")
    (page / "client.mjs").write_text("export {}")
    (page / "sub" / "index.html").write_text("<p>below")
    (page / "sub" / "data").write_bytes(b"\0\1")
    (page / ".secret").write_text("x")
    (tmp_path / "outside.txt").write_text("x")
    os.symlink(tmp_path / "outside.txt", page / "link.txt")
    return page


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("/", b"<p>hello", "text/html; charset=utf-8"),
        ("/index.html?x=1#y", b"<p>hello", "text/html; charset=utf-8"),
        ("/client.mjs", b"export {}", "text/javascript; charset=utf-8"),
        ("/sub/", b"<p>below", "text/html; charset=utf-8"),
        ("/sub/d%61ta", b"\0\1", "application/octet-stream"),
    ],
)
def test_a_file_is_found_with_its_type(folder, path, content, kind):
    """And a browser is told not to guess another."""
    found = Web(files=folder).read(path)

    assert (content, kind, str(len(content)), "nosniff") == (
        found.content,
        found.headers["Content-Type"],
        found.headers["Content-Length"],
        found.headers["X-Content-Type-Options"],
    )


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/.secret",
        "/../outside.txt",
        "/sub/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/..\\outside.txt",
        "/link.txt",
        "/index.html%00.txt",
        "/index.html/x",
        "//" + "a" * 5000,
    ],
)
def test_what_is_outside_or_hidden_is_not_there(folder, path):
    """A listener serves the folder it was given and nothing beside it."""
    assert None is Web(files=folder).read(path)


def test_a_file_that_is_too_large_is_not_served(folder):
    """It would be read into memory for each who asks."""
    with open(folder / "large", "wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)

    assert None is Web(files=folder).read("/large")


def test_what_is_given_is_checked_where_it_is_given(tmp_path):
    """Not when the first browser comes."""
    with pytest.raises(NotADirectoryError, match="which is no folder"):
        pb.Web(files=tmp_path / "missing")
    for origin in ("chat.example.org", "https://chat.example.org/", "ftp://chat.example.org", "*"):
        with pytest.raises(ValueError, match="an origin is scheme://host"):
            pb.Web(origins=[origin])
    with pytest.raises(TypeError, match="give a list"):
        pb.Web(origins="https://chat.example.org")
    assert ("https://chat.example.org",) == pb.Web(origins=["https://Chat.example.org"]).origins
