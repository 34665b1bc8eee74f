"""Files and sockets as streams of bytes."""

from __future__ import annotations

import asyncio
import io
import os
import socket

import pytest

import pb

from .loops import Place, run

CONTENT = os.urandom(700_001)


class Store(pb.Root):
    def __init__(self, path):
        self.path = path

    def remote_download(self, name):
        return pb.stream_file(self.path / name)

    async def remote_upload(self, name, stream, most=None):
        return await pb.receive_file(stream, self.path / name, max_bytes=most)

    async def remote_words(self):
        yield "words"


@pytest.fixture
def with_store(tmp_path):
    """Run something with a reference to a store of files, and where they are."""
    (tmp_path / "a").write_bytes(CONTENT)

    def go(function):
        async def main():
            async with (
                Place("memory", tmp_path).serve(Store(tmp_path)) as server,
                pb.open_connection(server.url) as connection,
            ):
                await function(connection.root, tmp_path)

        run(main())

    return go


def test_a_file_arrives_with_progress_at_both_ends(with_store):
    """Down into a path and into an open file, and up again."""

    async def go(ref, path):
        seen, sent, into = [], [], io.BytesIO()
        assert len(CONTENT) == await pb.receive_file(ref.download("a"), path / "b", progress=seen.append)
        assert CONTENT == (path / "b").read_bytes()
        assert len(CONTENT) == seen[-1]
        assert sorted(seen) == seen
        assert len(CONTENT) == await pb.receive_file(await ref.download("a"), into)
        assert CONTENT == into.getvalue()
        assert len(CONTENT) == await ref.upload("c", pb.stream_file(path / "b", progress=sent.append))
        assert CONTENT == (path / "c").read_bytes()
        assert len(CONTENT) == sent[-1]
        assert {"a", "b", "c"} == {each.name for each in path.iterdir()}

    with_store(go)


@pytest.mark.parametrize("size", [0, 1, 32 * 1024, 256 * 1024, 256 * 1024 + 1])
def test_files_of_every_size_arrive(with_store, size):
    """Empty ones too."""

    async def go(ref, path):
        (path / "a").write_bytes(CONTENT[:size])
        assert size == await pb.receive_file(ref.download("a"), path / "b")
        assert CONTENT[:size] == (path / "b").read_bytes()

    with_store(go)


def test_a_file_that_does_not_arrive_whole_leaves_nothing_behind(with_store):
    """Neither under its name nor under another, and what was there stays."""

    async def go(ref, path):
        with pytest.raises(pb.TooLarge, match="max_bytes"):
            await pb.receive_file(ref.download("a"), path / "b", max_bytes=600_000)
        with pytest.raises(TypeError, match="bytes are expected"):
            await pb.receive_file(ref.words(), path / "a")
        with pytest.raises(pb.RemoteError):
            await pb.receive_file(ref.download("missing"), path / "b")
        with pytest.raises(pb.TooLarge):
            await ref.upload("b", pb.stream_file(path / "a"), 600_000)
        assert CONTENT == (path / "a").read_bytes()
        assert ["a"] == [each.name for each in path.iterdir()]

    with_store(go)


def test_an_open_file_is_streamed_from_where_it_is_and_left_open(with_store):
    """It belongs to whoever opened it."""

    async def go(ref, path):
        with (path / "a").open("rb") as file:
            file.seek(5)
            assert len(CONTENT) - 5 == await ref.upload("b", pb.stream_file(file, chunk_bytes=1000))
            assert not file.closed
        assert CONTENT[5:] == (path / "b").read_bytes()
        assert 3 == await ref.upload("b", pb.stream_file(io.BytesIO(b"abc")))

    with_store(go)


def test_a_socket_and_a_stream_reader_are_streamed_as_they_come(with_store):
    """What has come is sent, and does not wait for more."""

    async def go(ref, path):
        left, right = socket.socketpair()
        with left, right:
            right.setblocking(False)
            stream = ref.upload("b", pb.stream_file(right))
            left.sendall(b"some")
            left.shutdown(socket.SHUT_WR)
            assert 4 == await stream
        reader = asyncio.StreamReader()
        reader.feed_data(b"line\nand more")
        reader.feed_eof()
        assert 13 == await ref.upload("b", pb.stream_file(reader))
        assert b"line\nand more" == (path / "b").read_bytes()

    with_store(go)


def test_a_download_that_is_given_up_closes_the_file(with_store, monkeypatch):
    """Also while a thread reads from it."""

    async def go(ref, path):
        opened = []

        class Watched(io.FileIO):
            def __init__(self, *args):
                super().__init__(*args)
                opened.append(self)

        monkeypatch.setattr("pb.aio.files.open", lambda path, *rest: Watched(path), raising=False)
        stream = await ref.download("a")
        await anext(stream)
        await stream.aclose()
        await pb.connection_of(ref).close()  # which waits for END, and so for the file
        assert opened[0].closed

    with_store(go)


def test_what_cannot_be_streamed_is_refused_where_it_was_said(tmp_path):
    """Not when the peer asks for the first piece."""
    with pytest.raises(TypeError, match="not an int"):
        pb.stream_file(5)
    with pytest.raises(ValueError, match="chunk_bytes is 0"):
        pb.stream_file(tmp_path, chunk_bytes=0)
    with pytest.raises(FileNotFoundError, match="nosuch"):
        pb.stream_file(tmp_path / "nosuch")
    with pytest.raises(IsADirectoryError):
        pb.stream_file(str(tmp_path))
    (tmp_path / "x").touch()
    file = pb.stream_file(tmp_path / "x")
    file.__aiter__()
    with pytest.raises(RuntimeError, match="already"):
        file.__aiter__()
