"""Services, their authorizer, their listeners and their state, in one object that `pb run` starts."""

from __future__ import annotations

import importlib
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Unpack

import cred
import jelly
from pb.limits import Limits

from .chosen import ChosenStore, sqlite_store
from .names import Names
from .root import AuthRoot
from .state import KeptState

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from pb.aio.options import ServeOptions
    from pb.aio.server import Server


Phase = Callable[[], Awaitable[object] | object]


class Application:
    """What a server program consists of.

        application = pb.Application("pbecho")
        service = SimpleService("pbecho", application)
        service.get_perspective_named("guest").make_identity("guest")
        application.listen("pb://127.0.0.1:8787")

    A file with these lines is started by `pb run FILE.py`; other programs say
    `async with application.running() as servers`. All listeners share one count of failed logins.

    Args:
        name: for people, for logs, and for the state that is kept.
        authorizer: knows the identities; None for one whose store `use_store` or `pb run --store` names, in
            memory if they do not.
        anonymous: the name of the identity that those get who do not log in as anyone; None: nobody does.
        registry, limits: for all listeners that have none of their own.
        throttle: counts failed logins, and says where many may come from: `cred.Throttle(trusted=[...])`.
    """

    def __init__(
        self,
        name: str,
        authorizer: cred.Authorizer | None = None,
        *,
        anonymous: str | None = None,
        registry: jelly.Registry | None = None,
        limits: Limits | None = None,
        throttle: cred.Throttle | None = None,
    ) -> None:
        self.name = name
        self._chosen = ChosenStore() if authorizer is None else None
        chosen: Any = self._chosen
        self.authorizer = cred.Authorizer(chosen) if authorizer is None else authorizer
        self.names = Names(name, lambda: self.store)
        self.faces: set[Any] = set()  # of its connections
        self.root = AuthRoot(self, anonymous=anonymous, throttle=throttle)
        self.registry = registry
        self.limits = limits
        self.listeners: list[tuple[str, dict[str, Any]]] = []
        self.kept = KeptState(name)
        self.store_path: str | None = None
        self.urls: list[str] = []  # where it listens, while it runs
        self._running: Any = None  # what was started by start()
        self.is_running = False
        self.starts: list[Phase] = []
        self.stops: list[Phase] = []

    def add_service(self, service: cred.Service) -> None:
        """Take a service in. A Service that is given the application does this itself.

        Raises:
            ValueError: its name is taken, or it belongs to another application.
        """
        self.authorizer.add_service(service)

    def listen(self, url: str, **options: Unpack[ServeOptions]) -> None:
        """Listen at a URL once the application is started.

        Args:
            options: those of `pb.serve`: registry, limits, tls, web, insecure, debug, proxy, hooks.
        """
        self.listeners.append((url, {**options}))

    def on_start(self, function: Phase) -> Phase:
        """Call a function, or a coroutine function, when the application starts; return it.

            @application.on_start
            async def begin():
                ...

        When state has been given back, before anybody can connect. First come the services, by `starting()`,
        in the order in which they were added, and then these in theirs. What one raises keeps the
        application from starting; services that had started are stopped again.
        """
        self.starts.append(function)
        return function

    def on_stop(self, function: Phase) -> Phase:
        """Call a function, or a coroutine function, when the application begins to stop; return it.

        Before the calls under way are waited for, while clients can still call: end here what calls wait
        for. These come first, the last that was given before the others, and then the services by
        `stopping()`, the last that was added first. What one raises is logged, and the next is called. All
        of them together have `Limits.drain_s` of time (`pb run --drain`), or are cancelled.
        """
        self.stops.append(function)
        return function

    def use_store(self, store: Any) -> None:
        """Say where identities and state are kept. `pb run --store PATH` does the same.

        Args:
            store: the path of an SQLite file, made with mode 0600 if it is not there; or an IIdentityStore.

        Raises:
            ValueError: the application was given an authorizer, which has its store.
            RuntimeError: the store in memory was asked something already.
            TypeError: it is neither.
        """
        if self._chosen is None:
            raise ValueError(f"application {self.name!r} brings its own authorizer, and that its own store")
        if isinstance(store, str | os.PathLike):
            self._chosen.choose(sqlite_store(store))
            self.store_path = os.fspath(store)
        else:
            if not cred.IIdentityStore.providedBy(store):
                raise TypeError(
                    f"a {type(store).__name__} is neither a path nor an IIdentityStore; a store of your own "
                    "says so by @zope.interface.implementer(cred.IIdentityStore)"
                )
            self._chosen.choose(lambda: store)
            self.store_path = None

    @property
    def store(self) -> Any:
        """The identity store."""
        return self.authorizer.store if self._chosen is None else self._chosen.store

    def keep(self, name: str, owner: Any, *, registry: jelly.Registry | None = None) -> None:
        """Keep the state of an object from one run to the next, in the store of the application.

        At the start `owner.set_kept_state(state)` is called if there is any; every minute, and at the end,
        `owner.get_state_to_keep()` is asked and what it returns is written if it has changed. All that is
        kept is written together or not at all.

        A state of another shape gets another `kept_version` (an int, 1 if the owner has none); what was
        written under an older one goes through `owner.upgrade_to_version_2(state)` and so on. A class in the
        state is upgraded by its registry: `registry.add(cls, "shop.Item.2", upgrades={"shop.Item": up})`.

        Args:
            name: of the state, unique here.
            owner: has these methods.
            registry: the classes that may be in the state; None for none but the builtin ones.

        Raises:
            TypeError: the owner has not these methods.
            ValueError: the name is taken.
        """
        self.kept.add(name, owner, registry)

    def publish(self, name: str, value: object) -> None:
        """Give an object a name, by which all who are logged in can have it: `connection.get_object(name)`.

        With their last login on a connection the object is withdrawn from it. What is for some only belongs
        into a service, whose perspectives know who asks.

        Raises:
            ValueError: it can be no name, or is taken.
            TypeError: the value is nothing that can have a name.
        """
        self.names.published.publish(name, value)

    def unpublish(self, name: str) -> None:
        """Take a published name back. Raises KeyError."""
        self.names.published.unpublish(name)

    def sturdy(self, kind: str, loader: Callable[[str], Any]) -> None:
        """Say how the objects of a kind are found, so that `give_name` can make references to them that last.

            application.sturdy("document", lambda key: library.documents.get(key))

        Args:
            kind: chosen here; it is kept with each name.
            loader: gets the key that the name was made for, when somebody uses it, perhaps in a later run of
                the program; returns the object, or None or KeyError where it is no more. May be async. To
                hand it out under a perspective, return `pb.current_call().attach(perspective)`. What else it
                raises is logged, and the name refused.

        Raises:
            ValueError: the kind has a loader.
        """
        self.names.add_loader(kind, loader)

    async def give_name(
        self, kind: str, key: str, *, expires_s: float | None = None, url: str | None = None
    ) -> str:
        """Make a secret name for an object, and return the URL with it: whoever has that can have the object.

        No login is asked for: give it to whom you would give the object, and nowhere where others can read
        it. It holds over restarts if the application has a store, until it expires or is revoked; it cannot
        be shown a second time, because only its hash is kept.

        Args:
            kind, key: what the loader of this kind is given.
            expires_s: how many seconds it is valid; None for ever.
            url: where clients reach this server; None for the first listener.

        Raises:
            ValueError: no loader for this kind; or no URL that others could use.
            cred.StoreError: the store cannot be used.
        """
        if url is None:
            if not self.urls:
                raise ValueError("the application does not listen; say url=, where clients reach it")
            url = self.urls[0]
        # Here, so that a wrong URL leaves no name behind.
        named: Callable[[str, str], str] = importlib.import_module("pb.aio.named").url_of
        named(url, "~")
        return named(url, await self.names.give(kind, key, expires_s))

    async def given_names(self) -> list[cred.SturdyRecord]:
        """Return what the store has of the secret names: id, kind, key, times; not the names."""
        return await self.names.list()

    async def revoke_name(self, name: str) -> bool:
        """Make a secret name void, at once and for ever; return whether it was valid or listed.

        Who has the object by it now is told that it is gone: at once on the connections of this application,
        within a second on those of other processes that use the store. What the object has handed out in turn
        stays, unless the loader attached a perspective, under which all of it goes.

        Args:
            name: the name, a URL that ends in it, or the id of `given_names`.
        """
        return await self.names.revoke(name)

    def running(
        self,
        *,
        drain_s: float | None = None,
        recheck_s: float = 1.0,
        save_s: float = 60.0,
        notifies: bool = True,
    ) -> AbstractAsyncContextManager[list[Server]]:
        """Return what starts the application when it is entered, with the list of servers, and stops it.

        Args:
            drain_s: how long calls that run may take to finish at the end; None for `Limits.drain_s`.
            recheck_s: how often to look for what other processes have revoked.
            save_s: how often to write what is kept.
            notifies: whether systemd is told READY=1 when it listens and STOPPING=1 when it stops, where it
                asks for that ($NOTIFY_SOCKET). False where this is not all that the process does.
        """
        # The layer of sockets and clocks is loaded by name, when it is first used.
        face = importlib.import_module("pb.aio.running")
        running: AbstractAsyncContextManager[list[Server]] = face.Running(
            self, drain_s=drain_s, recheck_s=recheck_s, save_s=save_s, notifies=notifies
        )
        return running

    async def start(
        self,
        *,
        drain_s: float | None = None,
        recheck_s: float = 1.0,
        save_s: float = 60.0,
        notifies: bool = True,
    ) -> list[Server]:
        """Open the store, give state back, listen, and return the servers. Arguments as for `running`.

        Raises:
            cred.StoreError: the store or what is kept in it cannot be used; the text says what to do.
            OSError, BadURL: cannot listen; nothing listens then.
            RuntimeError: it runs already.
        """
        running: Any = self.running(drain_s=drain_s, recheck_s=recheck_s, save_s=save_s, notifies=notifies)
        servers: list[Server] = await running.start()
        self._running = running
        return servers

    async def stop(self) -> None:
        """Take no more connections, let running calls finish, write what is kept, and close the store.

        In a method that serves a call it returns at once, because that call is under way: the rest is done
        when it has been answered. Whoever calls it again, outside of a call, waits for that; so does leaving
        the block of `running()`.

        Raises:
            cred.StoreError: the state could not be written; all else was closed.
        """
        running = self._running
        if running is not None:
            await running.stop()
            if not self.is_running and self._running is running:
                self._running = None

    def __repr__(self) -> str:
        return f"<Application {self.name!r} of {len(self.authorizer.services)} services>"
