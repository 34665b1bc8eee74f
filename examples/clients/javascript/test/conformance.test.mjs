// The runner of spec/conformance.md judges this client at level full, over TCP and over WebSocket.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { python } from "./processes.mjs";

const script = fileURLToPath(new URL("../conformance.mjs", import.meta.url));
for (const scheme of ["pb", "ws"])
  test(`no case fails at level full over ${scheme}`, { timeout: 180_000 }, async () => {
    const runner = await python("-m", "pb", "conformance", "--listen", `${scheme}://127.0.0.1:0`, "--level", "full", "--lossy", "js", "--quiet");
    const ended = new Promise((resolve) => runner.child.on("exit", resolve));
    const subject = spawn(process.execPath, ["--expose-gc", script, runner.url], { stdio: "inherit" });
    const status = await ended;
    subject.kill();
    const [, passed, failed] = /(\d+) passed, (\d+) failed/.exec(runner.shown()) ?? [];
    assert.deepEqual([status, failed], [0, "0"], runner.shown());
    assert.equal(Number(passed) >= 550, true, runner.shown());
  });
