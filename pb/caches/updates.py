"""The updates of replicas: each applied, or its replica given up. Spec: spec/7-caches.md, OBSERVE."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

from jelly import MalformedJelly

from .. import messages
from ..calling.keeping import load_of
from ..calling.running import Served
from ..calling.serving import IGNORED
from ..dispatch import FIND, Kind, bind_error, check_arguments, find_method
from ..errors import Busy, NoSuchObject, ProtocolError
from ..tracing import receive_traced
from ..wire.fields import without_options
from ..wire.payloads import PAYLOADS, refused
from .resync import KEY

if TYPE_CHECKING:
    from ..calling.serving import Serving
    from ..holding.tables import Tables
    from ..limits import Limits

_find = FIND[Kind.REPLICA.prefix]


class Updates:
    """Take the updates of the replicas of one connection."""

    __slots__ = ("_limits", "_serving", "_tables")

    def __init__(self, serving: Serving, tables: Tables, limits: Limits) -> None:
        self._serving = serving
        self._tables = tables
        self._limits = limits

    def receive_observe(self, envelope: list[Any]) -> None:
        """Apply one update to a replica; it is answered only where the owner wants that.

        Here the ordinary one, which wants no answer. It is no call: there is nothing to be cancelled, and
        `current_call` knows nothing of it.
        """
        # Told to many, this is most of what a client does, and it runs cold: what is unusual is found out by
        # what fails, or where it makes a difference, not by a look beforehand (40 instead of 60 us for 100).
        try:
            _, id, number, method, payload = envelope
            row = self._tables.replicas[number]
        except (ValueError, TypeError, KeyError):  # it has options, is malformed, or is held no more
            self._receive_other(envelope)
            return
        is_payload = type(payload) is bytes or type(payload) in PAYLOADS
        is_formed = is_payload and type(id) is int and type(number) is int
        if id or row.is_stale or not is_formed:
            self._receive_other(envelope)
            return
        held = row.held
        if row.zombie is None:  # row.object, spelled out
            replica = held()
        else:
            replica = row.zombie
            self._tables.zombies.update(row, payload)
        function: Any
        try:
            function = _find(replica, method)
        except BaseException:  # a replica's own __getattr__ may raise anything; it may be gone
            if method != KEY or replica is None:
                self._receive_other(envelope)  # told in the ordinary way
                return
            function = row.take_key
        row.version += 1
        scope = row.scope
        try:
            args, kwargs = scope.decoder.loads_call(payload, scope)
        except MalformedJelly:
            raise
        except BaseException as error:  # a hook of a copy may raise anything
            self._serving.fail_call(0, row, scope, refused(error))
            return
        if row.is_stale:  # what came with it has given it up, or ended the connection
            return
        try:
            # The usual case: a method of the replica's own class, no parameter of which is private.
            is_own = type(function) is MethodType and function.__self__ is replica
            if kwargs or not is_own or function.__func__ is not row.open_methods.get(method):
                check_arguments(row, function, method, args, kwargs)
                result = function(*args, **kwargs)
            elif len(args) == 1:
                result = function(args[0])  # as most do; it takes 300 instructions less than the next line
            else:
                result = function(*args)
            if result is not None and hasattr(type(result), "__await__"):
                self._serving.run_update(Served(0, row, result), load_of(payload))
        except BaseException as error:
            fit = bind_error(error, function, method) if isinstance(error, TypeError) else None
            self._serving.fail_call(0, row, scope, fit or error)

    def _receive_other(self, envelope: list[Any]) -> None:
        """Refuse an update, or apply one that is answered, or that has options."""
        refusal: BaseException | None = None
        ttl_ms: int | None = None
        if len(envelope) == 5:
            _, id, number, method, payload = envelope
        else:
            (_, id, number, method, payload), ttl_ms, options = without_options(envelope)
            if "trace" in options:
                receive_traced(self._receive_other, envelope)
                return
        if type(id) is not int or type(number) is not int or type(method) is not str:
            raise ProtocolError("OBSERVE whose id or cache is no integer, or whose method is no string")
        if type(payload) not in PAYLOADS:
            raise ProtocolError("OBSERVE whose payload is no bin")
        if id:
            if not self._serving.last_id < id <= messages.MAX_ID:
                raise ProtocolError(
                    f"OBSERVE id {id} after {self._serving.last_id}; ids increase and stay below 2^53"
                )
            self._serving.last_id = id
        if not 1 <= number <= messages.MAX_ID:
            raise ProtocolError("OBSERVE whose cache is out of range")
        row = self._tables.replicas.get(number)
        replica = None if row is None or row.is_stale else row.object
        if row is not None and replica is None and not row.is_stale:
            # On its way here from the collector of another thread, which cannot be updated.
            self._tables.make_stale(row)
        function: Any = None
        if row is None or replica is None:
            # Ignored where no answer is wanted: the release of it is on its way.
            scope = self._serving.base
            refusal = NoSuchObject(f"no cache {number}") if id else IGNORED
        else:
            scope = row.scope
            row.version += 1
            self._tables.zombies.update(row, payload)
            try:
                function = find_method(replica, row.prefix, method)
            except BaseException as error:  # a replica's own __getattr__ may raise anything
                refusal = error
            if id and self._serving.has_held:
                refusal = Busy("the answers before it are not read; it was not run")
        self._serving.start(id, row, scope, function, method, payload, refusal, ttl_ms)

    def receive_update(self, envelope: list[Any]) -> None:
        """Apply an update that crossed our BYE, because an answer may follow it; ignore a question."""
        if envelope[1:2] == [0]:
            self.receive_observe(envelope)
        else:
            self._serving.drop_call(envelope)
