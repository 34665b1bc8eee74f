"""What writes each type of Python's own, and each kind of registered class."""

from __future__ import annotations

from typing import Any, Final

from . import _exports
from ._blueprint import Blueprint
from ._cacheplan import CachePlan
from ._errorplan import ErrorPlan
from ._inert import Opaque, Relayed
from ._walk import Walk
from ._words import PeerText
from .builtins_ import LEAF_WRITERS
from .replicated import DICTS, LISTS

TAKERS: Final[dict[type, Any]] = {
    **dict.fromkeys(LISTS, Walk.take_listlike),
    **dict.fromkeys(DICTS, Walk.take_dictlike),
    list: Walk.take_list,
    dict: Walk.take_dict,
    tuple: Walk.take_tuple,
    set: Walk.take_set,
    frozenset: Walk.take_set,
    bytearray: Walk.take_buffer,
    memoryview: Walk.take_buffer,
    PeerText: Walk.take_peer_text,
    Opaque: Walk.take_opaque,
    Relayed: Walk.take_relayed,
    **{leaf: Walk.take_leaf for leaf in LEAF_WRITERS if leaf is not int},
}
TAKERS_OF_PLANS: Final[dict[type, Any]] = {
    Blueprint: Walk.take_copy,
    ErrorPlan: Walk.take_error,
    CachePlan: _exports.take_cache,
}
