"""What a hostile peer can do by calling, releasing, cancelling and flooding: an error or a BYE for each."""

from __future__ import annotations

import gc
import itertools
import random

import msgpack
import pytest

import pb
from pb import messages

from ..holding.test_tables import Server, Thing, exported
from ..peers import (
    NO_ARGUMENTS,
    ask,
    bye_of,
    call,
    errors_said,
    ext,
    frame,
    is_alive,
    said,
    victim,
    with_argument,
)
from ..pump import Pump, cancel

# --- what a name reaches


NO_METHODS = [
    "",
    "é",
    " ",
    "__class__",
    "__init__",
    "_x",
    "a.b",
    "thing.open",
    "remote_echo",
    "ｆoo",
    "echo\0",
]
NO_METHODS += ["number", "secret", "admin", "perspective_admin", "view_admin", "kept_", "1echo"]


@pytest.mark.parametrize("name", [*NO_METHODS, "x" * 129, "x" * 60_000], ids=lambda name: ascii(name[:20]))
def test_a_name_that_is_no_method_reaches_nothing(name):
    """Dotted names, dunder names and attributes that are no methods were each somebody's hole."""
    side = victim()

    side.input(call(method=name))

    ((id, error, text),) = errors_said(side)
    assert (1, "pb.NoSuchMethod") == (id, error)
    assert text == "no method of that name" or text == f"no method {name!r}"
    assert is_alive(side)


@pytest.mark.parametrize(
    ("field", "value"),
    list(itertools.product([1, 2, 3, 4], [None, True, 1.5, [], {}, "text", b"bin", 2**64 - 1])),
    ids=str,
)
def test_a_field_of_another_type_is_a_violation(field, value):
    """A boolean is no id, bytes are no name; who converts them by kindness converts them for attackers."""
    fits = {1: (), 2: (2**64 - 1,), 3: ("text",), 4: (b"bin",)}
    if value in fits[field] and type(value) is not bool:
        return
    side = victim()
    envelope = [messages.CALL, 1, 0, "echo", NO_ARGUMENTS]
    envelope[field] = value

    side.input(frame(envelope))

    assert messages.BYE_PROTOCOL == bye_of(side)


@pytest.mark.parametrize(
    "payload",
    [
        [["path", True], {}],
        [["path"], {"_trusted": True}],
        [["path", True, 1], {}],
        [["path"], {"self": 1}],
        [[], {"path": 1, "other": 2}],
        [[], {}],
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_tell_nothing_of_what_is_private(payload):
    """A parameter with an underscore is the method's own; the others are what `pb:describe` tells too."""
    side = victim()

    side.input(call(msgpack.packb(payload), "guarded"))

    assert [(1, "pb.BadArguments", "the arguments do not fit 'guarded'; it takes (path)")] == errors_said(
        side
    )


def test_an_id_that_is_not_held_says_the_same_whether_it_ever_was():
    """Who can tell a released id from one that never was learns what others hold."""
    side = victim()
    side.input(call(method="thing"))
    side.input(frame([messages.RELEASE, [1, 1]]))
    said(side)
    chance = random.Random(1)
    forged = [1, 2, 3, 2**53 - 1, *(chance.randrange(2, 2**53) for _ in range(200))]

    for id, target in enumerate(forged, 2):
        side.input(call(target=target, id=id, method="open"))

    assert [
        (id, "pb.NoSuchObject", f"no object {target}") for id, target in enumerate(forged, 2)
    ] == errors_said(side)
    assert is_alive(side)


# --- counts


@pytest.mark.parametrize(
    "pairs",
    [[0, 1], [1, 0], [1, -1], [1, 3], [1, 2**63], [2, 1], [-1, 1], [1, 1, 1, 2], [1], [1, True], [1, 1.0]],
    ids=str,
)
def test_a_release_of_what_is_not_held_is_a_violation(pairs):
    """A count below zero frees what others hold, or never frees at all."""
    side = victim()
    side.input(call(method="thing"))
    side.input(call(method="thing", id=2))
    said(side)

    side.input(frame([messages.RELEASE, pairs]))

    assert messages.BYE_PROTOCOL == bye_of(side)


@pytest.mark.unmeasured
def test_one_object_sent_often_is_one_row_and_one_release_frees_it():
    """Counts, not rows, grow with what is sent."""
    side = victim()
    for id in range(1, 21):
        side.input(call(b"\x92\x91\xcd\x03\xe8\x80", "same", id))
    said(side)
    assert [0, 1] == list(side.broker.tables.exports)

    side.input(frame([messages.RELEASE, [1, 20_000]]))

    assert [0] == list(side.broker.tables.exports)
    assert is_alive(side)


def test_an_object_released_while_its_method_runs_is_still_there_for_it():
    """Use after free, in a language that cannot have it: the call ends as if nothing had happened."""
    side = victim()
    side.input(with_argument(b"\xd4\x01\x05", "call_back"))
    ((_, number, target, _, _),) = said(side)
    assert 5 == target
    side.input(frame([messages.GONE, [5]]))
    side.input(frame([messages.ANSWER, number, b"\x07"]))

    assert [messages.ANSWER, 1, b"\x07"] in said(side)
    assert is_alive(side)


@pytest.mark.parametrize("order", list(itertools.permutations(["release", "again", "use"])), ids="-".join)
def test_a_release_that_crosses_a_reference_never_leaves_a_dead_one(order):
    """Whatever the order in which they arrive, the counts of both sides agree in the end."""
    side = victim()
    side.input(call(method="thing"))
    said(side)
    held, number, ids = 1, 1, itertools.count(2)

    for step in order:
        if step == "release":
            held -= 1
            side.input(frame([messages.RELEASE, [number, 1]]))
        elif step == "use":
            side.input(call(target=number, method="open", id=next(ids)))
            ((code, *_),) = said(side)
            assert (messages.ANSWER if held else messages.ERROR) == code
        else:
            side.input(call(method="thing", id=next(ids)))
            ((_, _, payload),) = said(side)
            number = msgpack.unpackb(payload).data[0]
            held += 1

    assert held == sum(each.count for id, each in side.broker.tables.exports.items() if id)


# --- the unexpected


@pytest.mark.parametrize(
    "envelopes",
    [
        [[messages.ANSWER, 9, b"\xc0"]],
        [[messages.ERROR, 9, b"\x82\xa4type\xa1x\xa3msg\xa0"]],
        [[messages.ANSWER, 1, b"\xc0"], [messages.ANSWER, 1, b"\xc0"]],
        [[messages.CALL, 1, 0, "sink", NO_ARGUMENTS], [messages.CALL, 1, 0, "sink", NO_ARGUMENTS]],
        [[messages.CANCEL, 1]],
        [[messages.CANCEL, 2**64 - 1]],
    ],
    ids=[
        "unknown answer",
        "unknown error",
        "two answers",
        "call twice",
        "cancel of nothing",
        "cancel far off",
    ],
)
def test_an_id_used_wrongly_is_a_violation(envelopes):
    """A KeyError in the middle of a connection was the usual outcome."""
    side = victim()
    ask(side.broker.root_reference(), "x")
    said(side)

    side.input(b"".join(map(frame, envelopes)))

    assert [messages.BYE, messages.BYE_PROTOCOL] == said(side)[-1][:2]
    assert side.has_ended


def test_an_answer_after_the_caller_gave_up_is_taken_and_dropped():
    """Its references are counted and given back; nothing else of it is kept."""
    side = victim()
    reply = ask(side.broker.root_reference(), "x")
    cancel(side.broker.root_reference(), reply)
    said(side)

    side.input(frame([messages.ANSWER, 1, b"\xd4\x01\x07"]))

    gc.collect()
    assert [[messages.RELEASE, [7, 1]]] == said(side)
    assert 0 == reply.settled
    assert is_alive(side)


def test_a_refused_result_has_the_type_of_its_refusal():
    """Callers tell errors apart by remote_type, whether a peer or this side refused."""
    side = victim()
    reply = ask(side.broker.root_reference(), "x")
    said(side)

    side.input(frame([messages.ANSWER, 1, ext(8, b"\x92\xa9os.system\x80")]))

    assert isinstance(reply.error, pb.Unregistered)
    assert "pb.Unregistered" == reply.error.remote_type


# --- a state that is taken while others look


class Restless(pb.Copyable):
    """Does something while its state is taken; what arrives does nothing."""

    def __init__(self, act):
        self.act = act

    def act(self):
        pass

    def get_state_to_copy(self):
        self.act()
        return {}


def restless(server):
    registry = pb.Registry()
    registry.add(Restless, "test.Restless", fields=[])
    return Pump(server, registry=registry)


def test_a_list_that_grows_while_it_is_sent_is_sent_as_it_is_then():
    """No half of a payload leaves: what a hook has added is in it, and can be read."""
    pump = restless(Server())
    values = []
    values += [Restless(lambda: values.append("more")), 1]

    (arrived,) = pump.call("echo", values)
    assert [1, "more"] == arrived[1:]


def test_a_dict_that_grows_while_it_is_sent_is_not_sent():
    """Python cannot go on; the call fails here, nothing of it stays counted, and the next one goes."""
    pump = restless(Server())
    values = {"thing": Thing()}
    values["wild"] = Restless(lambda: values.update(more=1))
    with pytest.raises(RuntimeError, match="changed size"):
        pump.root.echo(values).result()

    assert {} == exported(pump.client)
    assert b"" == pump.client.output()
    assert [1] == pump.call("echo", 1)


def test_a_call_that_is_made_while_a_state_is_taken_goes_first():
    """Its frame is whole, and so is that of the call that it was made for."""
    server = Server()
    pump = restless(server)
    made = []
    outcome = pump.root.keep(Restless(lambda: made.append(pump.root.keep("first"))))
    pump.run()

    assert None is outcome.result() is made[0].result()
    assert ["first", Restless] == [server.kept[0], type(server.kept[1])]
