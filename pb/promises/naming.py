"""The tables of a connection for the payload of one call that names results to come.

Spec: spec/11-pipelining.md, "What a call names"; spec/4-references.md, PB-R10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..holding.scope import PromiseMet, Scope
from ..reference import RemoteReference
from ..wire.ids import ANSWER, HOME, id_ext

if TYPE_CHECKING:
    from msgpack import ExtType

    from jelly import Promising, RemoteCache

    from .promised import Promised


class NotNow(BaseException):
    """Something in the arguments cannot go with a call that names results. Not for hooks to catch.

    Attributes:
        promised: what has to be waited for; None where it is a cache or a stream.
    """

    def __init__(self, promised: Promised | None = None) -> None:
        super().__init__()
        self.promised = promised


class Naming(Scope):
    """A scope in which results to come have names.

    Attributes:
        named: the promises that the payload names, by the ids of their calls.
        pins: the references that it sends home, which must not be released before the call is answered.
    """

    __slots__ = ("named", "pins")

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope.tables, scope.broker, scope.encoder, scope.decoder, scope.perspective)
        self.of = scope.direct
        self.named: dict[int, Promised] = {}
        self.pins: list[RemoteReference] = []

    def refer(self, value: Any) -> ExtType:
        """Count one occurrence, or pin what goes home."""
        ext = super().refer(value)
        if ext.code == HOME:
            self.pins.append(value)
            if value._pb_import.source is not None:  # which has the count
                self.pins.append(value._pb_import.source)
        return ext

    def promise(self, value: Promising) -> ExtType | tuple[Any]:
        """Return the name of a result to come, or its value."""
        settled = value._pb_settled()
        if type(settled) is tuple:
            return settled
        if settled is not None:
            raise PromiseMet(value)
        promised: Promised = value._pb_promise()  # type: ignore[attr-defined]
        if promised.calls.tables is not self.tables or not promised.name():
            raise NotNow(promised)
        self.named[promised.id] = promised
        return id_ext(ANSWER, promised.id)

    def observe(self, value: Any) -> tuple[ExtType, tuple[Any] | None]:
        """Refuse: what is told of it would overtake the call, which may have to wait."""
        raise NotNow

    def home_of(self, replica: RemoteCache) -> ExtType:
        """Refuse: it could be given up before the call is answered."""
        super().home_of(replica)
        raise NotNow

    def produce(self, value: Any) -> ExtType:
        """Refuse, as a cache."""
        raise NotNow
