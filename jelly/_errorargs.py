"""Which arguments of an exception may cross: those that can be printed. spec/5-errors.md PB-E13.

str(), repr() and every traceback print the args of an exception, also where nobody expects a peer's value
there. A list shared within a list and so on prints twice as long with each level: 11 MB out of 232 bytes.
"""

from __future__ import annotations

from typing import Any, Final

from ._ext import SCALARS
from ._words import PeerText
from .builtins_ import LEAF_WRITERS

_LEAVES: Final = SCALARS | frozenset(LEAF_WRITERS) | {PeerText}
_LISTS: Final = frozenset({tuple, list, set, frozenset})


def are_printable(args: tuple[Any, ...] | list[Any], most: int) -> bool:
    """Tell whether args hold plain values only and print in little more than this many bytes.

    What occurs twice counts twice, as it does in print.
    """
    # A level at a time: what is waiting is bounded by `most` too, since every entry was paid for.
    waiting: list[Any] = [args]
    while waiting:
        each = waiting.pop()
        inside: Any = each.args if isinstance(each, BaseException) else each
        for member in (*inside, *inside.values()) if type(inside) is dict else inside:
            kind = type(member)
            # The size in memory is more than the length of its text, or a third of it at worst.
            most -= member.__sizeof__()
            if most < 0:
                return False
            if kind in _LEAVES:
                continue
            if kind not in _LISTS and kind is not dict and not isinstance(member, BaseException):
                return False
            waiting.append(member)
    return True


def trim_args(state: dict[str, Any], max_text: int) -> bool:
    """Take the args out of the state of an error unless its peer would take them; tell whether it would not.

    Also where one is longer than the text of an error may be: the text, which is cut, takes its place.
    """
    args = state.get("args")
    if args is None:
        return False
    is_short = all(len(each) <= max_text for each in args if type(each) in (str, bytes))
    if not is_short or not are_printable(args, SENT_TEXTS * max_text):
        del state["args"]
        return True
    return False


# How many times the longest text of an error its args may come to. Less is sent than is taken, because
# other Pythons, other languages and nested errors count a little differently.
SENT_TEXTS: Final = 4
TAKEN_TEXTS: Final = 16
