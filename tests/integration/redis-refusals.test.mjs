// A Redis that answers but refuses commands: permissions, switchovers, clusters, no memory.
import assert from "node:assert/strict";
import test from "node:test";
import { Member, joined, metric, ofKind, readyz, startGateway, startRedis, stopwatch, temporaryDirectory, unfit, until, untilReady } from "../lib/harness.mjs";
import { ROOM } from "../lib/rooms.mjs";
import { startAddress } from "../lib/redis-paths.mjs";

const head = (redis, field) => redis.run("HGET", `${ROOM}:head`, field);

test("a gateway whose Redis refuses writes is not ready", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  redis.refuseWrites();
  await until("readyz says why", async () => /takes no writes: OOM/.test((await readyz(gateway)).body));
  redis.takeWrites();
  await untilReady(gateway);
});

async function startPair(t) {
  const master = await startRedis(t);
  const replica = await startRedis(t, { args: ["--replicaof", "127.0.0.1", String(master.port), "--repl-diskless-sync-delay", "0"] });
  await until("the replica has everything", () => /master_link_status:up/.test(replica.run("INFO", "replication")));
  return { master, replica };
}

for (const [word, spoil] of [
  ["READONLY", (old, port) => old.run("REPLICAOF", "127.0.0.1", String(port))],
  ["MASTERDOWN", (old) => (old.run("CONFIG", "SET", "replica-serve-stale-data", "no"), old.run("REPLICAOF", "127.0.0.1", "1"))],
]) {
  test(`after a switchover behind an address that keeps its connections (${word}), the gateway changes to the new master`, { skip: unfit("any", "an address leads to one server") }, async (t) => {
    const { master, replica } = await startPair(t);
    const address = await startAddress(t, master.port);
    const gateway = await startGateway(t, { redis: address.url });
    const alice = await joined(t, gateway.url, "alice");
    replica.run("REPLICAOF", "NO", "ONE");
    address.target = replica.port;
    spoil(master, replica.port);
    await alice.insist("after");
    await alice.waitFor({ type: "message", text: "after" });
    assert.equal(replica.run("EXISTS", "yukizuri:{lobby}:head"), "1");
    await untilReady(gateway);
    assert.ok((await metric(gateway, `redis_errors_total{code="${word}"}`)) > 0);
    await until("its loss is told", () => ofKind(gateway, "redis-lost").length === 1);
    assert.match(ofKind(gateway, "redis-lost")[0].err, new RegExp(`^${word}`));
  });
}

test("a switchover is noticed in an idle room", { skip: unfit("any", "an address leads to one server") }, async (t) => {
  const { master, replica } = await startPair(t);
  const address = await startAddress(t, master.port);
  const gateway = await startGateway(t, { redis: address.url });
  replica.run("REPLICAOF", "NO", "ONE");
  address.target = replica.port;
  master.run("REPLICAOF", "127.0.0.1", String(replica.port));
  await until("it is at the new master", () => /name=yukizuri/.test(replica.run("CLIENT", "LIST", "TYPE", "pubsub")));
  await untilReady(gateway);
});

test("a Redis that stays a replica is retried at a bounded rate and logged once", { skip: unfit("any", "nobody makes it a master here") }, async (t) => {
  const { replica } = await startPair(t);
  const gateway = await startGateway(t, { redis: replica, ready: false });
  await until("readyz says why", async () => /READONLY/.test((await readyz(gateway)).body));
  const before = await metric(gateway, "redis_lost_total");
  const seconds = stopwatch();
  let lost = 0;
  await until("it was asked a few times more", async () => (lost = (await metric(gateway, "redis_lost_total")) - before) >= 12);
  assert.ok(lost <= 4 + 7 * seconds(), `two connections lost ${lost} times in ${seconds()} s`); // without waiting: thirty times a second
  assert.equal((await readyz(gateway)).status, 503);
  assert.equal(ofKind(gateway, "redis-up").length, 0);
  assert.ok(ofKind(gateway, "redis-lost").length <= 1);
  await until("what it keeps is told", () => ofKind(gateway, "redis-keeps").length > 0);
  assert.equal(ofKind(gateway, "redis-keeps").length, 1, "what it keeps is told once, however often it is asked");
  assert.ok(ofKind(gateway, "redis-error").length <= 4, "each of its wordings once");
  replica.run("REPLICAOF", "NO", "ONE");
  await untilReady(gateway);
  await joined(t, gateway.url, "alice");
});

test("with a master that refuses writes for lack of replicas, the gateway stays connected, is not ready, and becomes ready by itself", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const lost = await metric(gateway, "redis_lost_total");
  redis.run("CONFIG", "SET", "min-replicas-to-write", "9");
  await until("readyz says why", async () => /takes no writes: NOREPLICAS/.test((await readyz(gateway)).body));
  await until("the log says why", () => ofKind(gateway, "redis-error").some((line) => /^NOREPLICAS/.test(line.err)));
  redis.run("CONFIG", "SET", "min-replicas-to-write", "0");
  await untilReady(gateway);
  assert.equal(await metric(gateway, "redis_lost_total"), lost);
});

/** Starts a Redis whose user `chat` has these ACL rules, and a gateway that logs in as `chat`. */
async function startWithRights(t, rules, { ready = true, args = [] } = {}) {
  const redis = await startRedis(t);
  const allow = (...more) => redis.run("ACL", "SETUSER", "chat", ...more);
  allow("on", ">secret", ...rules);
  const gateway = await startGateway(t, { redis: redis.url.replace(/\/\/.*@/, "//chat:secret@"), ready, args: ["--gateway-id", "gw", "--rate", "0", ...args] });
  return { redis, gateway, allow };
}

for (const [name, rules, rest] of [
  ["rooms' channels", ["~*", "+@all", "resetchannels", "&yukizuri:gateway:*"], ["&*"]],
  ["the gateway's own channel", ["~*", "+@all", "resetchannels", "&yukizuri:{*"], ["&*"]],
  ["rooms' keys", ["~yukizuri:gateway*", "&*", "+@all"], ["~*"]],
  ["scripts", ["~*", "&*", "+@all", "-@scripting"], ["+@all"]],
  ["SCRIPT", ["~*", "&*", "+@all", "-script"], ["+@all"]],
  ["TIME", ["~*", "&*", "+@all", "-time"], ["+@all"]],
  ["ZADD", ["~*", "&*", "+@all", "-zadd"], ["+@all"]],
]) {
  test(`a gateway whose Redis user may not ${name} is not ready, and the log gives the reason`, async (t) => {
    const { gateway, allow } = await startWithRights(t, rules, { ready: false });
    await until("readyz says why", async () => /NOPERM|can't run this command|NOSCRIPT/.test((await readyz(gateway)).body));
    await until("the log says why", () => ofKind(gateway, "redis-error").some((line) => /NOPERM|can't run this command/.test(line.err)));
    allow(...rest);
    await untilReady(gateway);
    await joined(t, gateway.url, "alice");
  });
}

test("a room whose channel Redis refuses works as soon as the permission is granted", async (t) => {
  const { gateway, allow } = await startWithRights(t, ["~*", "+@all", "resetchannels", "&yukizuri:gateway:*", "&yukizuri:control", "&yukizuri:{lobby}*"]);
  const alice = await new Member(t, `${gateway.url}/den`).opened();
  alice.send({ type: "join", name: "alice" });
  await alice.waitFor({ type: "error", code: "unavailable" });
  assert.equal((await readyz(gateway)).status, 200, "other rooms live");
  await joined(t, gateway.url, "bob");
  const refused = ofKind(gateway, "subscribe-refused");
  assert.deepEqual(refused.map((line) => [line.room, line.channel]), [["den", "yukizuri:{den}"]]);
  assert.match(refused[0].err, /^NOPERM/);
  allow("&yukizuri:{den}");
  const carol = await new Member(t, `${gateway.url}/den`).opened();
  await carol.insistOn({ type: "join", name: "carol" }, "welcome");
  carol.send({ type: "say", text: "here", nonce: "n" });
  await carol.waitFor({ type: "message", text: "here" });
});

test("when the permission for a room's channel is revoked and granted again, no message is missed", async (t) => {
  const channels = ["&yukizuri:gateway:*", "&yukizuri:control", "&yukizuri:{lobby}*"];
  const { redis, gateway, allow } = await startWithRights(t, ["~*", "+@all", "resetchannels", ...channels, "&yukizuri:{den}"]);
  const other = await startGateway(t, { redis });
  const alice = await joined(t, `${gateway.url}/den`, "alice");
  const bob = await joined(t, `${other.url}/den`, "bob");
  await until("bob is seen", () => alice.saw("joined", "bob"));
  allow("resetchannels", ...channels); // Redis closes the subscribing connection
  await until("the log says so", () => ofKind(gateway, "subscribe-refused").some((line) => line.room === "den"));
  bob.send({ type: "say", text: "unheard", nonce: "n" });
  await bob.waitFor({ type: "ack", nonce: "n" });
  assert.ok(!alice.find({ type: "message" }));
  allow("&yukizuri:{den}");
  await alice.waitFor({ type: "message", text: "unheard" });
  assert.ok(!alice.find({ type: "gap" }));
});

test("a gateway whose Redis does not know EVALSHA is not ready", async (t) => {
  const redis = await startRedis(t, { args: ["--rename-command", "EVALSHA", ""] });
  const gateway = await startGateway(t, { redis, ready: false });
  await until("readyz says why", async () => /unknown command 'EVALSHA'/.test((await readyz(gateway)).body));
  await until("it is told, without its arguments", () => ofKind(gateway, "redis-error").some((line) => /unknown command 'EVALSHA'$/.test(line.err)));
});

test("a password that Redis repeats in an error is in no log and no answer", async (t) => {
  const redis = await startRedis(t, { args: ["--rename-command", "AUTH", "HIDDEN"] });
  const gateway = await startGateway(t, { redis: `redis://:s3cret@127.0.0.1:${redis.port}`, ready: false });
  await until("readyz says why", async () => /unknown command 'AUTH'/.test((await readyz(gateway)).body));
  await until("the log says why", () => ofKind(gateway, "redis-error").length > 0 && ofKind(gateway, "redis-lost").length > 0);
  assert.ok(!gateway.output.includes("s3cret"));
  assert.ok(!(await readyz(gateway)).body.includes("s3cret"));
});

for (const [name, slots, word] of [
  ["without slots", [], "CLUSTERDOWN"],
  ["with the slots of other rooms", ["0", "100"], "CLUSTERDOWN|MOVED"],
]) {
  test(`a gateway on a node of a cluster ${name} is not ready`, async (t) => {
    const directory = temporaryDirectory(t);
    const redis = await startRedis(t, { args: ["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--dir", directory] });
    if (slots.length > 0) redis.run("CLUSTER", "ADDSLOTSRANGE", ...slots);
    const gateway = await startGateway(t, { redis, ready: false });
    await until("readyz says why", async () => new RegExp(word).test((await readyz(gateway)).body));
    await until("the log says why", () => ofKind(gateway, "redis-error").some((line) => new RegExp(word).test(line.err)));
    const alice = await new Member(t, gateway.url).opened();
    alice.send({ type: "join", name: "alice" });
    await alice.waitFor({ type: "error", code: "unavailable" });
    assert.equal((await readyz(gateway)).status, 503);
    redis.run("CLUSTER", "ADDSLOTSRANGE", ...(slots.length > 0 ? ["101", "16383"] : ["0", "16383"]));
    await untilReady(gateway);
    await joined(t, gateway.url, "bob");
  });
}

test("the keys of the probe expire", async (t) => {
  const redis = await startRedis(t);
  await startGateway(t, { redis, args: ["--gateway-id", "gw"] });
  const keys = await until("the probe's keys", () => {
    const found = redis.lines("KEYS", "yukizuri:{lobby}gw}*");
    return found.length >= 2 && found;
  });
  for (const key of keys) assert.ok(Number(redis.run("TTL", key)) > 0, key);
});

for (const right of ["zadd", "zremrangebyrank", "sadd", "srem", "hget", "xrange", "expire"])
  test(`the keys that the probe of a user without ${right.toUpperCase()} leaves behind expire`, async (t) => {
    const { redis } = await startWithRights(t, ["~*", "&*", "+@all", `-${right}`], { ready: false });
    const refusals = () => redis.lines("ACL", "LOG").filter((word, i, all) => all[i - 1] === "count").reduce((sum, count) => sum + Number(count), 0);
    await until("it was refused, and again", () => refusals() > 1);
    const keys = redis.lines("KEYS", "yukizuri:{lobby}gw}*");
    assert.deepEqual(keys.filter((key) => redis.run("TTL", key) === "-1"), []);
    assert.equal(keys.length > 0, right !== "expire", `${keys}`);
  });

test("refusals for lack of permission delete nothing: epoch, members and nonces stay", async (t) => {
  const redis = await startRedis(t);
  const allow = (...rules) => redis.run("ACL", "SETUSER", "chat", ...rules);
  allow("on", ">secret", "~*", "&*", "+@all");
  const gateway = await startGateway(t, { redis: redis.url.replace(/\/\/.*@/, "//chat:secret@") });
  const alice = await joined(t, gateway.url, "alice");
  const { seq } = await alice.say("one");
  const before = head(redis, "epoch");
  for (const right of ["hmget", "zscore"]) {
    allow(`-${right}`);
    alice.send({ type: "say", text: "one again", nonce: "one" });
    alice.send({ type: "say", text: "refused", nonce: `refused ${right}` });
    await alice.waitFor({ type: "error", nonce: `refused ${right}` });
    allow(`+${right}`);
    await untilReady(gateway);
  }
  alice.send({ type: "say", text: "one again", nonce: "one" });
  await alice.say("two");
  await alice.waitFor({ type: "message", text: "two" });
  assert.equal(alice.received.findLast((message) => message.type === "ack" && message.nonce === "one").seq, seq);
  assert.deepEqual(alice.texts(), ["one", "two"]);
  assert.equal(head(redis, "epoch"), before);
  assert.equal(redis.run("HGET", `${ROOM}:member:alice`, "name"), "alice");
  assert.ok(!alice.find({ type: "gap" }));
});
