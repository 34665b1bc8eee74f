"""The chat: who attaches brings an object that hears."""

import pb
from cred import AttachRefused


class Chatter(pb.Perspective):
    def attached(self, client, identity):
        if client is None:
            raise AttachRefused("bring a client that hears")
        self.service.ears.append((self.perspective_name, client))
        self.service.tell(f"{self.perspective_name} is here")

    def detached(self, client, identity):
        """Called however it ended: by leaving, by a lost connection, or by being thrown out."""
        self.service.ears.remove((self.perspective_name, client))
        self.service.tell(f"{self.perspective_name} has left")

    def perspective_say(self, text):
        self.service.tell(f"{self.perspective_name}: {text}")

    def perspective_names(self):
        return sorted(name for name, _ in self.service.ears)


class Chat(pb.Service):
    def __init__(self, name, application):
        super().__init__(name, application)
        self.ears = []

    def get_perspective_named(self, name):
        return Chatter(name, self)

    def tell(self, text):
        for _, client in self.ears:
            client.hear.send(text)  # nobody waits for a slow listener
