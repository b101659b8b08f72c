// Cases of hostile bytes: each is sent as it is, directly and through nginx, and after each the gateway must serve. After all of
// them the gateway must have back what they took.
import assert from "node:assert/strict";
import { descriptorsOf } from "./process.mjs";
import { get, rawExchange } from "./http.mjs";
import { startGateway } from "./gateway.mjs";
import { startNginx } from "./nginx.mjs";
import { startRedis } from "./redis.mjs";
import { until } from "./until.mjs";

const ROUNDS = 3;
// What resident memory may grow by in a round after others like it. A leak of 40 KB in each case would exceed it; smaller ones are
// found by the leak sanitizer at the end. A sanitizer keeps freed memory for a while, here little.
const MOST_GROWTH_BYTES = 4e6;
const FORGETFUL = { ...process.env, ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ""}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64` };

/** A gateway for such cases, and how many descriptors it has before any. */
export async function startVictim(t, args = []) {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "50:50", "--max-connections-per-address", "0", ...args], env: FORGETFUL });
  return { gateway, descriptors: descriptorsOf(gateway.pid).length };
}

async function assertServes(gateway, name) {
  assert.equal((await get(`${gateway.origin}/healthz`)).status, 200, `the gateway serves after: ${name}`);
}

/** Sends the bytes of a case; all that comes back until the peer closes. */
export const provoke = (port, bytes) => rawExchange(port, Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, "latin1"));

/** Runs each case in three rounds, directly and (if `viaNginx` has an expectation for it) through nginx. `judge(answer, expected)` says
 *  what is wrong with an answer, or nothing. */
export async function runRounds(t, { gateway, descriptors }, cases, { expected, viaNginx, judge }) {
  const nginx = await startNginx(t, [`127.0.0.1:${gateway.port}`]);
  const failures = new Set();
  const memory = [];
  const check = async (where, port, each, wanted) => {
    const wrong = judge(await provoke(port, each.bytes), wanted);
    if (wrong) failures.add(`${each.name} (${where}): ${wrong}`);
    await assertServes(gateway, each.name);
  };
  for (let round = 0; round < ROUNDS; round++) {
    for (const each of cases) {
      await check("direct", gateway.port, each, expected(each));
      if (viaNginx(each) !== null) await check("nginx", nginx.port, each, viaNginx(each));
    }
    memory.push((await gateway.stats()).resident_memory_bytes);
  }
  assert.deepEqual([...failures], []);
  await nginx.stop("SIGTERM"); // it keeps connections to the gateway
  await assertNothingStays({ gateway, descriptors });
  const growth = memory[ROUNDS - 1] - memory[ROUNDS - 2];
  assert.ok(growth <= MOST_GROWTH_BYTES, `resident memory grew by ${growth} bytes in the last round: ${memory}`);
}

/** All descriptors and connections that were taken are given back. */
export async function assertNothingStays({ gateway, descriptors }) {
  const count = () => descriptorsOf(gateway.pid).length;
  await until(() => `${count()} descriptors are at most ${descriptors} again`, () => count() <= descriptors);
  await until("no connection is left", async () => (await gateway.stats()).connections === 0);
}
