// Runs the program as a command, and checks its output and exit status.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { binary } from "./files.mjs";

/** The environment without the program's settings. */
export const clean = { PATH: process.env.PATH };

export const runBinary = (args, { env = {}, ...more } = {}) => spawnSync(binary, args, { encoding: "utf8", env: { ...clean, ...env }, timeout: 20000, ...more });

/** Asserts the exit status, that every line of the output is the program's own, and that one of them matches. */
export function assertSays(args, pattern, { env, status = 2 } = {}) {
  const ended = runBinary(args, { env });
  assert.equal(ended.status, status, `${args.join(" ")}: ${ended.stderr}`);
  assert.match(ended.stderr, /^(yukizuri: [^\n]+\n)+$/, args.join(" "));
  assert.match(ended.stderr, pattern, args.join(" "));
}
