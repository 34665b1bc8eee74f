"""Listing 13: an authenticated server: `pb run examples/paper/listing13.py`."""

import pb


class SimplePerspective(pb.Perspective):
    def perspective_echo(self, text):
        print("echoing:", text, flush=True)
        return text


class SimpleService(pb.Service):
    def get_perspective_named(self, name):
        return SimplePerspective(name, self)


application = pb.Application("pbecho")
service = SimpleService("pbecho", application)
service.get_perspective_named("guest").make_identity("guest")
application.listen("pb://127.0.0.1:8787")
