// Coming back where too many logins have failed: a server that tells so, and one that closes without a word.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { test } from "node:test";
import { connect, LoginFailed, Reconnecting } from "../dist/index.js";
import { pack } from "../dist/writer.js";

const LOCKED_OUT = new URL("../../../../spec/vectors/conversations/38-locked-out.json", import.meta.url);
const { frames } = JSON.parse(readFileSync(LOCKED_OUT));
const refusal = Buffer.from(frames.filter(({ dir }) => dir === "S>C").map(({ hex }) => hex).join(""), "hex");

/** Let a client come back to a server that says this much, until it has waited so many times. */
async function refusedWith(bytes, times = 4) {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.resume().end(bytes);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const [told, waited] = [[], []];
  const client = new Reconnecting(`pb://127.0.0.1:${server.address().port}`, {
    login: { user: "user", password: "pencil" },
    random: () => 1,
    lost: (error) => void told.push(error.message),
    wait: async (seconds) => void (waited.push(seconds) === times && client.stop()),
  });
  await client.done;
  await new Promise((resolve) => server.close(resolve));
  return { told, waited };
}

test("who is locked out for a while is told why, and dials again, later each time (PB-A51)", { timeout: 10_000 }, async () => {
  const { told, waited } = await refusedWith(refusal, 10);
  for (const text of told)
    assert.match(text, /BYE 8 logins from 192\.0\.2\.7 are refused for 5 s: too many have failed/);
  assert.deepEqual(waited, [5.1, 10.2, 20.4, 40.8, 81.6, 163.2, 326.4, 612.8, 625.6, 630]); // 5 s to 10 min (9.12), and chance
});

test("who is closed on without a word takes it alike (PB-A51)", { timeout: 10_000 }, async () => {
  const { told, waited } = await refusedWith(Buffer.alloc(0));
  for (const text of told) assert.match(text, /lost/);
  assert.deepEqual(waited, [5.1, 10.2, 20.4, 40.8]);
});

test("a BYE 8 that comes in the middle of a login is told as such, and a loss behind HELLO is waited for as ever", { timeout: 10_000 }, async () => {
  for (const [answer, [seconds, why]] of [[[15, 8, "no more", 0], [5, /BYE 8 no more/]], [undefined, [0, /lost$/]]]) {
    const server = await saying([frame(0, "PB", 1, { auth: ["ANONYMOUS"] })], (socket) =>
      socket.on("data", (data) => data.includes("ANONYMOUS") && socket.end(answer ? frame(...answer) : "")));
    const told = [];
    const client = new Reconnecting(server.url, {
      login: "anonymous", random: () => 0, lost: (error, waits) => void told.push([error.message, waits]),
      wait: async () => void client.stop(),
    });
    await client.done;
    assert.match(told[0][0], why);
    assert.equal(told[0][1], seconds);
    await server.close();
  }
});

const frame = (...envelope) => {
  const body = Buffer.from(pack(envelope));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
};
/** A server that says this at once to everybody, and then does what `then` says with the socket. */
async function saying(frames, then) {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write(Buffer.concat(frames), () => then(socket));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `pb://127.0.0.1:${server.address().port}`, close: () => new Promise((resolve) => server.close(resolve)) };
}

test("a connection whose login was refused is not left open", { timeout: 10_000 }, async () => {
  let closed;
  const refused = frame(3, 1, pack({ type: "pb.LoginFailed", msg: "" }));
  const server = await saying([frame(0, "PB", 1, { auth: ["ANONYMOUS"] })], (socket) => {
    socket.on("data", (data) => data.includes("ANONYMOUS") && socket.write(refused));
    closed = once(socket, "close");
  });
  await assert.rejects(connect(server.url, { login: "anonymous" }), LoginFailed);
  await closed;
  await server.close();
});

test("what a server writes into its BYE does not make it a BYE of another code (PB-K2)", { timeout: 10_000 }, async () => {
  const server = await saying([frame(0, "PB", 1, {}), frame(15, 8, "not now: BYE 2 is not this", 0)], (socket) => socket.resume().end());
  let waited = 0;
  const client = new Reconnecting(server.url, { wait: async () => void (++waited === 2 && client.stop()) });
  await client.done;
  assert.equal(waited, 2);
  await server.close();
});

test("a connection that is lost while it is made ready is made again", { timeout: 10_000 }, async () => {
  const server = await saying([frame(0, "PB", 1, {})], (socket) => socket.destroy());
  let waited = 0;
  const client = new Reconnecting(server.url, {
    ready: () => new Promise(() => undefined),
    wait: async () => void (++waited === 2 && client.stop()),
  });
  await client.done;
  assert.equal(waited, 2);
  await server.close();
});

test("who waits to dial again can be stopped, and nothing of the waiting is left", { timeout: 10_000 }, async () => {
  const timers = () => process.getActiveResourcesInfo().filter((one) => one === "Timeout").length;
  const server = await saying([frame(0, "PB", 1, {})], (socket) => socket.destroy());
  const before = timers();
  await new Promise((resolve) => {
    const client = new Reconnecting(server.url, { random: () => 10_000, lost: () => setImmediate(() => void client.stop().then(resolve)) });
  });
  assert.equal(timers(), before);
  await server.close();
});

test("stopping ends an attempt whose server says nothing, and a wait that has not begun", { timeout: 10_000 }, async () => {
  const server = createServer((socket) => socket.on("error", () => undefined)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `pb://127.0.0.1:${server.address().port}`;
  const waiting = new Reconnecting(url);
  await once(server, "connection");
  await waiting.stop();
  await new Promise((resolve) => server.close(resolve)); // no connection is left
  let stopped;
  const client = new Reconnecting(url, { random: () => 10_000, lost: () => (stopped = client.stop()) });
  await client.done;
  await stopped;
  assert.equal(client.connection, undefined);
});

test("stopping one that has given up is no failure", { timeout: 10_000 }, async () => {
  const client = new Reconnecting("http://127.0.0.1:1");
  await assert.rejects(client.done, TypeError);
  await client.stop();
});
