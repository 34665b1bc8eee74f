"""From a peer's string to a function: what is published, what is not, and which arguments reach it."""

from __future__ import annotations

import functools
import gc
import weakref

import pytest

import pb
from pb import messages
from pb.dispatch import KNOWN, Kind, bind_error, find_method, is_method_name, signature_of

from .cached import REGISTRY, Shop, Weapon
from .pump import Pump, Script, packed


class Target(pb.Referenceable):
    remote_number = 42

    def remote_plain(self):
        return "plain"

    def plain(self):
        return "not published"

    def view_plain(self, perspective):
        return "not published either"

    class remote_Class:
        pass


@pytest.mark.parametrize("name", ["a", "A", "a1", "a_", "a_b", "camelCase", "x" * messages.MAX_METHOD_BYTES])
def test_names_that_may_be_called(name):
    """`[A-Za-z][A-Za-z0-9_]{0,127}` (PB-M5)."""
    assert is_method_name(name)


NO_NAMES = [
    "",
    "_",
    "_a",
    "__class__",
    "1a",
    "a.b",
    "a b",
    "a-b",
    "a\n",
    "a\0",
    "é",
    "ａ",
    "a²",
    "x" * 129,
    "pb:interfaces",
]


class Willing(pb.Root):
    """Has whatever it is asked for, under names that nobody may say too."""

    def __init__(self):
        self.asked = []

    def __getattr__(self, name):
        if not name.startswith("remote_"):
            raise AttributeError(name)
        self.asked.append(name)
        return lambda: "reached"

    def remote__a(self):
        return "reached"

    def remote_é(self):
        return "reached"

    def remote___class__(self):
        return "reached"


@pytest.mark.parametrize("name", NO_NAMES, ids=repr)
def test_names_that_may_not(name):
    """A name never opens a door, whatever a language makes of it; nor is anybody asked who would open it."""
    assert not is_method_name(name)
    willing = Willing()
    for target in (Target(), willing):
        with pytest.raises(pb.NoSuchMethod, match="of that name"):
            find_method(target, "remote_", name)
    assert [] == willing.asked
    assert "reached" == find_method(willing, "remote_", "anything")()


@pytest.mark.parametrize("name", [name for name in NO_NAMES if ":" not in name], ids=repr)
def test_names_that_may_not_reach_nothing_by_a_call(name):
    """Of an object that has them, and of one that answers for any name: in every message that says one."""
    root = Willing()
    script = Script(root)
    script.say([1, 1, 0, name, packed([[], {}])], [1, 2, 0, "anything", packed([[], {}])])
    script.say([1, 3, 0, name, packed([[], {}]), {"ttl": 1000}], [1, 0, 0, name, packed([[], {}])])

    refused, reached, late = script.heard()
    assert [[3, 1], [2, 2, packed("reached")], [3, 3]] == [refused[:2], reached, late[:2]]
    assert ["remote_anything"] == root.asked


def test_only_what_has_the_prefix_of_the_row_is_found():
    """The row was decided when the object was exported (PB-M1)."""
    assert "plain" == find_method(Target(), "remote_", "plain")()
    assert "not published either" == find_method(Target(), "view_", "plain")(None)


@pytest.mark.parametrize("name", ["nothing", "number", "remote_plain", "view_plain"])
def test_what_is_not_there_or_cannot_be_called_is_told_alike(name):
    """One text for all reasons."""
    with pytest.raises(pb.NoSuchMethod, match=f"^no method '{name}'$"):
        find_method(Target(), "remote_", name)


def test_an_object_may_answer_for_names_of_its_own():
    """`__getattr__` is asked with the prefix."""

    class Dynamic(pb.Referenceable):
        def __getattr__(self, name):
            if name == "remote_late":
                return lambda: name
            raise AttributeError(name)

    assert "remote_late" == find_method(Dynamic(), "remote_", "late")()
    with pytest.raises(pb.NoSuchMethod):
        find_method(Dynamic(), "remote_", "later")


@pytest.mark.parametrize("error", [RuntimeError("secret"), SystemExit(1), GeneratorExit()])
def test_an_object_that_fails_when_asked_fails_the_call(error):
    """It is not a missing method, and it is not the end of the server."""

    class Broken(pb.Root):
        def remote_good(self):
            return 1

        def __getattr__(self, name):
            if name.startswith("remote_"):
                raise error
            raise AttributeError(name)

    pump = Pump(Broken())
    with pytest.raises(pb.RemoteError, match=r"pb\.Internal"):
        pump.call("bad")
    assert 1 == pump.call("good")


def test_kinds_have_the_prefixes_of_the_spec():
    """What a row publishes is said in one place."""
    assert {
        "REMOTE": "remote_",
        "PERSPECTIVE": "perspective_",
        "VIEW": "view_",
        "REPLICA": "observe_",
        "CACHE": "",
        "PROXY": "",
        "GONE": "",
    } == {kind.name: kind.prefix for kind in Kind}


def test_an_error_that_was_never_raised_is_no_misfit():
    """It has no traceback to tell by."""
    assert None is bind_error(TypeError("made by hand"), find_method, "find")


# --- arguments


class Peculiar(pb.Root):
    """Methods, and what is called in place of one."""

    def remote_add(self, a, b: int = 7, *, unit="the secret default"):
        return a

    @staticmethod
    def remote_plain(a, _b=0):
        return a

    @functools.wraps(remote_add)
    def remote_wrapped(self, *args, **kwargs):
        return self.remote_add(*args, **kwargs)

    def remote_all(*args):
        raise TypeError("not of the arguments")


class Aimed(Weapon):
    def view_aim(self, actor, at, _force=1):
        return at


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "takes"),
    [
        ("add", [], {}, "(a, b=..., *, unit=...)"),
        ("add", [1, 2, 3], {}, "(a, b=..., *, unit=...)"),
        ("add", [1], {"c": 1}, "(a, b=..., *, unit=...)"),
        ("add", [1], {"_c": 1}, "(a, b=..., *, unit=...)"),
        ("plain", [], {}, "(a)"),
        ("plain", [1, 2], {}, "(a)"),
        ("wrapped", [1], {"_c": 1}, "(a, b=..., *, unit=...)"),
    ],
)
def test_who_gives_the_wrong_arguments_is_told_the_right_ones(name, args, kwargs, takes):
    """By the names that can be filled; no default, no type, and nothing that is private."""
    with pytest.raises(pb.BadArguments) as caught:
        Pump(Peculiar()).call(name, *args, **kwargs)
    assert f"the arguments do not fit {name!r}; it takes {takes}" == str(caught.value)


@pytest.mark.parametrize("args", [[], [1, 2], [1, 2, 3]])
def test_of_a_view_the_actor_is_not_among_them(args):
    """It is given, but not by the peer."""
    pump = Pump(Shop(aimed=Aimed()), registry=REGISTRY)
    outcome = pump.call("enter", "ann").get("aimed")
    pump.run()
    failed = outcome.result().aim(*args)
    pump.run()
    with pytest.raises(pb.BadArguments) as caught:
        failed.result()
    assert "the arguments do not fit 'aim'; it takes (at)" == str(caught.value)


def test_what_does_not_tell_what_it_takes_is_no_fault_of_this_side():
    """Builtins, for example."""
    assert "(...)" == signature_of(dict.pop)
    assert "(*args)" == signature_of(Peculiar().remote_all)


class Lazy:
    """Can be called, and fails whoever looks closer."""

    def __getattr__(self, name):
        raise RuntimeError("not loaded yet")

    def __call__(self, a):
        return a


class Holder(pb.Referenceable):
    def __init__(self):
        self.remote_lazy = Lazy()


class Picture(pb.Viewable):
    def view_show(self, *args, key):
        return key


def test_what_fails_when_it_is_asked_what_it_takes_fails_one_call():
    """And not the connection with all its other calls."""
    pump = Pump(Holder())

    with pytest.raises(pb.BadArguments, match=r"it takes \(\.\.\.\)"):
        pump.call("lazy", 1, 2, 3)
    assert 5 == pump.call("lazy", 5)


def test_of_a_view_that_takes_any_arguments_all_are_told():
    """The actor is one of them, and is not taken for all."""
    assert "(*args, key)" == signature_of(Picture().view_show, True)


def test_names_that_nothing_has_are_not_kept():
    """A peer may think of any number, and Python 3.12 keeps for ever what is interned."""

    class Dynamic(pb.Referenceable):
        def __getattr__(self, name):
            return len

    find_method(Target(), "remote_", "plain")
    with pytest.raises(pb.NoSuchMethod):
        find_method(Target(), "remote_", "no_such")
    assert len is find_method(Dynamic(), "remote_", "anything")

    assert "plain" in KNOWN["remote_"]
    assert not {"no_such", "anything"} & KNOWN["remote_"].keys()


def test_as_many_names_are_known_as_programs_have():
    """Beyond, all are looked up anew."""
    names = [f"m{number}" for number in range(1100)]
    many = type("Many", (), {f"remote_{name}": len for name in names})()

    assert all(len is find_method(many, "remote_", name) for name in [*names, *names])
    assert len(KNOWN["remote_"]) <= 1024


def test_a_function_made_for_one_call_is_not_kept():
    """Nor what it closes over, whether its arguments fit or not."""
    made = []

    class Maker(pb.Root):
        def __getattr__(self, name):
            if name != "remote_made":
                raise AttributeError(name)
            closed = Target()
            made.append(weakref.ref(closed))
            return lambda a, _b=0: [a, closed is not None]

    pump = Pump(Maker())
    assert [1, True] == pump.call("made", 1)
    with pytest.raises(pb.BadArguments):
        pump.call("made")
    gc.collect()
    assert [None] * len(made) == [each() for each in made]
