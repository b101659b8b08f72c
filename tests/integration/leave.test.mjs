// Leaves: on purpose and after a lost connection, one by one and in bursts.
import assert from "node:assert/strict";
import test from "node:test";
import { get, joined, startGateway, startRedis, until } from "../lib/harness.mjs";
import { breakSilence, departures } from "../lib/rooms.mjs";
import { waitingBurst } from "../lib/burst.mjs";

test("after leaving, the same connection may join under another name", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const watcher = await joined(t, gateway.url, "watcher");
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "leave" });
  await until("she has left", () => watcher.saw("left", "alice"));
  alice.send({ type: "say", text: "?", nonce: "1" });
  await alice.waitFor({ type: "error", code: "not_joined" });
  alice.received.length = 0;
  await alice.join("Alicia");
  await until("she is back", () => watcher.saw("joined", "Alicia"));
});

test("a message sent right before a leave is delivered", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  alice.sendTogether([{ type: "say", text: "bye" }, { type: "leave" }]);
  await until("bob sees alice leave", () => bob.saw("left", "alice"));
  const order = bob.received.filter(({ type, left = [] }) => type === "message" || left.length > 0).map(({ type }) => type);
  assert.deepEqual(order, ["message", "presence"]);
});

test("a member who leaves and joins again behind a burst of joins finds its name free", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  const burst = await waitingBurst(t, gateway, redis, 132); // the last call in the queue takes more
  alice.sendTogether([{ type: "leave" }, { type: "join", name: "alice" }, { type: "ping" }]);
  await alice.waitFor({ type: "pong" });
  redis.thaw();
  await alice.waitFor((message) => message.type === "welcome" && message !== alice.welcome);
  assert.equal(alice.find({ type: "error" }), undefined);
  await Promise.all(burst.map((member) => member.waitFor({ type: "welcome" })));
});

test("120 members who leave at once leave in few events, each named once, on every gateway of the room", async (t) => {
  const redis = await startRedis(t);
  const [gateway, other] = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const watcher = await joined(t, other.url, "watcher");
  breakSilence(redis);
  const names = Array.from({ length: 120 }, (_, i) => `guest-${i}`);
  const burst = await Promise.all(names.map((name) => joined(t, gateway.url, name)));
  redis.refuseWrites(); // no member can be removed
  for (const member of burst) member.send({ type: "leave" });
  await until("all have said so", async () => /^yukizuri_leaves_total 120$/m.test((await get(`${gateway.origin}/metrics`)).body));
  const refused = redis.calls("evalsha");
  await until("and were refused again", () => redis.calls("evalsha") > refused + 12);
  redis.takeWrites();
  await until("they are gone", () => watcher.received.some(({ type, count }) => type === "presence" && count === 1));
  assert.deepEqual(departures(redis).flat().sort(), names.sort(), "each is named once");
  assert.deepEqual(departures(redis).map(({ length }) => length).sort(), [20, 50, 50]);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["watcher"]);
});

test("a member who leaves and joins again at once under the same name is a new member", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  alice.sendTogether([{ type: "leave" }, { type: "join", name: "alice" }]);
  await until("a second welcome", () => alice.received.filter(({ type }) => type === "welcome").length === 2);
  const [first, second] = alice.received.filter(({ type }) => type === "welcome");
  assert.notEqual(second.me.id, first.me.id);
  assert.equal(second.count, 2);
  await until("bob saw both", () => bob.saw("left", "alice") && bob.received.some(({ joined = [] }) => joined.some(({ id }) => id === second.me.id)));
});

test("after a burst of lost connections, each member leaves once when its grace period ends", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "3"] });
  const alice = await joined(t, gateway.url, "alice");
  const names = Array.from({ length: 400 }, (_, i) => `cut-${i}`);
  const burst = await Promise.all(names.map((name) => joined(t, gateway.url, name)));
  for (const { socket } of burst) socket.terminate();
  await until("all sessions are detached", async () => (await gateway.stats()).ghosts === 400);
  await until("all have left", () => alice.received.some(({ type, count }) => type === "presence" && count === 1));
  assert.equal(redis.run("SCARD", "yukizuri:{lobby}:members"), "1");
  assert.equal(redis.lines("KEYS", "yukizuri:{lobby}:member:*").length, 1);
  const { ghosts, leaves } = await gateway.stats();
  assert.deepEqual([ghosts, leaves], [0, 400]);
});

test("a member with a lost connection leaves the list when its grace period ends", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "1"] });
  const watcher = await joined(t, gateway.url, "watcher");
  const alice = await joined(t, gateway.url, "alice");
  alice.socket.terminate();
  await until("alice has left", () => watcher.saw("left", "alice"));
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["watcher"]);
  assert.equal((await gateway.stats()).ghosts, 0);
});
