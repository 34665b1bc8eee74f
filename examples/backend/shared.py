"""What server and clients know: the one class that travels by value."""

from dataclasses import dataclass

import pb

registry = pb.Registry()


@registry.copyable("shop.Item")
@dataclass
class Item:
    name: str
    cents: int
