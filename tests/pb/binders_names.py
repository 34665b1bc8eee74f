"""What the two sides of the conversation about names do: spec/vectors/conversations 62."""

from __future__ import annotations

from pb._published import Published


def publish(play):
    """Let the server's object have a name."""
    published = Published()
    published.publish("lobby", play.root.object)
    play.side.broker.serving.reserved.resolve = published.resolve


# (conversation, role) -> what our side does of its own, each before the frame of that number.
ACTS = {
    ("62-resolve", "S"): {0: publish},
    ("62-resolve", "C"): {
        0: lambda play: play.ask("pb:resolve", "lobby"),
        2: lambda play: play.ask("open", of=0),
        4: lambda play: play.ask("pb:resolve", "~mfrggzdfmztwq2lknnwg23tpobyxe43u"),
        6: lambda play: play.ask("pb:resolve", 7),
    },
}
