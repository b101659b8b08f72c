// The state that an operator finds in Redis, and publications with redis-cli.
import assert from "node:assert/strict";
import test from "node:test";
import { joined, startGateway, startRedis, unfit, until } from "../lib/harness.mjs";

test("plain lines and notices from redis-cli reach every member, and anything else is dropped", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  const publish = (text) => redis.run("PUBLISH", "yukizuri:{lobby}", text);
  publish("back at ten");
  publish('{"type":"notice","text":"戻ります"}');
  for (const bad of ['{"broken', '{"type":"message","text":1}', '{"type":"presence","seq":"x"}', "[1,2]", "bell \x07", '{"type":"strange"}', ""]) publish(bad);
  publish("and a last line");
  await alice.waitFor({ type: "notice", text: "and a last line" });
  const notices = alice.received.filter((m) => m.type === "notice").map((m) => m.text);
  assert.deepEqual(notices, ["back at ten", "戻ります", "and a last line"]);
  assert.ok(alice.received.every((m) => m.type !== "notice" || m.seq === undefined), "a notice has no number");
  const dropped = gateway.log.filter((line) => line.kind === "dropped-event");
  assert.deepEqual(dropped.map((line) => line.err).sort(), ["bad_json", "control", "foreign"], "logged once per kind");
  const stats = await gateway.stats();
  assert.equal(stats.dropped_events.foreign, 4);
  alice.send({ type: "say", text: "alive", nonce: "1" });
  await alice.waitFor({ type: "ack" });
});

test("redis-cli shows the members, one member and the stream", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "Alice");
  alice.send({ type: "say", text: "hello", nonce: "1" });
  await alice.waitFor({ type: "ack" });
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["alice"]);
  const hash = redis.lines("HGETALL", "yukizuri:{lobby}:member:alice");
  const member = Object.fromEntries(Array.from({ length: hash.length / 2 }, (_, i) => [hash[2 * i], hash[2 * i + 1]]));
  assert.equal(member.id, alice.welcome.me.id);
  assert.equal(member.name, "Alice");
  assert.equal(member.address, "127.0.0.1");
  assert.equal(member.shown, "127.0.0.x");
  assert.ok(member.gateway && Number(member.joined_at) > 1e12);
  assert.ok(!hash.join("\n").includes(alice.welcome.resume), "the token itself is not in Redis");
  const stream = redis.lines("XRANGE", "yukizuri:{lobby}:recent", "-", "+");
  assert.ok(stream.includes("2-0") && stream.some((line) => line.includes('"text":"hello"')));
  assert.equal(redis.run("HGET", "yukizuri:{lobby}:head", "seq"), "2");
  for (const key of redis.lines("KEYS", "*")) assert.ok(Number(redis.run("PTTL", key)) > 0, `${key} expires`);
});

test("after all gateways were killed and the TTLs have passed, Redis is empty", async (t) => {
  const redis = await startRedis(t);
  const args = ["--lease", "1", "--leave-grace", "0", "--retention", "2"];
  const gateways = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
  const members = [await joined(t, gateways[0].url, "a"), await joined(t, gateways[1].url, "b")];
  members[0].send({ type: "say", text: "soon forgotten", nonce: "1" });
  await members[0].waitFor({ type: "ack" });
  assert.notEqual(redis.run("DBSIZE"), "0");
  await Promise.all(gateways.map((gateway) => gateway.stop("SIGKILL")));
  await until(() => `no key is left: ${redis.run("KEYS", "*")}`, () => redis.run("DBSIZE") === "0", 90000);
});

test("a member who resumes on another gateway renews the room's list and head, and they outlive the member", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const { resume } = (await joined(t, gateways[0].url, "alice")).welcome;
  const keys = ["yukizuri:{lobby}:members", "yukizuri:{lobby}:head"];
  for (const key of keys) redis.run("EXPIRE", key, "60"); // it was renewed almost that long ago
  await joined(t, gateways[1].url, "alice", { resume });
  const member = Number(redis.run("TTL", "yukizuri:{lobby}:member:alice"));
  for (const key of keys) assert.ok(Number(redis.run("TTL", key)) >= member - 1, `${key} outlives the member`);
});

test("two databases of one Redis are two chats", { skip: unfit("cluster", "a cluster has one database") }, async (t) => {
  const redis = await startRedis(t);
  const [zero, one] = [await startGateway(t, { redis }), await startGateway(t, { redis: `${redis.url}/1` })];
  const [alice, bob] = [await joined(t, zero.url, "alice"), await joined(t, one.url, "bob")];
  await alice.say("in zero");
  await bob.say("in one");
  const carol = await joined(t, one.url, "carol");
  await bob.waitFor((m) => m.type === "presence" && m.count === 2);
  await carol.say("too");
  await bob.waitFor({ type: "message", text: "too" });
  assert.deepEqual([alice.texts(), bob.texts()], [["in zero"], ["in one", "too"]]);
  assert.deepEqual(redis.lines("PUBSUB", "CHANNELS", "yukizuri*{lobby}").sort(), ["yukizuri:{lobby}", "yukizuri@1:{lobby}"]);
  redis.run("PUBLISH", "yukizuri@1:{lobby}", "a word");
  await bob.waitFor({ type: "notice", text: "a word" });
  assert.equal(alice.find({ type: "notice" }), undefined);
});
