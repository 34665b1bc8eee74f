"""The shop: each user has a basket, which is kept from one run to the next."""

import pb

from .shared import Item

PRICES = {"lamp": 1990, "rope": 350, "tea": 420}


class Customer(pb.Perspective):
    def perspective_prices(self):
        return PRICES

    def perspective_put(self, name):
        if name not in PRICES:
            raise pb.Error(f"no {name} in this shop")
        self.basket.append(Item(name, PRICES[name]))
        return len(self.basket)

    def perspective_basket(self):
        return self.basket

    @property
    def basket(self):
        return self.service.baskets.setdefault(self.perspective_name, [])


class Shop(pb.Service):
    def __init__(self, name, application):
        super().__init__(name, application)
        self.baskets = {}

    def get_perspective_named(self, name):
        return Customer(name, self)

    # What application.keep asks for, and gives back.

    def get_state_to_keep(self):
        return self.baskets

    def set_kept_state(self, state):
        self.baskets = state
