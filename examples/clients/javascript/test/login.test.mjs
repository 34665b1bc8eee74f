// Logging in: the rows of login.json that a client has to know, and a server in Python with an SQLite store.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect, login, LoginFailed, NoSuchMethod, Reconnecting, Referenceable, RemoteReference } from "../dist/index.js";
import { scram as mechanism, signed } from "../dist/login.js";
import { ExtData } from "@msgpack/msgpack";
import { pack } from "../dist/writer.js";
import { connection } from "./peer.mjs";
import { python, PYTHON, ROOT } from "./processes.mjs";

const rows = JSON.parse(readFileSync(`${ROOT}spec/vectors/login.json`));
const unhex = (text) => new Uint8Array(Buffer.from(text, "hex"));
const hex = (data) => Buffer.from(data).toString("hex");
const utf8 = (text) => new TextEncoder().encode(text);
const said = (data) => new TextDecoder().decode(data);
const scram = (row) => mechanism(row.user, row.password, /^(n|y|p=[^,]*),/.exec(row.client_first)[1], row.hello_hash ? unhex(row.hello_hash) : undefined,
  row.plus ? unhex(row.binding.data ?? row.binding) : undefined, row.client_nonce);

for (const row of rows.scram) {
  const isAscii = /^[\x20-\x7e]+$/.test(row.user + row.password);
  test(`scram, ${row.name}${isAscii ? "" : ": refused, for there is no SASLprep here"}`, async () => {
    if (!isAscii) return assert.throws(() => scram(row), TypeError);
    const one = scram(row);
    assert.equal(said(one.first), row.client_first);
    assert.equal(said(await one.answer(utf8(row.server_first))), row.client_final);
    assert.equal(one.isProven(utf8(row.server_final)), true);
  });
}
for (const row of rows.server_first)
  test(`server_first, ${row.name}: ${row.expect}`, async () => {
    const one = scram(rows.scram[1]);
    const text = row.text === undefined ? unhex(row.hex) : utf8(row.text);
    if (row.expect === "accept") assert.equal(said(await one.answer(text)), row.answer);
    else await assert.rejects(one.answer(text));
  });
for (const row of rows.server_final)
  test(`server_final, ${row.name}: ${row.expect}`, async () => {
    const one = scram(rows.scram[1]);
    await one.answer(utf8(rows.scram[1].server_first));
    assert.equal(one.isProven(row.text === undefined ? unhex(row.hex) : utf8(row.text)), row.expect === "accept");
  });
for (const row of rows.ed25519)
  test(`ed25519, ${row.name}`, () => {
    const [client, server, hash] = [row.client_nonce, row.server_nonce, row.hello_hash].map(unhex);
    assert.equal(hex(signed(row.user, client, server, row.binding.type, unhex(row.binding.data), hash)), row.message);
    assert.equal(hex(pack({ nonce: server })), row.challenge);
  });
for (const row of rows.hello_hash)
  test(`hello_hash, ${row.name}`, () => {
    assert.equal(createHash("sha256").update(unhex(row.client)).update(unhex(row.server)).digest("hex"), row.hash);
  });

for (const told of [{}, { user: 7 }, { user: null }])
  test(`a step done with ${JSON.stringify(told)} is an identity without a name, which is for people`, async () => {
    const { made, hear } = connection(undefined, { auth: ["ANONYMOUS"] });
    const entered = login(made, "anonymous");
    await new Promise((resolve) => setTimeout(resolve, 20)); // WebCrypto hashes the HELLOs
    hear(2, 1, pack({ data: new Uint8Array(), identity: new ExtData(1, new Uint8Array([1])), ...told }));
    assert.equal((await entered).user, "");
  });

class Ear extends Referenceable {
  heard = [];
  remote_hear(text) {
    this.heard.push(text);
  }
}
const DECLARED = `
import asyncio, cred, sys
from cred.stores.sqlite import SqliteStore

async def declare(path):
    store = SqliteStore(path)
    authorizer = cred.Authorizer(store, iterations=4096)
    for name, services in {"alice": "shop chat", "bob": "shop chat", "olga": "shop chat admin"}.items():
        keys = [(service, name) for service in services.split()]
        await authorizer.add_identity(name, f"{name}'s password", keys=keys)
    await store.close()

asyncio.run(declare(sys.argv[1]))
`;
for (const scheme of ["pb", "pbs"])
  describe(`over ${scheme}`, () => {
    const folder = mkdtempSync(join(tmpdir(), "pb-"));
    let server, pair, options = {};
    before(async () => {
      const pem = join(folder, "server.pem");
      const tls = scheme === "pbs" ? ["--tls", pem] : [];
      if (tls.length) {
        const said = execFileSync(PYTHON, ["-m", "pb", "keygen", "-o", pem, "--name", "127.0.0.1"], { cwd: ROOT, encoding: "utf8" });
        options = { fingerprint: /pbs:\/\/([a-z2-7]{52})@/.exec(said)[1] };
      }
      const identity = (...command) => execFileSync(PYTHON, ["-m", "pb", "identity", ...command, "--store", join(folder, "store.db")], { cwd: ROOT });
      pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
      const raw = Buffer.from(await crypto.subtle.exportKey("raw", pair.publicKey));
      const text = (data) => Buffer.concat([Buffer.from([0, 0, 0, data.length]), Buffer.from(data)]);
      const file = join(folder, "robot.pub"); // as ssh-keygen writes it
      writeFileSync(file, `ssh-ed25519 ${Buffer.concat([text("ssh-ed25519"), text(raw)]).toString("base64")} robot\n`);
      identity("add", "robot", "--no-password", "--grant", "shop");
      identity("key", "add", "robot", file);
      // As the backend declares them, but with the fewest iterations: who is in the store stays as he is.
      execFileSync(PYTHON, ["-c", DECLARED, join(folder, "store.db")], { cwd: ROOT });
      server = await python("-m", "pb", "run", "examples/backend/server.py", "--store", join(folder, "store.db"), "--listen", `${scheme}://127.0.0.1:0`, ...tls);
    });
    after(async () => {
      await server?.stop();
      rmSync(folder, { recursive: true });
    });
    const enter = (user, password = `${user}'s password`) => connect(server.url, { ...options, login: { user, password } });

    test("a password opens what is on the keyring, and the service calls back", async () => {
      const connection = await enter("alice");
      const { identity } = connection;
      assert.equal(identity.mechanism, scheme === "pbs" ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256");
      assert.equal(identity.user, "alice");
      assert.deepEqual(await identity.keys(), [["chat", "alice"], ["shop", "alice"]]);
      const ear = new Ear();
      const chat = await identity.attach("chat", null, ear);
      await chat.call("say", "hello");
      assert.deepEqual(ear.heard, ["alice is here", "alice: hello"]);
      assert.equal(chat instanceof RemoteReference, true);
      await assert.rejects(identity.attach("admin"), { type: "pb.Forbidden" });
      await identity.logout();
      await assert.rejects(chat.call("say", "still here?"), { type: "pb.Gone" });
      await connection.close();
    });
    test("a wrong password is refused, and the right one may follow", async () => {
      const connection = await connect(server.url, options);
      await assert.rejects(login(connection, { user: "bob", password: "wrong" }), LoginFailed);
      assert.equal((await login(connection, { user: "bob", password: "bob's password" })).user, "bob");
      await connection.close();
    });
    test("a key opens what is on the keyring, and another key nothing", async () => {
      const connection = await connect(server.url, options);
      if (scheme === "pb") // no TLS, no binding: the server does not offer keys, and the client does not sign
        return assert.rejects(login(connection, { user: "robot", key: pair }), { type: "pb.ProtocolError" });
      const other = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
      await assert.rejects(login(connection, { user: "robot", key: other }), LoginFailed);
      const identity = await login(connection, { user: "robot", key: pair });
      assert.deepEqual([identity.mechanism, identity.user], ["ED25519", "robot"]);
      assert.deepEqual(await identity.keys(), [["shop", "robot"]]);
      await connection.close();
    });
    test("what is not a login cannot be called before", async () => {
      const connection = await connect(server.url, options);
      await assert.rejects(connection.root.call("echo", 1), NoSuchMethod);
      await connection.close();
    });
    if (scheme === "pbs")
      test("the URL names the one key that is accepted, and with another nothing is said", async () => {
        const { host } = new URL(server.url.replace("pbs:", "https:"));
        await (await connect(`pbs://${options.fingerprint.toUpperCase()}@${host}`)).close();
        await assert.rejects(connect(`pbs://${"a".repeat(52)}@${host}`), { type: "pb.ProtocolError", code: 8 });
        await assert.rejects(connect(`pbs://${host}`), /self-signed/);
      });
    test("it comes back after a loss, and logs in again", async () => {
      const users = [];
      const waits = [];
      let both;
      const twice = new Promise((resolve) => (both = resolve));
      const kept = new Reconnecting(server.url, {
        ...options,
        login: { user: "olga", password: "olga's password" },
        random: () => 0.5,
        wait: async (seconds) => void waits.push(seconds),
        ready: (connection) => {
          users.push(connection.identity.user);
          if (users.length === 2) both();
          else connection.transport.close(0);
        },
      });
      await twice;
      await kept.stop();
      assert.deepEqual([users, waits], [["olga", "olga"], [0.05]]);
    });
    test("a refused login is not tried again", async () => {
      const kept = new Reconnecting(server.url, { ...options, login: { user: "olga", password: "wrong" } });
      await assert.rejects(kept.done, LoginFailed);
    });
  });
