"""A blocking program that sends to a peer which does not read: it waits, as it does for everything."""

from __future__ import annotations

import socket
import threading

import msgpack

from pb import sync

LAST = b"this is the last one" + b"\x80"  # as it stands in the frame, the empty kwargs behind it


def test_backpressure_makes_a_thread_wait_and_loses_nothing():
    """Nobody in a blocking program could await `drain`."""
    reads, heard = threading.Event(), []
    body = msgpack.packb([0, "PB", 1, {}])
    listener = socket.create_server(("127.0.0.1", 0))

    def peer():
        accepted, _ = listener.accept()
        with accepted:
            accepted.sendall(len(body).to_bytes(4, "big") + body)
            reads.wait(30)
            size, tail = 0, b""
            while not tail.endswith(LAST) and (data := accepted.recv(1 << 20)):
                size += len(data)
                tail = (tail + data)[-len(LAST) :]
            heard.append(size)

    reader = threading.Thread(target=peer)
    reader.start()
    connection = sync.open_connection(f"pb://127.0.0.1:{listener.getsockname()[1]}")
    root, sent = connection.root, []

    def sender():
        for number in range(10_100):
            root.note.send(bytes(1000))
            sent.append(number)
        root.note.send(LAST[:-1])

    sending = threading.Thread(target=sender)
    sending.start()
    sending.join(0.5)
    assert sending.is_alive()  # it waits; all would have been put into 10 MB long ago
    assert len(sent) < 10_000
    reads.set()
    sending.join(30)
    assert not sending.is_alive()
    assert 10_100 == len(sent)
    reader.join(30)
    listener.close()
    assert heard[0] > 10_100 * 1000
