"""Who takes part: one module each, with the same small interface.

A module offers

* ``WORKLOADS``: the names of the workloads it can do,
* ``serve(loop, announce)``: serve on a free port of 127.0.0.1, call ``announce(port)``, return never,
* ``drive(loop, port, rounds)``: connect and do every round of ``rounds``: for each, prepare, do
  ``round.n`` operations of ``round.workload`` between ``round.start()`` and ``round.stop()``, then
  ``round.done()``; raise when a result is wrong.

``loop`` is "uvloop", "asyncio" or "" for contestants that bring their own. A round of the workload
"idle" opens ``round.n`` further connections, makes one call on each and keeps them. A round with
``round.check`` is never timed: there the results are compared, not only counted.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contestant:
    """A module, the loop it runs on, and what the report calls the two together."""

    name: str
    title: str
    module: str
    loop: str = ""


# Each peer on the loop that suits it: aiohttp gains by uvloop; grpc.aio, which polls in threads of its own,
# gains nothing with small messages and loses a fifth with large ones.
CONTESTANTS = (
    Contestant("floor", "floor, uvloop", "floor", "uvloop"),
    Contestant("floor-joined", "floor, one write a turn", "floor_joined", "uvloop"),
    Contestant("us", "Perspective Broker, uvloop", "us", "uvloop"),
    Contestant("floor-asyncio", "floor, asyncio", "floor", "asyncio"),
    Contestant("us-asyncio", "Perspective Broker, asyncio", "us", "asyncio"),
    Contestant("twisted", "Twisted PB", "twisted_pb"),
    Contestant("pyro5", "Pyro5 (msgpack)", "pyro"),
    Contestant("pyro5-batch", "Pyro5, in batches", "pyro_batch"),
    Contestant("rpyc", "RPyC", "rpyc_netref"),
    Contestant("grpc", "grpc.aio", "grpc_aio", "asyncio"),
    Contestant("http", "aiohttp JSON", "http_json", "uvloop"),
)
BY_NAME = {contestant.name: contestant for contestant in CONTESTANTS}
