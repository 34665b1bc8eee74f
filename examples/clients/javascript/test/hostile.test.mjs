// Peers that mean harm, and applications that fail: one call ends, or one connection, and nothing else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as soon, setTimeout as sleep } from "node:timers/promises";
import {
  Cacheable, Civil, Connection, dial, Duration, isStale, onChange, PbError, Referenceable, Registry, RemoteError, serve, TooLarge, Tuple, Uuid,
} from "../dist/index.js";
import { Reader } from "../dist/reader.js";
import { pack } from "../dist/writer.js";
import { bytes, called, connection, envelopes } from "./peer.mjs";

const NO_ARGS = bytes("929080"), C1 = bytes("c1");
const graph = (...parts) => {
  const inner = Buffer.from(pack(parts));
  const header = Buffer.from("c90000000014", "hex");
  header.writeUInt32BE(inner.length, 1);
  return new Uint8Array(Buffer.concat([header, inner]));
};
const hex = (value) => Buffer.from(pack(value)).toString("hex");
const read = (payload, registry) => {
  const reader = new Reader(payload, { ref: (id) => `ref ${id}` }, registry);
  return { value: reader.payload(), violation: reader.violation?.type };
};

for (const [when, end] of Object.entries({
  "its time is over": () => sleep(20),
  "it is cancelled": (hear) => hear(4, 2),
  "its turn comes": (_, answer) => answer(serve({})),
  "what it names fails": (_, answer) => answer(Promise.reject(new Error("no"))),
}))
  test(`a payload that waits and is malformed ends the connection when ${when} (PB-P21)`, async () => {
    let answer;
    const { made, hear, said } = connection(serve({ slow: () => new Promise((resolve) => (answer = resolve)) }), { features: ["pipeline"] });
    hear(1, 1, 0, "slow", NO_ARGS, { keep: true });
    hear(1, 2, -1, "open", C1, { ttl: when === "its time is over" ? 5 : 60_000 });
    hear(1, 3, -1, "open", NO_ARGS);
    assert.deepEqual(said, []);
    await end(hear, answer);
    await soon();
    assert.deepEqual(envelopes(said).at(-1).slice(0, 2), [15, 4]);
    assert.equal((await made.closed).code, 4);
  });
test("what a getter would give, or what every object has, is no method", () => {
  let looked = 0;
  class Root extends Referenceable {
    get remote_secret() {
      looked++;
      throw new Error("not for peers");
    }
  }
  const { hear, said } = connection(new Root());
  Object.prototype.remote_everywhere = () => 1;
  try {
    for (const [i, name] of ["secret", "everywhere", "constructor", "__proto__"].entries()) hear(1, i + 1, 0, name, NO_ARGS);
  } finally {
    delete Object.prototype.remote_everywhere;
  }
  assert.equal(looked, 0);
  assert.deepEqual(envelopes(said).map(([code, , payload]) => [code, new Reader(payload).envelope().type]), Array(4).fill([3, "pb.NoSuchMethod"]));
});
test("a NODE stands nowhere inside of a key, not in an error either (PB-V35)", () => {
  const error = "83" + hex("type") + hex("a.B") + hex("msg") + hex("") + hex("data") + "d41500";
  const set = "91" + "c7" + (error.length / 2).toString(16).padStart(2, "0") + "0b" + error;
  const part = bytes("c7" + (set.length / 2).toString(16).padStart(2, "0") + "11" + set);
  assert.equal(read(graph(bytes("90"), part)).violation, "pb.BadPayload");
});
test("a NODE is as deep as its part: a number not at all", () => {
  const deepest = bytes("91".repeat(64) + "d41500");
  assert.deepEqual(read(graph(bytes("05"), deepest)).value.flat(64), [5]);
  assert.throws(() => read(graph(bytes("90"), deepest)), { code: 5 });
});
test("an error in which something is refused is refused, not malformed (PB-V36)", () => {
  const map = "82" + hex("type") + "d42800" + hex("msg") + hex(""); // the type is ext 40
  assert.equal(read(bytes("c7" + (map.length / 2).toString(16).padStart(2, "0") + "0b" + map)).violation, "pb.BadPayload");
});
test("as many causes as a frame holds are no more than an error with causes", async () => {
  const { made, hear } = connection();
  const call = made.root.call("door");
  const count = 6000;
  const later = (i) => Buffer.concat([Buffer.from("d515", "hex"), Buffer.from([i >> 8, i & 255])]);
  const chain = Array.from({ length: count }, (_, i) => {
    const said = hex("type") + hex("a.B") + hex("msg") + hex(`${i}`);
    const last = i + 1 === count;
    return new Uint8Array(Buffer.concat(last ? [Buffer.from(`82${said}`, "hex")] : [Buffer.from(`83${said}${hex("cause")}`, "hex"), later(i + 1)]));
  });
  hear(3, 1, graph(...chain, bytes("d41500")));
  const error = await call.catch((one) => one);
  assert.equal(made.isClosed, false);
  let causes = 0;
  for (let one = error; one.cause; one = one.cause) causes++;
  assert.deepEqual([error instanceof RemoteError, causes], [true, count - 1]);
});
test("what is deeper than the stack is refused with a limit, made here or sent back (PB-V29)", async () => {
  const { made, hear, said } = connection(serve({ echo: (x) => x }));
  let deep = [];
  for (let i = 0; i < 100_000; i++) deep = [deep];
  await assert.rejects(made.root.call("echo", deep), TooLarge);
  assert.deepEqual(said, []);
  const count = 9000;
  const chain = Array.from({ length: count }, (_, i) => Buffer.from(i + 1 < count ? `91d515${(i + 1).toString(16).padStart(4, "0")}` : "90", "hex"));
  hear(1, 1, 0, "echo", graph(...chain.map((one) => new Uint8Array(one)), bytes("9291d4150080")));
  const [[code, , payload]] = envelopes(said);
  assert.deepEqual([code, new Reader(payload).envelope().type], [3, "pb.TooLarge"]);
});
test("no more arrays and maps are sent than the peer takes, nor taken than are announced (PB-V49)", async () => {
  const lists = (count) => Array.from({ length: count }, () => []);
  const { made, hear, said } = connection(serve({ lists, count: (x) => x.length }), { max_containers: 4096 });
  const shared = [];
  for (const [value, extra] of [[lists, 4], [(n) => Tuple.from(lists(n)), 4], [(n) => [shared, shared, ...lists(n)], 6]]) {
    said.length = 0;
    made.root.call("take", value(4096 - extra)).catch(() => undefined);
    await assert.rejects(made.root.call("take", value(4097 - extra)), TooLarge);
    assert.deepEqual(called(said), ["take"]);
  }
  said.length = 0;
  hear(1, 1, 0, "lists", pack([[4096], {}]));
  hear(1, 2, 0, "lists", pack([[4095], {}]));
  hear(1, 3, 0, "count", pack([[lists(131_068)], {}]));
  await soon();
  assert.deepEqual(envelopes(said).map(([code, id]) => [code, id]), [[3, 1], [2, 2], [2, 3]]);
  hear(1, 4, 0, "count", pack([[lists(131_069)], {}]));
  assert.equal(made.isClosed, true);
  assert.equal(said.at(-1).slice(0, 6), "940f05"); // BYE 5
});
test("a batch of too many arrays ends the connection (PB-F48)", () => {
  const { made, hear, said } = connection();
  const call = (i) => [1, i, 0, "x", NO_ARGS, { z: Array.from({ length: 4096 }, () => []) }];
  hear(...[1, 2, 3].map(call));
  assert.equal(made.isClosed, false);
  hear(...Array.from({ length: 16 }, (_, i) => call(i + 4)));
  assert.equal(said.at(-1).slice(0, 6), "940f05"); // BYE 5
});

class Stock extends Cacheable {
  observe_set(n) {
    this.n = n;
  }
}
test("a listener that fails does no harm to the replica, and is told to the log", async () => {
  const told = [];
  const { made, hear } = connection(undefined, {}, (_, error) => told.push(error.message));
  made.registry.cache("shop.Stock", Stock);
  const call = made.root.call("stock");
  hear(2, 1, bytes("c711099301aa73686f702e53746f636b81a16e0a")); // CACHE 1, shop.Stock, {n: 10}
  const stock = await call;
  onChange(stock, () => {
    throw new Error("of a listener");
  });
  hear(7, 0, 1, "set", pack([[11], {}]));
  assert.deepEqual([stock.n, isStale(stock), told], [11, false, ["of a listener"]]);
  hear(8, [1]);
  assert.deepEqual([isStale(stock), made.isClosed, told.length], [true, false, 2]);
});
test("an application that fails when a connection ends does not keep it from ending", { timeout: 5000 }, async () => {
  class Failing extends Cacheable {
    stoppedObserving() {
      throw new Error("of an original");
    }
  }
  const rows = { [Symbol.asyncIterator]: () => ({
    next: () => new Promise(() => undefined),
    return() {
      throw new Error("of an iterator");
    },
  }) };
  const told = [];
  const { made, hear } = connection(serve({ both: () => [new Failing(), rows] }), {}, (_, error) => told.push(error.message));
  made.registry.cache("a.Failing", Failing);
  hear(1, 1, 0, "both", NO_ARGS);
  const call = made.root.call("slow").catch((error) => error.type);
  hear(15, 8, "no more", 0);
  await made.closed;
  assert.deepEqual([await call, told], ["pb.NotExecuted", ["of an original"]]);
});
test("a transport that throws does not keep a connection from ending", { timeout: 5000 }, async () => {
  let handlers, sent = 0;
  const transport = {
    start: (found) => (handlers = found), close: () => undefined, buffered: () => 0, isTls: false, isLocal: true,
    send() {
      if (sent++) throw new Error("it is closed");
    },
  };
  const made = new Connection(transport, {});
  handlers.body(C1);
  assert.equal((await made.closed).code, 4);
});
test("a map of tracked state stays the same map while it changes (PB-T9)", async () => {
  class Board {}
  const { made, hear } = connection();
  made.registry.tracked("a.B", Board, ["seats"]);
  const call = made.root.call("board");
  hear(2, 1, bytes("c711099301a3612e4281a5736561747381a16101")); // CACHE 1, a.B, {seats: {a: 1}}
  const board = await call, { seats } = board;
  hear(7, 0, 1, "put", pack([["seats", "__proto__", 2], {}]));
  hear(7, 0, 1, "drop", pack([["seats", "a"], {}]));
  assert.equal(board.seats, seats);
  assert.deepEqual([Object.keys(seats), Object.getPrototypeOf(seats), isStale(board)], [["__proto__"], Object.prototype, false]);
  hear(7, 0, 1, "drop", pack([["seats", "constructor"], {}]));
  assert.equal(isStale(board), true);
});
test("no more objects are handed out than the peer holds, with a root or without (PB-R12)", async () => {
  for (const root of [null, serve({})]) {
    const { made: { root: peer, exports } } = connection(root, { max_refs: 2 });
    void peer.call("take", serve({}), serve({}));
    await assert.rejects(peer.call("take", serve({})), TooLarge);
    assert.equal(exports.byObject.size, 2);
  }
});
test("a name stands for a copy, a cache and an error apart; only errors are told as such", () => {
  class Copied {}
  class Known extends Error {}
  const registry = new Registry().copy("a.B", Copied).tracked("a.B", class {}, []).copy("a.Known", Known);
  assert.equal(read(bytes("c70608" + "92a3612e4280"), registry).value instanceof Copied, true);
  assert.equal(registry.describeError(new Known("secret"), () => undefined).type, "pb.Internal");
});
test("two that wait for a stream get an item each, and then the end", async () => {
  const { made, hear } = connection();
  const call = made.root.call("rows");
  hear(2, 1, bytes("d40501"));
  const stream = await call;
  const found = [stream.next(), stream.next(), stream.next()];
  hear(10, 1, bytes("920a14"));
  hear(11, 1);
  assert.deepEqual((await Promise.all(found)).map(({ value }) => value), [10, 20, undefined]);
});
test("an iterator that fails is not told to clean up, and nothing of its time is left", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((one) => one === "Timeout").length;
  let returned = 0;
  const failing = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new PbError("x")), return: async () => void returned++ }) };
  const { hear, said } = connection(serve({ rows: () => failing }), { window: 1 });
  const before = timers();
  hear(1, 1, 0, "rows", NO_ARGS, { ttl: 60_000 });
  while (envelopes(said).at(-1)[0] !== 11) await soon(); // END
  await soon();
  assert.deepEqual([returned, timers()], [0, before]);
});
test("a fingerprint is never left unchecked", async () => {
  await assert.rejects(dial("pb://aaaa@127.0.0.1:1"), TypeError);
  await assert.rejects(dial("wss://127.0.0.1:1", { fingerprint: "aaaa" }), TypeError);
});
test("values are checked where they are made", () => {
  assert.equal(new Uuid("0E37DF36-F698-11E6-8DD4-CB9CED3DF976").text, "0e37df36-f698-11e6-8dd4-cb9ced3df976");
  assert.throws(() => new Duration(2n ** 63n), TypeError);
  assert.throws(() => new Duration(1n, 1e9), TypeError);
  assert.throws(() => new Civil("2023-02-30"), TypeError);
  assert.throws(() => isStale({}), TypeError);
});
