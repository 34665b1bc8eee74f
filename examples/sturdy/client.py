"""Share a document as its author, or read what somebody has shared with you."""

import asyncio
import sys

import pb


async def share(title, seconds=None, url="pb://127.0.0.1:8791"):
    """Print a link."""
    async with pb.open_connection(url) as connection:
        identity = await connection.login("author", "the author's password")
        motto = await connection.get_object("motto")
        print(f"our motto: {await motto.read()}", file=sys.stderr)
        desk = await identity.attach("desk")
        print(await desk.share(title, None if seconds is None else float(seconds)))


async def read(url):
    """Print what a link leads to."""
    document = await pb.get_object_at(url)
    print(await document.read())


def main():
    """Do what is asked for; say in one line why not."""
    match sys.argv[1:]:
        case ["share", title, *more] if len(more) <= 2:
            action = share(title, *more)
        case ["read", url]:
            action = read(url)
        case _:
            sys.exit("usage: client share TITLE [SECONDS [URL]], or client read URL")
    try:
        asyncio.run(action)
    except (pb.Error, OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
