"""What a method returns when whoever called it has gone: nobody's mistake."""

from __future__ import annotations

import logging

import pytest

import pb

from ..cached import REGISTRY, Door, Shop, User
from ..pump import Pump


class Leaving(User):
    """Has a method that ends what it runs under, and is let finish."""

    async def perspective_leave(self, name):
        self.shop.attachments[0].detach()
        return getattr(self.shop, name)


def leave(shop, what):
    shop.users["ann"] = Leaving("ann", shop)
    pump = Pump(shop, registry=REGISTRY)
    outcome = pump.call("enter", "ann").leave(what)
    pump.run()
    return outcome


@pytest.mark.parametrize("shape", ["alone", "in a list"])
@pytest.mark.parametrize("what", ["weapon", "stock", "door", "stream"])
def test_a_result_that_comes_after_a_logout_is_a_line_of_the_log_and_no_incident(what, shape, caplog):
    """Nothing here is broken, and an internal error would read as if (PB-R31)."""
    shop = Shop(door=Door(), stream=iter([1]))
    if shape == "in a list":
        setattr(shop, what, [getattr(shop, what)])
    with caplog.at_level(logging.INFO):
        outcome = leave(shop, what)

    with pytest.raises(pb.Gone, match="its result with it"):
        outcome.result()
    (record,) = caplog.records
    assert ("INFO", None) == (record.levelname, record.exc_info)
    assert "the result of leave for" in record.message
    assert "by a perspective that has been detached meanwhile" in record.message
    assert "\n" not in record.message


def test_a_method_that_ends_what_it_runs_under_is_let_finish():
    """Whoever logs out, or changes the own password, is to learn how that went."""
    outcome = leave(Shop(plain="goodbye"), "plain")

    assert "goodbye" == outcome.result()


def test_a_result_that_can_never_be_sent_is_an_error_after_a_logout_too(caplog):
    """That is a mistake of the program."""
    outcome = leave(Shop(thing=object()), "thing")

    with pytest.raises(pb.RemoteError, match="internal error"):
        outcome.result()
    (record,) = caplog.records
    assert "ERROR" == record.levelname
    assert record.exc_info
