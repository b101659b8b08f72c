// A Redis that lost everything, or the keys of a room.
import assert from "node:assert/strict";
import test from "node:test";
import { atEnd, joined, metric, startGateway, startRedis, unfit, until, untilReady } from "../lib/harness.mjs";
import { Resp } from "../lib/resp.mjs";
import { HEAD } from "../lib/rooms.mjs";
import { startAddress } from "../lib/redis-paths.mjs";

test("when Redis lost all members, those of a room are reinstated in few events, each named once", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--lease", "1"] });
  const names = Array.from({ length: 70 }, (_, i) => `guest-${i}`);
  await Promise.all(names.map((name) => joined(t, gateway.url, name)));
  const arrivals = []; // a room that begins anew is silent, and stores none; in a cluster the epoch is behind each
  const listener = await Resp.connect(redis.port);
  atEnd(t, () => listener.close());
  listener.onMessage = (_, text) => arrivals.push((JSON.parse(text.slice(0, text.lastIndexOf("}") + 1)).joined ?? []).map(({ name }) => name));
  listener.call("PSUBSCRIBE", "yukizuri:{lobby}");
  await until("it listens", () => redis.run("PUBSUB", "NUMPAT") === "1");
  redis.run("FLUSHALL");
  await until("all are back", () => arrivals.flat().length >= 70);
  assert.deepEqual(arrivals.flat().sort(), names.sort(), "each is named once");
  assert.ok(arrivals.length < 20, `${arrivals.length} events`);
});

test("after Redis lost its memory, a member who resumes gets the messages since then, or a gap", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const bob = await joined(t, gateway.url, "bob");
  const alice = await joined(t, gateway.url, "alice");
  for (let i = 0; i < 50; i++) bob.send({ type: "say", text: `${i}`, nonce: `${i}` });
  await alice.waitFor({ type: "message", text: "49" });
  redis.run("FLUSHALL");
  bob.send({ type: "say", text: "new epoch", nonce: "a" });
  const gap = await alice.waitFor({ type: "gap" });
  await alice.waitFor({ type: "message", text: "new epoch" });
  assert.notEqual(gap.epoch, alice.welcome.epoch);
  await until("the members are reinstated", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "2");
  const last = Math.max(gap.seq, ...alice.received.slice(alice.received.indexOf(gap)).map((m) => m.seq ?? 0));
  alice.socket.terminate();
  bob.send({ type: "say", text: "while away", nonce: "b" });
  await bob.waitFor({ type: "ack", nonce: "b" });
  const again = await joined(t, gateway.url, "alice", { resume: alice.welcome.resume, since: { epoch: gap.epoch, seq: last } });
  assert.deepEqual([again.welcome.recovered, again.welcome.missed], [true, 0]);
  await again.waitFor({ type: "message", text: "while away" });
  again.socket.terminate();
  const old = await joined(t, gateway.url, "alice", { resume: alice.welcome.resume, since: { epoch: alice.welcome.epoch, seq: 3 } });
  assert.equal(old.welcome.recovered, false);
  await old.waitFor({ type: "gap", missed: 0 });
});

test("a line that is repeated after Redis lost its memory is shown once", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  const say = { type: "say", text: "once", nonce: "n", epoch: alice.welcome.epoch };
  alice.send(say);
  await alice.waitFor({ type: "ack", nonce: "n" });
  redis.run("FLUSHALL");
  alice.send(say);
  const error = await alice.waitFor({ type: "error" });
  assert.deepEqual([error.code, error.nonce, error.accepted], ["epoch_changed", "n", false]);
  alice.send({ type: "say", text: "new", nonce: "m" });
  const { epoch } = await alice.waitFor({ type: "gap" });
  await alice.waitFor({ type: "message", text: "new" });
  alice.send({ type: "say", text: "newer", nonce: "o", epoch });
  await alice.waitFor({ type: "message", text: "newer" });
  assert.equal(alice.messages().filter((m) => m.text === "once").length, 1);
});

test("a new member after Redis lost its memory gets the new numbers and no gap", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  for (let i = 0; i < 30; i++) alice.send({ type: "say", text: `${i}`, nonce: `${i}` });
  await alice.waitFor({ type: "ack", nonce: "29" });
  redis.run("FLUSHALL");
  const bob = await joined(t, gateway.url, "bob");
  assert.equal(bob.welcome.epoch, redis.run("HGET", HEAD, "epoch"));
  assert.ok(bob.welcome.seq < 10, JSON.stringify(bob.welcome));
  assert.equal(bob.find({ type: "gap" }), undefined, "a newcomer missed nothing");
});

test("a member who resumes after Redis lost its memory gets the messages from before the reinstatement", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--lease", "3"] });
  const alice = await joined(t, gateway.url, "alice");
  const bob = await joined(t, gateway.url, "bob");
  redis.run("FLUSHALL");
  for (let i = 0; i < 5; i++) bob.send({ type: "say", text: `${i}`, nonce: `${i}` });
  await bob.waitFor({ type: "ack", nonce: "4" });
  const { seq, from } = await alice.waitFor({ type: "message", text: "1" });
  assert.equal(from.name, "bob");
  const { epoch } = await alice.waitFor({ type: "gap" });
  await until("both are reinstated", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "2");
  alice.socket.terminate();
  const again = await joined(t, gateway.url, "alice", { resume: alice.welcome.resume, since: { epoch, seq } });
  assert.deepEqual([again.welcome.recovered, again.welcome.missed], [true, 0]);
  await again.waitFor({ type: "message", text: "4" });
  assert.deepEqual(again.messages().map((m) => m.text), ["2", "3", "4"]);
});

test("a member who leaves while Redis loses its memory is on no list", async (t) => {
  const redis = await startRedis(t);
  const args = ["--lease", "1"];
  const [here, there] = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
  const watcher = await joined(t, here.url, "watcher");
  await joined(t, there.url, "alice");
  await until("alice is seen", () => watcher.saw("joined", "alice"));
  await there.stop("SIGKILL");
  redis.run("FLUSHALL");
  await watcher.waitFor({ type: "gap", missed: 0 });
  const list = await watcher.waitFor({ type: "members" });
  assert.deepEqual([list.count, list.members.map((person) => person.name)], [1, ["watcher"]]);
});

test("a lost set of members is rebuilt", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "2"] });
  await joined(t, gateway.url, "alice");
  await joined(t, gateway.url, "bob");
  redis.run("DEL", "yukizuri:{lobby}:members");
  await until("both are in it again", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "2", 40000);
});

test("when a room's head is lost, the gateway still recognises its Redis, however long the host name is", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const redis = await startRedis(t);
  const address = await startAddress(t, redis.port, "127.0.0.2");
  const gateway = await startGateway(t, { redis: `redis://${"0".repeat(236)}177.0.0.2:${address.port}` }); // an octal 127
  const alice = await joined(t, gateway.url, "alice");
  redis.run("DEL", "yukizuri:{lobby}:head");
  alice.send({ type: "say", text: "anew", nonce: "1" });
  await alice.waitFor({ type: "ack", nonce: "1" });
  await alice.waitFor({ type: "gap" });
  const lost = await metric(gateway, "redis_lost_total");
  redis.cut("normal");
  await until("lost", async () => (await metric(gateway, "redis_lost_total")) > lost);
  await untilReady(gateway);
  alice.send({ type: "say", text: "and on", nonce: "2" });
  await alice.waitFor({ type: "ack", nonce: "2" });
});

test("when a room's keys are lost, its members are reinstated, checked again a lease later, and all counted", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0", "--lease", "4"] });
  const alice = await joined(t, gateway.url, "alice");
  await Promise.all(Array.from({ length: 199 }, (_, i) => joined(t, gateway.url, `m${i}`)));
  redis.run("DEL", ...redis.lines("KEYS", "yukizuri:{lobby}:*"));
  alice.send({ type: "say", text: "wakes the feed", nonce: "n" });
  await until("all are back", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "200");
  redis.run("DEL", "yukizuri:{lobby}:member:m7"); // as a reaper does
  await until("m7 is back", () => redis.run("EXISTS", "yukizuri:{lobby}:member:m7") === "1");
  await until("the list counts all", async () => {
    alice.send({ type: "members" });
    await alice.settled();
    return alice.received.findLast((m) => m.type === "members")?.count === 200;
  });
});
