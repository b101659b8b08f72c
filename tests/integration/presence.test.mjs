// Presence: the announcements of joins and leaves, and the lists of members.
import assert from "node:assert/strict";
import test from "node:test";
import { Member, joined, startGateway, startRedis, stopwatch, until } from "../lib/harness.mjs";
import { arrivals, breakSilence, membersOf } from "../lib/rooms.mjs";
import { waitingBurst } from "../lib/burst.mjs";

test("a silent room leaves no stream in Redis, and its numbers go on", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis, args: ["--leave-grace", "0"] }), await startGateway(t, { redis })];
  const alice = await joined(t, gateways[0].url, "alice");
  const bob = await joined(t, gateways[1].url, "bob");
  await until("alice sees him", () => alice.saw("joined", "bob"));
  bob.send({ type: "leave" });
  await until("and that he leaves", () => alice.departures().includes("bob"));
  assert.equal(redis.run("EXISTS", "yukizuri:{lobby}:recent"), "0");
  assert.deepEqual(alice.received.filter(({ type }) => type === "presence").map(({ seq }) => seq), [2, 3]);
  assert.equal((await alice.say("hello")).seq, 4);
  await joined(t, gateways[1].url, "carol");
  await until("she is seen", () => alice.saw("joined", "carol"));
  assert.equal(redis.run("XLEN", "yukizuri:{lobby}:recent"), "2");
});

test("a member that was away from a silent room comes back to it without a gap", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const alice = await joined(t, gateways[0].url, "alice");
  const { resume, epoch, seq } = alice.welcome;
  alice.socket.terminate();
  const bob = await joined(t, gateways[0].url, "bob");
  const elsewhere = await joined(t, gateways[1].url, "alice", { resume, since: { epoch, seq } });
  assert.deepEqual([elsewhere.welcome.recovered, elsewhere.welcome.missed ?? 0, elsewhere.welcome.count], [true, 0, 2]);
  elsewhere.socket.terminate();
  await bob.say("hello");
  const third = await startGateway(t, { redis });
  const again = await joined(t, third.url, "alice", { resume, since: { epoch, seq } });
  assert.deepEqual([again.welcome.recovered, again.welcome.missed ?? 0, again.welcome.count], [true, 0, 2]);
  await again.waitFor({ type: "message", text: "hello" });
  assert.deepEqual(again.gaps(), []);
});

test("a burst of joins causes few presence messages, with at most 50 names each", async (t) => {
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

/** The list that a page would show: the members of the welcome, updated by presence, by id. A presence may name a known member. */
function listed(member) {
  const people = new Map(member.welcome.members.map((person) => [person.id, person.name]));
  for (const { joined, left } of member.received.filter((m) => m.type === "presence")) {
    for (const person of left) people.delete(person.id);
    for (const person of joined) people.set(person.id, person.name);
  }
  return [...people.values()].sort();
}

test("in a burst of joins and leaves, every welcome includes all earlier members, and all members have the right list in the end", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const stay = [];
  for (let round = 0; round < 4; round++) {
    const names = Array.from({ length: 12 }, (_, i) => `m${round}-${i}`); // no presence may have more than 50
    const burst = await Promise.all(names.map((name, i) => joined(t, gateways[i % 2].url, name)));
    burst.forEach((member, i) => (i % 3 === 0 ? stay.push(member) : member.send({ type: "leave" })));
  }
  const last = await joined(t, gateways[0].url, "last");
  stay.push(last);
  const here = () => membersOf(redis);
  await until("the others are gone", () => here().length === stay.length);
  for (const member of stay) await until("it knows who is here", () => JSON.stringify(listed(member)) === JSON.stringify(here()));
  for (const member of stay) {
    const { welcome, received } = member;
    assert.ok(welcome.members.some((person) => person.id === welcome.me.id), "oneself is in the list");
    const numbers = received.filter((m) => m.type === "presence").map((m) => m.seq);
    assert.ok(numbers.every((seq, i) => (i === 0 ? seq >= welcome.seq : seq > numbers[i - 1])), `after ${welcome.seq}: ${numbers}`);
  }
});

test("120 members who join at once join in few events, each named once, on every gateway of the room", async (t) => {
  const redis = await startRedis(t);
  const [gateway, other] = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const watcher = await joined(t, other.url, "watcher");
  breakSilence(redis);
  const burst = await waitingBurst(t, gateway, redis, 120);
  redis.thaw();
  const welcomes = await Promise.all(burst.map((member) => member.waitFor({ type: "welcome" })));
  const groups = arrivals(redis);
  assert.ok(groups.length < 60, `${groups.length} events`);
  assert.deepEqual(groups.flat(), Array.from({ length: 120 }, (_, i) => `guest-${i}`), "each once, in the order in which they asked");
  assert.equal(new Set(welcomes.map(({ me }) => me.id)).size, 120);
  for (const { me, members, count, seq } of welcomes) {
    assert.ok(members.some(({ id, name }) => id === me.id && name === me.name), `${me.name} is in its own list`);
    assert.ok(count <= 121 && seq > watcher.welcome.seq);
  }
  await until("the watcher has seen them all", () => watcher.received.some(({ type, count }) => type === "presence" && count === 121));
  assert.deepEqual(redis.lines("SCARD", "yukizuri:{lobby}:members"), ["121"]);
});

test("130 members who join or leave at once are all counted, though a presence names 50 of them", async (t) => {
  const redis = await startRedis(t);
  const [gateway, other] = [await startGateway(t, { redis, args: ["--lease", "60"] }), await startGateway(t, { redis, args: ["--lease", "60", "--rate", "0"] })];
  const watcher = await joined(t, gateway.url, "watcher");
  const lines = () => watcher.received.filter(({ type }) => type === "presence");
  const sum = (field) => lines().reduce((total, line) => total + line[field], 0);
  // What happens while the gateway stands still is one presence to it, or two if one was due already when it goes on. Of two one
  // has more than 50.
  gateway.freeze(t);
  const burst = await Promise.all(Array.from({ length: 130 }, (_, i) => joined(t, other.url, `guest-${i}`)));
  gateway.thaw();
  await until("all are counted", () => lines().at(-1)?.count === 131);
  assert.deepEqual([sum("came"), sum("went")], [130, 0]);
  gateway.freeze(t);
  for (const member of burst) member.send({ type: "leave" });
  await until("all have left", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "1");
  gateway.thaw();
  await until("nobody is left", () => lines().at(-1).count === 1);
  assert.deepEqual([sum("came"), sum("went")], [130, 130]);
  for (const field of ["came", "went"]) assert.ok(lines().some((line) => line[field] > 50), `${field}: ${lines().map((line) => line[field])}`);
  for (const line of lines()) assert.deepEqual([line.joined.length, line.left.length], [Math.min(line.came, 50), Math.min(line.went, 50)]);
});

test("while a room of more than 200 empties, a gateway reads its list now and then, and only for connected members", async (t) => {
  const redis = await startRedis(t);
  const [gateway, other] = [await startGateway(t, { redis, args: ["--rate", "0"] }), await startGateway(t, { redis, args: ["--leave-grace", "60"] })];
  const lists = () => {
    const { srandmember = 0, zadd = 0 } = redis.commandCalls();
    return srandmember - zadd; // probes cause both
  };
  const watcher = await joined(t, gateway.url, "watcher");
  const burst = await Promise.all(Array.from({ length: 230 }, (_, i) => joined(t, gateway.url, `guest-${i}`)));
  const detached = await joined(t, other.url, "detached");
  detached.socket.terminate();
  await until("it is seen to be gone", async () => (await other.stats()).ghosts === 1);
  const [before, seconds] = [lists(), stopwatch()];
  while (burst.length > 198) {
    burst.shift().send({ type: "leave" });
    await until("it is seen", () => watcher.received.some((line) => line.type === "presence" && line.count === burst.length + 2));
  }
  const read = lists() - before;
  assert.ok(read <= 1 + Math.floor(seconds() / 5), `${read} times in ${seconds()} s`);
  const probe = await joined(t, gateway.url, "probe");
  assert.equal(probe.welcome.count, 201);
  await until("the list names as many as it can", async () => {
    probe.send({ type: "members" });
    await probe.settled();
    return probe.received.filter(({ type }) => type === "members").at(-1)?.members.length === 200;
  });
});

test("a member who joins while the list is incomplete gets the missing names", async (t) => {
  const redis = await startRedis(t);
  const [gateway, other] = [await startGateway(t, { redis, args: ["--rate", "0"] }), await startGateway(t, { redis, args: ["--leave-grace", "60"] })];
  const burst = await Promise.all(Array.from({ length: 230 }, (_, i) => joined(t, gateway.url, `guest-${i}`)));
  const detached = await joined(t, other.url, "detached"); // knows 200 of 231
  detached.socket.terminate();
  await until("it is seen to be gone", async () => (await other.stats()).ghosts === 1);
  for (const member of burst.slice(0, 140)) member.send({ type: "leave" });
  await until("they are gone", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "91");
  const visitor = await joined(t, other.url, "visitor");
  assert.equal(visitor.welcome.count, 92);
  assert.ok(visitor.welcome.members.length < 92, "the list is incomplete");
  const list = await visitor.waitFor({ type: "members" });
  assert.equal(list.members.length, 92, "all names are there");
});

test("a member who joins and leaves within one presence batch is on no list afterwards", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--leave-grace", "0", "--rate", "0"] });
  const watcher = await joined(t, gateway.url, "watcher");
  for (let i = 0; i < 30; i++) {
    const visitor = await joined(t, gateway.url, `v${i}`);
    visitor.send({ type: "leave" });
    await visitor.join(`w${i}`);
    visitor.send({ type: "leave" });
    await visitor.settled();
  }
  await until("the last line", () => watcher.received.filter((m) => m.type === "presence").at(-1).count === 1);
  const here = new Set();
  for (const { left, joined: came } of watcher.received.filter((m) => m.type === "presence")) {
    for (const person of left) here.delete(person.id);
    for (const person of came) here.add(person.id);
  }
  here.delete(watcher.welcome.me.id);
  assert.deepEqual([...here], []);
});

test("only the welcome carries the list of members, and messages do not", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const burst = await Promise.all(Array.from({ length: 60 }, (_, i) => joined(t, gateway.url, `somebody-${i}`)));
  await until("the lines of their coming are over", () => burst[0].received.some((m) => m.type === "presence" && m.count === 60));
  const frames = [];
  const alice = await new Member(t, gateway.url).opened();
  alice.socket.on("message", (data) => frames.push(data));
  await alice.join("alice");
  burst[7].send({ type: "say", text: "hello", nonce: "1" });
  await alice.waitFor({ type: "message", text: "hello" });
  const bob = await joined(t, gateway.url, "bob");
  await until("bob is seen", () => alice.saw("joined", "bob"));
  assert.ok(bob.welcome.members.length > 60, "the list comes once, with the welcome");
  for (const frame of frames.filter((data) => !data.includes('"welcome"'))) {
    assert.ok(frame.length < 300, `${frame.length} bytes: ${frame}`);
    assert.ok((frame.toString().match(/somebody-/g) ?? []).length <= 1, frame.toString());
  }
});
