// What is said in one turn of the gateway's loop shares a call to Redis.
import assert from "node:assert/strict";
import test from "node:test";
import { Member, atEnd, get, joined, startGateway, startRedis, until } from "../lib/harness.mjs";

/** Sends all of these messages with one write, so that the gateway reads them in one turn. */
function sendTogether(member, messages) {
  member.socket._socket.cork();
  for (const message of messages) member.send(message);
  member.socket._socket.uncork();
}

/** The room's events so far, as Redis keeps them. */
const events = (redis) => redis.lines("XRANGE", "yukizuri:{lobby}:recent", "-", "+").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));

const calls = (redis, command) => Number(/calls=(\d+)/.exec(redis.lines("INFO", "commandstats").find((line) => line.startsWith(`cmdstat_${command}:`)) ?? "calls=0")[1]);

test("300 messages said at once: few calls, each answered, all in order", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  const before = calls(redis, "evalsha");
  sendTogether(alice, Array.from({ length: 300 }, (_, i) => ({ type: "say", text: `line ${i}`, ...(i % 3 && { nonce: `n${i}` }) })));
  await until("bob hears all", () => bob.messages().length === 300);
  const said = calls(redis, "evalsha") - before;
  assert.ok(said < 30, `${said} calls`);
  assert.deepEqual(bob.messages().map(({ text }) => text), Array.from({ length: 300 }, (_, i) => `line ${i}`));
  const first = bob.messages()[0].seq;
  assert.deepEqual(bob.messages().map(({ seq }) => seq), Array.from({ length: 300 }, (_, i) => first + i), "numbers have no holes");
  await until("200 acks", () => alice.received.filter(({ type }) => type === "ack").length === 200);
  for (const { nonce, seq } of alice.received.filter(({ type }) => type === "ack")) assert.equal(seq, first + Number(nonce.slice(1)));
  assert.equal(redis.lines("XLEN", "yukizuri:{lobby}:recent")[0], "302", "each is kept as an event of its own");
});

test("one nonce twice in one turn is shown once; another epoch is refused, and what stands beside it is not", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  sendTogether(alice, [
    { type: "say", text: "once", nonce: "a" },
    { type: "say", text: "old", nonce: "b", epoch: "of-another-life" },
    { type: "say", text: "once", nonce: "a" },
    { type: "say", text: "last", nonce: "c", epoch: alice.welcome.epoch },
  ]);
  const refused = await alice.waitFor({ type: "error", nonce: "b" });
  assert.deepEqual([refused.code, refused.accepted], ["epoch_changed", false]);
  const last = await alice.waitFor({ type: "ack", nonce: "c" });
  const acks = alice.received.filter(({ type, nonce }) => type === "ack" && nonce === "a");
  await until("bob hears the last", () => bob.messages().some(({ text }) => text === "last"));
  assert.deepEqual(bob.messages().map(({ text }) => text), ["once", "last"]);
  assert.deepEqual(acks.map(({ seq }) => seq), [last.seq - 1, last.seq - 1], "both are answered with the one number");
});

test("who says something and leaves in the same turn is heard before it is gone", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  sendTogether(alice, [{ type: "say", text: "bye" }, { type: "leave" }]);
  await until("bob sees alice leave", () => bob.saw("left", "alice"));
  const order = bob.received.filter(({ type, left = [] }) => type === "message" || left.length > 0).map(({ type }) => type);
  assert.deepEqual(order, ["message", "presence"]);
});

test("three rooms in one turn: each hears its own", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const members = await Promise.all(Array.from({ length: 6 }, (_, i) => joined(t, `${gateway.url}/room${i % 3}`, `m${i}`)));
  for (const member of members) sendTogether(member, Array.from({ length: 20 }, (_, i) => ({ type: "say", text: `${i}`, nonce: `${i}` })));
  await until("40 messages each", () => members.every((member) => member.messages().length === 40));
  for (const [i, member] of members.entries()) assert.deepEqual(new Set(member.messages().map(({ from }) => from.name)), new Set([`m${i % 3}`, `m${(i % 3) + 3}`]));
});

test("a Redis without memory refuses what is said in a turn, all of it, and nothing is shown", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  redis.lines("CONFIG", "SET", "maxmemory", "1");
  sendTogether(alice, [1, 2, 3].map((i) => ({ type: "say", text: `${i}`, nonce: `${i}` })));
  for (const nonce of ["1", "2", "3"]) {
    const error = await alice.waitFor({ type: "error", nonce });
    assert.deepEqual([error.code, error.accepted], ["unavailable", false]);
  }
  redis.lines("CONFIG", "SET", "maxmemory", "0");
  alice.send({ type: "say", text: "again", nonce: "4" });
  await alice.waitFor({ type: "ack", nonce: "4" });
  await until("bob hears it", () => bob.messages().length > 0);
  assert.deepEqual(bob.messages().map(({ text }) => text), ["again"]);
});

/** Everybody asks to come in while Redis stands still, and the gateway has read it when the pong comes. */
async function crowdAtTheDoor(t, gateway, redis, count) {
  const crowd = Array.from({ length: count }, () => new Member(t, gateway.url));
  await Promise.all(crowd.map((member) => member.opened()));
  redis.signal("SIGSTOP");
  atEnd(t, () => redis.running && redis.signal("SIGCONT"));
  for (const [i, member] of crowd.entries()) sendTogether(member, [{ type: "join", name: `guest-${i}` }, { type: "ping" }]);
  await Promise.all(crowd.map((member) => member.waitFor({ type: "pong" })));
  return crowd;
}

test("what people say does not stand behind all who want to come in", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  const crowd = await crowdAtTheDoor(t, gateway, redis, 300);
  sendTogether(alice, [{ type: "say", text: "still here" }, { type: "ping" }]);
  await alice.waitFor({ type: "pong" });
  redis.signal("SIGCONT");
  const { seq } = await alice.waitFor({ type: "message" });
  await Promise.all(crowd.map((member) => member.waitFor({ type: "welcome" })));
  await until("alice sees them all", () => alice.received.some(({ count }) => count === 301));
  const before = new Map(events(redis).map((event) => [event.seq, event.joined?.length ?? 0]));
  const overtaken = Array.from({ length: seq - alice.welcome.seq - 1 }, (_, i) => before.get(alice.welcome.seq + 1 + i)).reduce((sum, count) => sum + count, 0);
  assert.ok(overtaken <= 150, `it was said after ${overtaken} of them had come in`);
});

test("Redis is lost while a crowd waits to come in: each of them is told, and comes in when it is back", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  await joined(t, gateway.url, "alice");
  const crowd = await crowdAtTheDoor(t, gateway, redis, 200);
  await redis.stop("SIGKILL");
  await Promise.all(crowd.map((member) => member.waitFor({ type: "error", code: "unavailable" })));
  await startRedis(t, { port: redis.port });
  await until("the gateway is ready", async () => (await get(`${gateway.origin}/readyz`)).status === 200);
  for (const [i, member] of crowd.entries()) member.send({ type: "join", name: `guest-${i}` });
  await Promise.all(crowd.map((member) => member.waitFor({ type: "welcome" })));
});

/** Whom each event of the room so far said to have come ("joined") or to be gone ("left"). */
const told = (redis, way) => events(redis).map((event) => event[way]?.map(({ name }) => name) ?? []).filter((names) => names.length > 0);
const arrivals = (redis) => told(redis, "joined");
const departures = (redis) => told(redis, "left");

test("120 who came at once came one by one: an event for each, to every gateway of the room", async (t) => {
  const redis = await startRedis(t);
  const [gateway, other] = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const watcher = await joined(t, other.url, "watcher");
  const crowd = await crowdAtTheDoor(t, gateway, redis, 120);
  redis.signal("SIGCONT");
  const welcomes = await Promise.all(crowd.map((member) => member.waitFor({ type: "welcome" })));
  const [, ...groups] = arrivals(redis);
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

/** Opens a socket for each of these joins; they stand in line behind so many others that they share calls. */
async function manyAtTheDoor(t, gateway, redis, joins) {
  const sockets = await Promise.all(joins.map(() => new Member(t, gateway.url).opened()));
  const before = await crowdAtTheDoor(t, gateway, redis, 130); // at most 120 can be under way
  for (const [i, socket] of sockets.entries()) {
    sendTogether(socket, [{ type: "join", ...joins[i] }, { type: "ping" }]);
    await socket.waitFor({ type: "pong" });
  }
  redis.signal("SIGCONT");
  await Promise.all(before.map((member) => member.waitFor({ type: "welcome" })));
  await until("all are answered", () => sockets.every((member) => member.closed || member.find(({ type }) => type === "welcome" || type === "error")));
  const mine = new Set(joins.map(({ name }) => name));
  assert.ok(arrivals(redis).some((names) => names.filter((name) => mine.has(name)).length > 1), "they shared a call");
  return sockets;
}

test("one name, and one token, twice among those who come in together: the first has it, the other is told", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "0"] });
  const gone = [];
  for (let i = 0; i < 4; i++) gone.push(await joined(t, gateway.url, `gone-${i}`));
  for (const member of gone) member.socket.terminate();
  await until("their tokens are kept", () => redis.lines("KEYS", "yukizuri:{lobby}:left:*").filter(Boolean).length === 4);
  const twins = [0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5].map((number) => ({ name: `twin-${number}-` }));
  const back = gone.flatMap(({ welcome: { me, resume } }) => [{ name: me.name, resume }, { name: `other-${me.name}`, resume }, { name: me.name, resume }]);
  const sockets = await manyAtTheDoor(t, gateway, redis, [...twins, ...back]);
  for (const [i, { name }] of twins.entries()) {
    if (i % 4 < 2) await sockets[i].waitFor({ type: "welcome" });
    else assert.deepEqual((({ code, suggestion }) => [code, suggestion])(await sockets[i].waitFor({ type: "error" })), ["name_taken", `${name}2`]);
  }
  for (const [i, { welcome }] of gone.entries()) {
    const [first, other, again] = sockets.slice(12 + 3 * i);
    assert.equal((await again.waitFor({ type: "welcome" })).me.id, welcome.me.id);
    assert.equal((await first.waitClosed()).code, 4409, "its member is on the other socket now");
    assert.notEqual((await other.waitFor({ type: "welcome" })).me.id, welcome.me.id, "a token is good once");
  }
  assert.deepEqual(arrivals(redis).flat().length, new Set(arrivals(redis).flat()).size + 4, "each name once, and the four who had gone");
});

test("max-members holds among those who come in together", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--max-members", "100"] });
  const crowd = await crowdAtTheDoor(t, gateway, redis, 150);
  redis.signal("SIGCONT");
  const answers = await Promise.all(crowd.map((member) => member.waitFor(({ type }) => type === "welcome" || type === "error")));
  assert.deepEqual(answers.map(({ type, code }) => code ?? type), Array.from({ length: 150 }, (_, i) => (i < 100 ? "welcome" : "room_full")));
  assert.deepEqual(redis.lines("SCARD", "yukizuri:{lobby}:members"), ["100"]);
});

test("somebody's keys were broken by hand: who comes in together with them comes in, and they do too", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "0"] });
  const watcher = await joined(t, gateway.url, "watcher");
  const [gone, there] = [await joined(t, gateway.url, "gone"), await joined(t, gateway.url, "there")];
  gone.socket.terminate();
  await until("it is gone", () => watcher.saw("left", "gone"));
  const room = "yukizuri:{lobby}";
  redis.run("HDEL", `${room}:member:there`, "gateway");
  redis.run("SET", `${room}:left:${gone.welcome.me.id}`, "by hand", "EX", "100");
  redis.run("SET", `${room}:member:named`, "by hand", "EX", "100");
  const names = ["whole-1", "whole-2", "named", "gone", "there", "whole-3"];
  const tokens = { gone: gone.welcome.resume, there: there.welcome.resume };
  const sockets = await manyAtTheDoor(t, gateway, redis, names.map((name) => ({ name, resume: tokens[name] })));
  for (const [i, socket] of sockets.entries()) assert.equal((await socket.waitFor({ type: "welcome" })).me.name, names[i]);
  for (const name of names) assert.equal(redis.lines("HGET", `${room}:member:${name}`, "name")[0], name);
});

test("who leaves, and comes in again behind a crowd, finds its name free", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  const crowd = await crowdAtTheDoor(t, gateway, redis, 132); // the last call in line takes more
  sendTogether(alice, [{ type: "leave" }, { type: "join", name: "alice" }, { type: "ping" }]);
  await alice.waitFor({ type: "pong" });
  redis.signal("SIGCONT");
  await alice.waitFor((message) => message.type === "welcome" && message !== alice.welcome);
  assert.equal(alice.find({ type: "error" }), undefined);
  await Promise.all(crowd.map((member) => member.waitFor({ type: "welcome" })));
});

test("Redis lost all members: those of a room are put back one by one, with an event for each", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--lease", "1"] });
  const names = Array.from({ length: 70 }, (_, i) => `guest-${i}`);
  await Promise.all(names.map((name) => joined(t, gateway.url, name)));
  redis.run("FLUSHALL");
  await until("all are back", () => redis.lines("SCARD", "yukizuri:{lobby}:members")[0] === "70");
  assert.deepEqual(arrivals(redis).flat().sort(), names.sort(), "each is named once");
  assert.ok(arrivals(redis).length < 20, `${arrivals(redis).length} events`);
});

test("120 who left at once left one by one: an event for each, to every gateway of the room", async (t) => {
  const redis = await startRedis(t);
  const [gateway, other] = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const watcher = await joined(t, other.url, "watcher");
  const names = Array.from({ length: 120 }, (_, i) => `guest-${i}`);
  const crowd = await Promise.all(names.map((name) => joined(t, gateway.url, name)));
  redis.lines("CONFIG", "SET", "maxmemory", "1"); // nobody can be taken off
  for (const member of crowd) member.send({ type: "leave" });
  await until("all have said so", async () => /^yukizuri_leaves_total 120$/m.test((await get(`${gateway.origin}/metrics`)).body));
  const refused = calls(redis, "evalsha");
  await until("and were refused again", () => calls(redis, "evalsha") > refused + 12);
  redis.lines("CONFIG", "SET", "maxmemory", "0");
  await until("they are gone", () => watcher.received.some(({ type, count }) => type === "presence" && count === 1));
  assert.deepEqual(departures(redis).flat().sort(), names.sort(), "each is named once");
  assert.deepEqual(departures(redis).map(({ length }) => length).sort(), [20, 50, 50]);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["watcher"]);
});

test("somebody's keys were broken by hand: who leaves together with them leaves once, and they do too", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "1"] });
  const watcher = await joined(t, gateway.url, "watcher");
  const names = ["left-broken", "without-id", "without-name", "without-token", "whole-1", "whole-2"];
  const [broken, ...crowd] = await Promise.all(names.map((name) => joined(t, gateway.url, name)));
  const room = "yukizuri:{lobby}";
  redis.run("SET", `${room}:left:${broken.welcome.me.id}`, "by hand", "EX", "100");
  redis.run("HDEL", `${room}:member:without-id`, "id");
  redis.run("HDEL", `${room}:member:without-name`, "name");
  redis.run("HDEL", `${room}:member:without-token`, "resume", "floor");
  for (const member of [broken, ...crowd]) member.socket.terminate();
  await until("they are gone", () => redis.lines("SMEMBERS", `${room}:members`).join() === "watcher");
  assert.deepEqual(redis.lines("KEYS", `${room}:member:*`), [`${room}:member:watcher`]);
  await until("it is seen", () => ["left-broken", "whole-1", "whole-2"].every((name) => watcher.saw("left", name)));
  assert.deepEqual(departures(redis).flat().sort(), ["left-broken", "whole-1", "whole-2", "without-token"]);
  const back = await joined(t, gateway.url, "left-broken", { resume: broken.welcome.resume });
  assert.equal(back.welcome.me.id, broken.welcome.me.id, "the token is good");
});

test("one of two leaves on purpose, and comes in again under the same name, in one turn", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  sendTogether(alice, [{ type: "leave" }, { type: "join", name: "alice" }]);
  await until("a second welcome", () => alice.received.filter(({ type }) => type === "welcome").length === 2);
  const [first, second] = alice.received.filter(({ type }) => type === "welcome");
  assert.notEqual(second.me.id, first.me.id);
  assert.equal(second.count, 2);
  await until("bob saw both", () => bob.saw("left", "alice") && bob.received.some(({ joined = [] }) => joined.some(({ id }) => id === second.me.id)));
});
