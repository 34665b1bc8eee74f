"""A mill that answers in plain functions: `python -m examples.sync.server [url]`."""

import sys

import pb
from pb import sync

registry = pb.Registry()


@registry.copyable("mill.OutOfGrain")
class OutOfGrain(pb.Error):
    """There is not so much of it."""


class Sack(pb.Referenceable):
    """Stays here; who bought it holds a reference."""

    def __init__(self, kilos):
        self.kilos = kilos

    def remote_take(self, kilos):
        if kilos > self.kilos:
            raise OutOfGrain(f"{self.kilos} kg are left")
        self.kilos -= kilos
        return self.kilos


class Mill(pb.Root):
    """Its methods run in worker threads, and may block and call in turn."""

    def remote_buy(self, kilos):
        return Sack(kilos)

    def remote_grind(self, customer, kilos):
        """Ask the customer how fine before each kilo, while the customer waits in this very call."""
        return [f"{customer.how_fine(kilo)} flour" for kilo in range(1, kilos + 1)]


if __name__ == "__main__":
    url = sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8792"
    with sync.serve(Mill(), url, registry=registry) as server:
        print("the mill is at", server.url, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("the mill stands still")
