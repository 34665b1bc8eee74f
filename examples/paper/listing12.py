"""Listing 12: a simple client. Where nobody listens, or nobody answers, it says so and fails."""

import asyncio
import sys

import pb


async def main(url, timeout):
    reference = await pb.get_object_at(url, timeout=timeout)
    print("got object:", reference)
    print("server echoed:", await reference.echo("hello network"))
    await pb.connection_of(reference).close()


if __name__ == "__main__":
    url = sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8789"
    timeout = float(sys.argv[2]) if len(sys.argv) > 2 else 30
    try:
        asyncio.run(main(url, timeout))
    except OSError as error:
        sys.exit(f"no object: {error}")
