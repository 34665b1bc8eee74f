"""What a method returns when whoever called it has gone: nobody's mistake."""

from __future__ import annotations

import logging

import pytest

import pb

from ..cached import REGISTRY, Door, Shop
from ..pump import Pump


@pytest.mark.parametrize("shape", ["alone", "in a list"])
@pytest.mark.parametrize("what", ["weapon", "stock", "door", "stream"])
def test_a_result_that_comes_after_a_logout_is_a_line_of_the_log_and_no_traceback(what, shape, caplog):
    """Whoever logs out while a call runs does nothing wrong, and nothing here is broken (PB-R31)."""
    shop = Shop(door=Door(), stream=iter([1]))
    pump = Pump(shop, registry=REGISTRY)
    ann = pump.call("enter", "ann")
    if shape == "in a list":
        setattr(shop, what, [getattr(shop, what)])
    outcome = ann.get_later(what)
    pump.run()
    shop.attachments[0].detach()
    pump.run()
    with caplog.at_level(logging.INFO):
        shop.gate.open()
        pump.run()

    with pytest.raises(pb.RemoteError, match="internal error") as caught:
        outcome.result()
    (record,) = caplog.records
    assert ("INFO", None) == (record.levelname, record.exc_info)
    assert f"incident {caught.value.incident}: the result of get_later for" in record.message
    assert "by a perspective that has been detached meanwhile" in record.message
    assert "\n" not in record.message


def test_a_result_that_can_never_be_sent_is_an_error_after_a_logout_too(caplog):
    """That is a mistake of the program."""
    shop = Shop(thing=object())
    pump = Pump(shop, registry=REGISTRY)
    outcome = pump.call("enter", "ann").get_later("thing")
    pump.run()
    shop.attachments[0].detach()
    pump.run()
    shop.gate.open()
    pump.run()

    with pytest.raises(pb.RemoteError, match="internal error"):
        outcome.result()
    (record,) = caplog.records
    assert "ERROR" == record.levelname
    assert record.exc_info
