// The setting `durability`: with `replica`, a message is acknowledged when a replica of Redis has it too.
import assert from "node:assert/strict";
import test from "node:test";
import { joined, memberThatIsIn, metric, ofKind, readyz, startGateway, startRedis, startReplica, until, untilLogged } from "../lib/harness.mjs";
import { ROOM } from "../lib/rooms.mjs";
import { startAddress } from "../lib/redis-paths.mjs";

const RECENT = `${ROOM}:recent`;
const DURABLE = ["--durability", "replica", "--rate", "0"];

/** Starts Redis with a replica, a gateway that waits for it, and two members. */
async function startRoom(t) {
  const redis = await startRedis(t, { alone: true });
  const replica = await startReplica(t, redis);
  const gateway = await startGateway(t, { redis, args: DURABLE });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  return { redis, replica, gateway, alice, bob };
}

const say = (member, text) => member.send({ type: "say", text, nonce: text });
const acks = (member) => member.received.filter(({ type }) => type === "ack").map(({ nonce }) => nonce);
const unavailable = (member, nonce) => member.waitFor({ type: "error", code: "unavailable", nonce });

test("with a replica, what is said is acknowledged, in order, and many lines share a wait", { timeout: 120000 }, async (t) => {
  const { redis, replica, gateway, alice, bob } = await startRoom(t);
  const lines = Array.from({ length: 200 }, (_, i) => `line ${i}`);
  alice.sendTogether(lines.map((text) => ({ type: "say", text, nonce: text })));
  await until("all are acknowledged", () => acks(alice).length === lines.length);
  assert.deepEqual(acks(alice), lines);
  await until("all are shown", () => bob.texts().length === lines.length);
  assert.equal(replica.lines("XRANGE", RECENT, "-", "+").filter((line) => line.includes('"text":"line ')).length, lines.length);
  const waits = await metric(gateway, "replica_waits_total");
  assert.ok(waits > 0 && waits < lines.length / 4, `${waits} waits`);
  assert.equal(await metric(gateway, "replica_wait_seconds_count"), waits);
  assert.deepEqual([redis.calls("wait"), await metric(gateway, "replica_waits_failed_total")], [waits, 0]);
  assert.equal((await gateway.stats()).replica_waits, waits);
});

test("without the setting, nothing waits for a replica", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t, { alone: true });
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  await alice.say("hello");
  assert.equal(redis.calls("wait"), 0);
  assert.equal(redis.lines("CLIENT", "LIST").filter((line) => line.includes(" name=yukizuri-")).length, 2);
});

test("while the replica is silent, a line is shown and not acknowledged, and others join and leave; sent again later, it is acknowledged and shown once", { timeout: 120000 }, async (t) => {
  const { replica, gateway, alice, bob } = await startRoom(t);
  await alice.say("before");
  replica.freeze(t);
  say(alice, "shown");
  await bob.waitFor({ type: "message", text: "shown" });
  const carol = await joined(t, gateway.url, "carol");
  carol.send({ type: "leave" });
  await bob.waitFor((m) => m.type === "presence" && m.left.some(({ name }) => name === "carol"));
  const refused = await unavailable(alice, "shown");
  assert.equal(refused.accepted, undefined, "nobody knows");
  const [line] = await untilLogged(gateway, "replicas-silent");
  assert.deepEqual([line.level, line.err], ["warn", "no replica has it within 1000 ms"]);
  assert.equal((await readyz(gateway)).status, 200);
  say(alice, "again");
  await unavailable(alice, "again");
  assert.deepEqual(acks(alice), ["before"]);
  replica.thaw();
  const { seq } = await alice.insist("shown");
  assert.equal(seq, bob.find({ type: "message", text: "shown" }).seq);
  await alice.insist("again");
  await alice.say("after");
  await bob.waitFor({ type: "message", text: "after" });
  assert.deepEqual(bob.texts(), ["before", "shown", "again", "after"]);
  await untilLogged(gateway, "replicas-confirm");
  assert.equal(ofKind(gateway, "replicas-silent").length, 1);
  assert.ok((await metric(gateway, "replica_waits_failed_total")) >= 2);
});

test("a Redis without replicas acknowledges nothing, and the log says why", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t, { alone: true });
  const gateway = await startGateway(t, { redis, args: DURABLE });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  say(alice, "lonely");
  await bob.waitFor({ type: "message", text: "lonely" });
  await unavailable(alice, "lonely");
  const [line] = await untilLogged(gateway, "replicas-silent");
  assert.match(line.err, /^no replica has it within/);
  assert.equal((await readyz(gateway)).status, 200);
  await startReplica(t, redis);
  await alice.insist("lonely");
  assert.deepEqual(bob.texts(), ["lonely"]);
});

test("a user who may not WAIT gets nothing acknowledged, and the log says why", { timeout: 120000 }, async (t) => {
  const { redis, gateway, alice } = await startRoom(t);
  redis.run("ACL", "SETUSER", "yukizuri", "-wait");
  say(alice, "denied");
  await unavailable(alice, "denied");
  const [line] = await untilLogged(gateway, "replicas-silent");
  assert.match(line.err, /^NOPERM .*wait/);
  redis.run("ACL", "SETUSER", "yukizuri", "+wait");
  await alice.insist("denied");
  redis.run("ACL", "LOG", "RESET"); // that was meant to be refused
});

test("a gateway that ends while lines wait ends in order, and acknowledges none of them", { timeout: 120000 }, async (t) => {
  const { replica, gateway, alice, bob } = await startRoom(t);
  replica.freeze(t);
  say(alice, "last");
  await bob.waitFor({ type: "message", text: "last" });
  assert.deepEqual(await gateway.stop("SIGINT"), { code: 0, signal: null });
  await alice.waitClosed();
  assert.deepEqual(acks(alice), []);
});

test("a user who may not ask which Redis it is gets nothing acknowledged until it may, without another connection", { timeout: 120000 }, async (t) => {
  const { redis, gateway, alice } = await startRoom(t);
  await alice.say("before");
  redis.run("ACL", "SETUSER", "yukizuri", "-info");
  for (const type of ["normal", "pubsub"]) redis.cut(type);
  await until("nobody can talk", async () => (await readyz(gateway)).status === 503);
  await until("all are connected", () => redis.lines("CLIENT", "LIST").filter((line) => line.includes(" name=yukizuri-")).length === 3);
  const made = await metric(gateway, "redis_lost_total");
  redis.run("ACL", "SETUSER", "yukizuri", "+info");
  await alice.insist("after");
  assert.equal(await metric(gateway, "redis_lost_total"), made);
  await until("it is ready", async () => (await readyz(gateway)).status === 200);
  redis.run("ACL", "LOG", "RESET"); // that was meant to be refused
});

/** What a member was told about this line: "ack", or the error's code. */
const answers = (member, nonce) => member.received.filter((m) => m.nonce === nonce && m.type !== "message").map(({ type, code }) => code ?? type);

/** Two members have said lines that wait for a frozen replica; SIGTERM comes, and then they say one more. */
async function startEnding(t) {
  const { replica, gateway, redis, alice, bob } = await startRoom(t);
  const members = [alice, bob];
  const linesOf = (member) => ["first", "second", "third", "after SIGTERM"].map((line) => `${member.welcome.me.name}: ${line}`);
  replica.freeze(t);
  members.forEach((member) => linesOf(member).slice(0, 3).forEach((line) => say(member, line)));
  await until("all are shown", () => members.every((member) => member.texts().length === 6));
  gateway.signal("SIGTERM");
  await Promise.all(members.map((member) => member.waitFor({ type: "reconnect" })));
  members.forEach((member) => say(member, linesOf(member)[3]));
  await until("they are shown", () => members.every((member) => member.texts().length === 8));
  return { replica, gateway, redis, members, linesOf };
}

async function assertAnsweredBeforeTheEnd({ gateway, members, linesOf }, answer) {
  for (const member of members) {
    assert.equal((await member.waitClosed()).code, 1012);
    for (const line of linesOf(member)) assert.deepEqual(answers(member, line), [answer], line);
    assert.ok(member.received.every(({ accepted }) => accepted === undefined), "nobody knows");
  }
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
}

test("SIGTERM while lines wait for a silent replica: each is refused as unavailable before its connection is closed", { timeout: 120000 }, async (t) => {
  await assertAnsweredBeforeTheEnd(await startEnding(t), "unavailable");
});

test("SIGTERM while lines wait for a replica that answers then: each is acknowledged before its connection is closed", { timeout: 120000 }, async (t) => {
  const ending = await startEnding(t);
  ending.replica.thaw();
  await assertAnsweredBeforeTheEnd(ending, "ack");
});

test("SIGTERM while lines wait, and Redis falls silent, too: each is refused as unavailable before its connection is closed", { timeout: 120000 }, async (t) => {
  const ending = await startEnding(t);
  ending.redis.freeze(t);
  await assertAnsweredBeforeTheEnd(ending, "unavailable");
});

/** Says lines on and on, one as soon as the one before is answered, and again what was refused, until `end`. */
async function talk(member, name, end) {
  for (let i = 0; !end.now && member.closed === null; i++) await member.insist(`${name} ${i}`);
}

test("when Redis is killed and its replica promoted, no acknowledged line is lost, though others are", { timeout: 240000 }, async (t) => {
  const redis = await startRedis(t, { alone: true });
  const link = await startAddress(t, redis.port);
  const replica = await startReplica(t, redis, { port: link.port });
  const last = await startReplica(t, replica); // the replica of the replica confirms after the promotion
  const path = await startAddress(t, redis.port);
  const gateway = await startGateway(t, { redis: redis.urlAt("127.0.0.1", path.port), args: DURABLE });
  const names = ["alice", "bob", "carol", "dave"];
  const members = await Promise.all(names.map((name) => joined(t, gateway.url, name)));
  const witness = await joined(t, gateway.url, "witness");
  const end = { now: false };
  const talking = members.map((member, i) => talk(member, names[i], end));
  await until("they talk", () => members.every((member) => acks(member).length >= 20));
  link.target = 1; // the replica hears nothing more
  link.cut();
  witness.send({ type: "say", text: "unheard", nonce: "unheard" });
  await until("something is shown that no replica has", () => witness.texts().includes("unheard"));
  assert.ok(!replica.run("XRANGE", RECENT, "-", "+").includes('"text":"unheard"'));
  await Promise.all(members.map((member) => member.waitFor({ type: "error", code: "unavailable" })));
  await redis.stop("SIGKILL");
  replica.run("REPLICAOF", "NO", "ONE");
  path.target = replica.port;
  path.cut();
  const before = members.map((member) => acks(member).length);
  await until("they talk again", () => members.every((member, i) => acks(member).length >= before[i] + 5));
  end.now = true;
  await Promise.all(talking);
  const kept = replica.run("XRANGE", RECENT, "-", "+");
  const lost = members.flatMap((member) => acks(member).filter((nonce) => !kept.includes(`"text":"${nonce}"`)));
  assert.deepEqual(lost, []);
  const late = await memberThatIsIn(t, gateway.url, "late");
  await late.say("the last one");
  await until("the replica of the replica has it", () => last.run("XRANGE", RECENT, "-", "+").includes('"text":"the last one"'));
});
