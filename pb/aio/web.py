"""What a listener at `ws://` or `wss://` does for browsers: which pages may connect, and its files."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

__all__ = ["Web"]

_MAX_FILE_BYTES: Final = 16 * 1024 * 1024
# Types that the machine's own tables may not know, or know wrongly.
_TYPES: Final = {".js": "text/javascript", ".mjs": "text/javascript", ".map": "application/json"}


@dataclass(frozen=True, slots=True)
class Found:
    """A file to be sent: its bytes and its headers."""

    content: bytes
    headers: dict[str, str]


class Web:
    """How a listener at `ws://` or `wss://` meets browsers: `pb.serve(..., web=pb.Web(files="page"))`.

    Args:
        files: a folder whose files are served to GET at the same port, `index.html` for the folder itself;
            None: none are. Hidden files, and what a link leads to outside of it, are not served.
        origins: pages from where may connect, such as `["https://chat.example.org"]`. None: pages that came
            from this very listener, under an IP address or as localhost; behind a name of its own, that name
            has to be given. Programs that are no browser are not asked.

    Raises:
        NotADirectoryError: `files` is no folder.
        ValueError: an origin is none, such as one with a path.
    """

    __slots__ = ("files", "origins")

    def __init__(
        self, *, files: str | os.PathLike[str] | None = None, origins: Iterable[str] | None = None
    ) -> None:
        self.files = None if files is None else Path(files).resolve()
        if self.files is not None and not self.files.is_dir():
            raise NotADirectoryError(f"Web(files=...) is {os.fspath(self.files)!r}, which is no folder")
        if isinstance(origins, str):
            raise TypeError("Web(origins=...) is one str; give a list of them")
        self.origins = None if origins is None else tuple(map(_checked_origin, origins))

    def read(self, path: str) -> Found | None:
        """Return a file by the path of a request; None where there is none to be served. Blocks."""
        assert self.files is not None
        parts = unquote(path.partition("#")[0].partition("?")[0]).split("/")
        if any(part.startswith(".") or "\\" in part or "\0" in part for part in parts):
            return None
        try:
            file = self.files.joinpath(*[part for part in parts if part]).resolve()
            if file.is_dir():
                file = (file / "index.html").resolve()
            if not file.is_relative_to(self.files) or file.stat().st_size > _MAX_FILE_BYTES:
                return None
            content = file.read_bytes()
        except (OSError, ValueError):
            return None
        kind = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        if kind.startswith("text/"):
            kind += "; charset=utf-8"
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
        }
        return Found(content, headers)


def _checked_origin(origin: str) -> str:
    parts = urlsplit(origin)
    if (
        parts.scheme not in ("http", "https")
        or origin != f"{parts.scheme}://{parts.netloc}"
        or not parts.netloc
    ):
        raise ValueError(f"an origin is scheme://host or scheme://host:port, without a path; not {origin!r}")
    return origin.lower()
