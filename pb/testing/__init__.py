"""What tests of programs over `pb` need: pairs without a network, networks that fail, clocks that are told.

    async def test_a_sale_survives_a_partition():
        async with pb.serve(Shop(), "memory://shop") as server, pb.testing.Network(server.url) as network:
            async with pb.open_connection(network.url) as connection:
                network.partition()
                sale = connection.root.buy("hat")
                await asyncio.sleep(30)                 # takes no time: see `run`
                network.heal()
                assert "sold" == await sale

    pb.testing.run(test_a_sale_survives_a_partition())

Nothing here needs a test library. What is decided by chance is decided by a seed, so that a failure comes
back. docs/testing.md tells more.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cred.testing import Trial, check_credential, check_identity_store

    from ._pair import Pair, pair
    from .clock import Clock
    from .faults import Faults
    from .flavour import check_flavour
    from .leaks import Census, assert_clean, held
    from .loop import Loop, Stuck, run
    from .network import Network
    from .pump import Pump, run_all
    from .relay import Relay
    from .side import Reference, Side, cancel, send
    from .streams import Stream
    from .tasks import Cancelled, Gate, Outcome, Signal, Task
    from .transport import check_transport
    from .wire import Wire

__all__ = [
    # without a loop
    "Pump",
    "run_all",
    "Side",
    "Wire",
    "Reference",
    "send",
    "cancel",
    "Outcome",
    "Gate",
    "Signal",
    "Stream",
    "Task",
    "Cancelled",
    # a loop with a clock that is told
    "run",
    "Clock",
    "Loop",
    "Stuck",
    # client and server, and what is between them
    "pair",
    "Pair",
    "Network",
    "Faults",
    "Relay",
    # what is left over
    "assert_clean",
    "held",
    "Census",
    # what a stranger adds
    "check_transport",
    "check_flavour",
    "check_identity_store",
    "check_credential",
    "Trial",
]

_LAZY: Final = {
    "Pump": "pump",
    "run_all": "pump",
    "Side": "side",
    "Reference": "side",
    "send": "side",
    "cancel": "side",
    "Wire": "wire",
    "Outcome": "tasks",
    "Gate": "tasks",
    "Signal": "tasks",
    "Stream": "streams",
    "Task": "tasks",
    "Cancelled": "tasks",
    "run": "loop",
    "Loop": "loop",
    "Stuck": "loop",
    "Clock": "clock",
    "pair": "_pair",
    "Pair": "_pair",
    "Network": "network",
    "Faults": "faults",
    "Relay": "relay",
    "assert_clean": "leaks",
    "held": "leaks",
    "Census": "leaks",
    "check_transport": "transport",
    "check_flavour": "flavour",
    "check_identity_store": "cred.testing",
    "check_credential": "cred.testing",
    "Trial": "cred.testing",
}


if not TYPE_CHECKING:  # else a type checker takes any name for one of these

    def __getattr__(name: str) -> Any:
        module = _LAZY.get(name)
        if module is None:
            raise AttributeError(f"module 'pb.testing' has no attribute {name!r}")
        where = module if "." in module else f"{__name__}.{module}"
        return getattr(importlib.import_module(where), name)


def __dir__() -> list[str]:
    return sorted(__all__)
