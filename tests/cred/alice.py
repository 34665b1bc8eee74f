"""alice, logged in and attached to two services: where tests of revocation begin."""

from __future__ import annotations

from cred import Credential, IdentityRecord, Password, PasswordHash, Perspective, Service

from .helpers import ITERATIONS, application, log_in

UID = Credential.of_uid(1)
HASH = PasswordHash.of("secret", iterations=ITERATIONS)
ALICE = IdentityRecord.new("alice", HASH, keys=[("shop", "alice"), ("chat", "alice")], credentials=[UID])


class Noting(Perspective):
    """Counts what it loses."""

    gone = 0

    def detached(self, client, identity):
        self.gone += 1


class Shop(Service):
    """Perspectives on demand."""

    perspective_class = Noting

    def get_perspective_named(self, name):
        return self.perspective_class(name, self)


async def attached(store=None):
    """Return an authorizer, what it told, alice logged in, and her two attachments."""
    authorizer = application(store=store)
    if store is None:
        await authorizer.store.add(ALICE)
    told = []
    authorizer.subscribe(told.append)
    for name in ("shop", "chat"):
        Shop(name, authorizer)
    alice = await log_in(authorizer, Password("alice", "secret"))
    attachments = [await alice.attach(name) for name in ("shop", "chat")]
    return authorizer, told, alice, attachments
