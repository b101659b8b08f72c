// --workers: several gateways on one port, with a supervisor.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import test from "node:test";
import { Process, binary, childrenOf, freePort, freePortPair, get, joined, startGateway, startRedis, until, untilReady } from "../lib/harness.mjs";
import { ROOM } from "../lib/rooms.mjs";

test("with workers auto on one core the second SIGTERM ends the process at once", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const port = await freePort();
  const core = execFileSync("sh", ["-c", "taskset -cp $$ | sed 's/.*: *//; s/[,-].*//'"], { encoding: "utf8" }).trim();
  const gateway = new Process(t, "taskset", ["-c", core, binary, "--addr", `127.0.0.1:${port}`, "--redis", redis.url, "--workers", "auto", "--drain", "600"]);
  await untilReady(port);
  assert.deepEqual(childrenOf(gateway.pid), [], "a single one needs no supervisor");
  const alice = await joined(t, `ws://127.0.0.1:${port}/room`, "alice");
  gateway.signal("SIGTERM");
  await until("it drains", () => alice.find({ type: "reconnect" }));
  gateway.signal("SIGTERM");
  await until("it has ended", () => !gateway.running);
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
});

/** Opens members on the same port until Redis shows that every worker has one. */
async function joinUntilAllWorkersHaveOne(t, gateway, redis, workers) {
  const members = [];
  const gateways = () =>
    new Set(members.map(({ welcome }) => redis.lines("HGET", `${ROOM}:member:${welcome.me.name}`, "gateway")[0]));
  await until("the kernel has chosen every worker", async () => {
    members.push(await joined(t, gateway.url, `m${members.length}`));
    return gateways().size === workers;
  });
  return members;
}

test("workers share a port and a room; a killed one is replaced, and its members resume", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--workers", "3", "--gateway-id", "w"] });
  assert.equal(childrenOf(gateway.pid).length, 3);
  await until("all leases are there", () => redis.lines("SMEMBERS", "yukizuri:gateways").length === 3);
  const members = await joinUntilAllWorkersHaveOne(t, gateway, redis, 3);
  members[0].send({ type: "say", text: "hello", nonce: "1" });
  for (const member of members) await member.waitFor({ type: "message", text: "hello" });
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:gateways").sort(), ["w-1", "w-2", "w-3"]);

  const [victim] = childrenOf(gateway.pid);
  process.kill(victim, "SIGKILL");
  await until("another one takes its place", () => childrenOf(gateway.pid).length === 3 && !childrenOf(gateway.pid).includes(victim));
  const lost = await until("somebody was on it", () => members.find((member) => member.closed));
  const { epoch, seq, resume, me } = lost.welcome;
  const again = await joined(t, gateway.url, me.name, { resume, since: { epoch, seq } });
  assert.equal(again.welcome.me.id, me.id);
  await again.waitFor({ type: "message", text: "hello" });
});

test("SIGTERM drains all workers; no process remains, and the status is 0", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { args: ["--workers", "2", "--drain", "1"] }); // and they share one embedded Redis
  const member = await joined(t, gateway.url, "alice");
  const children = childrenOf(gateway.pid);
  gateway.signal("SIGTERM");
  await member.waitFor({ type: "reconnect" });
  assert.equal((await member.waitClosed()).code, 1012);
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
  for (const pid of children) await until("it is gone", () => !fs.existsSync(`/proc/${pid}`));
});

test("SIGTERM to the whole process group, which reaches a worker twice, still drains", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--workers", "2", "--drain", "1"] });
  const member = await joined(t, gateway.url, "alice");
  for (const pid of [...childrenOf(gateway.pid), gateway.pid]) process.kill(pid, "SIGTERM");
  await member.waitFor({ type: "reconnect" });
  assert.equal((await member.waitClosed()).code, 1012);
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
});

test("workers with a private Redis on a port that is taken give one clear line, and no second chat", { timeout: 120000 }, async (t) => {
  const first = await startGateway(t, { args: ["--workers", "2"] });
  const second = new Process(t, binary, ["--addr", `127.0.0.1:${first.port}`, "--workers", "2"]);
  assert.deepEqual(await second.ended, { code: 1, signal: null });
  assert.match(second.errors, /^yukizuri: cannot listen on 127\.0\.0\.1:\d+: Address already in use; stop what listens there [^\n]+\n$/);
});

test("workers of a killed supervisor end too", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const port = await freePort();
  const supervisor = new Process(t, binary, ["--addr", `127.0.0.1:${port}`, "--redis", redis.url, "--workers", "2", "--drain", "0"]);
  await untilReady(port);
  supervisor.signal("SIGKILL");
  await until("the port is free", async () => (await get(`http://127.0.0.1:${port}/`).catch((error) => error.code)) === "ECONNREFUSED");
});

test("workers that cannot listen report the reason once each, and exit with the status of an error", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const other = net.createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.after(() => other.close());
  const supervisor = new Process(t, binary, ["--addr", `127.0.0.1:${other.address().port}`, "--redis", redis.url, "--workers", "2"]);
  assert.deepEqual(await supervisor.ended, { code: 1, signal: null });
  assert.match(supervisor.errors, /^(yukizuri: cannot listen on 127\.0\.0\.1:\d+: Address already in use; stop what listens there [^\n]+\n){1,2}$/);
});

test("each worker has an address of its own with worker-addr, which tells its figures and no other's", async (t) => {
  const redis = await startRedis(t);
  const alone = await freePortPair();
  const gateway = await startGateway(t, { redis, args: ["--workers", "2", "--gateway-id", "w", "--worker-addr", `127.0.0.1:${alone}`] });
  for (let number = 1; number <= 2; number++) {
    const port = alone + number - 1;
    await untilReady(port);
    const metrics = (await get(`http://127.0.0.1:${port}/metrics`)).body;
    assert.match(metrics, new RegExp(`^yukizuri_build_info\\{[^}]*gateway="w-${number}"`, "m"));
  }
  assert.deepEqual(await gateway.stop("SIGTERM"), { code: 0, signal: null });
});
