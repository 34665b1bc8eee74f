"""Listing 9: an object that can be called remotely.

What the paper has a class do, a class does here: a method whose name starts with `remote_` is published,
and nothing else is.
"""

import asyncio
import sys

import pb


class DoIt(pb.Root):
    def remote_doIt(self):
        return "did it"

    def remote_fail(self):
        raise pb.Forbidden("oh no, mr. bill!")


async def main(url):
    async with pb.serve(DoIt(), url) as server:
        print("serving at", server.url, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8788"))
    except KeyboardInterrupt:
        pass
