// What cannot be asked over a socket: what a connection says when a payload is refused, or a stream fails.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as soon } from "node:timers/promises";
import { Cacheable, Connection, Registry } from "../dist/index.js";
import { pack } from "../dist/writer.js";

class Stock extends Cacheable {}
/** A connection, with what it says in hex; `hear` gives it a frame body. */
function connection() {
  const said = [];
  let handlers;
  const transport = {
    start: (found) => (handlers = found), send: (body) => void said.push(Buffer.from(body).toString("hex")),
    close: () => undefined, buffered: () => 0, isPrivate: true, isLocal: true,
  };
  const made = new Connection(transport, { root: new Stock(), registry: new Registry().cache("shop.Stock", Stock), log: () => undefined });
  const hear = (...envelope) => handlers.body(pack(envelope));
  hear(0, "PB", 1, { features: ["cache", "stream"] });
  said.length = 0;
  return { made, hear, said };
}
const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));

test("a refused payload gives back what it holds once, also when its replica is collected", async () => {
  const { hear, said } = connection();
  hear(1, 1, 0, "keep", bytes("92" + "91" + "93" + "c711099301aa73686f702e53746f636b81a16e0a" + "d40a01" + "d42800" + "80")); // [CACHE 1, CACHED 1, ext 40]
  for (let i = 0; i < 5; i++) {
    await soon();
    globalThis.gc();
  }
  assert.deepEqual(said.slice(1), ["9206920102"]); // RELEASE [1, 2]
});
test("a stream whose items are refused gives what came before, then the error (PB-S14)", async () => {
  const { made, hear, said } = connection();
  const call = made.root.call("rows");
  hear(2, 1, bytes("d40501")); // STREAM 1
  const stream = await call;
  hear(10, 1, bytes("920a14"));
  hear(10, 1, bytes("91d42800")); // ext 40
  assert.deepEqual([await stream.next(), await stream.next()].map(({ value }) => value), [10, 20]);
  await assert.rejects(stream.next(), { type: "pb.BadPayload" });
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
  assert.equal(said.at(-1), "920c01"); // STOP 1
});
test("a reference is given back although the error of a call on it is kept", async () => {
  const { made, hear, said } = connection();
  let thing = made.root.call("door");
  hear(2, 1, bytes("d40101"));
  thing = await thing;
  const kept = thing.call("open").catch((error) => error);
  hear(3, 2, pack({ type: "pb.Gone", msg: "" }));
  thing = undefined;
  for (let i = 0; i < 5 && said.at(-1) !== "9206920101"; i++) {
    await soon();
    globalThis.gc();
  }
  assert.equal(said.at(-1), "9206920101"); // RELEASE [1, 1]
  assert.equal((await kept).type, "pb.Gone");
});
