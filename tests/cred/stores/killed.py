"""A program that grants keys until it is killed: `python -m tests.cred.stores.killed FILE`.

It prints the number of each identity once it was written.
"""

from __future__ import annotations

import asyncio
import sys

from cred import IdentityRecord
from cred.stores.sqlite import SqliteStore

KEYS = 20


async def main(path):
    """Add identities of KEYS keys each, and take the last key of each away again."""
    store = SqliteStore(path)
    number = 0
    while True:
        name = f"user-{number}"
        await store.add(IdentityRecord.new(name, keys=[("shop", str(key)) for key in range(KEYS)]))
        print(number, flush=True)
        number += 1


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
