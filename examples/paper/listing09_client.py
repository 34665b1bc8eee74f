"""Listing 9, the caller: the result comes by callback, an error by errback, and nothing blocks."""

import asyncio
import sys

import pb


async def main(url):
    loop = asyncio.get_running_loop()
    both = [loop.create_future(), loop.create_future()]

    def worked(result):
        print("it worked:", result)
        both[0].set_result(None)

    def failed(error):
        print("it failed:", error)
        both[1].set_result(None)

    reference = await pb.get_object_at(url, timeout=30)
    reference.doIt(pbcallback=worked, pberrback=failed)
    reference.fail(pbcallback=worked, pberrback=failed)
    print("both calls are made, neither is waited for")
    await asyncio.gather(*both)
    await pb.connection_of(reference).close()


if __name__ == "__main__":
    url = sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8788"
    try:
        asyncio.run(main(url))
    except OSError as error:
        sys.exit(f"no object: {error}")
