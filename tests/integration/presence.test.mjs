// Who is here: gateways that die, connections that are lost, keys that expire.
import assert from "node:assert/strict";
import test from "node:test";
import { atEnd, Member, get, joined, startGateway, startRedis, until } from "../lib/harness.mjs";

const quick = ["--lease", "1", "--leave-grace", "2"];

/** Every presence line that says `name` left, over all of a member's messages. */
function departures(member, name) {
  return member.received.filter((m) => m.type === "presence").flatMap((m) => m.left.filter((person) => person.name === name));
}

test("kill -9 of a gateway: each of its members is announced once, and nothing lingers", async (t) => {
  const redis = await startRedis(t);
  const doomed = await startGateway(t, { redis, args: quick });
  const others = [await startGateway(t, { redis, args: quick }), await startGateway(t, { redis, args: quick })];
  const watchers = [await joined(t, others[0].url, "w0"), await joined(t, others[1].url, "w1")];
  for (let i = 0; i < 70; i++) await joined(t, doomed.url, `lost-${i}`);
  await joined(t, `${doomed.url}/alone`, "solitary");
  await until("all are seen", () => watchers.every((w) => w.received.some((m) => m.count === 72)));

  const killed = Date.now();
  await doomed.stop("SIGKILL");
  await until("all are gone", () => watchers.every((w) => w.received.some((m) => m.type === "presence" && m.count === 2)));
  const took = Date.now() - killed;
  assert.ok(took >= 2000 - 50, `nobody leaves before the grace is over (${took} ms)`);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members").sort(), ["w0", "w1"]);
  await until("the room without witnesses is cleared too", () => redis.run("EXISTS", "yukizuri:{alone}:members") === "0");
  await until("the gateway is buried", () => redis.lines("SMEMBERS", "yukizuri:gateways").length === 2);
  // every departure was published once, by one gateway
  const events = redis.lines("XRANGE", "yukizuri:{lobby}:recent", "-", "+").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const left = events.filter((e) => e.type === "presence").flatMap((e) => e.left.map((p) => p.name));
  assert.ok(events.every((e) => e.type !== "presence" || e.left.length <= 50), "a client is told 50 names at most");
  assert.deepEqual(left.sort(), Array.from({ length: 70 }, (_, i) => `lost-${i}`).sort());
  for (const watcher of watchers)
    for (let i = 0; i < 70; i++) assert.ok(departures(watcher, `lost-${i}`).length <= 1);
  assert.deepEqual(redis.lines("KEYS", "yukizuri:{lobby}:member:*").length, 2);
});

test("every gateway searched all its rooms for members of an earlier life that it never had", async (t) => {
  const redis = await startRedis(t);
  const args = ["--lease", "1", "--leave-grace", "1"];
  const searches = () => Number(/cmdstat_sscan:calls=(\d+)/.exec(redis.run("INFO", "commandstats"))?.[1] ?? 0);
  const first = await startGateway(t, { redis, args });
  for (const room of ["a", "b", "c"]) await joined(t, `${first.url}/${room}`, "alice");
  const doomed = await startGateway(t, { redis, args });
  const rooms = Array.from({ length: 20 }, (_, i) => `doomed-${i}`);
  for (const room of rooms) await joined(t, `${doomed.url}/${room}`, "bob");
  await doomed.stop("SIGKILL");
  await until("it is buried", () => redis.lines("SMEMBERS", "yukizuri:gateways").length === 1);
  assert.equal(redis.run("EXISTS", ...rooms.map((room) => `yukizuri:{${room}}:members`)), "0");
  assert.equal(redis.lines("KEYS", "yukizuri:gateway:*:rooms").length, 1);
  assert.equal(searches(), rooms.length); // the other one's, and none of its own
});

test("restarted under its old id, a gateway takes its earlier members off in all rooms they were in", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "fixed", "--lease", "1", "--leave-grace", "1"];
  const first = await startGateway(t, { redis, args });
  const rooms = Array.from({ length: 20 }, (_, i) => `room-${i}`);
  for (const room of rooms) await joined(t, `${first.url}/${room}`, "bob");
  await first.stop("SIGKILL");
  const second = await startGateway(t, { redis, args });
  await joined(t, `${second.url}/room-3`, "alice");
  await joined(t, `${second.url}/new`, "alice");
  await until("bob is gone everywhere", () => redis.lines("KEYS", "yukizuri:{*}:member:bob").length === 0);
  assert.deepEqual(redis.lines("KEYS", "yukizuri:{*}:members").sort(), ["yukizuri:{new}:members", "yukizuri:{room-3}:members"]);
});

test("more rooms than fit into one command: all of them are noted, each with its members", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "0", "--gateway-id", "many"] });
  const rooms = Array.from({ length: 1120 }, (_, i) => `room-${i}`);
  for (let i = 0; i < rooms.length; i += 80) await Promise.all(rooms.slice(i, i + 80).map((room) => joined(t, `${gateway.url}/${room}`, "alice")));
  redis.run("DEL", "yukizuri:gateway:many:rooms", ...rooms.map((room) => `yukizuri:{${room}}:members`));
  await until("the gateway has written all its rooms anew", () => redis.run("SCARD", "yukizuri:gateway:many:rooms") === String(rooms.length));
  await until("and their members", () => redis.run("EXISTS", ...rooms.map((room) => `yukizuri:{${room}}:members`)) === String(rooms.length), 40000);
  assert.ok(Number(redis.run("TTL", "yukizuri:gateway:many:rooms")) > 0);
});

test("a crowd that is cut off at once: each of them leaves once when the grace is over", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "3"] });
  const alice = await joined(t, gateway.url, "alice");
  const names = Array.from({ length: 400 }, (_, i) => `cut-${i}`);
  const crowd = await Promise.all(names.map((name) => joined(t, gateway.url, name)));
  for (const { socket } of crowd) socket.terminate();
  await until("all are ghosts", async () => (await gateway.stats()).ghosts === 400);
  await until("all have left", () => alice.received.some(({ type, count }) => type === "presence" && count === 1));
  assert.equal(redis.run("SCARD", "yukizuri:{lobby}:members"), "1");
  assert.equal(redis.lines("KEYS", "yukizuri:{lobby}:member:*").length, 1);
  const { ghosts, leaves } = await gateway.stats();
  assert.deepEqual([ghosts, leaves], [0, 400]);
});

test("all gateways killed and the TTLs over: Redis is empty", async (t) => {
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

test("a peer that answers no ping is closed after ping + 10 seconds", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "0", "--ping", "1"] });
  (await joined(t, gateway.url, "before")).socket.close();
  await until("nobody is there: the gateway's clock of pings stands still", async () => (await gateway.stats()).connections === 0);
  const watcher = await joined(t, gateway.url, "watcher");
  const silent = await joined(t, gateway.url, "silent", {});
  silent.socket.pong = () => {}; // the library answers pings by itself
  silent.socket._receiver.removeAllListeners("ping");
  const from = Date.now();
  await until("it is off the list", () => departures(watcher, "silent").length === 1, 20000);
  assert.ok(Date.now() - from > 9000, "not before");
  assert.equal(watcher.closed, null, "whoever answers stays");
});

test("those who came in together are not pinged together, and each is pinged once in `ping` seconds", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--ping", "4"] });
  const pings = [];
  const crowd = await Promise.all(Array.from({ length: 40 }, (_, i) => joined(t, gateway.url, `p${i}`)));
  for (const [i, { socket }] of crowd.entries()) socket.on("ping", () => pings.push({ i, at: Date.now() }));
  await until("everybody was pinged twice", () => crowd.every((_, i) => pings.filter((ping) => ping.i === i).length >= 2), 20000);
  for (const i of crowd.keys()) {
    const [first, second] = pings.filter((ping) => ping.i === i);
    assert.ok(second.at - first.at > 2000, `two pings ${second.at - first.at} ms apart`);
  }
  const pauses = pings.slice(1).filter(({ at }, i) => at - pings[i].at > 20).length;
  assert.ok(pauses >= 12, `80 pings in ${pauses + 1} crowds: what a second's pings take is felt by those who wait for messages`);
});

test("everybody came back on another gateway, and the room's list and numbers ran out before it renewed them", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const { resume } = (await joined(t, gateways[0].url, "alice")).welcome;
  const keys = ["yukizuri:{lobby}:members", "yukizuri:{lobby}:head"];
  for (const key of keys) redis.run("EXPIRE", key, "60"); // nearly so long ago was it renewed
  await joined(t, gateways[1].url, "alice", { resume });
  const member = Number(redis.run("TTL", "yukizuri:{lobby}:member:alice"));
  for (const key of keys) assert.ok(Number(redis.run("TTL", key)) >= member - 1, `${key} outlives the member`);
});

test("coming back within the grace: nobody sees a thing, and what was missed is there", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const watcher = await joined(t, gateways[0].url, "watcher");
  const first = await joined(t, gateways[0].url, "alice");
  await until("she is seen", () => watcher.saw("joined", "alice"));
  first.socket.terminate();
  for (const text of ["one", "two"]) watcher.send({ type: "say", text, nonce: text });
  await watcher.waitFor({ type: "ack", nonce: "two" });
  const { epoch, seq, resume, me } = first.welcome;
  const again = await joined(t, gateways[1].url, "alice", { resume, since: { epoch, seq } });
  assert.equal(again.welcome.me.id, me.id);
  assert.equal(again.welcome.recovered, true);
  assert.equal(again.welcome.missed, 0);
  await again.waitFor({ type: "message", text: "two" });
  assert.deepEqual(again.messages().map((m) => m.text), ["one", "two"]);
  watcher.send({ type: "say", text: "three", nonce: "three" });
  await again.waitFor({ type: "message", text: "three" });
  assert.equal(departures(watcher, "alice").length, 0);
  assert.equal(watcher.received.filter((m) => m.type === "presence" && m.joined.some((p) => p.name === "alice")).length, 1);
  assert.equal(redis.run("SCARD", "yukizuri:{lobby}:members"), "2");
  await until("the ghost at the old gateway is forgotten", async () => (await gateways[0].stats()).ghosts === 0);
});

test("resumed on another gateway while still connected: the old socket is closed with 4409", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  for (const to of [gateways[1], gateways[0]]) {
    const old = await joined(t, gateways[0].url, "alice");
    const { epoch, seq, resume, me } = old.welcome;
    const next = await joined(t, to.url, "alice", { resume, since: { epoch, seq } });
    assert.equal(next.welcome.me.id, me.id);
    assert.equal((await old.waitClosed()).code, 4409);
    next.send({ type: "leave" });
    await until("she has left", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "0");
  }
});

test("coming back after the grace but within retention: same id, missed messages, and a join is seen", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "0"] });
  const watcher = await joined(t, gateway.url, "watcher");
  const first = await joined(t, gateway.url, "alice");
  first.socket.terminate();
  await until("she has left", () => departures(watcher, "alice").length === 1);
  watcher.send({ type: "say", text: "missed you", nonce: "1" });
  await watcher.waitFor({ type: "ack" });
  const { epoch, seq, resume, me } = first.welcome;
  const again = await joined(t, gateway.url, "alice", { resume, since: { epoch, seq } });
  assert.equal(again.welcome.me.id, me.id);
  assert.equal(again.welcome.recovered, true);
  await again.waitFor({ type: "message", text: "missed you" });
});

test("somebody made up a token with the id of one who had left: that one could not come back under it", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "0"] });
  const bob = await joined(t, gateway.url, "bob");
  const alice = await joined(t, gateway.url, "alice");
  alice.socket.terminate();
  await until("alice has left", () => bob.saw("left", "alice"));
  const { resume, me } = alice.welcome;
  const eve = await joined(t, gateway.url, "eve", { resume: me.id + resume.slice(me.id.length).replaceAll(/[A-Za-z0-9]/g, "A") });
  assert.notEqual(eve.welcome.me.id, me.id);
  const back = await joined(t, gateway.url, "alice", { resume });
  assert.equal(back.welcome.me.id, me.id);
});

test("a made-up or stolen-looking token gives a fresh id and no old messages", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "say", text: "before you came", nonce: "1" });
  await alice.waitFor({ type: "ack" });
  const { epoch, resume } = alice.welcome;
  const forged = `${resume.slice(0, 12)}AAAAAAAAAAAAAAAAAAAAAA`;
  for (const token of [forged, "x", "", "%".repeat(34), "A".repeat(5000)]) {
    const eve = await new Member(t, gateway.url).opened();
    eve.send({ type: "join", name: "eve", resume: token, since: { epoch, seq: 0 } });
    const welcome = await eve.waitFor({ type: "welcome" });
    assert.notEqual(welcome.me.id, alice.welcome.me.id);
    assert.equal(welcome.recovered, false);
    await eve.settled();
    assert.deepEqual(eve.messages(), []);
    eve.send({ type: "leave" });
    await eve.settled();
    await until("gone", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "1");
  }
  const thief = await new Member(t, gateway.url).opened();
  thief.send({ type: "join", name: "alice", resume: forged });
  await thief.waitFor({ type: "error", code: "name_taken" });
});

test("nobody sees with `since` what was said before they came", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "say", text: "secret", nonce: "1" });
  await alice.waitFor({ type: "ack" });
  const bob = await joined(t, gateway.url, "bob");
  const { epoch, resume } = bob.welcome;
  bob.socket.terminate();
  const again = await joined(t, gateway.url, "bob", { resume, since: { epoch, seq: 0 } });
  await again.settled();
  assert.deepEqual(again.messages(), []);
});

test("a gateway that was stopped longer than its lease puts its members back, without duplicates", async (t) => {
  const redis = await startRedis(t);
  const sleeper = await startGateway(t, { redis, args: quick });
  const other = await startGateway(t, { redis, args: quick });
  const watcher = await joined(t, other.url, "watcher");
  const alice = await joined(t, sleeper.url, "alice");
  sleeper.signal("SIGSTOP");
  atEnd(t, () => sleeper.running && sleeper.signal("SIGCONT"));
  await until("alice is taken off", () => departures(watcher, "alice").length === 1);
  sleeper.signal("SIGCONT");
  await until("alice is put back", () => redis.lines("SMEMBERS", "yukizuri:{lobby}:members").includes("alice"));
  assert.equal(redis.run("HGET", "yukizuri:{lobby}:member:alice", "id"), alice.welcome.me.id);
  alice.send({ type: "say", text: "I never left", nonce: "1" });
  await watcher.waitFor({ type: "message", text: "I never left" });
  await until("both gateways are known", () => redis.lines("SMEMBERS", "yukizuri:gateways").length === 2);
  assert.equal((await get(`${sleeper.origin}/healthz`)).status, 200);
});

test("while a room of more than 200 emptied, every gateway read its list once a second, even for nobody", async (t) => {
  const redis = await startRedis(t);
  const [gateway, other] = [await startGateway(t, { redis, args: ["--rate", "0"] }), await startGateway(t, { redis, args: ["--leave-grace", "60"] })];
  const calls = (stats, command) => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  const lists = (stats = redis.run("INFO", "commandstats")) => calls(stats, "srandmember") - calls(stats, "zadd"); // probes do both
  const watcher = await joined(t, gateway.url, "watcher");
  const crowd = await Promise.all(Array.from({ length: 230 }, (_, i) => joined(t, gateway.url, `guest-${i}`)));
  const ghost = await joined(t, other.url, "ghost");
  ghost.socket.terminate();
  await until("it is seen to be gone", async () => (await other.stats()).ghosts === 1);
  const [before, began] = [lists(), Date.now()];
  while (crowd.length > 198) {
    crowd.shift().send({ type: "leave" });
    await until("it is seen", () => watcher.received.some((line) => line.type === "presence" && line.count === crowd.length + 2));
  }
  const read = lists() - before;
  assert.ok(read <= 1 + Math.floor((Date.now() - began) / 5000), `${read} times in ${Date.now() - began} ms`);
  const probe = await joined(t, gateway.url, "probe");
  assert.equal(probe.welcome.count, 201);
  await until("the list names as many as it can", async () => {
    probe.send({ type: "members" });
    await probe.settled();
    return probe.received.filter(({ type }) => type === "members").at(-1)?.members.length === 200;
  });
});

test("who came in where the list had run thin was never told the other names", async (t) => {
  const redis = await startRedis(t);
  const [gateway, other] = [await startGateway(t, { redis, args: ["--rate", "0"] }), await startGateway(t, { redis, args: ["--leave-grace", "60"] })];
  const crowd = await Promise.all(Array.from({ length: 230 }, (_, i) => joined(t, gateway.url, `guest-${i}`)));
  const ghost = await joined(t, other.url, "ghost"); // knows 200 of 231
  ghost.socket.terminate();
  await until("it is seen to be gone", async () => (await other.stats()).ghosts === 1);
  for (const member of crowd.slice(0, 140)) member.send({ type: "leave" });
  await until("they are gone", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "91");
  const visitor = await joined(t, other.url, "visitor");
  assert.equal(visitor.welcome.count, 92);
  assert.ok(visitor.welcome.members.length < 92, "the list is thin");
  const list = await visitor.waitFor({ type: "members" });
  assert.equal(list.members.length, 92, "all names are there");
});

test("who left while a gateway was going away stayed in the room until it was buried", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--drain", "3"] });
  const crowd = await Promise.all(Array.from({ length: 40 }, (_, i) => joined(t, `${gateway.url}/room-${i}`, "guest")));
  redis.run("CLIENT", "PAUSE", "2500"); // longer than an empty gateway takes to go
  for (const member of crowd) member.send({ type: "leave" });
  await Promise.all(crowd.map((member) => member.settled()));
  gateway.signal("SIGTERM");
  for (const member of crowd) member.socket.terminate();
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
  assert.deepEqual(redis.lines("KEYS", "yukizuri:{*}:member:*"), []);
});
