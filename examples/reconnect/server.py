"""The station: `python -m examples.reconnect.server [url] [name]`. Kill it, and start it again."""

import asyncio
import sys

import pb

from . import shared


class Station(pb.Root):
    def __init__(self, name: str) -> None:
        self.departures = shared.Departures(name)

    def remote_departures(self) -> shared.Departures:
        return self.departures

    @pb.idempotent
    def remote_announce(self, train: str, platform: str) -> None:
        """Twice the same says the same, so a client may do so where it does not know."""
        self.departures.trains[short(train)] = short(platform)


def short(text: object) -> str:
    """Return what a client sent, if it is a short text. The library has not looked at its type."""
    if not isinstance(text, str) or not 0 < len(text) <= 80:
        raise pb.Error("a text of 1 to 80 characters is expected")
    return text


async def main(url: str, name: str) -> None:
    async with pb.serve(Station(name), url, registry=shared.registry) as server:
        print("the station is at", server.url, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    url = sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8791"
    try:
        asyncio.run(main(url, sys.argv[2] if len(sys.argv) > 2 else "the station"))
    except OSError as error:
        sys.exit(f"no station: {error}")
    except KeyboardInterrupt:
        pass
