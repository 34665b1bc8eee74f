"""The object that a peer may call first."""

from __future__ import annotations

import jelly


class Root(jelly.Referenceable):
    """Base of root objects: `pb.serve(Root(), url)` publishes it to everybody who can connect.

    Nothing distinguishes it from another `Referenceable` but its name, which tells readers what it is for.
    """
