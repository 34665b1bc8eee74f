"""The kitchen: `python -m examples.demo.server [url]`."""

import asyncio
import sys

import pb

from .shared import OutOfTea, registry


class Kettle(pb.Referenceable):
    """Handed to clients as a reference: they can call it, and it stays here."""

    def __init__(self):
        self.litres = 2

    def remote_pour(self, litres):
        if litres > self.litres:
            raise OutOfTea(f"{self.litres} litres are left")
        self.litres -= litres
        return self.litres


class Kitchen(pb.Root):
    def remote_echo(self, text):
        return text

    async def remote_boil(self, watcher):
        """Call the client back while its own call is still running."""
        for celsius in (40, 70, 100):
            await watcher.temperature(celsius)
        return "boiling"

    def remote_get_kettle(self):
        return Kettle()


async def main(url):
    async with pb.serve(Kitchen(), url, registry=registry) as server:
        print(server.url, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8787"))
    except KeyboardInterrupt:
        pass
