"""Logging in, at the client: who one is at a server, and what one may attach there.

Spec: spec/9-login.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import cred
from pb.errors import Forbidden, Gone, ProtocolError
from pb.reference import RemoteReference

Call = Callable[..., Awaitable[Any]]
InThread = Callable[..., Awaitable[Any]]


class RemoteIdentity:
    """Who one is at a server. Made by `connection.login(...)`.

    Attributes:
        name: as the server has it.
        mechanism: by which one logged in, such as "SCRAM-SHA-256-PLUS".
        binding: the type of the channel binding that was there, whether or not the mechanism binds; or None.
    """

    __slots__ = ("_call", "_reference", "binding", "mechanism", "name")

    def __init__(
        self, reference: RemoteReference, name: str, call: Call, mechanism: str, binding: str | None
    ) -> None:
        self._reference = reference
        self._call = call
        self.name = name
        self.mechanism = mechanism
        self.binding = binding

    async def attach(self, service: str, perspective: str | None = None, client: object = None) -> Any:
        """Attach a perspective of a service, and return a reference to it. Any number may be attached.

        It stays attached as long as the reference, or something got from it, is held.

        Args:
            perspective: its name; None for one's own name if that is on the keyring, else the first one of
                that service.
            client: an object of ours, a Referenceable, that the perspective may call.

        Raises:
            Forbidden: no key for it, or the perspective does not want this client; the text says what was
                asked for.
            Gone: logged out, or the identity was disabled.
            ProtocolError: the server has answered with something else.
        """
        try:
            return perspective_of(await self._call(self._reference, "attach", service, perspective, client))
        except Forbidden as error:
            which = f"{service!r}" if perspective is None else f"{perspective!r} of {service!r}"
            raise Forbidden(f"{self.name!r} cannot attach {which}: {error}; see keys()") from None

    async def keys(self) -> list[tuple[str, str]]:
        """Return the keyring: (service, perspective), sorted."""
        keys = await self._call(self._reference, "keys")
        if type(keys) is not list or not all(
            type(key) is list and [str, str] == [type(name) for name in key] for key in keys
        ):
            raise ProtocolError("the answer to keys() is no list of [service, perspective]")
        return [(service, name) for service, name in keys]

    async def detach(self, perspective: Any) -> None:
        """End an attachment: the perspective and all that was got from it are gone.

        Raises:
            Forbidden: it is not attached by this identity over this connection.
            Gone: it is attached no longer.
        """
        if isinstance(perspective, RemoteReference) and perspective._pb_import.dead is not None:
            raise Gone("the perspective is attached no longer")
        await self._call(self._reference, "detach", perspective)

    async def logout(self) -> None:
        """End all attachments and this login. The connection stays; one may log in again."""
        await self._call(self._reference, "logout")

    def __repr__(self) -> str:
        return f"<RemoteIdentity {self.name!r}>"


def perspective_of(answer: object) -> RemoteReference:
    """Return what a server has answered to attach(). Raises ProtocolError: it is no object of its own."""
    if isinstance(answer, RemoteReference):
        return answer
    raise ProtocolError(
        f"the answer to attach() is no perspective: expected a reference, found {type(answer).__name__}"
    )


async def log_in(
    root: RemoteReference,
    credentials: Any,
    offered: tuple[str, ...],
    channel: cred.Channel,
    call: Call,
    in_thread: InThread,
) -> RemoteIdentity:
    """Log in by the messages of one mechanism, and check that the server is who it should be.

    Args:
        credentials: cred.Password, cred.PrivateKey, cred.External or cred.Anonymous.
        offered: the mechanisms of the server's HELLO.
        call: calls a method of a reference.
        in_thread: does something slow elsewhere.

    Raises:
        LoginFailed: refused; the server does not say why.
        cred.NotOffered: this way is not offered; nothing was sent.
        cred.UntrustedServer: it did not prove itself. Close the connection.
        ProtocolError: its answers are none.
    """
    prover = credentials.begin(offered, channel)
    # At once: what was released just before then shares the frame, and the server is woken once less.
    step = await call(root, "login", prover.mechanism, prover.start())
    while not _has(step, "identity"):
        if not (_has(step, "next") and isinstance(step["next"], RemoteReference) and _has_data(step)):
            raise ProtocolError("the answer to a login is neither a challenge nor an identity")
        answer = await in_thread(prover.respond, step["data"])
        step = await call(step["next"], "respond", answer)
    if not (_has_data(step) and isinstance(step["identity"], RemoteReference)):
        raise ProtocolError("the answer to a login is neither a challenge nor an identity")
    prover.finish(step["data"])
    user = step.get("user")
    name = user if isinstance(user, str) else ""
    binding = channel.bindings[0].type if channel.bindings else None
    return RemoteIdentity(step["identity"], name, call, prover.mechanism, binding)


def _has(step: object, key: str) -> bool:
    return isinstance(step, Mapping) and key in step


def _has_data(step: Mapping[str, object]) -> bool:
    return type(step.get("data")) is bytes
