"""Taking a reference for what an interface says, for blocking programs: `providing`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pb.contract import check_provides

from .describing import describe

T = TypeVar("T")


def providing(reference: Any, interface: Callable[..., T]) -> T:
    """Return a reference as what an interface says that it is, after asking its owner. As `pb.providing`.

    The methods of the interface are plain ones here, for calls wait: `def echo(self, text: str) -> str: ...`
    """
    check_provides(describe(reference), interface, repr(reference))
    provided: T = reference
    return provided
