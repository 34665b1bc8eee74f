"""One application of three services: `pb run examples/backend/server.py --store backend.db`."""

import pb

from .admin import Admin
from .chat import Chat
from .shared import registry
from .shop import Shop

application = pb.Application("backend", registry=registry)
shop = Shop("shop", application)
Chat("chat", application)
Admin("admin", application)
application.keep("baskets", shop, registry=registry)

# For a first try. Whoever is in the store already stays as he is; in earnest use `pb identity add`.
for name, services in (("alice", "shop chat"), ("bob", "shop chat"), ("olga", "shop chat admin")):
    keys = [(service, name) for service in services.split()]
    application.authorizer.declare_identity(name, f"{name}'s password", keys=keys)

application.listen("pb://127.0.0.1:8787")
