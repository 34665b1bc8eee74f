"""An application for the tests of `pb run`: what it waits for comes from its stdin."""

from __future__ import annotations

import sys
import time
from typing import Any

import cred
import pb


class Perspective(pb.Perspective):
    def perspective_echo(self, value: object) -> object:
        return value

    @pb.in_thread
    def perspective_wait(self) -> str:
        """Answer what the next line of stdin says."""
        print("waiting", flush=True)
        return sys.stdin.readline().strip()

    def perspective_block(self) -> None:
        """Do what a handler never should."""
        print("blocking", flush=True)
        time.sleep(300)

    def detached(self, client: Any, identity: cred.Identity) -> None:
        print(f"detached {self.perspective_name}", flush=True)


class Service(pb.Service):
    perspective_class = Perspective

    def get_perspective_named(self, name: str) -> pb.Perspective:
        return Perspective(name, self)


application = pb.Application("served")
service = Service("main", application)
# The least that is allowed: these tests are not about how long a password takes.
service.get_perspective_named("guest").make_identity(cred.PasswordHash.of("guest", iterations=4096))
application.listen("pb://127.0.0.1:0")
