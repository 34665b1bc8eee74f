"""Private parameters: what a peer must not fill, by place or by name, however a method is published."""

from __future__ import annotations

import functools
from types import MethodType

import pytest

import pb

from .cached import REGISTRY, Shop, Stock
from .pump import Pump


class Guarded(pb.Root):
    """Every shape a method with private parameters can have."""

    def remote_after(self, a, _b=0):
        return [a, _b]

    def remote_first(self, _a=0):
        return [_a]

    def remote_between(self, a, _b=0, c=0):
        return [a, _b, c]

    def remote_only(self, a, /, _b=0):
        return [a, _b]

    def remote_keyword(self, a, *, _b=0):
        return [a, _b]

    def remote_rest(self, *args, _b=0):
        return [*args, _b]

    def remote_more(self, a, *args, _b=0):
        return [a, *args, _b]

    def remote_strange_self(_self, a, _b=0):
        return [a, _b]

    @staticmethod
    def remote_static(a, _b=0):
        return [a, _b]

    @classmethod
    def remote_of_class(cls, a, _b=0):
        return [a, _b]

    @functools.wraps(remote_after)
    def remote_wrapped(self, *args, **kwargs):
        return self.remote_after(*args, **kwargs)

    async def remote_later(self, a, _b=0):
        return [a, _b]

    def remote_open(self, a, b=0, **more):
        return [a, b, more]


def attached():
    """Return a root whose guarded method stands on the instance."""
    root = Guarded()
    root.remote_instance = lambda a, _b=0: [a, _b]
    return root


class Callable:
    def __call__(self, a, _b=0):
        return [a, _b]


class Lender(pb.Root):
    """No published method of its class has private parameters; what stands on the object itself does."""

    def __init__(self):
        self.remote_lent = Guarded().remote_after
        self.remote_own = self._delete
        self.remote_instead = self._delete
        self.remote_bound = functools.partial(self._delete)
        self.remote_partial = functools.partial(lambda given, a, _b=0: [a, _b], None)
        self.remote_object = Callable()
        self.remote_cached = functools.cache(lambda a, _b=0: [a, _b])
        self.remote_unhashable = MethodType(Unhashable(), self)

    def _delete(self, a, _b=0):
        return [a, _b]

    def remote_instead(self, a, b=0):
        """Not what is called under this name."""

    def __getattr__(self, name):
        if name == "remote_made":
            return self._delete
        raise AttributeError(name)


class Unhashable:
    __hash__ = None

    def __call__(self, lender, a, _b=0):
        return [a, _b]


@pytest.mark.parametrize(
    ("name", "args", "result"),
    [
        ("after", [1], [1, 0]),
        ("first", [], [0]),
        ("between", [1], [1, 0, 0]),
        ("only", [1], [1, 0]),
        ("keyword", [1], [1, 0]),
        ("rest", [1, 2, 3], [1, 2, 3, 0]),
        ("more", [1, 2, 3], [1, 2, 3, 0]),
        ("strange_self", [1], [1, 0]),
        ("static", [1], [1, 0]),
        ("of_class", [1], [1, 0]),
        ("wrapped", [1], [1, 0]),
        ("later", [1], [1, 0]),
        ("instance", [1], [1, 0]),
        ("open", [1, 2], [1, 2, {}]),
    ],
)
def test_a_private_parameter_hides_nothing_but_itself(name, args, result):
    """The other arguments are the caller's as ever."""
    assert result == Pump(attached()).call(name, *args)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("after", [1, 2]),
        ("first", [1]),
        ("between", [1, 2]),
        ("between", [1, 2, 3]),
        ("only", [1, 2]),
        ("keyword", [1, 2]),
        ("strange_self", [1, 2]),
        ("static", [1, 2]),
        ("of_class", [1, 2]),
        ("wrapped", [1, 2]),
        ("later", [1, 2]),
        ("instance", [1, 2]),
    ],
)
def test_a_private_parameter_cannot_be_reached_by_place(name, args):
    """It is the method's own affair (PB-E9)."""
    with pytest.raises(pb.BadArguments, match=f"'{name}'"):
        Pump(attached()).call(name, *args)


@pytest.mark.parametrize(
    "name", ["lent", "own", "instead", "made", "bound", "partial", "object", "cached", "unhashable"]
)
def test_nor_where_the_method_is_none_of_the_class(name):
    """The class of the object knows nothing of what the object publishes by attributes of its own."""
    pump = Pump(Lender())
    assert [1, 0] == pump.call(name, 1)
    with pytest.raises(pb.BadArguments, match=f"'{name}'"):
        pump.call(name, 1, 2)
    with pytest.raises(pb.BadArguments, match=f"'{name}'"):
        pump.call(name, 1, _b=2)


@pytest.mark.parametrize("name", ["after", "keyword", "rest", "only", "static", "open", "instance", "later"])
def test_a_private_parameter_cannot_be_reached_by_name(name):
    """Nor by way of `**kwargs`."""
    with pytest.raises(pb.BadArguments):
        Pump(attached()).call(name, 1, _b=2)


def test_names_after_a_private_parameter_can_be_reached_by_name():
    """They are published."""
    assert [1, 0, 3] == Pump(Guarded()).call("between", 1, c=3)


class Binding:
    """A descriptor that is no method: what it gives says of itself what `shown` says."""

    def __init__(self, bind):
        self.bind = bind

    def __get__(self, instance, owner=None):
        return self if instance is None else self.bind(instance)


class Shown:
    """An object that calls a function for another object."""

    def __init__(self, function, instance):
        self.__wrapped__ = function
        self.instance = instance

    def __call__(self, *args, **kwargs):
        return self.__wrapped__(self.instance, *args, **kwargs)


class Lazy(Shown):
    """One that says only when asked what it wraps."""

    def __init__(self, function, instance):
        self.function = function
        self.instance = instance

    def __getattr__(self, name):
        if name == "__wrapped__":
            return self.function
        raise AttributeError(name)


def plain(self, a, _b=0):
    return [a, _b]


def binding(instance):
    """Return a closure that looks like `plain` and needs no self."""
    return functools.wraps(plain)(lambda *args, **kwargs: plain(instance, *args, **kwargs))


def hiding(function):
    """Return a function that supplies `function` with what it needs, and tells nobody of it."""

    @functools.wraps(function)
    def hidden(*args, **kwargs):
        return function(*args, **kwargs)

    return hidden


class Bound(pb.Root):
    """Methods that reach their object in every way but Python's own."""

    @functools.singledispatchmethod
    def remote_by_type(self, a, _b=0):
        return [a, _b]

    @functools.singledispatchmethod
    @classmethod
    def remote_by_type_of_class(cls, a, _b=0):
        return [a, _b]

    @functools.singledispatchmethod
    @staticmethod
    def remote_by_type_static(a, _b=0):
        return [a, _b]

    remote_closure = Binding(binding)
    remote_shown = Binding(functools.partial(Shown, plain))
    remote_lazy = Binding(functools.partial(Lazy, plain))
    remote_bound_already = Binding(lambda instance: hiding(MethodType(plain, instance)))
    remote_method = Binding(lambda instance: MethodType(hiding(plain), instance))
    remote_partial = Binding(functools.partial(functools.partial, plain))
    remote_partial_hiding = Binding(functools.partial(functools.partial, hiding(plain)))
    remote_partial_closure = Binding(lambda instance: functools.partial(binding(instance)))
    remote_filled = functools.partialmethod(lambda self, given, a, _b=0: [a, _b], None)
    remote_static = staticmethod(hiding(lambda a, _b=0: [a, _b]))
    remote_no_descriptor = Callable()


@pytest.mark.parametrize("name", [name[7:] for name in vars(Bound) if name.startswith("remote_")])
def test_nor_however_a_method_is_bound_to_its_object(name):
    """What it shows of itself may have the object as its first parameter, though the call supplies it."""
    pump = Pump(Bound())
    assert [1, 0] == pump.call(name, 1)
    with pytest.raises(pb.BadArguments, match=f"'{name}'"):
        pump.call(name, 1, 2)


def test_what_wraps_itself_can_be_called():
    """Nothing can be said of its parameters."""

    class Round(pb.Root):
        @Binding
        def remote_round(self):
            def found(a):
                return a

            found.__wrapped__ = found
            return found

    assert 1 == Pump(Round()).call("round", 1)


class Sight(pb.Viewable):
    """What it publishes, it publishes by attributes."""

    def __init__(self):
        self.view_own = self._look
        self.view_function = lambda actor, a, _b=0: [a, _b]

    def _look(self, actor, a, _b=0):
        return [a, _b]

    @functools.singledispatchmethod
    def view_by_type(self, actor, a, _b=0):
        return [a, _b]


@pytest.mark.parametrize("name", ["own", "function", "by_type"])
def test_the_perspective_that_a_view_is_told_is_not_the_peers_to_count(name):
    """It comes before what the peer gives, and takes none of its places."""
    shop = Shop()
    shop.weapon = Sight()
    pump = Pump(shop, registry=REGISTRY)
    user = pump.call("enter", "ann")
    outcome = user.get("weapon")
    pump.run()
    view = outcome.result()
    right, wrong = getattr(view, name)(1), getattr(view, name)(1, 2)
    pump.run()

    assert [1, 0] == right.result()
    with pytest.raises(pb.BadArguments):
        wrong.result()


def test_an_update_reaches_no_private_parameter_either():
    """A replica may publish by attributes of its own, as others do."""

    class Told(Stock):
        def _set(self, n, _m=0):
            self.got = [n, _m]

    registry = pb.Registry()
    registry.add(Told, "Told")
    shop = Shop(stock=Told(n=1))
    pump = Pump(shop, registry=registry)
    replica = pump.call("get", "stock")
    replica.observe_own = replica._set
    shop.stock._observers.send("own", 5)
    pump.run()
    assert ([5, 0], False) == (replica.got, pb.is_stale(replica))

    shop.stock._observers.send("own", 6, 7)
    pump.run()
    assert ([5, 0], True) == (replica.got, pb.is_stale(replica))
