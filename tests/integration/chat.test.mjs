// The main job: people on different gateways, one room.
import assert from "node:assert/strict";
import test from "node:test";
import { Member, joined, startGateway, startRedis, until } from "../lib/harness.mjs";

test("members of different gateways see each other join, talk and leave", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const alice = await joined(t, gateways[0].url, "alice");
  const bob = await joined(t, gateways[1].url, "ボブ");
  assert.equal(bob.welcome.count, 2);
  assert.deepEqual(bob.welcome.members.map((m) => m.name).sort(), ["alice", "ボブ"]);
  await until("alice sees bob come", () => alice.saw("joined", "ボブ"));

  bob.send({ type: "say", text: "こんにちは\n<b>&\"'</b> 👨‍👩‍👧", nonce: "n-1" });
  const heard = await alice.waitFor({ type: "message" });
  assert.equal(heard.text, "こんにちは\n<b>&\"'</b> 👨‍👩‍👧");
  assert.equal(heard.nonce, "n-1");
  assert.deepEqual(heard.from, bob.welcome.me);
  assert.ok(Math.abs(heard.at - Date.now()) < 60000);
  const own = await bob.waitFor({ type: "message" });
  assert.deepEqual(own, heard, "the sender's own line is the same one");
  const ack = await bob.waitFor({ type: "ack", nonce: "n-1" });
  assert.equal(ack.seq, heard.seq);

  bob.send({ type: "leave" });
  await until("alice sees bob leave", () => alice.saw("left", "ボブ"));
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["alice"]);
});

test("3 gateways, 30 members, 1000 messages: everybody gets every message once, in one order", async (t) => {
  const redis = await startRedis(t);
  const gateways = await Promise.all([1, 2, 3].map(() => startGateway(t, { redis, args: ["--rate", "0"] })));
  const members = await Promise.all(Array.from({ length: 30 }, (_, i) => joined(t, gateways[i % 3].url, `member-${i}`)));
  await until("all know of all", () => members.every((m) => [m.welcome, ...m.received].some((r) => r.count === 30)));

  for (let i = 0; i < 1000; i++) members[i % 30].send({ type: "say", text: `message ${i}`, nonce: `n${i}` });
  await until("1000 messages at everybody", () => members.every((m) => m.messages().length >= 1000), 60000);
  await Promise.all(members.map((m) => m.settled()));

  const order = members[0].messages().map((m) => m.seq);
  assert.equal(new Set(members[0].messages().map((m) => m.text)).size, 1000, "every message, once");
  assert.ok(order.every((seq, i) => i === 0 || seq > order[i - 1]), "seq grows");
  for (const member of members) {
    assert.deepEqual(member.messages().map((m) => m.seq), order);
    assert.deepEqual(member.messages().map((m) => m.text), members[0].messages().map((m) => m.text));
    const acks = member.received.filter((m) => m.type === "ack");
    assert.equal(acks.length, member === members[0] || members.indexOf(member) < 1000 % 30 ? Math.ceil(1000 / 30) : Math.floor(1000 / 30));
    for (const ack of acks) assert.equal(member.messages().find((m) => m.nonce === ack.nonce).seq, ack.seq);
  }
});

test("rooms are apart from each other", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const here = await joined(t, `${gateway.url}/tea`, "alice");
  const there = await joined(t, `${gateway.url}/${encodeURIComponent("珈琲")}`, "alice");
  assert.equal(there.welcome.room, "珈琲");
  here.send({ type: "say", text: "tea", nonce: "1" });
  there.send({ type: "say", text: "coffee", nonce: "1" });
  await here.waitFor({ type: "message" });
  await there.waitFor({ type: "message" });
  await Promise.all([here.settled(), there.settled()]);
  assert.deepEqual(here.messages().map((m) => m.text), ["tea"]);
  assert.deepEqual(there.messages().map((m) => m.text), ["coffee"]);
});

test("names are compared folded, and a taken one carries a free suggestion", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  await joined(t, gateways[0].url, "Straße");
  const other = await new Member(t, gateways[1].url).opened();
  other.send({ type: "join", name: "  ＳＴＲＡＳＳＥ " });
  const error = await other.waitFor({ type: "error", code: "name_taken" });
  assert.equal(error.suggestion, "STRASSE2");
  other.send({ type: "join", name: error.suggestion });
  assert.equal((await other.waitFor({ type: "welcome" })).me.name, "STRASSE2");
  const third = await new Member(t, gateways[0].url).opened();
  third.send({ type: "join", name: "strasse" });
  assert.equal((await third.waitFor({ type: "error" })).suggestion, "strasse3");
});

test("what redis-cli publishes: plain lines and notices reach everybody, anything else is dropped", async (t) => {
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

test("what redis-cli shows: members, a member, the stream", async (t) => {
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

test("a late comer's welcome names at most 200 members, and itself", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  await Promise.all(Array.from({ length: 230 }, (_, i) => joined(t, gateway.url, `m${i}`)));
  const late = await joined(t, gateway.url, "late");
  assert.equal(late.welcome.count, 231);
  assert.equal(late.welcome.members.length, 200);
  assert.ok(late.welcome.members.some((m) => m.id === late.welcome.me.id));
});

test("a burst of people costs few presence lines, of at most 50 names each", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const watcher = await joined(t, gateways[0].url, "watcher");
  await Promise.all(Array.from({ length: 150 }, (_, i) => joined(t, gateways[1].url, `m${i}`)));
  await until("all are counted", () => watcher.received.some((m) => m.type === "presence" && m.count === 151));
  const lines = watcher.received.filter((m) => m.type === "presence");
  assert.ok(lines.length < 60, `${lines.length} lines for 150 people`);
  assert.ok(lines.every((m) => m.joined.length <= 50));
  assert.ok(lines.every((m, i) => i === 0 || m.seq > lines[i - 1].seq), "seq grows");
});

/** Whom a page would list: those of the welcome, and then what the presence lines say. Nobody comes who is there already. */
function listed(member) {
  const people = new Map(member.welcome.members.map((person) => [person.id, person.name]));
  for (const { joined, left } of member.received.filter((m) => m.type === "presence")) {
    for (const person of left) people.delete(person.id);
    for (const person of joined) {
      assert.ok(!people.has(person.id), `${member.welcome.me.name} knows ${person.name} already`);
      people.set(person.id, person.name);
    }
  }
  return [...people.values()].sort();
}

test("people come and go all at once: everybody is welcomed with all before it, and knows in the end who is here", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const stay = [];
  for (let burst = 0; burst < 4; burst++) {
    const names = Array.from({ length: 12 }, (_, i) => `m${burst}-${i}`); // no line may have more than 50
    const crowd = await Promise.all(names.map((name, i) => joined(t, gateways[i % 2].url, name)));
    crowd.forEach((member, i) => (i % 3 === 0 ? stay.push(member) : member.send({ type: "leave" })));
  }
  const last = await joined(t, gateways[0].url, "last");
  stay.push(last);
  const here = () => redis.lines("SMEMBERS", "yukizuri:{lobby}:members").sort();
  await until("the others are gone", () => here().length === stay.length);
  for (const member of stay) await until("it knows who is here", () => JSON.stringify(listed(member)) === JSON.stringify(here()));
  for (const member of stay) {
    const { welcome, received } = member;
    assert.ok(welcome.members.some((person) => person.id === welcome.me.id), "oneself is in the list");
    const numbers = received.filter((m) => m.type === "presence").map((m) => m.seq);
    assert.ok(numbers.every((seq, i) => seq > (i === 0 ? welcome.seq : numbers[i - 1])), `after ${welcome.seq}: ${numbers}`);
  }
});

test("who was greeted on coming in, in a storm, before its own welcome: the greeting was lost", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const rooms = Array.from({ length: 30 }, (_, i) => `${gateway.url}/room-${i}`); // in each, the next line comes at once
  for (const room of rooms) {
    const bob = await joined(t, room, "bob");
    bob.socket.on("message", (data) => {
      if (JSON.parse(data).joined?.some(({ name }) => name === "guest")) bob.send({ type: "say", text: "hello", nonce: "1" });
    });
  }
  for (const [i, room] of rooms.entries()) {
    const other = await new Member(t, gateway.url).opened();
    const guest = await new Member(t, room).opened();
    other.send({ type: "join", name: `other-${i}` }); // is welcomed: the next ones wait a moment
    guest.send({ type: "join", name: "guest" });
    const { seq } = await guest.waitFor({ type: "message", text: "hello" });
    assert.ok(seq > guest.find({ type: "welcome" }).seq, "after its welcome");
  }
});

test("typing reaches the others and is not kept", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  const bob = await joined(t, gateway.url, "bob");
  alice.send({ type: "typing" });
  const typing = await bob.waitFor({ type: "typing" });
  assert.equal(typing.from.id, alice.welcome.me.id);
  assert.ok(!redis.run("XRANGE", "yukizuri:{lobby}:recent", "-", "+").includes("typing"));
});

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
