"""The tables of a connection for the payload of one call that waited for results of others.

Spec: spec/11-pipelining.md, "What a call names".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from jelly import InsecureJelly

from ..holding.scope import Scope

if TYPE_CHECKING:
    from jelly import RemoteCache

    from .slots import Slot


class Needing(Scope):
    """A scope in which the results that a call needs can be named, and nothing that is kept up to date."""

    __slots__ = ("_needs",)

    def __init__(self, scope: Scope, needs: dict[int, Slot]) -> None:
        super().__init__(scope.tables, scope.broker, scope.encoder, scope.decoder, scope.perspective)
        self.of = scope.direct
        self._needs = needs

    def answer(self, q: int) -> object:
        """Return the object that a call of the peer's returned."""
        slot = self._needs.get(q)
        export = None if slot is None else slot.export
        if export is None:
            return super().answer(q)
        if export.is_gone:
            raise InsecureJelly(f"what call {q} returned was revoked", wire_type="pb.Gone")
        return export.object

    def cache(self, id: int, replica: RemoteCache | None) -> None:
        """Refuse and count: what was told of it while the call waited is lost."""
        self.tables.begin_replica(id, None, self.direct)
        _refuse()

    def cached(self, id: int) -> object:
        """Refuse and count."""
        self.tables.drop((id, 1))
        _refuse()

    def stream(self, id: int) -> object:
        """Refuse, and stop it: nobody takes what it gives."""
        super().stream(id)
        _refuse()


def _refuse() -> NoReturn:
    raise InsecureJelly("a call that names results holds a cache or a stream", wire_type="pb.BadPayload")
