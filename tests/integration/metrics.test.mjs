// The metrics of a gateway, in /metrics and /api/stats.
import assert from "node:assert/strict";

import fs from "node:fs";
import test from "node:test";
import { descriptorsOf, joined, metric, metrics, ofKind, readyz, startGateway, startRedis, stopwatch, unfit, until, untilLogged } from "../lib/harness.mjs";
import { startSlowPath } from "../lib/redis-paths.mjs";

for (const { word, spoil, mend } of [
  { word: "OOM", spoil: (redis) => (redis.run("CONFIG", "SET", "maxmemory-policy", "noeviction"), redis.refuseWrites()), mend: (redis) => redis.takeWrites() },
  { word: "NOREPLICAS", spoil: (redis) => redis.run("CONFIG", "SET", "min-replicas-to-write", "9"), mend: (redis) => redis.run("CONFIG", "SET", "min-replicas-to-write", "0") },
  { word: "NOPERM", spoil: (redis) => redis.run("ACL", "SETUSER", "yukizuri", "-evalsha"), mend: (redis) => redis.run("ACL", "SETUSER", "yukizuri", "+evalsha") },
]) {
  test(`a Redis that refuses members' commands (${word}) is in the log once and in the metrics, and so is its recovery`, { timeout: 120000 }, async (t) => {
    const redis = await startRedis(t, { shipped: true });
    const gateway = await startGateway(t, { redis });
    const before = await metrics(gateway);
    assert.deepEqual([before.yukizuri_ready, before.yukizuri_redis_refuses, before.yukizuri_redis_up], [1, 0, 1]);
    spoil(redis);
    await until("the metrics say so", async () => {
      const now = await metrics(gateway);
      return now.yukizuri_ready === 0 && now.yukizuri_redis_refuses === 1 && now.yukizuri_redis_up === 1 && now[`yukizuri_redis_errors_total{code="${word}"}`] > 0;
    });
    assert.equal((await readyz(gateway)).status, 503);
    const stats = await gateway.stats();
    assert.deepEqual([stats.ready, stats.redis_refuses, stats.redis_up, stats.draining], [0, 1, 1, 0]);
    const [line] = await untilLogged(gateway, "redis-refuses");
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

test("yukizuri_ready equals /readyz: it is 0 during a drain and without Redis", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--drain", "60", "--drain-delay", "60"] });
  await Promise.all(Array.from({ length: 3 }, (_, i) => joined(t, gateway.url, `member ${i}`)));
  const agree = async (wanted) => (await readyz(gateway)).status === (wanted ? 200 : 503) && (await metric(gateway, "ready")) === Number(wanted);
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

test("open descriptors and their limit are in the metrics, and grow with the connections", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const opened = () => descriptorsOf(gateway.pid).length;
  const agree = async () => Math.abs((await metric(gateway, "open_descriptors")) - opened()) <= 3; // of the requests themselves
  await until("they are counted", agree);
  const [, soft] = /^Max open files +(\d+)/m.exec(fs.readFileSync(`/proc/${gateway.pid}/limits`, "utf8"));
  assert.equal(await metric(gateway, "max_descriptors"), Number(soft));
  await Promise.all(Array.from({ length: 20 }, (_, i) => joined(t, gateway.url, `member ${i}`)));
  await until("they are counted", agree);
  assert.ok((await gateway.stats()).open_descriptors > 20);
  const now = await metrics(gateway);
  assert.equal(now.process_open_fds, now.yukizuri_open_descriptors);
  assert.equal(now.process_max_fds, Number(soft));
});

test("the limit on connections is in the metrics", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--max-connections", "77"] });
  assert.equal(await metric(gateway, "max_connections"), 77);
  assert.equal((await gateway.stats()).max_connections, 77);
});

test("a gateway that was frozen logs this with the duration as soon as it runs again, and counts it", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  assert.equal(await metric(gateway, "frozen_total"), 0);
  const seconds = stopwatch();
  await gateway.freezeFor(3000);
  const [line] = await untilLogged(gateway, "frozen");
  const [, ms] = /^this process did not run for (\d+) ms at least: it was stopped, or its host stood still$/.exec(line.message);
  assert.ok(Number(ms) > 0 && Number(ms) / 1000 <= seconds(), `${ms} ms`);
  assert.equal(line.level, "warn");
  const now = await metrics(gateway);
  assert.equal(now.yukizuri_frozen_total, 1);
  assert.equal(now.yukizuri_frozen_seconds_total, Number(ms) / 1000);
  assert.equal((await gateway.stats()).frozen, 1);
});

test("a gateway that is stopped repeatedly reports this in its own log and metrics only", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const [fast, slow] = [await startGateway(t, { redis, args: ["--gateway-id", "fast"] }), await startGateway(t, { redis, args: ["--gateway-id", "slow"] })];
  const [alice, bob] = [await joined(t, fast.url, "alice"), await joined(t, slow.url, "bob")];
  for (let i = 0; i < 3; i++) {
    const frozen = slow.freezeFor(2500);
    for (const [speaker, name] of [[alice, "a"], [bob, "b"]]) speaker.send({ type: "say", text: `${name}${i}`, nonce: `${name}${i}` });
    await bob.waitFor({ type: "ack", nonce: `b${i}` });
    await alice.waitFor({ type: "message", text: `b${i}` });
    await frozen;
  }
  await until("the slow one's log says so", () => ofKind(slow, "frozen").length + ofKind(slow, "slow").length > 0);
  const [ofFast, ofSlow] = [await fast.stats(), await slow.stats()];
  assert.ok(ofSlow.frozen > ofFast.frozen, JSON.stringify([ofFast, ofSlow]));
  assert.ok(ofSlow.say_to_shown.count === 3 && ofFast.say_to_shown.count === 3, JSON.stringify([ofFast.say_to_shown, ofSlow.say_to_shown]));
  assert.deepEqual(ofKind(fast, "frozen"), []);
});

test("a slow path to Redis shows in say-to-shown, and not in the gateway's own times", { skip: unfit("cluster", "the path leads to one server"), timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const path = await startSlowPath(t, redis);
  const gateway = await startGateway(t, { redis: path.url });
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
  path.ms = 300;
  for (let i = 0; i < 5; i++) await say(`late ${i}`);
  await measured(10);
  const now = await metrics(gateway);
  const below = (figures, seconds) => figures[`yukizuri_say_to_shown_seconds_bucket{le="${seconds}"}`];
  assert.equal(below(now, 0.5) - below(before, 0.5), 0, "300 ms there, and as much back");
  assert.equal(below(now, "+Inf"), 10);
  assert.ok(now.yukizuri_say_to_shown_seconds_sum - before.yukizuri_say_to_shown_seconds_sum >= 3);
  const { say_to_shown: shown, loop, flush } = await gateway.stats();
  assert.equal(shown.count, 10);
  assert.ok(shown.p99_seconds > 0.5 && shown.p50_seconds < shown.p99_seconds && shown.sum_seconds >= 3, JSON.stringify(shown));
  assert.ok(loop.count > 0 && flush.count >= 10, JSON.stringify({ loop, flush }));
  for (const part of [loop, flush]) assert.ok(part.p99_seconds < shown.p99_seconds, `the gateway is not what takes long: ${JSON.stringify({ loop, flush, shown })}`);
});

test("say-to-shown measures an accepted message once, and no refused one", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "1000:1000"] });
  const alice = await joined(t, gateway.url, "alice");
  await joined(t, gateway.url, "bob");
  const measured = () => metric(gateway, "say_to_shown_seconds_count");
  const acks = () => alice.received.filter((message) => message.type === "ack").length;
  // a hundred at a time: of what is on its way, at most 256 are measured
  for (let i = 0; i < 300; i++) {
    alice.send({ type: "say", text: `line ${i}`, nonce: `n${i}` });
    if (i % 100 === 99) await until("they are measured", async () => (await measured()) === i + 1);
  }
  alice.send({ type: "say", text: "", nonce: "empty" });
  await alice.waitFor({ type: "error", nonce: "empty" });
  alice.send({ type: "say", text: "again", nonce: "n299" });
  await until("the repeat is accepted", () => acks() === 301);
  await until("it is measured", async () => (await measured()) >= 301);
  assert.equal(await measured(), 301);
});

test("histograms have the form that Prometheus reads: growing buckets, and +Inf is the count", { timeout: 120000 }, async (t) => {
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
