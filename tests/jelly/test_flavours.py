"""One way of travelling for each class."""

from __future__ import annotations

import itertools

import pytest

from jelly import (
    ByReference,
    Cacheable,
    Copyable,
    Encoder,
    InsecureJelly,
    Opaque,
    Referenceable,
    Registry,
    Relayed,
    RemoteCache,
    RemoteCopy,
    Unjellyable,
    Viewable,
)

from .things import Tables


@pytest.mark.parametrize(
    ("one", "other"),
    list(itertools.permutations([Copyable, Cacheable, Referenceable, Viewable], 2)),
    ids=lambda cls: cls.__name__,
)
def test_flavours_that_exclude_each_other_cannot_be_mixed(one: type, other: type) -> None:
    """The paper says so; nothing enforced it (PB 102)."""
    with pytest.raises(TypeError) as caught:
        type("Both", (one, other), {})

    assert one.__name__ in str(caught.value)
    assert other.__name__ in str(caught.value)
    with pytest.raises(TypeError):
        type("Below", (type("First", (one,), {}), type("Second", (other,), {})), {})


@pytest.mark.parametrize("pair", [(Copyable, RemoteCopy), (Cacheable, RemoteCache)])
def test_a_class_may_be_both_ends_of_one_flavour(pair: tuple[type, type]) -> None:
    """Symmetric travel (PB 101)."""
    assert type("Both", pair, {})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *itertools.product([Copyable, Referenceable, Viewable], [RemoteCache]),
        *itertools.product([Cacheable, Referenceable, Viewable, RemoteCache], [RemoteCopy]),
    ],
    ids=lambda cls: cls.__name__,
)
def test_the_far_end_of_one_flavour_is_no_near_end_of_another(one: type, other: type) -> None:
    """A copy that can be called would publish what its sender has put into it."""
    with pytest.raises(TypeError, match="one way only"):
        type("Both", (one, other), {})


class Silent:
    """A base that keeps to itself that it was derived from."""

    def __init_subclass__(cls) -> None:
        pass


@pytest.mark.parametrize(
    "pair", [(Copyable, Referenceable), (Cacheable, Copyable), (Viewable, Referenceable)]
)
def test_a_mix_that_was_not_noticed_in_time_is_neither_registered_nor_sent(pair: tuple[type, type]) -> None:
    """Python asks the first base that wants to be asked, and no other."""
    mixed = type("Mixed", (Silent, *pair), {"__annotations__": {"n": int}})
    with pytest.raises(TypeError, match="Mixed mixes"):
        Registry().add(mixed, "x.Mixed")

    with pytest.raises(Unjellyable, match="Mixed mixes"):
        Encoder(Registry()).dumps([mixed()], Tables())


def test_what_goes_by_reference() -> None:
    """And what does not."""
    assert all(issubclass(cls, ByReference) for cls in (Referenceable, Viewable, Cacheable))
    assert not issubclass(Copyable, ByReference)


def test_a_cacheable_must_say_what_its_replicas_start_with() -> None:
    """There is no state that is right for everyone."""

    class Stock(Cacheable):
        pass

    with pytest.raises(NotImplementedError, match="Stock must define"):
        Stock().get_state_to_cache_and_observe_for(None, None)
    Stock().stopped_observing(None, None)


def test_a_replica_takes_its_state_by_the_rule_of_copies() -> None:
    """No private names, nothing that hides what the class defines."""

    class Replica(RemoteCache):
        def observe_change(self) -> None: ...

    replica = Replica()
    replica.set_copyable_state({"n": 1})

    assert {"n": 1} == vars(replica)
    with pytest.raises(InsecureJelly):
        replica.set_copyable_state({"observe_change": 1})


def test_stand_ins_show_little() -> None:
    """They hold what a peer sent."""
    assert "Opaque('socket')" == repr(Opaque("socket"))
    assert Opaque("a") == Opaque("a") != Opaque("b")
    assert Opaque("a") != "a"
    assert 1 == len({Opaque("a"), Opaque("a")})
    assert "Relayed('x.Y')" == repr(Relayed("x.Y", ["secret"]))
