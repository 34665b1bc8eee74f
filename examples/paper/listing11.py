"""Listing 11: a simple server."""

import asyncio
import sys

import pb


class Echoer(pb.Root):
    def remote_echo(self, text):
        print("echoing:", text, flush=True)
        return text


async def main(url):
    async with pb.serve(Echoer(), url) as server:
        print("serving at", server.url, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8789"))
    except KeyboardInterrupt:
        pass
