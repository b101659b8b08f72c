// The program as a command: what it says and with which status it ends.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { binary } from "./files.mjs";

/** Without the settings that the environment of the tests may have. */
export const clean = { PATH: process.env.PATH };

export const runBinary = (args, { env = {}, ...more } = {}) => spawnSync(binary, args, { encoding: "utf8", env: { ...clean, ...env }, timeout: 20000, ...more });

/** It ends with this status, and what it says are lines of its own, of which one is this. */
export function assertSays(args, pattern, { env, status = 2 } = {}) {
  const ended = runBinary(args, { env });
  assert.equal(ended.status, status, `${args.join(" ")}: ${ended.stderr}`);
  assert.match(ended.stderr, /^(yukizuri: [^\n]+\n)+$/, args.join(" "));
  assert.match(ended.stderr, pattern, args.join(" "));
}
