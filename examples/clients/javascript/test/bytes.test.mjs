// What cannot be asked over a socket: what a connection says when a payload is refused, or a stream fails.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as soon } from "node:timers/promises";
import { dial, serve } from "../dist/index.js";
import { pack } from "../dist/writer.js";
import { bytes, connection } from "./peer.mjs";

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
test("a stream that has credit waits while output is not taken, and goes on when it is", async () => {
  const numbers = async function* () {
    yield* [1, 2];
  };
  const { hear, said, clog } = connection(serve({ rows: numbers }), { window: 4 });
  clog(1_000_000);
  hear(1, 1, 0, "rows", bytes("929080"));
  for (let i = 0; i < 20; i++) await soon();
  assert.deepEqual(said, ["930201c403d40501"]); // ANSWER 1: STREAM 1
  clog(0);
  while (said.at(-1) !== "920b01") await soon(); // END 1
  assert.deepEqual(said.slice(1, 3), ["930a01c4029101", "930a01c4029102"]);
});
test("calls held back when the connection is left are not made", async () => {
  const { made, hear, said } = connection(undefined, { max_calls: 4 });
  const calls = Array.from({ length: 6 }, (_, i) => made.root.call("echo", i));
  const ends = calls.map((call) => call.catch((error) => error.type));
  assert.equal(said.length, 4);
  void made.close();
  assert.deepEqual(await Promise.all(ends.slice(4)), ["pb.NotExecuted", "pb.NotExecuted"]);
  hear(15, 0, "", 4);
  for (let i = 1; i <= 4; i++) hear(2, i, bytes("c0"));
  assert.deepEqual(await Promise.all(calls.slice(0, 4)), [null, null, null, null]);
  await made.closed;
  assert.deepEqual(said.slice(4), ["940f00a000"]); // BYE 0, and nothing else
});
test("a URL without a port means 8787, and any other is as it stands there", async () => {
  await assert.rejects(dial("pb://127.0.0.2"), /127\.0\.0\.2:8787/);
  await assert.rejects(dial("pb://127.0.0.2:80"), /127\.0\.0\.2:80\b/);
});
test("what came over one connection is not passed on over another (PB-R18, PB-S25)", async () => {
  const [one, other] = [connection(), connection()];
  const found = [one.made.root.call("rows"), one.made.root.call("door"), one.made.root.call("stock")];
  hearAll(one, ["d40501", "d40102", "c711099303aa73686f702e53746f636b81a16e0a"]); // STREAM 1, REF 2, CACHE 3
  for (const value of await Promise.all(found)) await assert.rejects(other.made.root.call("take", value), { type: "pb.Forbidden" });
  const toCome = connection(undefined, { features: ["pipeline"] }).made.root.pipe().door();
  toCome.open(); // so it is kept, and can be named there
  await soon();
  await assert.rejects(other.made.root.call("take", toCome), { type: "pb.Forbidden" });
  assert.deepEqual(other.said, []);
  assert.equal(await Promise.race([one.made.root.call("take", await found[0]), "sent"]), "sent"); // back it may go (PB-S26)
});
const hearAll = ({ hear }, payloads) => payloads.forEach((payload, i) => hear(2, i + 1, bytes(payload)));
test("an update of what is no replica is ignored, and what is held under that id stays held (PB-M9)", async () => {
  const { made, hear, said } = connection();
  const call = made.root.call("door");
  hear(2, 1, bytes("d40101")); // REF 1
  const door = await call;
  hear(7, 0, 1, "set", bytes("929080"));
  await soon();
  assert.equal(said.length, 1);
  void door.call("open");
  assert.equal(said.at(-1), "95010201a46f70656ec403929080");
});
test("an error that is its own cause fails the call, and no more", async () => {
  const { made, hear } = connection();
  const call = made.root.call("door");
  const part = "83" + "a474797065" + "a3612e42" + "a36d7367" + "a0" + "a56361757365" + "d41500"; // type, msg, cause: NODE 0
  hear(3, 1, bytes("c71b1491c418" + part));
  await assert.rejects(call, { type: "pb.BadPayload" });
  assert.equal(made.isClosed, false);
});
