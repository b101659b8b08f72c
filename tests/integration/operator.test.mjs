// What a gateway says of itself to whoever operates it: in its log, in /metrics, in /api/stats.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { Gateway, Member, Process, atEnd, binary, freePort, get, joined, lasting, parseLog, startGateway, startRedis, temporaryDirectory, until } from "../lib/harness.mjs";

const readyz = async (gateway) => (await get(`${gateway.origin}/readyz`).catch(() => null))?.status;
const ofKind = (gateway, kind) => gateway.log.filter((line) => line.kind === kind);
const warnings = (gateway) => gateway.log.filter(({ level }) => level !== "info");

/** All of /metrics: { name: value } with labels as they are written. */
async function metrics(gateway) {
  const { body } = await get(`${gateway.origin}/metrics`);
  return Object.fromEntries(body.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
}

const metric = async (gateway, name) => (await metrics(gateway))[`yukizuri_${name}`];

// --- The end ---

const quick = ["--lease", "1", "--leave-grace", "1"];

for (const { what, members = 0, workers = 1, signals, drain = "0" } of [
  { what: "nobody is there, SIGTERM", signals: ["SIGTERM"] },
  { what: "a member is there, SIGTERM", members: 1, signals: ["SIGTERM"] },
  { what: "a member is there and a drain is under way, SIGTERM again", members: 3, signals: ["SIGTERM", "SIGTERM"], drain: "60" },
  { what: "a member is there, SIGINT", members: 1, signals: ["SIGINT"] },
  { what: "workers, SIGTERM", members: 2, workers: 2, signals: ["SIGTERM"] },
  { what: "workers, SIGINT", members: 2, workers: 2, signals: ["SIGINT"] },
]) {
  test(`a gateway that stops cleanly gives its lease back, and nobody warns that it died: ${what}`, { timeout: 60000 }, async (t) => {
    const redis = await startRedis(t);
    const other = await startGateway(t, { redis, args: ["--gateway-id", "other", ...quick] });
    const gateway = new Gateway(t, await freePort(), ["--redis", redis.url, "--gateway-id", "one", "--workers", String(workers), "--drain", drain, ...quick]);
    await until("it is ready", async () => (await readyz(gateway)) === 200);
    for (let i = 0; i < members; i++) await joined(t, gateway.url, `member ${i}`);
    for (const signal of signals) {
      gateway.signal(signal);
      if (signal !== signals.at(-1)) await until("it drains", () => ofKind(gateway, "drain").length > 0);
    }
    assert.deepEqual(await gateway.ended, { code: 0, signal: null });
    assert.deepEqual(redis.lines("KEYS", "yukizuri:gateway:one*").filter((key) => !/:(gone|rooms|probe)$/.test(key)), [], "no lease is left");
    await until("nobody is left on the list", () => redis.lines("SMEMBERS", "yukizuri:gateways").join() === "other");
    assert.deepEqual(warnings(other).filter(({ kind }) => kind === "gateway-buried"), []);
    if (members === 0) assert.deepEqual(ofKind(other, "gateway-buried"), [], "with no room there was nothing to look for");
  });
}

test("SIGTERM again and again until it has ended: the status is 0", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  for (let round = 0; round < 5; round++) {
    const gateway = new Gateway(t, await freePort(), ["--redis", redis.url, "--drain", "0"]);
    await until("it is ready", async () => (await readyz(gateway)) === 200);
    await until("it has ended", () => {
      if (gateway.running) gateway.signal("SIGTERM");
      return !gateway.running;
    });
    assert.deepEqual(await gateway.ended, { code: 0, signal: null });
  }
});

test("the stop line says why, how many have moved, how many were cut, and how long it took", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = new Gateway(t, await freePort(), ["--redis", redis.url, "--drain", "1"]);
  await until("it is ready", async () => (await readyz(gateway)) === 200);
  const movers = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  await joined(t, gateway.url, "stays");
  gateway.signal("SIGTERM");
  for (const member of movers) {
    await member.waitFor({ type: "reconnect" });
    member.socket.close(1000);
  }
  await gateway.ended;
  assert.match(gateway.log.at(-1).message, /^SIGTERM: 2 connections moved by themselves, 1 had to be cut, in \d+\.\d s$/);
});

test("the stop line of SIGINT: all who were there were cut", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = new Gateway(t, await freePort(), ["--redis", redis.url]);
  await until("it is ready", async () => (await readyz(gateway)) === 200);
  await joined(t, gateway.url, "alice");
  await joined(t, gateway.url, "bob");
  gateway.signal("SIGINT");
  await gateway.ended;
  assert.match(gateway.log.at(-1).message, /^SIGINT: 0 connections moved by themselves, 2 had to be cut, in \d+\.\d s$/);
});

// --- Ready, and what Redis refuses ---

for (const { word, spoil, mend } of [
  { word: "OOM", spoil: (redis) => (redis.run("CONFIG", "SET", "maxmemory-policy", "noeviction"), redis.run("CONFIG", "SET", "maxmemory", "1")), mend: (redis) => redis.run("CONFIG", "SET", "maxmemory", "0") },
  { word: "NOREPLICAS", spoil: (redis) => redis.run("CONFIG", "SET", "min-replicas-to-write", "1"), mend: (redis) => redis.run("CONFIG", "SET", "min-replicas-to-write", "0") },
  { word: "NOPERM", spoil: (redis) => redis.run("ACL", "SETUSER", "yukizuri", "-evalsha"), mend: (redis) => redis.run("ACL", "SETUSER", "yukizuri", "+evalsha") },
]) {
  test(`a Redis that refuses what people need (${word}) is in the log once and in the metrics, and so is its end`, { timeout: 60000 }, async (t) => {
    const redis = await startRedis(t, { shipped: true });
    const gateway = await startGateway(t, { redis });
    const before = await metrics(gateway);
    assert.deepEqual([before.yukizuri_ready, before.yukizuri_redis_refuses, before.yukizuri_redis_up], [1, 0, 1]);
    spoil(redis);
    await until("the metrics say so", async () => {
      const now = await metrics(gateway);
      return now.yukizuri_ready === 0 && now.yukizuri_redis_refuses === 1 && now.yukizuri_redis_up === 1 && now[`yukizuri_redis_errors_total{code="${word}"}`] > 0;
    });
    assert.equal(await readyz(gateway), 503);
    const stats = await gateway.stats();
    assert.deepEqual([stats.ready, stats.redis_refuses, stats.redis_up, stats.draining], [0, 1, 1, 0]);
    const [line] = await until("the log says so", () => ofKind(gateway, "redis-refuses").length > 0 && ofKind(gateway, "redis-refuses"));
    assert.equal(line.level, "warn");
    assert.match(line.err, new RegExp(word));
    mend(redis);
    await until("it is ready again", async () => (await metric(gateway, "ready")) === 1);
    await until("the log says that it is over", () => ofKind(gateway, "redis-accepts").length > 0);
    assert.equal((await gateway.stats()).redis_refuses, 0);
    assert.equal(ofKind(gateway, "redis-refuses").length, 1);
    if (word === "NOPERM") redis.run("ACL", "LOG", "RESET");
  });
}

test("yukizuri_ready says what /readyz says: not while it drains, not while Redis is away", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--drain", "60"] });
  await Promise.all(Array.from({ length: 3 }, (_, i) => joined(t, gateway.url, `member ${i}`)));
  const agree = async (wanted) => (await readyz(gateway)) === (wanted ? 200 : 503) && (await metric(gateway, "ready")) === Number(wanted);
  await until("it is ready", () => agree(true));
  const { port } = redis;
  await redis.stop("SIGKILL");
  await until("it is not", () => agree(false));
  assert.equal(await metric(gateway, "redis_up"), 0);
  const again = await startRedis(t, { port });
  await until("it is again", () => agree(true));
  assert.ok(again.running);
});

test("descriptors in use and their limit are in the metrics: they grow with the connections", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const opened = () => fs.readdirSync(`/proc/${gateway.pid}/fd`).length;
  const before = await metrics(gateway);
  assert.ok(Math.abs(before.yukizuri_open_descriptors - opened()) <= 3, `${before.yukizuri_open_descriptors} and ${opened()}`);
  const [, soft] = /^Max open files +(\d+)/m.exec(fs.readFileSync(`/proc/${gateway.pid}/limits`, "utf8"));
  assert.equal(before.yukizuri_max_descriptors, Number(soft));
  await Promise.all(Array.from({ length: 20 }, (_, i) => joined(t, gateway.url, `member ${i}`)));
  assert.ok((await metric(gateway, "open_descriptors")) >= before.yukizuri_open_descriptors + 20);
  assert.ok((await gateway.stats()).open_descriptors >= before.yukizuri_open_descriptors + 20);
});
