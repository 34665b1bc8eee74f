// The conformance object (spec/conformance.md), published as the root of this client, again and again until nobody listens:
//   python -m pb conformance --listen pb://127.0.0.1:8789 &
//   node --expose-gc conformance.mjs pb://127.0.0.1:8789
import { setTimeout as sleep, setImmediate as soon } from "node:timers/promises";
import { Cacheable, Connection, current, dial, isStale, PbError, Referenceable, Registry } from "./dist/index.js";

class Point {}
class BankError extends PbError {}
class Insufficient extends BankError {}
class Stock extends Cacheable {
  static parameters = { observe_set: ["n"] };
  constructor(n) {
    super();
    this.n = n;
  }
  observe_set(n) {
    if (n < 0) throw new RangeError("less than nothing");
    this.n = n;
  }
}
class Board {}
const registry = new Registry()
  .copy("geo.Point", Point, { fields: ["x", "y"] })
  .error("bank.BankError", BankError)
  .error("bank.Insufficient", Insufficient)
  .cache("shop.Stock", Stock)
  .tracked("game.Board", Board, ["title", "notes", "seats"]);

let rounds = 0;
/** Collect garbage, and let finalisers run; what is dropped meanwhile is collected too. */
async function collect() {
  const isCollecting = rounds > 0;
  rounds = 3;
  if (isCollecting) return;
  for (; rounds > 0; rounds--) {
    await soon(); // what a job has looked at lives until its end
    globalThis.gc();
    await soon();
  }
}

class Thing extends Referenceable {
  remote_ping() {
    return "pong";
  }
  remote_itself() {
    return this;
  }
}
class Subject extends Referenceable {
  static parameters = { remote_echo: ["x"], remote_bump: ["n"] };
  kept = null;
  stock = new Stock(10);
  ended = 0;

  remote_echo(x) {
    return x;
  }
  remote_type_of(x) {
    return x instanceof Error ? "error" : x === null ? "nil" : typeof x;
  }
  remote_keep(x) {
    this.kept = x;
    return null;
  }
  remote_kept() {
    return this.kept;
  }
  remote_drop() {
    this.kept = null;
    void collect(); // finalisers run when no job does: RELEASE follows the answer
    return null;
  }
  remote_same(a, b) {
    return a === b;
  }
  remote_make() {
    return new Thing();
  }
  async remote_slow_make(ms) {
    await sleep(ms, undefined, { signal: current().signal });
    return new Thing();
  }
  async remote_slow(ms) {
    await sleep(ms, undefined, { signal: current().signal });
    return null;
  }
  remote_call(object, method, args) {
    const { signal, trace, ttl } = current();
    return object.callWith({ signal, trace, ttl }, method, ...args);
  }
  async remote_call_later(object, method, args, ms) {
    await sleep(ms, undefined, { signal: current().signal });
    return object.call(method, ...args);
  }
  remote_call_kept(method, args) {
    return this.kept.call(method, ...args);
  }
  remote_fail(kind) {
    if (kind === "registered") throw new Insufficient("balance is 5");
    if (kind === "unsendable") return () => undefined;
    throw new Error("hidden");
  }
  remote_count() {
    return this.connection.exports.byId.size;
  }
  remote_stock() {
    return this.stock;
  }
  remote_bump(n) {
    this.stock.n = n;
    this.stock.notify("set", n);
    return null;
  }
  remote_state() {
    return Object.fromEntries(Object.entries(this.kept).sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  remote_is_stale() {
    return isStale(this.kept);
  }
  remote_stream(n) {
    return this.#numbers(n);
  }
  remote_failing_stream(n) {
    return this.#numbers(n, new Insufficient("balance is 5"));
  }
  remote_stopped() {
    return this.ended;
  }
  async remote_sum(stream) {
    let sum = 0;
    for await (const item of stream) sum += item;
    return sum;
  }
  async remote_slow_sum(stream) {
    await sleep(60_000, undefined, { signal: current().signal });
    return this.remote_sum(stream);
  }
  #numbers(n, error) {
    const counted = () => void this.ended++;
    return {
      async *[Symbol.asyncIterator]() {
        try {
          for (let i = 0; i !== n; i++) yield i;
          if (error) throw error;
        } finally {
          counted();
        }
      },
    };
  }
}

const url = process.argv[2] ?? "pb://127.0.0.1:8789";
const WebSocket = globalThis.WebSocket ?? (await import("ws")).WebSocket;
const log = process.env.PB_SHOW ? console.error : () => undefined;
for (let misses = 0; misses < 5; ) {
  const subject = new Subject();
  try {
    const transport = await dial(url, { WebSocket });
    misses = 0;
    subject.connection = new Connection(transport, { root: subject, registry, log });
    await subject.connection.closed;
  } catch {
    misses++; // nobody listens, or the runner is between two cases
    await sleep(20);
  }
}
