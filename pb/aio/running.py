"""A running application: its listeners, and what has to be done now and then."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cred
from jelly._article import a
from pb.auth.chosen import explained
from pb.context import current_call
from pb.limits import Limits
from pb.logfields import fields

from .notify import notify
from .phases import Phases
from .server import Server, serve

if TYPE_CHECKING:
    from pb.auth.application import Application

log = logging.getLogger("pb")


class Running:
    """Start and stop an application, once. Made by `Application.running`, which says more."""

    def __init__(
        self,
        application: Application,
        *,
        drain_s: float | None = None,
        recheck_s: float = 1.0,
        save_s: float = 60.0,
        notifies: bool = True,
    ) -> None:
        self.servers: list[Server] = []
        self._application = application
        self._drain_s = drain_s
        self._recheck_s = recheck_s
        self._save_s = save_s
        self._notifies = notifies
        self._is_stopping = False
        self._phases = Phases(application)
        self._stopping = asyncio.Event()
        self._chores: list[asyncio.Task[None]] = []
        self._keeps_state = False
        self._rest: asyncio.Task[None] | None = None  # the loop keeps only weak references to tasks

    async def __aenter__(self) -> list[Server]:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop(gives_up=kind is not None)

    async def start(self) -> list[Server]:
        """See `Application.start`."""
        application = self._application
        if application.is_running:
            raise RuntimeError(f"application {application.name!r} runs already")
        application.is_running = True
        try:
            await self._open_store()
            await self._phases.start(self._most_s)
            for url, options in application.listeners:
                self.servers.append(await serve(application.root, url, **self._options(options)))
        except BaseException as error:
            await self._phases.stop(self._most_s)
            await self._close_servers()
            await application.authorizer.close()
            application.is_running = False
            if isinstance(error, cred.StoreError):
                raise explained(error, application.store_path) from error
            raise
        application.urls = [server.url for server in self.servers]
        for server in self.servers:
            log.info(
                "%s listens at %s",
                application.name,
                server.url,
                extra=fields("server.listening", application=application.name, url=server.url),
            )
        if not isinstance(application.store, cred.MemoryStore):  # nobody else can change that one
            self._start_chore("looking for revocations", self._recheck_s, self._recheck)
        if self._keeps_state:
            self._start_chore("saving state", self._save_s, self._save)
        self._notify("READY=1")
        return self.servers

    @property
    def _most_s(self) -> float:
        """How long may be taken to stop what the program has beside the calls."""
        limits = self._application.limits or Limits()
        return limits.drain_s if self._drain_s is None else self._drain_s

    def _notify(self, state: str) -> None:
        if self._notifies:
            notify(state)

    async def stop(self, gives_up: bool = False) -> None:
        """See `Application.stop`.

        Args:
            gives_up: see `Server`, of a block that is left by an exception.
        """
        if self._is_stopping:
            # Of a stop within a call, which had to return. Who is in a call would wait for itself.
            if self._rest is not None and current_call() is None:
                await asyncio.shield(self._rest)
            return
        self._is_stopping = True
        name = self._application.name
        told = fields("server.stopping", application=name)
        log.info("%s stops: what runs is finished first", name, extra=told)
        self._notify("STOPPING=1")
        try:
            await self._phases.stop(self._most_s)
            self._application.urls = []
            await self._close_servers(gives_up)
        except BaseException:
            for server in self.servers:
                server._drop()
            await self._shut()
            raise
        if any(server.is_left_open for server in self.servers):  # this is within a call of a client
            self._rest = asyncio.create_task(self._finish(), context=contextvars.Context())
        else:
            await self._finish()

    async def _finish(self) -> None:
        """Write what is kept and close the store, when the last connection has gone."""
        try:
            for server in self.servers:
                if server.is_left_open:
                    await server.serve_forever()
            self._stopping.set()  # until then revocations are looked for
            # They end by themselves, never in the middle of a transaction.
            await asyncio.gather(*self._chores)
            if self._keeps_state:
                await self._save()
        except cred.StoreError as error:
            raise explained(error, self._application.store_path) from error
        finally:
            await self._shut()

    async def _shut(self) -> None:
        self._stopping.set()
        await self._application.authorizer.close()
        self._application.is_running = False
        name = self._application.name
        log.info("%s has stopped", name, extra=fields("server.stopped", application=name))

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        application = self._application
        options = {"registry": application.registry, "limits": application.limits} | given
        if self._drain_s is not None:
            options["limits"] = replace(options["limits"] or Limits(), drain_s=self._drain_s)
        return options

    async def _open_store(self) -> None:
        application = self._application
        store = application.store
        await store.secret()  # opens it
        await application.authorizer.settle()
        if isinstance(store, cred.MemoryStore):
            log.warning(
                "%s has no store: identities and state end with this process",
                application.name,
                extra=fields("store.none", application=application.name),
            )
        elif len(application.kept):
            if not hasattr(store, "write"):
                raise cred.StoreError(
                    f"{a(type(store).__name__)} keeps identities only; application.keep needs an SQL store"
                )
            await application.kept.load(store, os.urandom(16).hex())
            self._keeps_state = True

    async def _recheck(self) -> None:
        await self._application.root.recheck()

    async def _save(self) -> None:
        await self._application.kept.save(self._application.store)

    async def _close_servers(self, gives_up: bool = False) -> None:
        closing = (server._end(gives_up=True) if gives_up else server.close() for server in self.servers)
        for result in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(result, Exception):
                log.error(
                    "a listener of %s did not close",
                    self._application.name,
                    exc_info=result,
                    extra=fields("server.failed", application=self._application.name, error=result),
                )

    def _start_chore(self, what: str, every_s: float, do: Callable[[], Awaitable[object]]) -> None:
        self._chores.append(asyncio.create_task(self._repeat(what, every_s, do)))

    async def _repeat(self, what: str, every_s: float, do: Callable[[], Awaitable[object]]) -> None:
        """Do something now and then. It failing once must not be its end, nor fill the log."""
        is_failing = False
        while True:
            try:
                await asyncio.wait_for(self._stopping.wait(), every_s)
                return
            except TimeoutError:
                pass
            try:
                await do()
            except Exception as error:
                if not is_failing:
                    log.error(
                        "%s fails, and is tried again every %g s: %s",
                        what,
                        every_s,
                        error,
                        extra=fields("chore.failed", application=self._application.name, error=error),
                    )
                is_failing = True
            else:
                if is_failing:
                    log.info(
                        "%s works again",
                        what,
                        extra=fields("chore.works", application=self._application.name),
                    )
                is_failing = False
