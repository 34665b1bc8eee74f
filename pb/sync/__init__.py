"""The blocking face: the names of `pb`, for scripts, GUIs and the interactive prompt.

    from pb import sync

    with sync.open_connection("pb://127.0.0.1:8789") as connection:
        print(connection.root.echo("hello network"))

A call returns the value or raises the error; there are no promises here, so calls are not pipelined, though
peers may pipeline theirs. All connections live in one thread in the background, which
starts when it is first needed and ends with the program. Any thread may use any connection.

What the peer calls here - methods of objects that were passed to it - runs in a thread of this program that
may block and call in turn, as deep as need be: in the thread whose call passed the object, while that waits;
else in one that waits in a call on this connection; where none does, in a worker thread. In a worker they run
one after another, those of one connection; methods marked `pb.in_thread` run at the same time, in
threads of their own. What the peer called before it answered has been run, or begun, when the
call returns. So hold no lock over a call which a method that is called back takes too, unless it is an RLock.

Over a connection that comes back (`open_connection(url, reconnect=True)`, or the options in a `pb.Reconnect`)
a call on what lasts waits while there is no connection, and its thread serves what comes over the next one.

A program with a window must not wait: there `sync.Gui(window.after)` brings all of it into that thread.

Hooks run in the thread of the connections and must not block: `observe_` methods, `changed`, those of copies
and caches, and `async def` methods. There, as in a thread with a running loop, blocking calls raise
RuntimeError. After a fork the connections belong to the parent; in the child they raise ForkedConnection.
"""

from __future__ import annotations

from pb.aio.connection import is_live, is_replica, is_stale
from pb.usage import Usage

from .client import connect, get_object_at, open_connection
from .connection import Connection, connection_of, on_disconnect, reference_report, release
from .deadline import deadline
from .describing import describe
from .events import event_usage, events, events_delivered
from .gui import Gui
from .identity import RemoteIdentity
from .providing import providing
from .reconnecting import LastingConnection
from .reference import RemoteMethod, call_remote
from .reference import SyncReference as RemoteReference
from .revoking import revoke
from .server import Server, serve
from .status import Status
from .stream import Stream, receive_file, stream_file
from .threads import on_loop

__all__ = [
    # serving and connecting
    "serve",
    "Server",
    "open_connection",
    "get_object_at",
    "connect",
    "Connection",
    "Usage",
    # coming back
    "LastingConnection",
    "Status",
    # windows
    "Gui",
    # references and calls
    "RemoteReference",
    "RemoteMethod",
    "call_remote",
    "deadline",
    "describe",
    "providing",
    "connection_of",
    "on_disconnect",
    "release",
    "reference_report",
    "revoke",
    "is_live",
    "is_replica",
    "is_stale",
    "on_loop",
    "events",
    "events_delivered",
    "event_usage",
    # one item after the other
    "Stream",
    "stream_file",
    "receive_file",
    # who is asking
    "RemoteIdentity",
]
