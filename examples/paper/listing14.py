"""Listing 14: an authenticated client: `python -m examples.paper.listing14 [url [password [service]]]`."""

import asyncio
import sys

import pb


async def main(url="pb://127.0.0.1:8787", password="guest", service="pbecho", perspective="guest"):
    try:
        perspective = await pb.connect(url, "guest", password, service, perspective, client=None, timeout=30)
    except pb.LoginFailed:
        sys.exit("could not log in: wrong user or password")
    except pb.Forbidden as error:
        sys.exit(f"logged in, but: {error}")
    except TimeoutError as error:
        sys.exit(f"too slow: {error}")
    except OSError as error:
        sys.exit(f"no server: {error}")
    print("got perspective:", perspective)
    print("server echoed:", await perspective.echo("hello world"))
    await pb.connection_of(perspective).close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
