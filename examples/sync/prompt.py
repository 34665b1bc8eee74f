"""A prompt at which every call is a line: `python -m examples.sync.prompt [url]`.

>>> sack = root.buy(2)
>>> sack.take(1)
1
"""

import code
import sys

from pb import sync

from .server import registry


def main(url):
    with sync.open_connection(url, registry=registry) as connection:
        names = {"connection": connection, "root": connection.root, "sync": sync}
        code.interact(f"connected to {url}; try root.buy(2)", local=names, exitmsg="")


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8792")
    except OSError as error:
        sys.exit(f"no mill: {error}")
