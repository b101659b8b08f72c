// Resumes: within the grace period and later, while the old socket exists, and too late.
import assert from "node:assert/strict";
import test from "node:test";
import { Member, joined, lapse, startGateway, startRedis, unfit, until } from "../lib/harness.mjs";
import { membersOf } from "../lib/rooms.mjs";
import { startHeldRoom } from "../lib/held-room.mjs";

test("a resume within the grace period is invisible to others and brings the missed messages", async (t) => {
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
  assert.equal(watcher.departures().filter((name) => name === "alice").length, 0);
  assert.equal(watcher.received.filter((m) => m.type === "presence" && m.joined.some((p) => p.name === "alice")).length, 1);
  assert.equal(redis.run("SCARD", "yukizuri:{lobby}:members"), "2");
  await until("the detached session at the old gateway is gone", async () => (await gateways[0].stats()).ghosts === 0);
});

test("a resume on another gateway closes the connected socket with 4409", async (t) => {
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

test("a resume after the grace period but within retention keeps the id, brings the missed messages, and is shown as a join", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "0"] });
  const watcher = await joined(t, gateway.url, "watcher");
  const first = await joined(t, gateway.url, "alice");
  first.socket.terminate();
  await until("she has left", () => watcher.departures().filter((name) => name === "alice").length === 1);
  watcher.send({ type: "say", text: "missed you", nonce: "1" });
  await watcher.waitFor({ type: "ack" });
  const { epoch, seq, resume, me } = first.welcome;
  const again = await joined(t, gateway.url, "alice", { resume, since: { epoch, seq } });
  assert.equal(again.welcome.me.id, me.id);
  assert.equal(again.welcome.recovered, true);
  await again.waitFor({ type: "message", text: "missed you" });
});

test("a forged token with the id of a removed member does not prevent that member's resume", async (t) => {
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

test("a forged or malformed token gives a new id and no old messages", async (t) => {
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

test("`since` does not show messages from before the member's first join", async (t) => {
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

test("missed counts messages and not presence events", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0", "--retention-messages", "4", "--leave-grace", "30"] });
  const bob = await joined(t, gateway.url, "bob");
  const alice = await joined(t, gateway.url, "alice");
  const { resume, epoch, seq } = alice.welcome;
  alice.socket.terminate();
  let said = 0;
  for (let round = 0; round < 5; round++) {
    const guest = await joined(t, gateway.url, `guest${round}`);
    guest.send({ type: "leave" });
    bob.send({ type: "say", text: `${said}`, nonce: `${said++}` });
    await bob.waitFor({ type: "ack", nonce: `${said - 1}` });
  }
  const again = await joined(t, gateway.url, "alice", { resume, since: { epoch, seq } });
  bob.send({ type: "say", text: "last", nonce: "last" });
  await again.waitFor({ type: "message", text: "last" });
  assert.equal(again.welcome.recovered, false);
  assert.equal(again.welcome.missed + again.messages().length, said + 1);
  assert.ok(again.welcome.missed > 0 && again.messages().length > 1);
});

test("a join that its gateway has given up does not take the member from its newer socket", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const { redis, path, near, far, alice, session, comeBack } = await startHeldRoom(t);
  const before = session();
  const given = await new Member(t, far.url).opened();
  path.hold();
  const ofUse = lapse(5500); // 5 s, plus the difference of the clocks
  given.send(comeBack);
  await given.waitFor({ type: "error", code: "unavailable" });
  await ofUse.end();
  path.release();
  const judged = () => redis.run("INFO", "errorstats").includes("errorstat_LATE:count=1");
  await until("Redis has judged it", () => judged() || session().join() !== before.join());
  const bob = await joined(t, near.url, "bob");
  bob.send({ type: "say", text: "still here?" });
  await alice.waitFor({ type: "message", text: "still here?" });
  assert.equal(alice.closed, null);
  assert.deepEqual(session(), before);
});

for (const opened of [true, false])
  test(`a delayed join does not take the member from a socket that asked later; the room is ${opened ? "open" : "not open"} there`, { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
    const { redis, path, near, far, session, comeBack } = await startHeldRoom(t, { opened });
    const held = await new Member(t, far.url).opened();
    path.hold();
    held.send(comeBack);
    const asked = redis.now();
    await until("Redis' clock has gone on by more than what a gateway knows of it", () => redis.now() > asked + 400);
    const later = await joined(t, near.url, "alice", { resume: comeBack.resume });
    const before = session();
    path.release();
    const answer = await held.waitFor(({ type }) => type === "welcome" || type === "error");
    assert.equal(answer.code, "unavailable");
    await later.settled();
    assert.equal(later.closed, null);
    assert.deepEqual(session(), before);
  });

test("a gateway that was frozen does not request joins for clients that have gone", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const { near, far, session, comeBack } = await startHeldRoom(t);
  const gone = await new Member(t, far.url).opened();
  const connections = (await far.stats()).connections;
  far.freeze(t);
  gone.send(comeBack);
  gone.socket.terminate();
  await gone.waitClosed();
  const later = await joined(t, near.url, "alice", { resume: comeBack.resume });
  const before = session();
  far.thaw();
  await until("its gateway knows that it is gone", async () => (await far.stats()).connections < connections);
  await later.settled();
  assert.equal(later.closed, null);
  assert.deepEqual(session(), before);
});

test("request times from before Redis' clock was set back do not block a resume", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const { redis, near, far, alice, comeBack } = await startHeldRoom(t);
  const key = "yukizuri:{lobby}:member:alice";
  const [asked] = redis.lines("HGET", key, "asked_at");
  assert.ok(Math.abs(Number(asked) - redis.now()) < 3600000, `it is in ms of Redis' clock: ${asked}`);
  redis.run("HSET", key, "asked_at", String(Number(asked) + 3600000));
  const again = await joined(t, far.url, "alice", { resume: comeBack.resume });
  assert.equal((await alice.waitClosed()).code, 4409);
  redis.run("HSET", key, "asked_at", "broken by hand");
  await joined(t, near.url, "alice", { resume: comeBack.resume });
  assert.equal((await again.waitClosed()).code, 4409);
});

test("one id is never two members: a member who resumed under another name is not reinstated under the old one", async (t) => {
  const redis = await startRedis(t);
  const args = ["--lease", "1", "--leave-grace", "1"];
  const [stopped, other, third] = await Promise.all([0, 1, 2].map(() => startGateway(t, { redis, args })));
  const watcher = await joined(t, third.url, "watcher");
  const old = await joined(t, stopped.url, "old");
  const member = (name, field) => redis.run("HGET", `yukizuri:{lobby}:member:${name}`, field);
  stopped.freeze(t);
  await until("it is thought dead", () => redis.run("EXISTS", "yukizuri:{lobby}:member:old") === "0");
  const { resume, me } = old.welcome;
  const again = await joined(t, other.url, "new", { resume });
  assert.equal(again.welcome.me.id, me.id);
  stopped.thaw();
  assert.equal((await old.waitClosed()).code, 4409);
  await again.settled();
  assert.equal(again.closed, null);
  assert.deepEqual([member("old", "id"), member("new", "id")], ["", me.id]);
  assert.deepEqual(membersOf(redis), ["new", "watcher"]);
  assert.equal(watcher.closed, null);
});

test("a member who resumed twice is reinstated when its key is lost", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "0"] });
  const first = await joined(t, gateway.url, "alice");
  const bob = await joined(t, gateway.url, "bob");
  first.socket.terminate();
  await until("she is gone", () => bob.saw("left", "alice"));
  const { resume, me } = first.welcome;
  await joined(t, gateway.url, "alice", { resume });
  const third = await joined(t, gateway.url, "alice", { resume });
  redis.run("DEL", "yukizuri:{lobby}:member:alice", "yukizuri:{lobby}:head"); // a new epoch: all members are checked soon
  bob.send({ type: "say", text: "wakes the room" });
  await until("she is reinstated", () => redis.run("HGET", "yukizuri:{lobby}:member:alice", "id") === me.id);
  await third.settled();
  assert.equal(third.closed, null);
});
