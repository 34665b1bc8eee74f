"""Services, their authorizer and their listeners, in one object that `pb run` starts."""

from __future__ import annotations

from typing import Any

import cred

from .root import AuthRoot


class Application:
    """What a server program consists of.

        application = pb.Application("pbecho")
        service = SimpleService("pbecho", application)
        service.get_perspective_named("guest").make_identity("guest")
        application.listen("pb://127.0.0.1:8787")

    A file with these lines is started by `pb run FILE.py`.

    Args:
        name: for people and for logs.
        authorizer: knows the identities; None for one with a store in memory, which `pb run --store` and
            `use_store` replace.
        anonymous: the name of the identity that those get who do not log in as anyone; None: nobody does.
    """

    def __init__(
        self, name: str, authorizer: cred.Authorizer | None = None, *, anonymous: str | None = None
    ) -> None:
        self.name = name
        self.authorizer = cred.Authorizer() if authorizer is None else authorizer
        self.root = AuthRoot(self, anonymous=anonymous)
        self.listeners: list[tuple[str, dict[str, Any]]] = []

    def add_service(self, service: cred.Service) -> None:
        """Take a service in. A Service that is given the application does this itself.

        Raises:
            ValueError: its name is taken, or it belongs to another application.
        """
        self.authorizer.add_service(service)

    def listen(self, url: str, **options: Any) -> None:
        """Listen at a URL once the application is started.

        Args:
            options: those of `pb.serve`: registry, limits, tls, insecure, debug, proxy.
        """
        self.listeners.append((url, options))

    def __repr__(self) -> str:
        return f"<Application {self.name!r} of {len(self.authorizer.services)} services>"
