// Coming back where too many logins have failed: a server that tells so, and one that closes without a word.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { test } from "node:test";
import { Reconnecting } from "../dist/index.js";

const LOCKED_OUT = new URL("../../../../spec/vectors/conversations/38-locked-out.json", import.meta.url);
const { frames } = JSON.parse(readFileSync(LOCKED_OUT));
const refusal = Buffer.from(frames.filter(({ dir }) => dir === "S>C").map(({ hex }) => hex).join(""), "hex");

/** Let a client come back to a server that says this much, until it has waited four times. */
async function refusedWith(bytes) {
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
    wait: async (seconds) => void (waited.push(seconds) === 4 && client.stop()),
  });
  await client.done;
  await new Promise((resolve) => server.close(resolve));
  return { told, waited };
}

test("who is locked out for a while is told why, and dials again, later each time (PB-A51)", { timeout: 10_000 }, async () => {
  const { told, waited } = await refusedWith(refusal);
  for (const text of told)
    assert.match(text, /BYE 8 logins from 192\.0\.2\.7 are refused for 5 s: too many have failed/);
  assert.deepEqual(waited, [0.1, 0.2, 0.4, 0.8]);
});

test("who is closed on without a word takes it alike (PB-A51)", { timeout: 10_000 }, async () => {
  const { told, waited } = await refusedWith(Buffer.alloc(0));
  for (const text of told) assert.match(text, /lost/);
  assert.deepEqual(waited, [0.1, 0.2, 0.4, 0.8]);
});
