// The Python side, as processes of their own.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const OWN = `${ROOT}.venv/bin/python`;
export const PYTHON = process.env.PB_PYTHON ?? (existsSync(OWN) ? OWN : "python3");

/** Start Python; return the process, and the first URL that it prints. */
export async function python(...command) {
  const child = spawn(PYTHON, command, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  let shown = "";
  const url = await new Promise((resolve, reject) => {
    const look = (data) => {
      shown += data;
      const found = /\b(pbs?|wss?):\/\/[^\s"']+\d(?=\s)/.exec(shown);
      if (found) resolve(found[0]);
    };
    child.stdout.on("data", look);
    child.stderr.on("data", look);
    child.on("exit", () => reject(new Error(`python ended: ${shown}`)));
  });
  const stop = () => new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.on("exit", resolve);
    child.kill("SIGINT");
  });
  return { child, url, stop, shown: () => shown };
}
