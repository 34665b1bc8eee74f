"""The kitchen and its larder, one application: `pb run examples/demo/server.py --store FILE`."""

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


class Cook(pb.Perspective):
    """What a user of the kitchen may do."""

    def perspective_echo(self, text):
        return text

    async def perspective_boil(self, watcher):
        """Call the client back while its own call is still running."""
        for celsius in (40, 70, 100):
            await watcher.temperature(celsius)
        return "boiling"

    def perspective_get_kettle(self):
        return Kettle()


class Kitchen(pb.Service):
    def get_perspective_named(self, name):
        return Cook(name, self)


class Visitor(pb.Perspective):
    """What a user of the larder may do."""

    def perspective_fetch(self, what):
        return f"{what} for {self.perspective_name}"


class Larder(pb.Service):
    def get_perspective_named(self, name):
        return Visitor(name, self)


application = pb.Application("demo", registry=registry)
Kitchen("kitchen", application)
Larder("larder", application)
application.listen("pb://127.0.0.1:8787")
