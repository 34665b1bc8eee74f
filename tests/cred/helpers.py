"""What several tests of cred need: clocks, chance, a login from end to end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import cred

T = TypeVar("T")

HELLO = cred.hello_hash(b"client hello", b"server hello")
LOCAL = cred.Channel(HELLO, unbound_ok=True)
BINDING = cred.Binding("tls-server-end-point", bytes(range(32)))
TLS = cred.Channel(HELLO, (BINDING,))
# Few, so that the tests are quick: what is tested does not depend on the number.
ITERATIONS = 4_096


class Clock:
    """A clock that is turned by hand."""

    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


class Chance:
    """Bytes that look random and are the same in every run."""

    def __init__(self):
        self.count = 0

    def __call__(self, size):
        self.count += 1
        return bytes((self.count * 7 + position) % 256 for position in range(size))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a conversation, which may take 20 s, then it hangs."""
    return asyncio.run(asyncio.wait_for(coroutine, 20))


def application(**options):
    """Return an authorizer that hashes quickly."""
    return cred.Authorizer(iterations=ITERATIONS, **options)


async def log_in(authorizer, credentials, channel=LOCAL):
    """Log in as a client and a server do together, and return the identity."""
    prover = credentials.begin(authorizer.mechanisms(channel), channel)
    login = authorizer.begin_login(prover.mechanism, channel)
    step = await login.receive(prover.start())
    while step.identity is None:
        step = await login.receive(prover.respond(step.data))
    prover.finish(step.data)
    return step.identity
