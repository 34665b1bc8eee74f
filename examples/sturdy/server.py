"""Documents that can be shared by a link: `pb run examples/sturdy/server.py --store library.db`."""

import pb

LONGEST_S = 366 * 24 * 3600
TEXTS = {"minutes": "all were there", "recipe": "flour, water, salt"}


class Document(pb.Referenceable):
    """What a link leads to: whoever has it can call this."""

    def __init__(self, text):
        self.text = text

    def remote_read(self):
        return self.text


class Author(pb.Perspective):
    async def perspective_share(self, title, seconds=None):
        """Return a link to a document, valid so long; None for ever."""
        if title not in TEXTS:
            raise pb.Forbidden("there is no such document")
        if seconds is not None and not (type(seconds) in (int, float) and 1 <= seconds <= LONGEST_S):
            raise pb.Forbidden(f"a link is valid for 1 to {LONGEST_S} seconds, or nil: for ever")
        return await application.give_name("document", title, expires_s=seconds)


class Desk(pb.Service):
    perspective_class = Author


application = pb.Application("library")
# After a restart too: from the key that is in the store, the object is made anew.
application.sturdy("document", lambda title: Document(TEXTS[title]))
application.publish("motto", Document("read more"))  # for all who have logged in
desk = Desk("desk", application)
desk.create_perspective("author").make_identity("the author's password")
application.listen("pb://127.0.0.1:8791")
