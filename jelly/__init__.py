"""Values to bytes and back: what may cross is registered, everything else is refused.

The first layer of three. Knows neither calls nor connections: references are given their ids by whoever
implements IReferenceTables. spec/1-values.md says what the bytes mean.

    registry = jelly.Registry()
    registry.add(Point, "geo.Point")
    payload = jelly.Encoder(registry).dumps([Point(1, 2), {"now": datetime.now(timezone.utc)}])
    point, when = jelly.Decoder(registry).loads(payload)
"""

from . import interfaces
from ._bulk import Bulk
from ._decoder import Decoder
from ._depth import preflight
from ._encoder import Encoder
from ._ext import SCALARS
from ._inert import Opaque, Relayed
from ._words import printable
from .errors import InsecureJelly, JellyError, MalformedJelly, Oversized, RemoteError, Unjellyable
from .flavours import (
    ByReference,
    Cacheable,
    Copyable,
    Promising,
    Referenceable,
    RemoteCache,
    RemoteCopy,
    Viewable,
)
from .interfaces import ICopyable, IReferenceable, IReferenceTables
from .limits import Limits
from .observed import ObservedDict, ObservedList
from .registry import BUILTIN_ERRORS, Registry
from .replicated import ReplicaDict, ReplicaList
from .visibility import HIDDEN, Rule, is_hidden, visible_if, visible_to

__all__ = [
    # what may cross
    "Registry",
    "BUILTIN_ERRORS",
    # how it travels
    "ByReference",
    "Promising",
    "Cacheable",
    "Copyable",
    "Referenceable",
    "RemoteCache",
    "RemoteCopy",
    "Viewable",
    # what is shown to whom
    "HIDDEN",
    "Rule",
    "is_hidden",
    "visible_if",
    "visible_to",
    # containers that tell of their changes, and those that follow
    "ObservedDict",
    "ObservedList",
    "ReplicaDict",
    "ReplicaList",
    # bytes
    "Bulk",
    "Decoder",
    "Encoder",
    "Limits",
    "SCALARS",
    "preflight",
    # what stands for something else
    "Opaque",
    "Relayed",
    "RemoteError",
    "printable",
    # errors
    "InsecureJelly",
    "JellyError",
    "MalformedJelly",
    "Oversized",
    "Unjellyable",
    # where a stranger plugs in
    "interfaces",
    "ICopyable",
    "IReferenceTables",
    "IReferenceable",
]
