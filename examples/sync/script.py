"""A script from top to bottom: `python -m examples.sync.script [url]`."""

import sys
import threading

import pb
from pb import sync

from .server import OutOfGrain, registry


class Customer(pb.Referenceable):
    """Is asked while the script waits, and so in the same thread: nothing runs beside it."""

    def __init__(self, mill):
        self.mill = mill

    def remote_how_fine(self, kilo):
        main = threading.current_thread() is threading.main_thread()
        left = self.mill.buy(kilo).take(1)  # calls in turn, while the mill waits for the answer
        print(f"asked about kilo {kilo}, in the main thread: {main}; a sack of it less one kilo has {left}")
        return "fine" if kilo % 2 else "coarse"


def main(url):
    with sync.open_connection(url, registry=registry) as connection:
        mill = connection.root
        print("ground      ", mill.grind.within(30)(Customer(mill), 3))

        sack = mill.buy(2)
        print("left        ", sack.take(1))
        try:
            sack.take(5)
        except OutOfGrain as error:
            print("refused     ", error)
    try:
        sack.take(1)
    except pb.NotExecuted:
        print("afterwards   the sack is out of reach")


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8792")
    except OSError as error:
        sys.exit(f"no mill: {error}")
