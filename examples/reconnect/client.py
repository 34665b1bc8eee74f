"""The display: `python -m examples.reconnect.client [url]`. It goes on, whatever becomes of the station."""

import asyncio
import sys

import pb

from . import shared


def tell(change: pb.Change) -> None:
    """Say how the connection is doing: not each try, but whether it is there."""
    if change.state is pb.ConnectionState.CONNECTED:
        print("the display is connected again", flush=True)
    elif change.state is pb.ConnectionState.WAITING and change.attempts == 0:
        print("the display has lost its station", flush=True)


async def main(url: str) -> None:
    options = pb.Reconnect(max_s=2.0)
    async with pb.open_connection(url, registry=shared.registry, reconnect=options) as connection:
        connection.status.watch(tell)
        departures = await connection.keep(lambda: connection.root.departures())
        print("the display is of", departures.station, departures.trains, flush=True)
        await connection.wait_closed()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8791"))
    except OSError as error:
        sys.exit(f"no station: {error}")
    except KeyboardInterrupt:
        pass
