// The lease: one process at a time has a gateway id, except for one that drains beside its successor.
import assert from "node:assert/strict";
import test from "node:test";
import { Gateway, Member, MovingMember, Process, atEnd, binary, freePort, joined, ofKind, startGateway, startRedis, temporaryDirectory, until } from "../lib/harness.mjs";
import { incarnationOf, leaseOf, renewalsPass } from "../lib/rooms.mjs";

const ID_TAKEN = 3; // an exit status

test("a second gateway with the id of a living one exits with a clear line and status 3, and the first continues", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "1", "--leave-grace", "1"];
  const first = await startGateway(t, { redis, args });
  const alice = await joined(t, first.url, "alice");
  const before = incarnationOf(redis, "one");
  const second = new Gateway(t, await freePort(), ["--redis", redis.url, ...args]);
  await until("it waits", () => ofKind(second, "gateway-waiting").length === 1);
  const early = new Member(t, second.url);
  assert.equal(await second.status(), ID_TAKEN);
  assert.match(second.errors, /^yukizuri: gateway-id: another living gateway is called one .*\n$/);
  assert.equal(ofKind(second, "gateway-id-taken").length, 1);
  assert.ok(!early.received.some(({ type }) => type === "welcome"));
  assert.equal(incarnationOf(redis, "one"), before);
  await renewalsPass(redis, "one", 8); // longer than the lease and the grace period
  assert.deepEqual([alice.closed, alice.departures()], [null, []]);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["alice"]);
});

test("a worker whose id belongs to another living process ends its supervisor, however long the detection took", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const first = await startGateway(t, { redis, args: ["--gateway-id", "w-1", "--lease", "18"] });
  const supervisor = new Process(t, binary, ["--addr", `127.0.0.1:${await freePort()}`, "--redis", redis.url, "--workers", "2", "--gateway-id", "w", "--lease", "18", "--drain", "0"]);
  assert.equal(await supervisor.status(40000), 1);
  assert.match(supervisor.errors, /^yukizuri: gateway-id: another living gateway is called w-1 .*\n$/);
  assert.ok(first.running);
});

test("a living gateway that is reconnecting to Redis keeps its id from a new process", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "4"];
  const first = await startGateway(t, { redis, args });
  const before = incarnationOf(redis, "one");
  const looks = () => redis.calls("pubsub|numsub");
  const earlier = looks();
  first.freeze(t); // connecting takes some time
  redis.cut("pubsub");
  const second = new Gateway(t, await freePort(), ["--redis", redis.url, "--drain", "0", ...args]);
  await until("somebody asked whether it is subscribed", () => looks() > earlier);
  first.thaw();
  await until("one of them goes away", () => !second.running || !first.running || incarnationOf(redis, "one") !== before);
  assert.equal(incarnationOf(redis, "one"), before);
  assert.equal(await second.status(), ID_TAKEN);
  assert.deepEqual(ofKind(first, "gateway-superseded"), []);
});

test("if Redis returns to a state in which an earlier incarnation had the lease, the living gateway takes the lease back", { timeout: 120000 }, async (t) => {
  const where = ["--dir", temporaryDirectory(t)];
  const redis = await startRedis(t, { args: where });
  const args = ["--gateway-id", "one", "--lease", "60"];
  const earlier = await startGateway(t, { redis, args });
  const dead = incarnationOf(redis, "one");
  redis.run("SAVE");
  await earlier.stop("SIGKILL");
  const living = await startGateway(t, { redis, args });
  const own = incarnationOf(redis, "one");
  const alice = await joined(t, living.url, "alice");
  await redis.stop("SIGKILL");
  const again = await startRedis(t, { port: redis.port, args: where });
  await until("the lease is the living one's", () => [own, ""].includes(incarnationOf(again, "one")) || ofKind(living, "gateway-superseded").length > 0);
  assert.notEqual(own, dead);
  assert.equal(incarnationOf(again, "one"), own);
  assert.deepEqual(ofKind(living, "gateway-superseded"), []);
  await until("it is told", () => ofKind(living, "lease-lost").length === 1);
  await until("its member is there again", () => again.run("EXISTS", "yukizuri:{lobby}:member:alice") === "1");
  assert.equal(alice.closed, null);
});

test("a lease that was set by hand to an unknown incarnation is taken back, also by a draining gateway", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--gateway-id", "one", "--lease", "1", "--drain", "20"] });
  const own = incarnationOf(redis, "one");
  await joined(t, gateway.url, "filler"); // gets SIGTERM first
  await joined(t, gateway.url, "alice");
  redis.run("HSET", leaseOf("one"), "life", "nobody");
  await until("it is its own again", () => incarnationOf(redis, "one") === own);
  gateway.signal("SIGTERM");
  await until("the lease is marked", () => redis.run("HGET", leaseOf("one"), "draining") === "1");
  redis.run("HSET", leaseOf("one"), "life", "nobody", "draining", "0");
  await until("it is its own again, and marked", () => incarnationOf(redis, "one") === own && redis.run("HGET", leaseOf("one"), "draining") === "1");
  assert.deepEqual([...ofKind(gateway, "gateway-superseded"), ...ofKind(gateway, "gateway-succeeded")], []);
});

test("a draining gateway takes a lost lease again, and reports no successor", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--gateway-id", "one", "--lease", "1", "--drain", "20"] });
  const own = incarnationOf(redis, "one");
  await joined(t, gateway.url, "filler"); // gets SIGTERM first
  await joined(t, gateway.url, "alice");
  gateway.signal("SIGTERM");
  await until("the lease is marked", () => redis.run("HGET", leaseOf("one"), "draining") === "1");
  redis.run("DEL", leaseOf("one"));
  await until("there is a lease", () => redis.run("EXISTS", leaseOf("one")) === "1");
  assert.deepEqual([incarnationOf(redis, "one"), redis.run("HGET", leaseOf("one"), "draining")], [own, "1"]);
  assert.deepEqual(ofKind(gateway, "gateway-succeeded"), []);
});

test("a new process waits for the lease of one whose machine stopped; meanwhile new connections wait and are not refused", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "8"];
  const stopped = await startGateway(t, { redis, args });
  const before = incarnationOf(redis, "one");
  stopped.signal("SIGSTOP");
  atEnd(t, () => stopped.stop("SIGKILL"));
  const second = new Gateway(t, await freePort(), ["--redis", redis.url, "--drain", "0", ...args]);
  await until("it waits", () => ofKind(second, "gateway-waiting").length === 1);
  const early = joined(t, second.url, "early");
  await until("those who begin let nobody wait for so long", () => Number(redis.run("PTTL", leaseOf("one"))) < 4000);
  const later = await joined(t, second.url, "later");
  for (const member of [await early, later]) assert.deepEqual(member.received.filter(({ type }) => type === "error"), []);
  assert.notEqual(incarnationOf(redis, "one"), before);
  assert.equal((await second.stop("SIGINT")).code, 0);
});

test("a gateway that waits for its id while Redis is lost answers requests and reports the loss", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "30"];
  const first = await startGateway(t, { redis, args });
  first.signal("SIGSTOP");
  atEnd(t, () => first.stop("SIGKILL"));
  const second = new Gateway(t, await freePort(), ["--redis", redis.url, ...args]);
  await until("it waits", () => ofKind(second, "gateway-waiting").length === 1);
  await redis.stop("SIGKILL");
  const early = new Member(t, second.url);
  await early.opened();
  early.send({ type: "join", name: "early" });
  await early.waitFor({ type: "error", code: "unavailable" });
  assert.equal((await second.stop("SIGINT")).code, 0);
});

test("a broken count of renewals does not prevent the renewal of a lease", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--gateway-id", "one", "--lease", "1"] });
  for (const junk of ["1.5", "-1", "0x10", "1e3", "x", "9223372036854775807"]) {
    redis.run("HSET", leaseOf("one"), "renewals", junk);
    await until(`${junk} is mended`, () => /^\d{1,6}$/.test(redis.run("HGET", leaseOf("one"), "renewals")));
  }
  assert.deepEqual(ofKind(gateway, "lease-lost"), []);
});

test("a gateway that is killed and started again at once under its id starts at once, although its lease still exists", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "600"];
  const first = await startGateway(t, { redis, args });
  const before = incarnationOf(redis, "one");
  await first.stop("SIGKILL");
  assert.equal(incarnationOf(redis, "one"), before);
  const second = await startGateway(t, { redis, args });
  assert.notEqual(incarnationOf(redis, "one"), before);
  await until("it is told", () => ofKind(second, "gateway-taken-over").length === 1);
});

test("a gateway that was frozen longer than its lease, and lost its id, drains by itself, and its members move", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "1", "--leave-grace", "10"];
  const watcher = await joined(t, (await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "10"] })).url, "watcher");
  const frozen = await startGateway(t, { redis, args });
  const port = await freePort();
  const mover = new MovingMember(t, "alice", frozen.url, `ws://127.0.0.1:${port}/room`);
  await mover.done;
  frozen.freeze(t);
  await until("its lease has run out", () => redis.run("EXISTS", leaseOf("one")) === "0");
  await startGateway(t, { redis, args, port });
  const taken = incarnationOf(redis, "one");
  frozen.thaw();
  assert.equal(await frozen.status(), 1);
  assert.equal(ofKind(frozen, "gateway-superseded").length, 1);
  await until("alice has moved", () => mover.hasMoved);
  assert.equal(incarnationOf(redis, "one"), taken);
  watcher.send({ type: "say", text: "still here?", nonce: "1" });
  await mover.member.waitFor({ type: "message", text: "still here?" });
  assert.deepEqual(watcher.departures(), []);
});

test("two gateways without a gateway-id have different ids, even with one host name and process id", async (t) => {
  const redis = await startRedis(t);
  await startGateway(t, { redis });
  await startGateway(t, { redis });
  const [first, second] = redis.lines("SMEMBERS", "yukizuri:gateways");
  for (const id of [first, second]) assert.match(id, /-\d+-[0-9a-f]{6}$/);
  assert.notEqual(first.slice(-6), second.slice(-6));
});
