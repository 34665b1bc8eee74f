"""The guest: `python -m examples.demo.client url`."""

import asyncio
import sys

import pb

from .shared import OutOfTea, registry


class Watcher(pb.Referenceable):
    """An object of the client that the server calls."""

    def remote_temperature(self, celsius):
        print(f"  callback     the server says: {celsius} degrees")


async def main(url):
    async with pb.open_connection(url, registry=registry) as connection:
        try:
            await connection.login("guest", "let me in")
        except pb.LoginFailed as error:
            print("  refused      a wrong password:", error)

        identity = await connection.login("guest", "guest")
        print("  logged in    with the keys", await identity.keys())
        kitchen = await identity.attach("kitchen")
        larder = await identity.attach("larder")

        print("  echo        ", await kitchen.echo("hello network"))

        print("  result      ", await kitchen.boil(Watcher()))

        print("  2nd service ", await larder.fetch("sugar"))

        kettle = await kitchen.get_kettle()
        print("  reference   ", kettle)
        print("  its answer  ", await kettle.pour(1.5), "litres are left")

        try:
            await kettle.pour(3)
        except OutOfTea as error:
            print("  error        OutOfTea:", error)
    print("  closed       nothing is left open")


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "pb://127.0.0.1:8787"))
    except OSError as error:
        sys.exit(f"no server: {error}")
