// What a gateway says of itself to whoever operates it: in its log, in /metrics, in /api/stats.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import test from "node:test";
import { Gateway, atEnd, binary, freePort, get, joined, lasting, startGateway, startRedis, until } from "../lib/harness.mjs";

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
  for (const { socket } of movers) socket.on("message", (data) => JSON.parse(data.toString()).type === "reconnect" && socket.close(1000));
  gateway.signal("SIGTERM");
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
  const gateway = await startGateway(t, { redis, args: ["--drain", "60", "--drain-delay", "60"] });
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
  gateway.signal("SIGTERM");
  await until("it is not, as it drains", () => agree(false));
  assert.equal(await metric(gateway, "draining"), 1);
});

test("descriptors in use and their limit are in the metrics: they grow with the connections", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const opened = () => fs.readdirSync(`/proc/${gateway.pid}/fd`).length;
  const agree = async () => Math.abs((await metric(gateway, "open_descriptors")) - opened()) <= 3; // of the questions themselves
  await until("they are counted", agree);
  const [, soft] = /^Max open files +(\d+)/m.exec(fs.readFileSync(`/proc/${gateway.pid}/limits`, "utf8"));
  assert.equal(await metric(gateway, "max_descriptors"), Number(soft));
  await Promise.all(Array.from({ length: 20 }, (_, i) => joined(t, gateway.url, `member ${i}`)));
  await until("they are counted", agree);
  assert.ok((await gateway.stats()).open_descriptors > 20);
});

// --- The start ---

test("the start line says what runs, where it listens, where its Redis is, how it sends, and the limits in force; no secret", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--send", "writev", "--rate", "7:70", "--max-members", "9", "--max-connections", "50"] });
  const [{ message }] = ofKind(gateway, "start");
  const version = execFileSync(binary, ["--version"], { encoding: "utf8" }).trim();
  const parts = message.split("; ");
  assert.equal(parts[0], `listening on 127.0.0.1:${gateway.port}`);
  assert.equal(parts[1], version, message);
  assert.match(parts[2], new RegExp(`^Redis: redis://127\\.0\\.0\\.1:${redis.port}\\b.*, prefix yukizuri$`));
  assert.equal(parts[3], "sending by writev");
  const limits = Object.fromEntries(parts[4].replace(/^limits \(0: none\): /, "").split(", ").map((part) => part.split(" ")));
  const [, soft] = /^Max open files +(\d+)/m.exec(fs.readFileSync(`/proc/${gateway.pid}/limits`, "utf8"));
  assert.deepEqual([limits.rate, limits["max-members"], limits["max-connections"], limits.descriptors], ["7:70", "9", "50", soft]);
  for (const name of ["max-connections-per-address", "max-text", "max-message", "backlog", "retention", "leave-grace", "lease", "ping", "keep-alive", "drain", "drain-delay"]) assert.match(limits[name], /^\d+$/, name);
  const [{ message: up }] = await until("Redis is told", () => ofKind(gateway, "redis-up").length > 0 && ofKind(gateway, "redis-up"));
  assert.equal(up, `redis://127.0.0.1:${redis.port} is there: Redis ${/redis_version:(\S+)/.exec(redis.run("INFO", "server"))[1]}`);
  assert.doesNotMatch(gateway.output, /a password of the tests/);
});

test("the start line of a gateway with a Redis of its own says so", { timeout: 60000 }, async (t) => {
  const gateway = await startGateway(t);
  assert.match(ofKind(gateway, "start")[0].message, /; Redis: unix:\/.*\/redis\.sock \(its own\), prefix yukizuri;/);
});

// --- Which gateway is slow, and is delivery delayed? ---

/** Stops a process for so long, again and again, until `end` is called. */
function hinder(gateway, { stopped, running }) {
  let over = false;
  const done = (async () => {
    while (!over) {
      gateway.signal("SIGSTOP");
      await lasting(stopped);
      gateway.signal("SIGCONT");
      await lasting(running);
    }
  })();
  return { end: () => ((over = true), done) };
}

test("a gateway that was frozen says so as soon as it runs again, with how long, and counts it", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  assert.equal(await metric(gateway, "frozen_total"), 0);
  const from = Date.now();
  gateway.signal("SIGSTOP");
  await lasting(3000);
  gateway.signal("SIGCONT");
  const [line] = await until("the log says so", () => ofKind(gateway, "frozen").length > 0 && ofKind(gateway, "frozen"));
  const [, ms] = /^this process did not run for (\d+) ms at least: it was stopped, or its host stood still$/.exec(line.message);
  assert.ok(Number(ms) > 0 && Number(ms) <= Date.now() - from, `${ms} ms`);
  assert.equal(line.level, "warn");
  const now = await metrics(gateway);
  assert.equal(now.yukizuri_frozen_total, 1);
  assert.equal(now.yukizuri_frozen_seconds_total, Number(ms) / 1000);
  assert.equal((await gateway.stats()).frozen, 1);
});

test("which gateway is slow: its log and its metrics say so, and those of the other one do not", { timeout: 90000 }, async (t) => {
  const redis = await startRedis(t);
  const [fast, slow] = [await startGateway(t, { redis, args: ["--gateway-id", "fast"] }), await startGateway(t, { redis, args: ["--gateway-id", "slow"] })];
  const [alice, bob] = [await joined(t, fast.url, "alice"), await joined(t, slow.url, "bob")];
  const hindrance = hinder(slow, { stopped: 2500, running: 300 });
  for (let i = 0; i < 3; i++) {
    for (const [speaker, name] of [[alice, "a"], [bob, "b"]]) speaker.send({ type: "say", text: `${name}${i}`, nonce: `${name}${i}` });
    await bob.waitFor({ type: "ack", nonce: `b${i}` });
    await alice.waitFor({ type: "message", text: `b${i}` });
  }
  await hindrance.end();
  await until("the slow one's log says so", () => ofKind(slow, "frozen").length + ofKind(slow, "slow").length > 0);
  const [ofFast, ofSlow] = [await fast.stats(), await slow.stats()];
  assert.ok(ofSlow.frozen > ofFast.frozen, JSON.stringify([ofFast, ofSlow]));
  assert.ok(ofSlow.say_to_shown.count === 3 && ofFast.say_to_shown.count === 3, JSON.stringify([ofFast.say_to_shown, ofSlow.say_to_shown]));
  assert.deepEqual(ofKind(fast, "frozen"), []);
});

/** A way to `port` on which everything takes `delay.ms` in each direction. */
async function startSlowPath(t, port, delay) {
  const server = net.createServer((near) => {
    const far = net.connect(port, "127.0.0.1");
    for (const [from, to] of [[near, far], [far, near]]) {
      from.on("data", (data) => setTimeout(() => to.writable && to.write(data), delay.ms));
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
    }
    atEnd(t, () => near.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(t, () => server.close());
  return server.address().port;
}

test("is delivery delayed: say-to-shown tells, and that it is the way to Redis and not the gateway", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const delay = { ms: 0 };
  const gateway = await startGateway(t, { redis: redis.urlAt("127.0.0.1", await startSlowPath(t, redis.port, delay)) });
  const members = await Promise.all(["alice", "bob", "carol"].map((name) => joined(t, gateway.url, name)));
  const say = async (text) => {
    members[0].send({ type: "say", text, nonce: text });
    await Promise.all(members.map((member) => member.waitFor({ type: "message", text })));
    await members[0].waitFor({ type: "ack", nonce: text });
  };
  for (let i = 0; i < 5; i++) await say(`quick ${i}`);
  const measured = async (count) => until("all is measured", async () => (await metric(gateway, "say_to_shown_seconds_count")) === count);
  await measured(5);
  const before = await metrics(gateway);
  delay.ms = 300;
  for (let i = 0; i < 5; i++) await say(`late ${i}`);
  await measured(10);
  const now = await metrics(gateway);
  const below = (figures, seconds) => figures[`yukizuri_say_to_shown_seconds_bucket{le="${seconds}"}`];
  assert.equal(below(now, 0.5) - below(before, 0.5), 0, "300 ms there, and as much back");
  assert.equal(below(now, "+Inf"), 10);
  assert.ok(now.yukizuri_say_to_shown_seconds_sum - before.yukizuri_say_to_shown_seconds_sum >= 3);
  const late = Object.entries(now).filter(([name]) => name.startsWith("yukizuri_loop_seconds_bucket{le=\"0.25\"")).map(([, value]) => value);
  assert.deepEqual(late, [now.yukizuri_loop_seconds_count], "no turn of the loop took long");
  const { say_to_shown: shown, loop, flush } = await gateway.stats();
  assert.equal(shown.count, 10);
  assert.ok(shown.p99_seconds > 0.5 && shown.p50_seconds < shown.p99_seconds && shown.sum_seconds >= 3, JSON.stringify(shown));
  assert.ok(loop.count > 0 && flush.count >= 10 && flush.p99_seconds < shown.p99_seconds, JSON.stringify({ loop, flush }));
});

test("what is said is measured once, and only when it was accepted", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "1000:1000"] });
  const alice = await joined(t, gateway.url, "alice");
  await joined(t, gateway.url, "bob");
  for (let i = 0; i < 300; i++) alice.send({ type: "say", text: `line ${i}`, nonce: `n${i}` });
  await alice.waitFor({ type: "ack", nonce: "n299" });
  alice.send({ type: "say", text: "", nonce: "empty" });
  alice.send({ type: "say", text: "again", nonce: "n299" });
  await alice.settled();
  await until("all are measured", async () => (await metric(gateway, "say_to_shown_seconds_count")) >= 300);
  assert.ok((await metric(gateway, "say_to_shown_seconds_count")) <= 301);
});

test("histograms are what Prometheus reads: buckets that grow, +Inf is the count", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "say", text: "one", nonce: "1" });
  await alice.waitFor({ type: "message", text: "one" });
  const figures = await metrics(gateway);
  for (const name of ["say_to_shown", "flush", "loop", "probe_lag"]) {
    const buckets = Object.entries(figures).filter(([key]) => key.startsWith(`yukizuri_${name}_seconds_bucket{`));
    const bounds = buckets.map(([key]) => Number(/le="([^"]+)"/.exec(key)[1].replace("+Inf", "Infinity")));
    assert.ok(bounds.length > 10 && bounds.at(-1) === Infinity && bounds.every((bound, i) => i === 0 || bound > bounds[i - 1]), `${name}: ${bounds}`);
    assert.ok(buckets.every(([, value], i) => i === 0 || value >= buckets[i - 1][1]), name);
    assert.equal(buckets.at(-1)[1], figures[`yukizuri_${name}_seconds_count`]);
    assert.ok(figures[`yukizuri_${name}_seconds_sum`] >= 0);
  }
});
