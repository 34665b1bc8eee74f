"""Perspective Broker: call objects in another process, be called back, and know who is asking.

    class Echoer(pb.Root):
        def remote_echo(self, text):
            return text

    async with pb.serve(Echoer(), "pb://127.0.0.1:0") as server:
        async with pb.open_connection(server.url) as connection:
            print(await connection.root.echo("hello network"))

The names below are the public face. Those of the asyncio face are loaded when first used, so that
`import pb` costs neither ssl nor cryptography.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from jelly import (
    HIDDEN,
    Cacheable,
    Copyable,
    InsecureJelly,
    Referenceable,
    Registry,
    RemoteCache,
    RemoteCopy,
    Unjellyable,
    Viewable,
    is_hidden,
    visible_if,
    visible_to,
)

from .attachment import Attachment
from .audit import AuditLog
from .context import CurrentCall, current_call
from .description import Description
from .errors import (
    BadArguments,
    BadPayload,
    BrokenPromise,
    Busy,
    Cancelled,
    ConnectionLost,
    DeadlineExceeded,
    DeadReference,
    Error,
    Forbidden,
    ForkedConnection,
    Gone,
    LoginFailed,
    NoSuchMethod,
    NoSuchObject,
    NotExecuted,
    NotPipelinable,
    OutcomeUnknown,
    PeerError,
    ProtocolError,
    RemoteError,
    TooLarge,
    Unregistered,
    Unsupported,
)
from .hooks import AttachmentEvent, CallEvent, Hooks, LoginEvent, ReferenceEvent
from .idempotent import idempotent
from .limits import Limits
from .logfields import CallFields
from .observers import Observers
from .reference import RemoteReference
from .references import HeldReference
from .root import Root
from .tracing import Trace, trace
from .tracked import Tracked
from .usage import Usage

if TYPE_CHECKING:
    from . import otel, testing
    from .aio import tls
    from .aio.backoff import Reconnect
    from .aio.client import get_object_at, open_connection
    from .aio.connection import (
        Connection,
        connection_of,
        is_live,
        is_replica,
        is_stale,
        on_disconnect,
        release,
    )
    from .aio.deadline import deadline
    from .aio.describing import describe
    from .aio.events import EventUsage, event_usage, events, events_delivered
    from .aio.files import receive_file, stream_file
    from .aio.login import connect
    from .aio.promise import Promise
    from .aio.providing import providing
    from .aio.reconnecting import LastingConnection
    from .aio.reference import RemoteMethod, call_remote
    from .aio.references import reference_report
    from .aio.revoking import revoke
    from .aio.server import Server, serve
    from .aio.status import Change, ConnectionState, Status
    from .aio.stream import Stream
    from .aio.threads import from_thread, in_thread, on_loop
    from .aio.url import BadURL
    from .aio.web import Web
    from .auth.application import Application
    from .auth.reference_service import ReferenceReport
    from .auth.remote_identity import RemoteIdentity
    from .auth.root import AuthRoot
    from .auth.service import Perspective, Service

__all__ = [
    # serving and connecting
    "serve",
    "Server",
    "open_connection",
    "get_object_at",
    "connect",
    "Connection",
    "Usage",
    "Reconnect",
    "LastingConnection",
    "Status",
    "ConnectionState",
    "Change",
    "Limits",
    "BadURL",
    "Web",
    "tls",
    # objects
    "Root",
    "Referenceable",
    "Copyable",
    "RemoteCopy",
    "Cacheable",
    "RemoteCache",
    "Observers",
    "Tracked",
    "Viewable",
    "Registry",
    "visible_to",
    "visible_if",
    "HIDDEN",
    "is_hidden",
    "in_thread",
    "on_loop",
    "from_thread",
    "events",
    "events_delivered",
    "event_usage",
    "EventUsage",
    "idempotent",
    # references and calls
    "RemoteReference",
    "RemoteMethod",
    "Promise",
    "call_remote",
    "describe",
    "Description",
    "providing",
    "deadline",
    "connection_of",
    "on_disconnect",
    "release",
    "revoke",
    "is_live",
    "is_replica",
    "is_stale",
    # one item after the other
    "Stream",
    "stream_file",
    "receive_file",
    # who is asking
    "Application",
    "AuthRoot",
    "Service",
    "Perspective",
    "RemoteIdentity",
    "CurrentCall",
    "current_call",
    "Trace",
    "trace",
    # watching
    "Hooks",
    "CallEvent",
    "ReferenceEvent",
    "LoginEvent",
    "AttachmentEvent",
    "AuditLog",
    "otel",
    "CallFields",
    "reference_report",
    "HeldReference",
    "ReferenceReport",
    "Attachment",
    # errors
    "Error",
    "RemoteError",
    "PeerError",
    "NoSuchObject",
    "NoSuchMethod",
    "BadArguments",
    "BadPayload",
    "Unregistered",
    "TooLarge",
    "Busy",
    "Unsupported",
    "Forbidden",
    "Cancelled",
    "DeadlineExceeded",
    "Gone",
    "NotPipelinable",
    "BrokenPromise",
    "LoginFailed",
    "ConnectionLost",
    "NotExecuted",
    "DeadReference",
    "OutcomeUnknown",
    "ForkedConnection",
    "ProtocolError",
    "InsecureJelly",
    "Unjellyable",
    # programs that wait, and tests of all this
    "sync",
    "testing",
]

_LAZY: Final = {
    "serve": "pb.aio.server",
    "Server": "pb.aio.server",
    "open_connection": "pb.aio.client",
    "get_object_at": "pb.aio.client",
    "connect": "pb.aio.login",
    "Reconnect": "pb.aio.backoff",
    "LastingConnection": "pb.aio.reconnecting",
    "Status": "pb.aio.status",
    "ConnectionState": "pb.aio.status",
    "Change": "pb.aio.status",
    "AuthRoot": "pb.auth.root",
    "Application": "pb.auth.application",
    "Perspective": "pb.auth.service",
    "Service": "pb.auth.service",
    "ReferenceReport": "pb.auth.reference_service",
    "RemoteIdentity": "pb.auth.remote_identity",
    "Connection": "pb.aio.connection",
    "connection_of": "pb.aio.connection",
    "on_disconnect": "pb.aio.connection",
    "release": "pb.aio.connection",
    "revoke": "pb.aio.revoking",
    "is_live": "pb.aio.connection",
    "is_replica": "pb.aio.connection",
    "is_stale": "pb.aio.connection",
    "Promise": "pb.aio.promise",
    "RemoteMethod": "pb.aio.reference",
    "call_remote": "pb.aio.reference",
    "deadline": "pb.aio.deadline",
    "reference_report": "pb.aio.references",
    "describe": "pb.aio.describing",
    "providing": "pb.aio.providing",
    "in_thread": "pb.aio.threads",
    "on_loop": "pb.aio.threads",
    "Stream": "pb.aio.stream",
    "stream_file": "pb.aio.files",
    "receive_file": "pb.aio.files",
    "from_thread": "pb.aio.threads",
    "events": "pb.aio.events",
    "events_delivered": "pb.aio.events",
    "event_usage": "pb.aio.events",
    "EventUsage": "pb.aio.events",
    "BadURL": "pb.aio.url",
    "Web": "pb.aio.web",
}
# Modules that are public names themselves.
_MODULES: Final = {"tls": "pb.aio.tls", "sync": "pb.sync", "testing": "pb.testing", "otel": "pb.otel"}


if not TYPE_CHECKING:  # pragma: no branch - else a type checker takes any name for one of these

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(_MODULES[name])
        module = _LAZY.get(name)
        if module is None:
            raise AttributeError(f"module 'pb' has no attribute {name!r}")
        return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
