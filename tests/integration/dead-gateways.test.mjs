// The members of gateways that die, freeze or return under their id.
import assert from "node:assert/strict";
import test from "node:test";
import { Process, get, joined, lapse, memberThatIsIn, startGateway, startRedis, until, untilLogged } from "../lib/harness.mjs";
import { leaseOf, membersOf } from "../lib/rooms.mjs";

const quick = ["--lease", "1", "--leave-grace", "2"];

test("after kill -9 of a gateway, each of its members is announced as left once, and no key remains", async (t) => {
  const redis = await startRedis(t);
  const doomed = await startGateway(t, { redis, args: quick });
  const others = [await startGateway(t, { redis, args: quick }), await startGateway(t, { redis, args: quick })];
  const watchers = [await joined(t, others[0].url, "w0"), await joined(t, others[1].url, "w1")];
  await watchers[0].say("hello"); // a silent room keeps no events
  for (let i = 0; i < 70; i++) await joined(t, doomed.url, `lost-${i}`);
  await joined(t, `${doomed.url}/alone`, "solitary");
  await until("all are seen", () => watchers.every((w) => w.received.some((m) => m.count === 72)));

  const grace = lapse(1900); // of 2 s, measured by coarse clocks
  await doomed.stop("SIGKILL");
  await until("all are gone", () => watchers.every((w) => w.received.some((m) => m.type === "presence" && m.count === 2)));
  assert.ok(grace.over(), "nobody leaves before the grace is over");
  assert.deepEqual(membersOf(redis), ["w0", "w1"]);
  await until("the room without witnesses is cleared too", () => redis.run("EXISTS", "yukizuri:{alone}:members") === "0");
  await until("the gateway is reaped", () => redis.lines("SMEMBERS", "yukizuri:gateways").length === 2);
  // every leave was published once, by one gateway
  const events = redis.lines("XRANGE", "yukizuri:{lobby}:recent", "-", "+").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const left = events.filter((e) => e.type === "presence").flatMap((e) => e.left.map((p) => p.name));
  assert.ok(events.every((e) => e.type !== "presence" || e.left.length <= 50), "a client is told 50 names at most");
  assert.deepEqual(left.sort(), Array.from({ length: 70 }, (_, i) => `lost-${i}`).sort());
  for (const watcher of watchers)
    for (let i = 0; i < 70; i++) assert.ok(watcher.departures().filter((name) => name === `lost-${i}`).length <= 1);
  assert.deepEqual(redis.lines("KEYS", "yukizuri:{lobby}:member:*").length, 2);
});

test("only a dead gateway's own rooms are searched for its members, each room once", async (t) => {
  const redis = await startRedis(t);
  const args = ["--lease", "1", "--leave-grace", "1"];
  const first = await startGateway(t, { redis, args });
  for (const room of ["a", "b", "c"]) await joined(t, `${first.url}/${room}`, "alice");
  const doomed = await startGateway(t, { redis, args });
  const rooms = Array.from({ length: 20 }, (_, i) => `doomed-${i}`);
  for (const room of rooms) await joined(t, `${doomed.url}/${room}`, "bob");
  await doomed.stop("SIGKILL");
  await until("it is reaped", () => redis.lines("SMEMBERS", "yukizuri:gateways").length === 1);
  assert.equal(redis.run("EXISTS", ...rooms.map((room) => `yukizuri:{${room}}:members`)), "0");
  assert.equal(redis.lines("KEYS", "yukizuri:gateway:*:rooms").length, 1);
  assert.equal(redis.calls("sscan"), rooms.length); // the other one's, and none of its own
});

test("a gateway that is started again under its id removes its earlier members from all their rooms", async (t) => {
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

test("more rooms than fit into one command are all recorded with their gateway, and all their members are removed", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "0", "--gateway-id", "many"] });
  const rooms = Array.from({ length: 1120 }, (_, i) => `room-${i}`);
  for (let i = 0; i < rooms.length; i += 80) await Promise.all(rooms.slice(i, i + 80).map((room) => joined(t, `${gateway.url}/${room}`, "alice")));
  redis.run("DEL", "yukizuri:gateway:many:rooms", ...rooms.map((room) => `yukizuri:{${room}}:members`));
  await until("the gateway has written all its rooms again", () => redis.run("SCARD", "yukizuri:gateway:many:rooms") === String(rooms.length));
  await until("and their members", () => redis.run("EXISTS", ...rooms.map((room) => `yukizuri:{${room}}:members`)) === String(rooms.length), 40000);
  assert.ok(Number(redis.run("TTL", "yukizuri:gateway:many:rooms")) > 0);
});

test("a gateway that was paused for longer than its lease reinstates its members without duplicates", async (t) => {
  const redis = await startRedis(t);
  const sleeper = await startGateway(t, { redis, args: quick });
  const other = await startGateway(t, { redis, args: quick });
  const watcher = await joined(t, other.url, "watcher");
  const alice = await joined(t, sleeper.url, "alice");
  sleeper.freeze(t);
  await until("alice is taken off", () => watcher.departures().filter((name) => name === "alice").length === 1);
  sleeper.thaw();
  await until("alice is reinstated", () => redis.lines("SMEMBERS", "yukizuri:{lobby}:members").includes("alice"));
  assert.equal(redis.run("HGET", "yukizuri:{lobby}:member:alice", "id"), alice.welcome.me.id);
  alice.send({ type: "say", text: "I never left", nonce: "1" });
  await watcher.waitFor({ type: "message", text: "I never left" });
  await until("both gateways are known", () => redis.lines("SMEMBERS", "yukizuri:gateways").length === 2);
  assert.equal((await get(`${sleeper.origin}/healthz`)).status, 200);
});

test("a gateway that was killed and started again under its id removes the members who do not return, and no others", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "fixed", "--lease", "1", "--leave-grace", "2"];
  const first = await startGateway(t, { redis, args });
  await joined(t, first.url, "lost");
  const back = await joined(t, first.url, "back");
  await first.stop("SIGKILL");
  const second = await startGateway(t, { redis, args });
  const again = await joined(t, second.url, "back", { resume: back.welcome.resume });
  assert.equal(again.welcome.me.id, back.welcome.me.id);
  await until("the lost one is taken off", () => again.saw("left", "lost"));
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["back"]);
  assert.ok(!again.saw("left", "back"));
});

test("a gateway that was paused removes no members because of checks from before the pause", async (t) => {
  const redis = await startRedis(t);
  const args = ["--lease", "10", "--leave-grace", "4"];
  const living = await startGateway(t, { redis, args: [...args, "--gateway-id", "living"] });
  const sleeper = await startGateway(t, { redis, args });
  const monitor = new Process(t, "redis-cli", ["-p", String(redis.port), "MONITOR"]);
  const looks = (key) => monitor.output.split(`"EXISTS" "${key}"`).length - 1;
  const looksPass = async (count, key) => {
    const from = looks(key);
    await until("the sleeper looks after the other gateway", () => looks(key) >= from + count);
  };
  const alice = await joined(t, living.url, "alice");
  const forgetLease = () => until("the lease is renewed, then gone", () => redis.run("DEL", "yukizuri:gateway:living") === "1");
  await forgetLease();
  await looksPass(1, "yukizuri:gateway:living:gone"); // and found no lease
  await sleeper.stats(); // and knows it
  sleeper.freeze(t);
  await lapse(2000).end(); // longer than it waits before it removes members
  await forgetLease();
  sleeper.thaw();
  await until("the lease is renewed", () => redis.run("EXISTS", "yukizuri:gateway:living") === "1");
  await looksPass(2, "yukizuri:gateway:living");
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["alice"]);
  assert.equal(alice.departures().filter((name) => name === "alice").length, 0);
});

test("a gateway that starts again while Redis is frozen gives its earlier members the whole grace period", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "fixed", "--lease", "2", "--leave-grace", "3"];
  const watcher = await joined(t, (await startGateway(t, { redis })).url, "watcher");
  const first = await startGateway(t, { redis, args });
  const alice = await joined(t, first.url, "alice");
  await joined(t, first.url, "gone");
  await first.stop("SIGKILL");
  const second = await startGateway(t, { redis, args });
  redis.freeze(t);
  await lapse(4500).end(); // longer than the grace
  redis.thaw();
  const grace = lapse(2900); // of 3 s, measured by coarse clocks
  const { resume, epoch, seq } = alice.welcome;
  await memberThatIsIn(t, second.url, "alice", { resume, since: { epoch, seq } });
  await until("who does not come back has left", () => watcher.saw("left", "gone"));
  assert.ok(grace.over(), "not before the grace is over in which they can come back");
  assert.deepEqual(watcher.departures(), ["gone"]);
});

test("a gateway that starts again while another one removes its earlier members makes sure that all of them are removed", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "fixed", "--lease", "1", "--leave-grace", "1"];
  const first = await startGateway(t, { redis, args });
  await joined(t, first.url, "alice");
  await first.stop("SIGKILL");
  redis.run("SET", "yukizuri:bury:fixed", "another", "PX", "4000");
  await startGateway(t, { redis, args });
  await until("alice is taken off", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "0");
});

test("the rooms of an earlier incarnation are recorded until they have been searched, and no longer", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "1", "--leave-grace", "1"];
  const first = await startGateway(t, { redis, args });
  for (const room of ["a", "b", "c"]) await joined(t, `${first.url}/${room}`, "alice");
  await first.stop("SIGKILL");
  const second = await startGateway(t, { redis, args });
  await joined(t, `${second.url}/b`, "bob");
  await until("alice is gone everywhere", () => redis.lines("KEYS", "yukizuri:{*}:member:alice").length === 0);
  await until("one room is noted", () => redis.run("SMEMBERS", `${leaseOf("one")}:rooms`) === "b");
});

test("after a clean stop no gateway logs a death, and members who did not move leave after the whole grace period", async (t) => {
  const redis = await startRedis(t);
  const times = ["--lease", "3", "--leave-grace", "4"];
  const other = await startGateway(t, { redis, args: times });
  const watcher = await joined(t, other.url, "watcher");
  const stopped = await startGateway(t, { redis, args: [...times, "--gateway-id", "one"] });
  await joined(t, stopped.url, "alice");
  const grace = lapse(3900); // of 4 s, measured by coarse clocks
  const { code } = await stopped.stop("SIGTERM");
  assert.equal(code, 0);
  assert.equal(redis.run("EXISTS", leaseOf("one")), "0");
  await until("alice is taken off", () => watcher.departures().includes("alice"));
  assert.ok(grace.over(), "not before the grace is over");
  const [line, ...more] = await untilLogged(other, "gateway-buried");
  assert.deepEqual([line.level, line.id, more.length], ["info", "one", 0]);
  assert.match(line.message, /has stopped; 1 member/);
  assert.deepEqual(redis.lines("KEYS", "yukizuri:gateway:one*").filter((key) => !key.endsWith(":probe")), []);
});
