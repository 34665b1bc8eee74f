// What a connection says when calls are made in some order, or not at all: a peer of bytes hears it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as soon } from "node:timers/promises";
import { bytes, called, connection, envelopes } from "./peer.mjs";
import { serve } from "../dist/index.js";

const PIPELINE = { features: ["pipeline"] };
/** A reference of the peer's, which has answered a call with it. */
async function door({ made, hear, said }) {
  const call = made.root.call("door");
  hear(2, 1, bytes("d40101")); // REF 1
  const found = await call;
  said.length = 0;
  return found;
}

test("calls are sent in the order in which they are made, whichever way", () => {
  const { made: { root }, said } = connection(undefined, PIPELINE);
  root.as().a();
  void root.call("b");
  root.pipe().c();
  root.notify("d");
  const e = root.pipe().e();
  e.f();
  void root.call("g", e);
  assert.deepEqual(called(said), ["a", "b", "c", "d", "e", "-4 f", "g"]);
});
test("what is made behind a piped call is sent behind it: releases, revocations, the end", async () => {
  const peer = connection(undefined, PIPELINE), { made, said } = peer;
  const found = await door(peer), object = serve({});
  const calls = [made.root.pipe().a(object)];
  made.revoke(object);
  calls.push(found.pipe().b());
  found.release();
  await soon();
  calls.push(made.root.pipe().c());
  void made.close(0);
  assert.deepEqual(envelopes(said).map(([code]) => code), [1, 8, 1, 6, 1, 15]); // CALL, GONE, CALL, RELEASE, CALL, BYE
  await Promise.allSettled(calls);
});
test("a result that has to be named in a call of another kind is kept for it", async () => {
  const { made: { root }, said } = connection(undefined, PIPELINE);
  void root.call("take", root.pipe().make());
  assert.deepEqual(envelopes(said).map(([, id, , , , options]) => [id, options]), [[1, { keep: true }], [2, { needs: [1] }]]);
});
test("no more results are kept than the peer takes calls (PB-P4)", async () => {
  const { made: { root }, hear, said } = connection(undefined, { ...PIPELINE, max_calls: 4 });
  const results = [1, 2, 3].map(() => root.pipe().make());
  void root.call("take", ...results);
  for (const id of [1, 2, 3]) hear(2, id, bytes(`d4010${id}`));
  const more = [4, 5, 6].map(() => root.pipe().make());
  for (const one of more) one.open();
  await soon();
  assert.equal(envelopes(said).filter(([code, , , , , options]) => code === 1 && options?.keep).length, 4);
});
test("nothing is finished that the peer has not run (PB-P5)", async () => {
  const { made, hear, said } = connection(undefined, PIPELINE);
  const slow = made.root.call("slow"), opened = made.root.pipe().make().open();
  const end = assert.rejects(opened, { type: "pb.NotExecuted" });
  await soon();
  void made.close();
  hear(15, 0, "", 1);
  await end;
  await soon();
  hear(2, 1, bytes("07"));
  assert.equal(await slow, 7);
  assert.deepEqual(envelopes(said).map(([code]) => code), [1, 1, 1, 15]); // CALL three times, BYE: no FINISH
});
test("a call without answer has id 0, and waits for HELLO in its place", () => {
  const { made: { root }, hear, said } = connection(undefined, null);
  void root.call("a");
  root.notify("b", 1);
  void root.call("c");
  assert.deepEqual(said, []);
  hear(0, "PB", 1, {});
  assert.deepEqual(envelopes(said).map(([, id, , method]) => [id, method]), [[1, "a"], [0, "b"], [2, "c"]]);
});
test("a call without answer is refused like any other, and what it counted is given back", async () => {
  const peer = connection(undefined, PIPELINE), { made, said } = peer;
  const found = await door(peer), foreign = await door(connection());
  assert.throws(() => made.root.notify("a", foreign), { type: "pb.Forbidden" });
  assert.throws(() => made.root.notify("a", serve({}), Symbol("x")), { type: "pb.NotSendable" });
  const toCome = made.root.pipe().b();
  toCome.catch(() => undefined);
  assert.throws(() => made.root.notify("a", toCome), { type: "pb.NotSendable" });
  assert.equal(made.exports.byId.size, 1); // the root
  found.release();
  assert.throws(() => found.notify("a"), { type: "pb.NotExecuted" });
  await soon();
  said.length = 0;
  void made.close(0);
  assert.throws(() => made.root.notify("a"), { type: "pb.NotExecuted" });
  assert.deepEqual(called(said), []);
});
test("a call without answer that cannot be sent any more when its turn comes is told to the log", async () => {
  const told = [];
  const { made } = connection(undefined, null, (_, error) => told.push(error.type));
  made.root.notify("a");
  void made.close(0);
  assert.deepEqual(told, ["pb.NotExecuted"]);
});
test("a call that would end the connection is refused here, and the next one is as it would be without it", async () => {
  const { made: { root }, said } = connection(undefined, PIPELINE);
  for (const options of [{ ttl: NaN }, { ttl: Infinity }, { meta: { a: 1 } }, { trace: { traceparent: 7 } }])
    await assert.rejects(root.callWith(options, "a"), { type: "pb.NotSendable" });
  await assert.rejects(root.call("\ud800"), { type: "pb.NotSendable" });
  assert.throws(() => root.notify("\ud800"), { type: "pb.NotSendable" });
  void root.callWith({ ttl: 1.5 }, "b");
  assert.deepEqual(envelopes(said).map(([, id, , method, , options]) => [id, method, options]), [[1, "b", { ttl: 1 }]]);
});
