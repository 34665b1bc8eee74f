// What a server may send over WebSocket, and how the client ends it. Spec: 2-frames.md, PB-F1.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { connect, ConnectionLost } from "../dist/index.js";

/** As that of a page: it takes 1000 and 3000 to 4999 only. */
class OfAPage extends WebSocket {
  close(code) {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) throw new DOMException("no", "InvalidAccessError");
    super.close(code);
  }
}
for (const [Make, code] of [[WebSocket, 1003], [OfAPage, 4003]])
  test(`text is answered by closing with ${code}`, { timeout: 10_000 }, async () => {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "pb.1" });
    await once(server, "listening");
    server.on("connection", (socket) => socket.send("text"));
    const closed = new Promise((resolve) => server.on("connection", (socket) => socket.on("close", resolve)));
    const refused = connect(`ws://127.0.0.1:${server.address().port}`, { WebSocket: Make });
    await assert.rejects(refused, ConnectionLost);
    assert.equal(await closed, code);
    server.close();
  });
