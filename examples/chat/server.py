"""The application: one service, identities in an SQLite file, the page and the WebSocket at one port."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pb

from .participant import Chat
from .wire import registry

# For a first try. Whoever is in the store already stays as he is; in earnest use `pb identity add`.
FIRST = ("alice", "bob", "carol")


def application_at(
    url: str, *, files: Path, store: str, origins: Iterable[str] | None = None
) -> pb.Application:
    """Return the chat, to be listening at a URL of ws:// or wss:// once it is started.

    Args:
        files: the folder with the page.
        store: the SQLite file of identities.
        origins: where the page may come from; None: from this listener, under an address or as localhost.
    """
    application = pb.Application("chat", registry=registry)
    application.use_store(store)
    Chat("chat", application)
    for name in FIRST:
        application.authorizer.declare_identity(name, f"{name}'s password", keys=[("chat", name)])
    application.listen(url, web=pb.Web(files=files, origins=origins))
    return application
