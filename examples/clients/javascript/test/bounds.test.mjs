// What a peer can make this side keep, wait for or show.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { setImmediate as soon } from "node:timers/promises";
import { inspect } from "node:util";
import { WebSocket } from "ws";
import { connect, ConnectionLost, dial, PbError, RemoteError, serve, TooLarge } from "../dist/index.js";
import { OURS } from "../dist/connection.js";
import { Reader } from "../dist/reader.js";
import { pack } from "../dist/writer.js";
import { bytes, called, connection, envelopes } from "./peer.mjs";

const NO_ARGS = bytes("929080");
/** Let a limit of this side be lower while a test runs. */
const lower = (t, what, most) => {
  const before = OURS[what];
  OURS[what] = most;
  t.after(() => (OURS[what] = before));
};
const endOf = (said) => envelopes(said).at(-1).slice(0, 2);
const listening = async (then) => {
  const server = createServer((socket) => then(socket.on("error", () => undefined))).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: server.address().port };
};
const frame = (...envelope) => {
  const body = Buffer.from(pack(envelope)), length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
};

test("who says no HELLO within 10 s is left with BYE 7, and who has said it is not (PB-L8)", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const [silent, greeted] = [connection(undefined, null), connection()];
  t.mock.timers.tick(9999);
  assert.equal(silent.made.isClosed, false);
  t.mock.timers.tick(1);
  assert.deepEqual(endOf(silent.said), [15, 7]);
  assert.equal((await silent.made.closed).code, 7);
  assert.equal(greeted.made.isClosed, false);
});
test("a TLS handshake that nobody goes on with is given up after 30 s", { timeout: 10_000 }, async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { server, port } = await listening((socket) => socket.once("data", () => t.mock.timers.tick(30_000)).on("close", () => server.close()));
  await assert.rejects(dial(`pbs://127.0.0.1:${port}`), ConnectionLost);
  await once(server, "close"); // so the socket is closed
});
test("a login that is not answered is given up after 60 s", { timeout: 10_000 }, async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { server, port } = await listening((socket) => {
    socket.write(frame(0, "PB", 1, { auth: ["ANONYMOUS"] }));
    socket.on("data", (data) => data.includes("ANONYMOUS") && t.mock.timers.tick(60_000));
    socket.on("data", (data) => data.includes(Buffer.from([0x94, 0x0f])) && t.mock.timers.tick(1000));
  });
  await assert.rejects(connect(`pb://127.0.0.1:${port}`, { login: "anonymous" }), ConnectionLost);
  server.close();
});
test("an attempt to connect ends with its signal, whatever it waits for", { timeout: 10_000 }, async () => {
  for (const hello of [Buffer.alloc(0), frame(0, "PB", 1, { auth: ["ANONYMOUS"] })]) {
    const stopping = new AbortController();
    const { server, port } = await listening((socket) => {
      socket.write(hello);
      socket.once("data", () => stopping.abort(new Error("enough")));
    });
    const made = connect(`pb://127.0.0.1:${port}`, { login: "anonymous", signal: stopping.signal });
    await assert.rejects(made, /enough/);
    await assert.rejects(connect(`pb://127.0.0.1:${port}`, { signal: stopping.signal }), /enough/);
    server.close();
  }
});
test("a WebSocket whose closing is not answered is cut off", { timeout: 10_000 }, async () => {
  const { server, port } = await listening((socket) => socket.once("data", (request) => {
    const key = /sec-websocket-key: (.*)\r/i.exec(request)[1];
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    const heads = ["HTTP/1.1 101 x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Protocol: pb.1", `Sec-WebSocket-Accept: ${accept}`];
    socket.write(`${heads.join("\r\n")}\r\n\r\n`);
  }));
  const accepted = once(server, "connection");
  const transport = await dial(`ws://127.0.0.1:${port}`, { WebSocket });
  const [socket] = await accepted;
  transport.close(0);
  await once(socket, "close");
  server.close();
});
test("a BYE holds nothing that came from the peer (PB-M37)", () => {
  for (const envelope of [[2, 4711], [5, [4711]], [1, 1, -4711, "x", NO_ARGS], [1, 1, 0, "x", NO_ARGS, { needs: [4711] }]]) {
    const { hear, said } = connection(serve({}), { features: ["pipeline"] });
    hear(...envelope);
    const [code, why, text] = envelopes(said).at(-1);
    assert.deepEqual([code, why, text.includes("4711")], [15, 3, false]);
  }
});
test("who takes nothing of what is sent for 30 s is left with BYE 6, and who takes a little is not (PB-F26, PB-L8)", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const { made, said, hear, clog } = connection(serve({}));
  const pass = (seconds) => t.mock.timers.tick(seconds * 1000);
  const say = () => hear(13, 1); // PING, whose answer has to be sent
  const steps = [[100, 29], [90, 29], [0, 0], [50, 29]];
  for (const [bytes, seconds] of steps) {
    clog(bytes);
    say();
    pass(seconds);
  }
  clog(20);
  for (let i = 0; i < 29; i++) { // some is taken, and more is sent
    clog(10);
    say();
    clog(20);
    say();
    pass(2);
  }
  assert.equal(made.isClosed, false);
  pass(27);
  assert.equal(made.isClosed, false);
  pass(1);
  assert.deepEqual(endOf(said), [15, 6]);
  assert.equal((await made.closed).code, 6);
});
test("nothing goes on looking whether output is taken, behind the end or where it was", (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((one) => one === "Timeout").length;
  const { hear, clog } = connection(), before = timers();
  clog(10);
  hear(13, 1);
  assert.equal(timers(), before + 1);
  hear(15, 8, "", 0);
  assert.equal(timers(), before);
  t.mock.timers.enable({ apis: ["setInterval"] });
  const other = connection();
  other.clog(10);
  other.hear(13, 1);
  other.clog(0);
  t.mock.timers.tick(1000);
  assert.equal(other.made.looking, undefined);
});
test("a frame that is taken slowly is seen to be taken", { timeout: 10_000 }, async (t) => {
  const size = 64_000_000;
  const { server, port } = await listening((socket) => {
    let taken = 0;
    socket.on("data", (data) => (taken += data.length) > size / 4 && socket.pause());
  });
  const accepted = once(server, "connection");
  const transport = await dial(`pb://127.0.0.1:${port}`);
  const [socket] = await accepted;
  transport.send(new Uint8Array(size));
  while (transport.buffered() >= size && !t.signal.aborted) await soon();
  assert.equal(transport.buffered() > 0, true);
  socket.destroy();
  transport.close(0);
  server.close();
});
test("what waits is looked through once for all that can start, and not at all for what need not wait", async () => {
  const ends = [], order = [], count = 200;
  const root = serve({ open: () => new Promise((end) => ends.push(end)), at: (i) => void order.push(i) });
  const { made, hear, said } = connection(root, { features: ["pipeline"] });
  const { waiting } = made.server;
  let looks = 0;
  waiting[Symbol.iterator] = function* () {
    for (const one of this.values()) yield (looks++, one);
  };
  let id = 0;
  const call = (target, method, args, ...options) => hear(1, ++id, target, method, pack([args, {}]), ...options);
  call(0, "open", [], { keep: true });
  call(0, "open", [], { keep: true });
  for (let i = 0; i < count; i++) call(-1, "at", [i]);
  for (let i = 0; i < count; i++) call(-2, "at", [count + i]);
  for (let i = 0; i < count; i++) call(0, "at", [2 * count + i]); // which nothing keeps from running
  assert.deepEqual([looks, order.length, waiting.size], [0, count, 2 * count]);
  const object = serve({ at: (i) => void order.push(i) });
  ends[1](object);
  await soon();
  assert.deepEqual([looks <= 4 * count, order.length, waiting.size], [true, 2 * count, count]);
  call(0, "at", [-1], { needs: [1] });
  call(2, "at", [-2]); // not yet known to be the object of call 1
  ends[0](object);
  await soon();
  assert.equal(waiting.size, 0);
  const range = (from) => Array.from({ length: count }, (_, i) => from + i);
  assert.equal(envelopes(said).some(([code]) => code === 15), false);
  assert.deepEqual(order.filter((i) => i >= 0), [...range(2 * count), ...range(count), ...range(0)]);
});
test("calls on two results that turn out to be one object start in the order in which they came (PB-P18)", async () => {
  const ends = [], order = [];
  const { made, hear } = connection(serve({ open: () => new Promise((end) => ends.push(end)) }), { features: ["pipeline"] });
  const call = (id, target, args, ...options) => hear(1, id, target, id < 4 ? "open" : "at", pack([args, {}]), ...options);
  const object = serve({ at: (i) => void order.push(i) });
  for (const id of [1, 2, 3]) call(id, 0, [], { keep: true });
  call(4, -1, ["needs 3"], { needs: [3] });
  call(5, -2, ["second"]);
  call(6, -1, ["third"]);
  ends[0](object);
  await soon();
  ends[1](object);
  await soon();
  call(7, 1, ["fourth"]); // the object by its id
  call(8, 0, []); // which has no such method, and is no target of theirs
  assert.deepEqual(order, []);
  ends[2](serve({}));
  await soon();
  assert.deepEqual([order, made.server.waiting.size, made.isClosed], [["needs 3", "second", "third", "fourth"], 0, false]);
});

test("an envelope has at most 64 KiB beside its payload, and those of a batch 1 MiB (PB-F48)", () => {
  const call = (i, size, more = {}) => [1, i, 0, "x", NO_ARGS, { z: "z".repeat(size), ...more }];
  const cases = {
    "a list of ids": [[6, Array(65_536).fill(1)], 5],
    "an option of many arrays": [call(1, 0, { y: Array(66_000).fill([]) }), 5],
    "bytes that are no payload": [call(1, 0, { y: new Uint8Array(66_000) }), 5],
    "a batch of too much": [Array.from({ length: 18 }, (_, i) => call(i + 1, 60_000)), 5],
    "a batch of too many": [Array.from({ length: 70_000 }, () => []), 5],
    "a batch of something else": [[call(1, 66_000, {}), "x".repeat(70_000)], 5],
    "a text in a batch": [[call(1, 1), "x".repeat(70_000)], 5],
  };
  for (const [what, [envelope, code]] of Object.entries(cases)) {
    const { hear, said } = connection();
    hear(...envelope);
    assert.deepEqual(endOf(said), [15, code], what);
  }
  const { made, hear, said } = connection(serve({ x: (one) => one.length }));
  hear(...call(1, 60_000));
  hear(...Array.from({ length: 17 }, (_, i) => call(i + 2, 60_000)));
  hear(1, 19, 0, "x", pack([["z".repeat(1_000_000)], {}]));
  assert.deepEqual([made.isClosed, envelopes(said).length], [false, 19]);
});
test("a frame that is deeper than the stack is malformed, and no more", () => {
  const { hear, said, raw } = connection();
  raw(bytes("91".repeat(100_000) + "90"));
  assert.equal(endOf(said)[0], 15);
  assert.equal([4, 5].includes(endOf(said)[1]), true);
});

const EVIL = "one\ntwo\x1b[2J\x7f\x85\u2028\u202e\u{e0001}", SHOWN = "one\\x0atwo\\x1b[2J\\x7f\\x85\\u{2028}\\u{202e}\\u{e0001}";
const isPlain = (text) => !/(?![ \n])[\p{C}\p{Z}]/u.test(text);
const failed = async (map, prepare = () => undefined) => {
  const { made, hear } = connection();
  prepare(made.registry);
  const call = made.root.call("x").catch((error) => error);
  hear(3, 1, pack(map));
  return { error: await call, made };
};
test("the words of a peer in an error are escaped where they are shown, and there as they were sent (PB-E8)", async () => {
  const cause = { type: `c.${EVIL}`, msg: EVIL };
  const { error } = await failed({ type: `a.${EVIL}`, msg: EVIL, notes: [EVIL], cause });
  assert.equal(error instanceof RemoteError, true);
  assert.equal(String(error), `a.${SHOWN}: ${SHOWN}`);
  for (const shown of [inspect(error), error.stack, String(error.cause)]) assert.equal(isPlain(shown), true, shown);
  assert.equal(inspect(error).includes(SHOWN), true);
  assert.deepEqual([error.type, error.msg, error.notes, error.cause.msg], [`a.${EVIL}`, EVIL, [EVIL], EVIL]);
});
test("a class that makes its text of what came shows no more, and what came goes on as it came", async () => {
  class Short extends PbError {
    constructor(message, data) {
      super(`${data.item} is short: ${message}`, data);
    }
  }
  const { error, made } = await failed({ type: "shop.Short", msg: EVIL, data: { item: EVIL } }, (registry) => registry.error("shop.Short", Short));
  assert.equal(error.message, `${SHOWN} is short: ${SHOWN}`);
  for (const shown of [inspect(error), error.stack]) assert.equal(isPlain(shown), true, shown);
  assert.deepEqual(made.registry.describeError(error), { type: "shop.Short", msg: EVIL, bases: ["pb.Error"], data: { item: EVIL } });
  const own = new Short("two\nlines", { item: "tea" });
  assert.equal(made.registry.describeError(own).msg, "tea is short: two\nlines");
});
test("a class that cannot be made of what came is named with care", async () => {
  class Picky extends Error {
    constructor() {
      throw new TypeError("no");
    }
  }
  const { error } = await failed({ type: `x.${EVIL}`, msg: "", bases: ["a.Picky"] }, (registry) => registry.error("a.Picky", Picky));
  assert.equal(String(error), `x.${SHOWN}: x.${SHOWN} cannot be built from what came`);
});
test("what a peer writes into its BYE is escaped", async () => {
  const { made, hear } = connection();
  hear(15, 8, EVIL, 0);
  assert.equal((await made.closed).message, `the peer ended the connection: BYE 8 ${SHOWN}`);
});

test("calls that want no answer are as many at a time as others, those that wait included (PB-L4)", async (t) => {
  lower(t, "max_calls", 4);
  const ends = [];
  const { hear, said } = connection(serve({ slow: () => new Promise((end) => ends.push(end)), other: () => 1 }), { features: ["pipeline"] });
  for (let i = 0; i < 10; i++) hear(1, 0, 0, "slow", NO_ARGS);
  assert.equal(ends.length, 4);
  for (const end of ends.splice(0)) end();
  await soon();
  hear(1, 0, 0, "slow", NO_ARGS); // their places are free again
  assert.equal(ends.length, 1);
  hear(1, 1, 0, "slow", NO_ARGS, { keep: true }); // which all others have to wait for
  hear(1, 2, 0, "other", NO_ARGS, { needs: [1] });
  for (let i = 0; i < 10; i++) hear(1, 0, 0, "slow", NO_ARGS);
  ends[1](serve({}));
  await soon();
  assert.equal(ends.length, 2 + 3);
  assert.deepEqual(envelopes(said).map(([code, id]) => [code, id]), [[2, 1], [2, 2]]);
});
test("the time of a call that wants no answer keeps nothing alive behind the end", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((one) => one === "Timeout").length;
  const { hear } = connection(serve({ slow: () => new Promise(() => undefined) }));
  const before = timers();
  hear(1, 0, 0, "slow", NO_ARGS, { ttl: 1_000_000 });
  assert.equal(timers(), before + 1);
  hear(15, 8, "", 0);
  assert.equal(timers(), before);
});
test("whatever a peer announces, no more is kept for it than would be taken of it (PB-L4)", (t) => {
  lower(t, "max_refs", 2);
  lower(t, "max_streams", 1);
  const stream = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }) };
  const { hear, said } = connection(serve({ make: () => serve({}), rows: () => stream }), { max_refs: 1e9, max_streams: 1e9 });
  ["make", "make", "make"].forEach((method, i) => hear(1, i + 1, 0, method, NO_ARGS));
  const answers = () => envelopes(said).map(([code, , payload]) => (code === 3 ? new Reader(payload).envelope().type : code));
  assert.deepEqual(answers(), [2, 2, "pb.TooLarge"]);
  lower(t, "max_refs", 10);
  said.length = 0;
  ["rows", "rows"].forEach((method, i) => hear(1, i + 4, 0, method, NO_ARGS));
  assert.deepEqual(answers(), [2, "pb.TooLarge"]);
});
test("a peer that hands out more references than it may is left (PB-R12)", async (t) => {
  lower(t, "max_refs", 2);
  const { made, hear, said } = connection();
  const call = made.root.call("x").catch((error) => error.type);
  hear(2, 1, bytes("93d40101d40102d40103")); // three REFs
  assert.deepEqual(endOf(said), [15, 6]);
  assert.equal(await call, "pb.OutcomeUnknown");
});
test("what nobody takes of all streams together is bounded, and what was taken is not counted (PB-S8)", async () => {
  const { made, hear, said } = connection();
  const streams = [];
  for (const id of [1, 2]) {
    const call = made.root.call("rows");
    hear(2, id, bytes(`d4050${id}`));
    streams.push(await call);
  }
  const payload = pack([new Uint8Array(4_000_000)]);
  const fill = (id, count) => {
    for (let i = 0; i < count; i++) hear(10, id, payload);
  };
  fill(1, 8);
  for (let i = 0; i < 4; i++) await streams[0].next();
  fill(1, 4);
  fill(2, 8);
  assert.deepEqual(envelopes(said).filter(([code]) => code === 12), []);
  fill(2, 1);
  assert.deepEqual(envelopes(said).filter(([code]) => code === 12), [[12, 2]]); // STOP
  for (let i = 0; i < 8; i++) assert.equal((await streams[1].next()).done, false);
  await assert.rejects(streams[1].next(), TooLarge);
  streams[0].stop();
  assert.equal(Math.round(made.imports.unread), 0);
});

test("more calls than a stack has room for are made, in order, and those that are given up are not", async () => {
  const { made, hear, said } = connection(undefined, null);
  const stopping = new AbortController(), count = 150_000;
  const kept = [], ends = [];
  for (let i = 0; i < count; i++) kept.push(made.root.pipe()[`m${i}`]());
  for (let i = 0; i < 10; i++) ends.push(made.root.callWith({ signal: stopping.signal }, "no").catch((error) => error));
  stopping.abort("enough");
  assert.deepEqual(await Promise.all(ends), Array(10).fill("enough"));
  hear(0, "PB", 1, { max_calls: 1e6 });
  const sent = called([said[0], said.at(-1)]);
  assert.deepEqual([said.length, ...sent], [count, "m0", `m${count - 1}`]);
  for (const one of kept) one.catch(() => undefined);
});
test("a list of tracked state stays the same list, whatever its changes bring (PB-T9)", async () => {
  class Board {}
  const { made, hear } = connection();
  made.registry.tracked("a.B", Board, ["notes"]);
  const call = made.root.call("board");
  hear(2, 1, bytes("c711099301a3612e4281a56e6f74657393010203")); // CACHE 1, a.B, {notes: [1, 2, 3]}
  const board = await call, { notes } = board;
  hear(7, 0, 1, "splice", pack([["notes", 1, 1, [7, 8]], {}]));
  assert.deepEqual([board.notes === notes, notes], [true, [1, 7, 8, 3]]);
  hear(7, 0, 1, "splice", pack([["notes", 4, 0, Array(300_000).fill(5)], {}]));
  assert.deepEqual([made.isClosed, board.notes === notes, notes.length], [false, true, 300_004]);
});
