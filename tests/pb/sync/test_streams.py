"""Streams of blocking programs: `for`, generators on both sides, and where their steps run."""

from __future__ import annotations

import itertools
import threading

import pytest

import pb
from pb import sync


class Root(pb.Root):
    def __init__(self):
        self.began = threading.Event()
        self.closed = threading.Event()
        self.made = 0
        self.threads = set()

    def remote_ints(self, count=None):
        try:
            self.began.set()
            for number in itertools.count() if count is None else range(count):
                self.made = number + 1
                self.threads.add(threading.current_thread().name)
                yield number
        finally:
            self.closed.set()

    async def remote_loop(self, count):
        for number in range(count):
            yield number

    def remote_sum(self, numbers):
        return sum(numbers)

    def remote_first(self, numbers):
        for number in numbers:
            return number
        return None

    def remote_made(self):
        return self.made

    def remote_fails(self):
        yield 1
        raise pb.Forbidden("no more")

    def remote_ask(self, callback):
        for number in range(5):
            yield callback.double(number)

    def remote_who(self):
        yield pb.current_call().answer_wanted

    def remote_download(self, path):
        return sync.stream_file(path)

    def remote_upload(self, path, stream):
        return sync.receive_file(stream, path)


class Callback(pb.Referenceable):
    def __init__(self):
        self.threads = set()

    def remote_double(self, number):
        self.threads.add(threading.current_thread())
        return 2 * number


@pytest.fixture
def served():
    root = Root()
    with sync.serve(root, "pb://127.0.0.1:0") as server, sync.open_connection(server.url) as connection:
        yield root, connection.root


def test_stream_in_a_for_loop(served):
    """Whether the generator at the other end is a plain one or runs on the loop."""
    root, ref = served

    assert [*range(100)] == list(ref.ints(100))
    assert [*range(100)] == list(ref.loop(100))
    assert [True] == list(ref.who())
    assert isinstance(ref.ints(1), sync.Stream)
    assert "pb.sync" not in root.threads


def test_break_of_a_stream_runs_the_producers_finally(served):
    """As soon as the loop is left."""
    root, ref = served

    for number in ref.ints():
        if number == 20:
            break

    assert root.closed.wait(10)
    assert root.made <= 20 + 1 + 16


def test_a_stream_that_is_closed_or_dropped_closes_the_generator(served):
    """Before its first item is taken, too."""
    root, ref = served
    stream = ref.ints()
    assert root.began.wait(10)  # or it ends without having run, when both arrive at once
    stream.close()
    stream.close()
    assert [] == list(stream)
    assert root.closed.wait(10)

    root.closed.clear()
    stream = ref.ints()
    next(stream)
    del stream
    assert root.closed.wait(10)


def test_a_generator_as_an_argument_runs_in_the_thread_that_waits(served):
    """It may use what belongs to that thread."""
    _, ref = served
    threads, closed = set(), threading.Event()

    def numbers():
        try:
            for number in itertools.count(7):
                threads.add(threading.current_thread())
                yield number
        finally:
            closed.set()

    assert 4950 == ref.sum(iter(range(100)))
    assert 7 == ref.first(numbers())
    assert closed.wait(10)
    assert threading.current_thread() in threads


def test_callbacks_are_served_while_a_stream_is_awaited(served):
    """The generator at the other end calls back for each of its items."""
    _, ref = served
    callback = Callback()

    assert [0, 2, 4, 6, 8] == list(ref.ask(callback))


def test_an_error_comes_after_the_items_before_it(served):
    """And then nothing more."""
    _, ref = served
    stream = ref.fails()

    assert 1 == next(stream)
    with pytest.raises(pb.Forbidden):
        next(stream)
    with pytest.raises(StopIteration):
        next(stream)


def test_a_producer_is_never_more_than_the_window_ahead(served):
    """What has been fetched and not been used counts as not taken."""
    root, ref = served
    stream = ref.ints()
    for number in range(50):
        assert number == next(stream)
        assert ref.made() <= number + 1 + 16
    stream.close()
    assert root.closed.wait(10)


def test_a_lost_connection_is_told(served):
    """The generator is closed all the same."""
    root, ref = served
    stream = ref.ints()
    next(stream)
    sync.connection_of(ref).abort()

    with pytest.raises(pb.ConnectionLost):
        list(stream)
    assert root.closed.wait(10)


def test_a_stream_is_passed_on_and_no_longer_read_here(served):
    """Its items go to whom it was sent."""
    _, ref = served
    stream = ref.ints(10)

    assert 45 == ref.sum(stream)
    with pytest.raises(RuntimeError, match="sent on"):
        next(stream)


def test_files(served, tmp_path):
    """Down and up, with progress."""
    _, ref = served
    content = bytes(range(256)) * 1000
    (tmp_path / "a").write_bytes(content)
    sent, seen = [], []

    size = sync.receive_file(ref.download(str(tmp_path / "a")), tmp_path / "b", progress=seen.append)
    assert len(content) == size == seen[-1]
    assert content == (tmp_path / "b").read_bytes()
    stream = sync.stream_file(tmp_path / "b", chunk_bytes=1000, progress=sent.append)
    assert len(content) == ref.upload(str(tmp_path / "c"), stream) == sent[-1]
    with open(tmp_path / "b", "rb") as file:
        assert len(content) == ref.upload(str(tmp_path / "c"), sync.stream_file(file))
    with pytest.raises(pb.TooLarge):
        sync.receive_file(ref.download(str(tmp_path / "a")), tmp_path / "d", max_bytes=1000)
    assert {"a", "b", "c"} == {each.name for each in tmp_path.iterdir()}
