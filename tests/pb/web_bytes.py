"""Conversations as WebSocket carries them, written by the library of the transport, without a socket."""

from __future__ import annotations

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.server import ServerProtocol
from websockets.uri import parse_uri


def web_streams(frames, deflated="", fragment_bytes=0, closing=None):
    """Return what both sides of a connection write, and in which pieces: [(direction, bytes)].

    Args:
        frames: (direction, frame with its length) in their order.
        deflated: "" for not at all, "context" for permessage-deflate, "each" where each message is by itself.
        fragment_bytes: size of the fragments of a message; 0 for whole ones.
        closing: a code to close with at the end.
    """
    alone = deflated == "each"
    client = ClientProtocol(
        parse_uri("ws://127.0.0.1:8788/"),
        origin="http://127.0.0.1:8788",
        subprotocols=["pb.1"],
        extensions=[ClientPerMessageDeflateFactory(alone, alone)] if deflated else None,
    )
    server = ServerProtocol(
        subprotocols=["pb.1"], extensions=[ServerPerMessageDeflateFactory(alone, alone)] if deflated else None
    )
    sides = {"C>S": (client, server), "S>C": (server, client)}
    written = []

    def pass_on(direction):
        writer, reader = sides[direction]
        data = b"".join(writer.data_to_send())
        written.append((direction, data))
        reader.receive_data(data)
        return reader.events_received()

    client.send_request(client.connect())
    (request,) = pass_on("C>S")
    server.send_response(server.accept(request))
    pass_on("S>C")
    for direction, frame in frames:
        writer, body = sides[direction][0], frame[4:]
        step = fragment_bytes or len(body)
        pieces = [body[i : i + step] for i in range(0, len(body), step)]
        writer.send_binary(pieces[0], fin=len(pieces) == 1)
        for number, piece in enumerate(pieces[1:], 2):
            writer.send_ping(b"in between")
            writer.send_continuation(piece, fin=number == len(pieces))
        pass_on(direction)
    if closing is not None:
        server.send_close(closing, "enough")
        pass_on("S>C")
    return written
