// The conversations of spec/vectors, frame by frame: this side says what it should, byte by byte, whichever it is.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { setImmediate as soon, setTimeout as sleep } from "node:timers/promises";
import { Connection, login } from "../dist/index.js";
import { OURS } from "../dist/connection.js";
import { Reader } from "../dist/reader.js";
import { pack } from "../dist/writer.js";
import { ACTS, NEVER, NOT_AS_SERVER, NOT_THIS_ROLE, registry, Root } from "./binders.mjs";

const FOLDER = new URL("../../../../spec/vectors/conversations/", import.meta.url);
const HAS = ["cache", "pipeline", "stream"];

class NotYet extends Error {} // what WebCrypto does takes its time
/** One side: what it says as envelopes, and the values that its calls brought, which can be dropped. */
class Play {
  said = [];
  replies = [];
  constructor(role) {
    this.root = role === "S" ? new Root() : undefined;
    const transport = {
      start: (handlers) => (this.handlers = handlers), isTls: false, isLocal: true, buffered: () => 0,
      send: (body) => void this.said.push(body), close: () => (this.isClosed = true),
    };
    this.connection = new Connection(transport, { root: this.root, registry: registry(role), log: () => undefined });
  }
  hear(body) {
    this.handlers.body(body);
  }
  keep(promise) {
    const reply = {};
    this.replies.push(reply);
    Promise.resolve(promise).then((value) => (reply.value = value), (error) => (reply.error = error));
  }
  ask(method, ...args) {
    this.keep(this.connection.root.call(method, ...args));
  }
  askOf(number, method, ...args) {
    this.keep(this.value(number).call(method, ...args));
  }
  value(number) {
    const { value, error } = this.replies[number];
    assert.equal(error, undefined);
    if (value === undefined) throw new NotYet();
    return value;
  }
  drop(...numbers) {
    for (const number of numbers) this.replies[number].value = undefined;
  }
  logIn(credentials, options = {}) {
    this.keep(login(this.connection, credentials, { nonce: "rOprNGfwEbeRWgbNEkqO", ...options }));
  }
  attach(of, ...what) {
    this.keep(this.value(of).attach(...what));
  }
}
const read = (body) => new Reader(body).envelope();
const value = (payload) => new Reader(payload, { ref: String, home: String, answer: String, stream: String }, registry("C")).payload();
const bodies = (hex) => {
  const body = new Uint8Array(Buffer.from(hex, "hex")).slice(4);
  const found = read(body);
  return Array.isArray(found[0]) ? found.map((one) => pack(one)) : [body];
};
const hex = (bytes) => Buffer.from(bytes).toString("hex");
/** Compare two envelopes as `compare` says; those of `said` that belong to the first are taken. */
function assertSame(expected, found, compare, said) {
  const [wanted, told] = [read(expected), read(found)];
  if (compare === "hello") return assert.deepEqual(told.slice(0, 3), wanted.slice(0, 3));
  if (compare === "bye") return assert.deepEqual([told[0], told[1], told[3]], [wanted[0], wanted[1], wanted[3]]);
  if (compare === "error") {
    const [a, b] = [value(wanted[2]), value(told[2])];
    assert.deepEqual([told[0], told[1], b.type], [wanted[0], wanted[1], a.type]);
    return a.type.startsWith("pb.") ? undefined : assert.deepEqual(b, a);
  }
  const more = () => said.length && read(said[0])[0] === wanted[0] && read(said.shift());
  if (compare === "items") {
    const items = value(told[2]);
    for (let one; items.length < value(wanted[2]).length && (one = more()); ) items.push(...value(one[2]));
    return assert.deepEqual([told[0], told[1], items], [wanted[0], wanted[1], value(wanted[2])]);
  }
  if (compare === "ids") {
    for (let one; told[1].length < wanted[1].length && (one = more()); ) told[1].push(...one[1]);
    const inOrder = ([code, ids]) => [code, ...(code === 6 ? ids.flatMap((id, i) => (i % 2 ? [] : [`${id} ${ids[i + 1]}`])) : ids)].sort();
    return assert.deepEqual(inOrder(told), inOrder(wanted));
  }
  assert.equal(hex(found), hex(expected));
}

async function play(conversation, role) {
  const { name, needs, frames } = conversation;
  OURS.window = needs.includes("stream") ? 0 : 16; // as the setup says
  const side = new Play(role);
  const acts = ACTS[`${name} ${role}`] ?? {};
  const all = frames.map((frame, index) => ({ ...frame, index, isOurs: frame.dir[0] === role, bodies: bodies(frame.hex) }));
  const [ours, theirs] = [all.filter((one) => one.isOurs), all.filter((one) => !one.isOurs)];
  if (frames[0].compare !== "hello") {
    side.said.length = 0;
    const told = HAS.filter((one) => one === "cache" || needs.includes(one));
    side.hear(pack([0, "PB", 1, { features: told }]));
  } else {
    if (needs.includes("login")) side.connection.ownHello = ours[0].bodies[0];
    if (role === "C") side.hear(theirs.shift().bodies[0]); // callers wait for it
  }
  let done = -1;
  const reach = async (index) => {
    for (let tries = 0; done < index; await (tries ? sleep(1) : soon()))
      try {
        acts[done + 1]?.(side);
        [done, tries] = [done + 1, 0];
      } catch (error) {
        if (!(error instanceof NotYet) || ++tries > 2000) throw error;
      }
  };
  const hear = async () => {
    const frame = theirs.shift();
    await reach(frame.index);
    for (const body of frame.bodies) side.hear(body);
    for (let i = 0; i < 4; i++) await soon();
  };
  for (const frame of ours) {
    while (theirs.length && theirs[0].index < frame.index) await hear();
    await reach(frame.index);
    for (const expected of frame.bodies) {
      for (let i = 0; i < 400 && side.said.length === 0; i++) {
        await (i < 20 ? soon() : sleep(1));
        if (i > 5) globalThis.gc(); // what was dropped is given back
      }
      if (!side.said.length && theirs.length) await hear();
      assert.equal(side.said.length > 0, true, `this side does not say ${frame.text}`);
      for (let i = 0; i < 4 && frame.compare; i++) await soon(); // it may come in parts
      assertSame(expected, side.said.shift(), frame.compare, side.said);
    }
  }
  while (theirs.length) await hear();
  await reach(frames.length);
  for (let i = 0; i < 5; i++) await soon();
  assert.deepEqual(side.said.map(hex), []);
  const isLeft = ["01-bootstrap-echo", "71-call-after-bye"].includes(name); // both have said BYE, and nothing runs
  assert.equal(side.isClosed === true, frames.at(-1).compare === "bye" || isLeft);
}

for (const file of readdirSync(FOLDER).sort()) {
  const conversation = JSON.parse(readFileSync(new URL(file, FOLDER)));
  for (const role of "CS") {
    const { name, needs } = conversation;
    const why = needs.map((need) => NEVER[need] ?? (role === "S" ? NOT_AS_SERVER[need] : undefined)).find((one) => one);
    const isMissing = role === "C" && !ACTS[`${name} C`]; // a client does nothing of itself
    const skip = why ?? NOT_THIS_ROLE[`${name} ${role}`] ?? (isMissing && "what a client does in it is not written yet");
    test(`${name}, as ${role === "C" ? "client" : "server"}`, { skip, timeout: 20_000 }, () => play(conversation, role));
  }
}
