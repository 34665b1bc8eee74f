"""What the two sides of the conversations about names do: spec/vectors/conversations 62 and 63."""

from __future__ import annotations

import cred
import pb
from cred.sturdy import hash_of
from pb.holding.published import Published

from .binders_login import asks, finish

SECRET = "mfrggzdfmztwq2lknnwg23tpobyxe43u"


class Minutes(pb.Referenceable):
    """What the secret name stands for."""

    def remote_read(self):
        return "all were there"


def publish(play):
    """Let the server's object have a name."""
    published = Published()
    published.publish("lobby", play.root.object)
    play.side.broker.serving.reserved.resolve = published.resolve


def give(play):
    """Let the store have the name of the conversation, which no chance would bring."""
    names = play.auth.names
    names.add_loader("minutes", lambda key: Minutes())
    names.published.publish("lobby", Minutes())
    record = cred.SturdyRecord(hash_of(SECRET), "", "minutes", "", 0)
    finish(play.auth.authorizer.store.add_sturdy(record, 0))


# (conversation, role) -> what our side does of its own, each before the frame of that number.
ACTS = {
    ("62-resolve", "S"): {0: publish},
    ("62-resolve", "C"): {
        0: lambda play: play.ask("pb:resolve", "lobby"),
        2: lambda play: play.ask("open", of=0),
        4: lambda play: play.ask("pb:resolve", "~mfrggzdfmztwq2lknnwg23tpobyxe43u"),
        6: lambda play: play.ask("pb:resolve", 7),
    },
    ("63-secret-name", "S"): {0: give, 8: lambda play: finish(play.auth.names.revoke(SECRET))},
    ("63-secret-name", "C"): {
        2: asks("pb:resolve", "lobby"),
        4: asks("pb:resolve", f"~{SECRET}"),
        6: asks("read", of=1),
        8: asks("read", of=1),  # before the GONE is read
        11: lambda play: play.drop(1),
        12: asks("pb:resolve", f"~{SECRET}"),
    },
}
