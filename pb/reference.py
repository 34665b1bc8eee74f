"""The stand-in for an object that lives at the other end of a connection.

The core makes and counts them; what a call looks like is the face's matter (`pb.aio.reference`).
Spec: spec/4-references.md.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import jelly

from . import messages
from .wire.ids import HOME, id_ext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator
    from typing import Protocol

    from msgpack import ExtType

    from .errors import Error
    from .holding.export import Export
    from .holding.scope import Scope


if TYPE_CHECKING:

    class Answer(Protocol):
        """What a call returns, as far as it is known: to be awaited, gone through, or called in advance."""

        def __await__(self) -> Generator[Any, Any, Any]: ...

        def __aiter__(self) -> AsyncIterator[Any]: ...

        def __getattr__(self, name: str) -> Any: ...

    class Method(Protocol):
        """A method of a remote object, of which nothing but the name is known."""

        def __call__(self, /, *args: Any, **kwargs: Any) -> Answer: ...

        def within(self, seconds: float, /) -> Method: ...

        @property
        def idempotent(self) -> Method: ...

        def nowait(self, /, *args: Any, **kwargs: Any) -> Answer: ...

        def send(self, /, *args: Any, **kwargs: Any) -> None: ...


class Import(weakref.ref["RemoteReference"]):
    """What this side knows of one object of the peer's: its id, and how often it was received.

    It outlives the reference: when that is collected, the callback gets this very object, and the count
    that is owed to the peer stands on it. So no finalizer runs, and nothing can be resurrected.
    """

    __slots__ = ("count", "dead", "home", "id", "key", "passed_on", "scope", "source")

    code: ClassVar[int] = messages.CALL
    late: ClassVar[None] = None  # calls on observers may have to wait for a snapshot, these never do
    id: int
    key: object  # in the table of imports
    count: int
    dead: type[Error] | None  # why calls on it fail, if they do
    home: ExtType | None  # made when it is first sent home: most never are
    scope: Scope
    passed_on: tuple[weakref.ref[Export], ...]  # rows of other connections
    source: RemoteReference | None  # which is counted, where this one was adopted from it
    # Its maker sets these: a constructor in Python would double the cost of receiving a reference.

    def make_home(self) -> ExtType:
        """Return the Ext that stands for the object in what is sent to its owner, and keep it."""
        self.home = id_ext(HOME, self.id)
        return self.home


class RemoteReference(jelly.ByReference):
    """An object of the peer's. `await reference.method(...)` calls its method.

    There is one per object and connection, so `is` tells whether two are the same object, and it may be
    a dictionary key. It has no public attributes of its own: whatever does not start with an underscore
    is a remote method. Everything else one can do with it is a function of `pb`.
    """

    __slots__ = ("__weakref__", "_pb_import")

    _pb_import: Import

    if TYPE_CHECKING:  # the faces make methods in their own ways

        def __getattr__(self, name: str) -> Method: ...

    def __copy__(self) -> RemoteReference:
        return self

    def __deepcopy__(self, memo: object) -> RemoteReference:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "a remote reference belongs to its connection and cannot be pickled; "
            "pass it in a call, or ask for the object again by name"
        )

    def __repr__(self) -> str:
        handle = self._pb_import
        state = "live" if is_callable(handle) else "dead"
        return f"<RemoteReference {handle.id} of {handle.scope.tables.peer_name}, {state}>"


def is_callable(handle: Import) -> bool:
    """Tell whether a call on a reference would be sent, as far as is known here."""
    scope = handle.scope
    return handle.dead is None and scope.tables.is_open and not scope.broker.face.is_over
