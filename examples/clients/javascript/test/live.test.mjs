// Against a server in Python, over TCP and WebSocket: the object of spec/conformance.md is its root.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import {
  BadArguments, BrokenPromise, Cacheable, connect, current, DeadlineExceeded, isStale, NoSuchMethod, NotExecuted, onChange, OutcomeUnknown, PbError, Referenceable,
  Registry, RemoteReference, serve,
} from "../dist/index.js";
import { python } from "./processes.mjs";

class Point {
  constructor(x, y) {
    Object.assign(this, { x, y });
  }
}
class BankError extends PbError {}
class Insufficient extends BankError {}
class Stock extends Cacheable {
  observe_set(n) {
    this.n = n;
  }
}
class Echo extends Referenceable {
  async remote_slowly(ms) {
    const { signal } = current();
    await sleep(ms, undefined, { signal });
  }
  remote_double(x) {
    return 2 * x;
  }
}
const registry = new Registry()
  .copy("geo.Point", Point)
  .error("bank.BankError", BankError)
  .error("bank.Insufficient", Insufficient)
  .cache("shop.Stock", Stock);

for (const scheme of ["pb", "ws"])
  describe(`over ${scheme}`, () => {
    let server, connection, root;
    before(async () => {
      server = await python("-m", "examples.conformance.server", `${scheme}://127.0.0.1:0`);
    });
    after(async () => {
      await connection?.close();
      await server.stop();
    });
    test("it connects", async () => {
      connection = await connect(server.url, { registry, WebSocket, log: () => undefined });
      root = connection.root;
      assert.equal(connection.peer.features.has("pipeline"), true);
    });
    test("values come back as they went", async () => {
      const sent = { text: "hé", list: [1, 2.5, null, true], big: 2n ** 70n, bytes: new Uint8Array([1, 2]), when: new Date(86400000), set: new Set([1]) };
      assert.deepEqual(await root.call("echo", sent), sent);
      const point = await root.call("echo", new Point(3, 4));
      assert.equal(point instanceof Point, true);
      assert.deepEqual({ ...point }, { x: 3, y: 4 });
    });
    test("what is shared stays shared, and what is cyclic cyclic", async () => {
      const list = ["x"];
      const [a, b] = await root.call("echo", [list, list]);
      assert.equal(a, b);
      const self = [];
      self.push(self);
      const found = await root.call("echo", self);
      assert.equal(found[0], found);
    });
    test("an object of the server is one reference, and it comes home", async () => {
      const thing = await root.call("make");
      assert.equal(await root.call("echo", thing), thing);
      assert.equal(await thing.call("ping"), "pong");
      assert.equal(await thing.call("itself"), thing);
      thing.release();
      await assert.rejects(thing.call("ping"), NotExecuted);
    });
    test("an object of ours is called back, and comes home as itself", async () => {
      const echo = new Echo();
      assert.equal(await root.call("call", echo, "double", [21]), 42);
      assert.equal(await root.call("echo", echo), echo);
      const table = serve({ hear: (words) => `heard ${words}` });
      assert.equal(await root.call("call", table, "hear", ["it"]), "heard it");
    });
    test("what was revoked is gone", async () => {
      const echo = new Echo();
      await root.call("keep", echo);
      connection.revoke(echo);
      await assert.rejects(root.call("call_kept", "double", [1]), PbError);
      await root.call("drop");
    });
    test("errors are classes, told apart by what was registered", async () => {
      await assert.rejects(root.call("fail", "registered"), (error) => error instanceof Insufficient && error.message === "balance is 5" && error.type === "bank.Insufficient");
      await assert.rejects(root.call("fail", "internal"), (error) => error.type === "pb.Internal" && !error.message.includes("hidden"));
      await assert.rejects(root.call("nothing"), NoSuchMethod);
      await assert.rejects(root.call("echo"), BadArguments);
    });
    test("a name that every object has finds no class", async () => {
      const error = await root.call("echo", Object.assign(new PbError("x"), { type: "constructor" })).catch((one) => one);
      assert.equal(error.type, "pb.Internal"); // what is not registered is not told
    });
    test("a call is cancelled, and one that was cancelled before is not made", async () => {
      const controller = new AbortController();
      const call = root.callWith({ signal: controller.signal }, "slow", 60_000);
      setTimeout(() => controller.abort(), 20);
      await assert.rejects(call, { name: "AbortError" });
      await assert.rejects(root.callWith({ signal: controller.signal }, "echo", 1), { name: "AbortError" });
    });
    test("the time of a call runs out", async () => {
      await assert.rejects(root.callWith({ ttl: 20 }, "slow", 60_000), DeadlineExceeded);
    });
    test("a cache follows its original, and can be listened to", async () => {
      const stock = await root.call("stock");
      const heard = [];
      onChange(stock, (method, args) => heard.push([method, ...args]));
      await root.call("bump", 7);
      assert.deepEqual([stock.n, stock instanceof Stock, isStale(stock)], [7, true, false]);
      assert.deepEqual(heard, [["set", 7]]);
      assert.equal(await root.call("stock"), stock);
    });
    test("a cache of ours is followed there", async () => {
      const stock = new Stock();
      stock.n = 1;
      await root.call("keep", stock);
      stock.n = 5;
      stock.notify("set", 5);
      assert.deepEqual(await root.call("state"), { n: 5 });
      await root.call("drop");
    });
    test("a stream is iterated over, and stopped when it is left", async () => {
      const found = [];
      for await (const item of root.as().stream(-1)) {
        found.push(item);
        if (found.length === 40) break;
      }
      assert.deepEqual(found, [...Array(40).keys()]);
      for (let i = 0; (await root.call("stopped")) === 0 && i < 100; i++) await sleep(5);
      assert.equal(await root.call("stopped"), 1);
    });
    test("a stream of ours is taken, and its error arrives", async () => {
      const numbers = async function* () {
        for (let i = 0; i < 100; i++) yield i;
      };
      assert.equal(await root.call("sum", numbers()), 4950);
      await assert.rejects(async () => {
        for await (const _ of await root.call("failing_stream", 3));
      }, Insufficient);
    });
    test("calls on results that are not there yet", async () => {
      assert.equal(await root.pipe().make().itself().ping(), "pong");
      const thing = root.pipe().slow_make(20);
      assert.equal(await root.pipe().same(thing, thing), true);
      await assert.rejects(root.pipe().fail("registered").ping(), (error) => error instanceof BrokenPromise && error.cause instanceof Insufficient);
    });
    test("a typed reference has methods", async () => {
      const thing = await root.as().make();
      assert.equal(thing instanceof RemoteReference, true);
      assert.equal(await thing.as().ping(), "pong");
    });
    test("the server forgets what is collected here", async () => {
      const count = await root.call("count");
      await (async () => void (await root.call("make")))();
      for (let i = 0; i < 200; i++) {
        globalThis.gc();
        await sleep(5);
        if ((await root.call("count")) <= count) return;
      }
      assert.fail("nothing was released");
    });
    test("closing lets what runs come to its end", async () => {
      const other = await connect(server.url, { registry, WebSocket, log: () => undefined });
      const slow = other.root.call("slow", 50);
      await other.close();
      assert.equal(await slow, null);
      await assert.rejects(other.root.call("echo", 1), NotExecuted);
    });
    test("a call without answer runs, before what is called behind it", async () => {
      root.notify("keep", 7);
      assert.equal(await root.call("kept"), 7);
      root.notify("drop");
      assert.equal(await root.call("kept"), null);
    });
    test("a call under way when the server dies has an outcome that nobody knows", async () => {
      const slow = root.call("slow", 60_000);
      const dead = assert.rejects(slow, OutcomeUnknown);
      server.child.kill("SIGKILL");
      await dead;
      assert.equal(connection.isClosed, true);
    });
  });
