"""Blocking calls: what they return, raise, and leave behind."""

from __future__ import annotations

import asyncio
import copy
import gc
import threading
from dataclasses import dataclass, field

import pytest

import jelly
import pb
from pb import sync
from pb.sync.reference import SyncReference

HOLD_S = 20


class Overdrawn(pb.Error):
    pass


@dataclass
class Box:
    inside: object = None
    more: list = field(default_factory=list)


def registry():
    made = pb.Registry()
    made.add(Overdrawn, "bank.Overdrawn")
    made.add(Box, "test.Box")
    return made


class Counter(pb.Referenceable):
    def __init__(self):
        self.count = 0

    def remote_add(self, number):
        self.count += number
        return self.count


class Root(pb.Root):
    def __init__(self):
        self.counter = Counter()
        self.noted = []
        self.told = threading.Event()
        self.hold = threading.Event()
        self.kept = None

    def remote_echo(self, value):
        return value

    def remote_guarded(self, value, _guard="safe"):
        return value, _guard

    def remote_same(self, one, other):
        return one is other

    def remote_counter(self):
        return self.counter

    def remote_box(self):
        return Box(self.counter, [self.counter, {"key": (self.counter,)}])

    def remote_is_own(self, value):
        return value is self.counter

    def remote_note(self, value):
        self.noted.append(value)

    def remote_overdraw(self, wanted):
        raise Overdrawn(f"{wanted} is too much")

    def remote_divide(self, a, b):
        return a / b

    def remote_hold(self):
        self.told.set()
        self.hold.wait(HOLD_S)
        return "held"

    async def remote_forever(self):
        self.told.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.hold.set()
            raise

    def remote_keep(self, value):
        self.kept = value

    def remote_peer(self):
        return pb.current_call().connection.peer


def test_a_call_returns_its_value(connect, url):
    """The whole point: no await, no loop."""
    connection, _ = connect(Root(), url)

    assert "hello" == connection.root.echo("hello")
    assert {"a": [1, (2, 3)]} == connection.root.echo({"a": [1, (2, 3)]})


def test_a_connection_is_a_context_manager():
    """It closes, and says so."""
    with sync.serve(Root(), "pb://127.0.0.1:0") as server:
        with sync.open_connection(server.url) as connection:
            assert connection.is_open
            assert 1 == connection.root.echo(1)
        assert not connection.is_open
        with pytest.raises(pb.NotExecuted, match="closed"):
            connection.root.echo(2)


def test_a_reference_is_one_object_and_comes_home_as_itself(connect, url):
    """`is` tells whether two are the same, at both ends."""
    root = Root()
    connection, _ = connect(root, url)
    counter = connection.root.counter()

    assert type(counter) is SyncReference
    assert counter is connection.root.counter()
    assert connection.root.is_own(counter)
    assert connection.root.same(counter, counter)
    assert [counter] == connection.root.echo([counter])
    assert 3 == counter.add(3)


def test_references_inside_of_values_block_too(connect):
    """A field of a copy, an item of a list: wherever a reference is, its calls are of the same face."""
    connection, _ = connect(Root(), registry=registry())

    box = connection.root.box()

    assert type(box.inside) is SyncReference
    assert box.inside is box.more[0] is box.more[1]["key"][0]
    assert 5 == box.inside.add(5)


def test_an_object_passed_out_comes_back_as_itself(connect):
    """And is dropped at the other end when it says so."""
    root = Root()
    connection, _ = connect(root)
    mine = Counter()

    assert mine is connection.root.echo(mine)
    connection.root.keep(mine)
    assert type(root.kept) is SyncReference
    assert 7 == root.kept.add(7)
    assert 1 == connection.usage.references_given
    root.kept = None
    gc.collect()
    connection.root.echo(1)
    assert 0 == connection.usage.references_given


def test_names_with_an_underscore_stay_here(connect):
    """Nothing that copies, prints or inspects a reference touches the network."""
    connection, _ = connect(Root())
    reference = connection.root

    assert reference is copy.copy(reference) is copy.deepcopy([reference])[0]
    assert repr(reference).startswith("<RemoteReference 0 of 127.0.0.1:")
    assert repr(reference.echo).startswith("<RemoteMethod echo of <RemoteReference 0")
    with pytest.raises(AttributeError):
        reference._nothing  # noqa: B018


def test_an_error_keeps_its_type(connect):
    """Registered here, it is that class; else remote_type tells."""
    connection, _ = connect(Root(), registry=registry())
    with pytest.raises(Overdrawn, match="9 is too much"):
        connection.root.overdraw(9)
    with sync.open_connection("pb://" + connection.peer) as plain, pytest.raises(pb.RemoteError) as caught:
        plain.root.overdraw(8)
    assert ("bank.Overdrawn", "8 is too much") == (caught.value.remote_type, caught.value.message)


def test_an_internal_error_is_an_incident(connect, caplog):
    """What was not meant for the caller stays in the log of the callee."""
    connection, _ = connect(Root())

    with pytest.raises(pb.RemoteError) as caught:
        connection.root.divide(1, 0)

    assert "pb.Internal" == caught.value.remote_type
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert caught.value.incident in record.getMessage()
    assert ZeroDivisionError is record.exc_info[0]


def test_wrong_arguments_are_refused_in_the_thread_too(connect):
    """A TypeError of the method itself is another matter."""
    connection, _ = connect(Root())

    with pytest.raises(pb.BadArguments, match=r"do not fit 'echo'; it takes \(\w+\)$"):
        connection.root.echo()
    with pytest.raises(pb.BadArguments, match="do not fit 'echo'"):
        connection.root.echo(_private=1)
    with pytest.raises(pb.BadArguments, match="do not fit 'guarded'"):
        connection.root.guarded(1, 2)
    assert (1, "safe") == connection.root.guarded(1)
    with pytest.raises(pb.RemoteError) as caught:
        connection.root.divide("one", 2)
    assert "pb.Internal" == caught.value.remote_type


def test_what_cannot_be_sent_is_refused_here(connect):
    """Before anything is sent; the connection goes on."""
    connection, _ = connect(Root())

    with pytest.raises(jelly.Unjellyable, match="argument 0"):
        connection.root.echo(object())
    with pytest.raises(jelly.Unjellyable):
        connection.root.echo.send(object())
    assert 1 == connection.root.echo(1)


def test_send_wants_no_answer_and_keeps_its_place(connect, url):
    """Calls begin in the order they were made."""
    root = Root()
    connection, _ = connect(root, url)

    for number in range(300):
        connection.root.note.send(number)
    connection.root.echo(1)

    assert list(range(300)) == root.noted


def test_more_sends_than_the_peer_serves_are_not_lost(connect):
    """The other side stops reading while its thread is behind: max_calls refuses nothing."""
    root = Root()
    connection, _ = connect(root)
    connection.root.hold.send()
    assert root.told.wait(HOLD_S)

    for number in range(3 * pb.Limits().max_calls):
        connection.root.note.send(number)
    root.hold.set()
    connection.root.echo(1)

    assert list(range(3 * pb.Limits().max_calls)) == root.noted


def test_within_is_a_timeout_that_stops_the_callee(connect):
    """TimeoutError, as for sockets; the connection goes on."""
    root = Root()
    connection, _ = connect(root)

    with pytest.raises(TimeoutError) as caught:
        connection.root.forever.within(0.05)()

    assert isinstance(caught.value, pb.DeadlineExceeded)
    assert root.hold.wait(HOLD_S)
    assert 1 == connection.root.echo.within(HOLD_S)(1)


def test_a_deadline_is_for_a_whole_block(connect):
    """Whatever is called in it."""
    connection, _ = connect(Root())

    with pytest.raises(TimeoutError), sync.deadline(0.05):
        assert 1 == connection.root.echo(1)
        connection.root.forever()
    with pytest.raises(TimeoutError), sync.deadline(0.05), sync.deadline(3600):
        connection.root.forever()
    assert 2 == connection.root.echo(2)


def test_a_deadline_is_not_for_what_a_new_connection_serves():
    """It was meant for the block, and the connection outlives it."""

    class Diver(pb.Referenceable):
        def remote_add(self, number):
            return counter.add(number)

    root = Root()
    with sync.serve(root, "pb://127.0.0.1:0") as server:
        with sync.deadline(0.3):
            connection = sync.open_connection(server.url)
            with pytest.raises(TimeoutError):
                connection.root.forever()
        counter = connection.root.counter()
        connection.root.keep(Diver())
        assert 4 == root.kept.add(4)
        connection.close()


def test_names_that_python_uses_are_called_by_name(connect):
    """And what can be no method is refused here."""
    connection, _ = connect(Root())

    assert 1 == sync.call_remote(connection.root, "echo", 1)
    with pytest.raises(pb.NoSuchMethod):
        sync.call_remote(connection.root, "_echo", 1)
    with pytest.raises(pb.NoSuchMethod, match="no method 'send'"):
        sync.call_remote(connection.root, "send")
    with pytest.raises(TypeError, match=r"a remote reference of pb\.sync is expected"):
        sync.call_remote(Counter(), "add", 1)


def test_the_form_of_the_paper_calls_back_from_another_thread(connect):
    """It returns None at once; one of the two is called."""
    connection, _ = connect(Root(), registry=registry())
    outcomes: list = []
    both = threading.Barrier(2)

    def take(outcome):
        outcomes.append((threading.current_thread().name, outcome))
        both.wait(HOLD_S)

    assert None is connection.root.echo(5, pbcallback=take, pberrback=take)
    both.wait(HOLD_S)
    connection.root.overdraw(5, pberrback=take)
    both.wait(HOLD_S)

    assert ["pb.sync worker"] * 2 == [name for name, _ in outcomes]
    assert 5 == outcomes[0][1]
    assert Overdrawn is type(outcomes[1][1])
    with pytest.raises(TypeError, match="pbcallback and pberrback are functions, not an int"):
        connection.root.echo(5, pbcallback=5)


def test_a_released_reference_is_dead(connect):
    """The peer gets its object back now; asked again, there is a new reference."""
    connection, _ = connect(Root())
    counter = connection.root.counter()

    sync.release(counter)

    with pytest.raises(pb.DeadReference):
        counter.add(1)
    assert 1 == connection.root.counter().add(1)
    sync.release(connection.root)
    assert 2 == connection.root.echo(2)


def test_a_revoked_object_is_gone(connect):
    """For all connections of a server."""
    root = Root()
    connection, server = connect(root)
    counter = connection.root.counter()

    assert 1 == sync.revoke(root.counter, server)

    with pytest.raises(pb.Gone):
        counter.add(1)
    with pytest.raises(TypeError, match="needs what to withdraw it from"):
        sync.revoke(root.counter)


def test_on_disconnect_tells_once(connect):
    """In a worker thread, with the reference."""
    connection, _ = connect(Root())
    root = connection.root
    told: list = []
    done = threading.Event()
    forget = sync.on_disconnect(root, lambda reference: told.append("forgotten"))
    sync.on_disconnect(root, lambda reference: (told.append(reference), done.set()))
    forget()

    connection.close()

    assert done.wait(HOLD_S)
    assert [root] == told
    late = threading.Event()
    sync.on_disconnect(root, lambda reference: late.set())
    assert late.wait(HOLD_S)


def test_an_object_had_by_its_url_closes_with_its_last_reference(connect):
    """Nobody has to close anything."""
    root = Root()
    _, server = connect(root)
    reference = sync.get_object_at(server.url)
    assert reference is sync.connection_of(reference).root
    (theirs,) = [each for each in server.connections if each.peer == reference.peer()]

    del reference
    gc.collect()

    theirs.wait_closed()
    assert not theirs.is_open
