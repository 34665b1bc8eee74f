"""Where a stranger plugs in: adapters for classes one does not own, and the tables that give ids.

zope.interface is used for contracts only, never for each value (an adapter look-up costs five dict look-ups).
"""

from __future__ import annotations

from zope.interface import Attribute, Interface


class ICopyable(Interface):  # type: ignore[misc]
    """Travel by value. An adapter to this admits a class that is not registered."""

    def get_type_to_copy():  # type: ignore[no-untyped-def,misc]
        """Return the wire name under which the receiver registered what it builds."""

    def get_state_to_copy_for(perspective):  # type: ignore[no-untyped-def]
        """Return the state that this perspective may see, normally a dict with str keys."""


class IReferenceable(Interface):  # type: ignore[misc]
    """Travel by reference. The adapter must be a ByReference and is what the peer will call.

    The adapter is exported, not the adapted object: return the same adapter for the same object, or the
    peer sees another object each time.
    """


class IReferenceTables(Interface):  # type: ignore[misc]
    """Give and resolve ids, for one connection and one perspective. Keeps no state about payloads."""

    perspective = Attribute("under which payloads are encoded and decoded, None for none")

    def refer(value):  # type: ignore[no-untyped-def]
        """Count one occurrence of a ByReference value and return the ExtType that stands for it.

        Raises:
            Unjellyable: this value may not go to this peer.
        """

    def promise(value):  # type: ignore[no-untyped-def]
        """Return the ExtType that names a Promising value, which is not counted, or its value in a tuple.

        Asked for the arguments of calls only; elsewhere a value that is not there cannot be sent.
        """

    def undo(exts):  # type: ignore[no-untyped-def]
        """Give back what refer() counted for these ExtTypes: their payload will not be sent."""

    def observe(value):  # type: ignore[no-untyped-def]
        """Count one occurrence of a Cacheable; return (ext, states).

        `ext` is CACHED with its id. `states` is None where the peer has a replica of it, else a tuple with
        the one state that the replica starts with; from here on what happens to the object is told.

        Raises:
            Unjellyable: this value may not go to this peer.
        """

    def count(ext):  # type: ignore[no-untyped-def]
        """Count one more occurrence of what observe() returned in this payload."""

    def home_of(replica):  # type: ignore[no-untyped-def]
        """Return HOME for a replica of the peer's. Raises Unjellyable if it is none (any longer)."""

    def seal(exts):  # type: ignore[no-untyped-def]
        """Take note that the payload is complete which begins these caches and streams, and is sent next."""

    def produce(value):  # type: ignore[no-untyped-def]
        """Begin a stream and return the ExtType that stands for it; undo() takes it back.

        Args:
            value: gives items one after the other, by __anext__, __aiter__ or __next__.

        Raises:
            Unjellyable: this value may not go to this peer.
        """

    def reference(id, meta):  # type: ignore[no-untyped-def]
        """Return the handle of the peer's object, counting one occurrence.

        Args:
            meta: the advisory map that came with it, or None.

        Raises:
            InsecureJelly: not acceptable; the occurrence still counts.
        """

    def home(id):  # type: ignore[no-untyped-def]
        """Return our own object that came home. Raises InsecureJelly if the id is not valid."""

    def answer(q):  # type: ignore[no-untyped-def]
        """Return what the peer's call q resolved to. Raises InsecureJelly if it is no reference."""

    def stream(id):  # type: ignore[no-untyped-def]
        """Return the consumer of a stream the peer announces."""

    def cache(id, replica):  # type: ignore[no-untyped-def]
        """Take in the empty replica that the first occurrence of a cache makes, and count the occurrence.

        Args:
            replica: None where the payload is refused, which is counted all the same.

        Raises:
            InsecureJelly: not acceptable; the occurrence still counts.
            MalformedJelly: the id is that of a cache which is here already.
        """

    def refuse_caches(ids):  # type: ignore[no-untyped-def]
        """Forget the replicas of a payload that was refused: they may have half their state, or none."""

    def cached(id):  # type: ignore[no-untyped-def]
        """Return the replica of a cache that is already here, counting one occurrence.

        Raises:
            InsecureJelly: there is none; the occurrence still counts.
        """
