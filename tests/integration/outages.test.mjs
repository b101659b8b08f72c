// Bugs that breaking things on purpose (../chaos) has found, each under the name of its symptom.
import assert from "node:assert/strict";
import net from "node:net";
import test from "node:test";
import { Gateway, Member, atEnd, freePort, get, joined, lasting, startGateway, startRedis, until } from "../lib/harness.mjs";

const HEAD = "yukizuri:{lobby}:head";
const lefts = (member, name) => member.received.filter((m) => m.type === "presence" && m.left.some((person) => person.name === name)).length;

test("after Redis lost its memory, a line that was repeated showed twice", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  const say = { type: "say", text: "once", nonce: "n", epoch: alice.welcome.epoch };
  alice.send(say);
  await alice.waitFor({ type: "ack", nonce: "n" });
  redis.run("FLUSHALL");
  alice.send(say);
  const error = await alice.waitFor({ type: "error" });
  assert.deepEqual([error.code, error.nonce, error.accepted], ["epoch_changed", "n", false]);
  alice.send({ type: "say", text: "new", nonce: "m" });
  const { epoch } = await alice.waitFor({ type: "gap" });
  await alice.waitFor({ type: "message", text: "new" });
  alice.send({ type: "say", text: "newer", nonce: "o", epoch });
  await alice.waitFor({ type: "message", text: "newer" });
  assert.equal(alice.messages().filter((m) => m.text === "once").length, 1);
});

test("a line that was stuck on a dead path came again after its author had left", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  const bob = await joined(t, gateway.url, "bob");
  const { id } = alice.welcome.me;
  alice.send({ type: "say", text: "once", nonce: "n" });
  const { seq } = await alice.waitFor({ type: "ack", nonce: "n" });
  alice.send({ type: "leave" });
  await until("she is gone", () => bob.saw("left", "alice"));
  assert.equal(redis.run("ZSCORE", `yukizuri:{lobby}:nonces:${id}`, "n"), String(seq), "it would still be known");
  assert.ok(Number(redis.run("TTL", `yukizuri:{lobby}:nonces:${id}`)) > 0, "and not for ever");
});

test("a line refused because Redis cannot be reached says that it was surely not accepted", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  redis.run("CONFIG", "SET", "maxmemory", "1");
  alice.send({ type: "say", text: "no room for it", nonce: "full" });
  assert.equal((await alice.waitFor({ type: "error", code: "unavailable", nonce: "full" })).accepted, false);
  redis.run("CONFIG", "SET", "maxmemory", "0");
  redis.signal("SIGSTOP");
  atEnd(t, () => redis.running && redis.signal("SIGCONT"));
  alice.send({ type: "say", text: "on its way", nonce: "frozen" });
  assert.equal((await alice.waitFor({ type: "error", nonce: "frozen" })).accepted, undefined, "nobody knows");
  redis.signal("SIGCONT");
  await alice.waitFor({ type: "message", text: "on its way" });
  await redis.stop("SIGKILL");
  await until("it is surely not accepted once the connection is gone", async () => {
    alice.send({ type: "say", text: "nowhere to go", nonce: "gone" });
    return (await alice.waitFor((m) => m.type === "error" && m.nonce === "gone")).accepted === false;
  });
});

test("who could not come back because Redis was frozen was announced as left", async (t) => {
  const redis = await startRedis(t);
  const args = ["--leave-grace", "4"];
  const [here, there] = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
  const watcher = await joined(t, here.url, "watcher");
  const alice = await joined(t, here.url, "alice");
  const { resume, epoch, seq, me } = alice.welcome;
  alice.socket.terminate();
  redis.signal("SIGSTOP");
  atEnd(t, () => redis.running && redis.signal("SIGCONT"));
  const early = await new Member(t, there.url).opened(); // its outcome will not be known in time
  early.send({ type: "join", name: "alice", resume, since: { epoch, seq } });
  await early.waitFor({ type: "error", code: "unavailable" });
  await lasting(2000);
  redis.signal("SIGCONT");
  const again = await until("alice is back", async () => {
    const member = await new Member(t, there.url).opened();
    member.send({ type: "join", name: "alice", resume, since: { epoch, seq } });
    const answer = await member.waitFor((m) => m.type === "welcome" || m.type === "error");
    return answer.type === "welcome" && Object.assign(member, { welcome: answer });
  });
  assert.deepEqual([again.welcome.me.id, again.welcome.recovered], [me.id, true]);
  again.send({ type: "say", text: "here I am", nonce: "1" });
  await watcher.waitFor({ type: "message", text: "here I am" });
  await lasting(6000); // longer than the grace: whatever was still owed is done
  assert.equal(lefts(watcher, "alice"), 0);
  again.send({ type: "say", text: "still here", nonce: "2" });
  await watcher.waitFor({ type: "message", text: "still here" });
});

test("a gateway that woke up took the living off the list, on news from before it slept", async (t) => {
  const redis = await startRedis(t);
  const args = ["--lease", "10", "--leave-grace", "4"];
  const living = await startGateway(t, { redis, args: [...args, "--gateway-id", "living"] });
  const sleeper = await startGateway(t, { redis, args });
  const alice = await joined(t, living.url, "alice");
  const forgetLease = () => until("the lease is renewed, then gone", () => redis.run("DEL", "yukizuri:gateway:living") === "1");
  await forgetLease();
  await lasting(1100); // the sleeper has looked once, and suspects
  sleeper.signal("SIGSTOP");
  atEnd(t, () => sleeper.running && sleeper.signal("SIGCONT"));
  await lasting(2000);
  await forgetLease();
  sleeper.signal("SIGCONT");
  await until("the lease is renewed", () => redis.run("EXISTS", "yukizuri:gateway:living") === "1");
  await lasting(1000);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["alice"]);
  assert.equal(lefts(alice, "alice"), 0);
});

test("after Redis lost its memory, a newcomer was welcomed with the numbers from before", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  for (let i = 0; i < 30; i++) alice.send({ type: "say", text: `${i}`, nonce: `${i}` });
  await alice.waitFor({ type: "ack", nonce: "29" });
  redis.run("FLUSHALL");
  const bob = await joined(t, gateway.url, "bob");
  assert.equal(bob.welcome.epoch, redis.run("HGET", HEAD, "epoch"));
  assert.ok(bob.welcome.seq < 10, JSON.stringify(bob.welcome));
  assert.equal(bob.find({ type: "gap" }), undefined, "a newcomer missed nothing");
});

test("after Redis lost its memory, who came back did not get what was said before they were put back", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--lease", "3"] });
  const alice = await joined(t, gateway.url, "alice");
  const bob = await joined(t, gateway.url, "bob");
  redis.run("FLUSHALL");
  for (let i = 0; i < 5; i++) bob.send({ type: "say", text: `${i}`, nonce: `${i}` });
  await bob.waitFor({ type: "ack", nonce: "4" });
  const { seq, from } = await alice.waitFor({ type: "message", text: "1" });
  assert.equal(from.name, "bob");
  const { epoch } = await alice.waitFor({ type: "gap" });
  await until("both are put back", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "2");
  alice.socket.terminate();
  const again = await joined(t, gateway.url, "alice", { resume: alice.welcome.resume, since: { epoch, seq } });
  assert.deepEqual([again.welcome.recovered, again.welcome.missed], [true, 0]);
  await again.waitFor({ type: "message", text: "4" });
  assert.deepEqual(again.messages().map((m) => m.text), ["2", "3", "4"]);
});

test("a member who came back behind, with a full socket: the gateway read freed frames when they grew too old", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0", "--retention", "6", "--backlog", "0", "--max-text", "8000", "--max-message", "100000"] });
  const talker = await joined(t, gateway.url, "talker");
  const alice = await joined(t, gateway.url, "alice");
  const { resume, epoch, seq } = alice.welcome;
  alice.socket.terminate();
  const LINES = 2500;
  for (let i = 0; i < LINES; i++) talker.send({ type: "say", text: "x".repeat(6000), nonce: `${i}` });
  await talker.waitFor({ type: "ack", nonce: `${LINES - 1}` });
  const again = await new Member(t, gateway.url).opened();
  again.socket.pause();
  again.send({ type: "join", name: "alice", resume, since: { epoch, seq } });
  await until("she is cut off once it is all too old", async () => (await gateway.stats()).slow_readers === 1);
  again.socket.resume();
  assert.equal((await again.waitClosed()).code, 4408);
  assert.ok(again.messages().length < LINES);
  await talker.settled();
});

test("when the head was deleted by hand, nobody could speak or come back", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  const bob = await joined(t, gateway.url, "bob");
  redis.run("DEL", HEAD);
  alice.send({ type: "say", text: "hello", nonce: "1", epoch: alice.welcome.epoch });
  assert.equal((await alice.waitFor({ type: "error", nonce: "1" })).code, "epoch_changed");
  const { epoch } = await alice.waitFor({ type: "gap" });
  alice.send({ type: "say", text: "hello again", nonce: "1", epoch });
  await bob.waitFor({ type: "message", text: "hello again" });
  redis.run("DEL", HEAD);
  bob.socket.terminate();
  const back = await joined(t, gateway.url, "bob", { resume: bob.welcome.resume, since: { epoch, seq: 0 } });
  assert.equal(back.welcome.epoch, redis.run("HGET", HEAD, "epoch"));
});

test("restarted under its old id while Redis was frozen, a gateway announced its earlier members at once", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "fixed", "--lease", "2", "--leave-grace", "3"];
  const watcher = await joined(t, (await startGateway(t, { redis })).url, "watcher");
  const first = await startGateway(t, { redis, args });
  const alice = await joined(t, first.url, "alice");
  await first.stop("SIGKILL");
  const second = await startGateway(t, { redis, args });
  redis.signal("SIGSTOP");
  atEnd(t, () => redis.running && redis.signal("SIGCONT"));
  await lasting(4500);
  redis.signal("SIGCONT");
  await lasting(1500);
  assert.equal(lefts(watcher, "alice"), 0);
  const { resume, epoch, seq } = alice.welcome;
  await joined(t, second.url, "alice", { resume, since: { epoch, seq } });
  await lasting(4500);
  assert.equal(lefts(watcher, "alice"), 0);
});

test("restarted under its old id while somebody else was burying it, its earlier members stayed for ever", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "fixed", "--lease", "1", "--leave-grace", "1"];
  const first = await startGateway(t, { redis, args });
  await joined(t, first.url, "alice");
  await first.stop("SIGKILL");
  redis.run("SET", "yukizuri:bury:fixed", "another", "PX", "4000");
  await startGateway(t, { redis, args });
  await until("alice is taken off", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "0", 12000);
});

test("messages before a gap were counted as missed, and shown all the same", async (t) => {
  const redis = await startRedis(t);
  const args = ["--rate", "0", "--leave-grace", "60"];
  const [cut, other] = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
  const alice = await joined(t, cut.url, "alice");
  const bob = await joined(t, other.url, "bob");
  let said = 0;
  const say = async (count) => {
    for (let i = 0; i < count; i++) bob.send({ type: "say", text: `${said}`, nonce: `${said++}` });
    await bob.waitFor({ type: "ack", nonce: `${said - 1}` });
  };
  await say(1);
  const { seq } = await alice.waitFor({ type: "message", text: "0" });
  await say(4);
  await alice.waitFor({ type: "message", text: "4" });
  cut.signal("SIGSTOP");
  atEnd(t, () => cut.running && cut.signal("SIGCONT"));
  redis.run("CLIENT", "KILL", "TYPE", "pubsub");
  await until("the other one hears again", () => Number(redis.run("PUBSUB", "NUMSUB", "yukizuri:{lobby}").split("\n")[1]) === 1);
  await say(6);
  redis.run("XTRIM", "yukizuri:{lobby}:recent", "MAXLEN", "2"); // as if more than `retention` had passed
  cut.signal("SIGCONT");
  const gap = await alice.waitFor({ type: "gap" });
  assert.equal(gap.missed, 4);
  alice.socket.terminate();
  const { resume, epoch } = alice.welcome;
  const again = await joined(t, cut.url, "alice", { resume, since: { epoch, seq } });
  await again.waitFor({ type: "message", text: `${said - 1}` });
  assert.equal(again.welcome.missed, 4);
  assert.deepEqual(again.messages().map((m) => m.text), ["1", "2", "3", "4", "9", "10"]);
});

test("a Redis that takes no writes was called ready", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  redis.run("CONFIG", "SET", "maxmemory", "1");
  await until("readyz says why", async () => /takes no writes: OOM/.test((await get(`${gateway.origin}/readyz`)).body));
  redis.run("CONFIG", "SET", "maxmemory", "0");
  await until("it is ready again", async () => (await get(`${gateway.origin}/readyz`)).status === 200);
});

test("who went while Redis lost its memory stayed on everybody's list", async (t) => {
  const redis = await startRedis(t);
  const args = ["--lease", "1"];
  const [here, there] = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
  const watcher = await joined(t, here.url, "watcher");
  await joined(t, there.url, "alice");
  await until("alice is seen", () => watcher.saw("joined", "alice"));
  await there.stop("SIGKILL");
  redis.run("FLUSHALL");
  await watcher.waitFor({ type: "gap", missed: 0 });
  const list = await watcher.waitFor({ type: "members" });
  assert.deepEqual([list.count, list.members.map((person) => person.name)], [1, ["watcher"]]);
});

test("missed counted who came and went as messages", async (t) => {
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

for (const [name, retention] of [["what Redis no longer had when a gateway came back was counted wrong", ["--retention-messages", "3"]], ["with retention 0, what a gateway missed was counted wrong", ["--retention", "0"]]])
  test(name, async (t) => {
    const redis = await startRedis(t);
    const args = ["--rate", "0", ...retention];
    const [cut, other] = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
    const alice = await joined(t, cut.url, "alice");
    const bob = await joined(t, other.url, "bob");
    await until("bob is seen", () => alice.saw("joined", "bob"));
    cut.signal("SIGSTOP");
    atEnd(t, () => cut.running && cut.signal("SIGCONT"));
    redis.run("CLIENT", "KILL", "TYPE", "pubsub");
    await until("the other one hears again", async () => {
      bob.send({ type: "typing" });
      return Number(redis.run("PUBSUB", "NUMSUB", "yukizuri:{lobby}").split("\n")[1]) === 1;
    });
    for (let i = 0; i < 7; i++) {
      const guest = await joined(t, other.url, `guest${i}`);
      guest.send({ type: "leave" });
      bob.send({ type: "say", text: `${i}`, nonce: `${i}` });
      await bob.waitFor({ type: "ack", nonce: `${i}` });
    }
    cut.signal("SIGCONT");
    const gap = await alice.waitFor({ type: "gap" });
    bob.send({ type: "say", text: "last", nonce: "last" });
    await alice.waitFor({ type: "message", text: "last" });
    assert.equal(gap.missed + alice.messages().length, 8, JSON.stringify(gap));
    const list = await alice.waitFor({ type: "members" });
    assert.deepEqual(list.members.map((person) => person.name).sort(), ["alice", "bob"]);
  });

test("a deploy with a new gateway beside the old one reset connections that were just being made", async (t) => {
  const redis = await startRedis(t);
  const port = await freePort();
  const args = ["--max-connections-per-address", "0"];
  let gateway = await startGateway(t, { redis, port, args });
  const upgrade = "GET /room HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  const answers = new Map();
  const connectOnce = () =>
    new Promise((resolve) => {
      const socket = net.connect({ port, host: "127.0.0.1" }, () => socket.write(upgrade));
      const done = (answer) => (answers.set(answer, (answers.get(answer) ?? 0) + 1), socket.resetAndDestroy(), resolve());
      socket.once("data", (data) => done(data.toString().split("\r\n")[0]));
      socket.once("error", (error) => done(String(error)));
    });
  let over = false;
  const visitors = Array.from({ length: 32 }, async () => {
    while (!over) await connectOnce();
  });
  for (let i = 0; i < 4; i++) {
    const next = await startGateway(t, { redis, port, args });
    await gateway.stop("SIGTERM");
    gateway = next;
  }
  over = true;
  await Promise.all(visitors);
  assert.deepEqual([...answers.keys()], ["HTTP/1.1 101 Switching Protocols"], JSON.stringify([...answers]));
});

test("a lost set of members was never rebuilt", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "2"] });
  await joined(t, gateway.url, "alice");
  await joined(t, gateway.url, "bob");
  redis.run("DEL", "yukizuri:{lobby}:members");
  await until("both are in it again", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "2", 40000);
});

test("one key of a wrong type let the others expire, or kept people out", async (t) => {
  const redis = await startRedis(t);
  const args = ["--lease", "1", "--leave-grace", "2"];
  const gateway = await startGateway(t, { redis, args });
  const alice = await joined(t, gateway.url, "alice");
  const ben = await joined(t, gateway.url, "ben");
  const zoe = await joined(t, gateway.url, "zoe");
  const room = "yukizuri:{lobby}";
  const breakKey = (key) => (redis.run("DEL", key), redis.run("SET", key, "by hand", "EX", "100"));
  breakKey(`${room}:member:ben`);
  await until("ben is put back", () => redis.run("TYPE", `${room}:member:ben`) === "hash", 40000);
  breakKey(`${room}:nonces:${alice.welcome.me.id}`);
  alice.send({ type: "say", text: "hello", nonce: "1" });
  await alice.waitFor({ type: "ack", nonce: "1" });
  breakKey(`${room}:members`);
  const other = await startGateway(t, { redis, args });
  const carol = await joined(t, other.url, "carol");
  await until("all are in the set", () => redis.run("SCARD", `${room}:members`) === "4", 40000);
  breakKey(`${room}:left:${zoe.welcome.me.id}`);
  zoe.socket.terminate();
  const again = await joined(t, other.url, "zoe", { resume: zoe.welcome.resume, since: { epoch: zoe.welcome.epoch, seq: zoe.welcome.seq } });
  again.send({ type: "say", text: "back", nonce: "1" });
  for (const member of [alice, ben, carol]) await member.waitFor({ type: "message", text: "back" });
});

test("a head with a number that is none stopped the room", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  for (const [i, number] of ["nan", "inf", "1e300", "9007199254740992", "-3", "1.5", "junk"].entries()) {
    redis.run("HSET", HEAD, "seq", number);
    alice.send({ type: "say", text: `line ${i}`, nonce: `${i}` });
    await alice.waitFor({ type: "message", text: `line ${i}` });
  }
});

test("who went while Redis took no writes for long stayed on everybody's list", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "1"] });
  const alice = await joined(t, gateway.url, "alice");
  const leaver = await joined(t, gateway.url, "leaver");
  await until("the leaver is seen", () => alice.saw("joined", "leaver"));
  redis.run("CONFIG", "SET", "maxmemory", "1");
  leaver.send({ type: "leave" });
  leaver.socket.close();
  await until("the members' keys have run out", () => redis.run("EXISTS", "yukizuri:{lobby}:member:leaver") === "0", 40000);
  redis.run("CONFIG", "SET", "maxmemory", "0");
  const list = await alice.waitFor({ type: "members" });
  assert.deepEqual([list.count, list.members.map((person) => person.name)], [1, ["alice"]]);
});

test("whoever came while a gateway had just begun was told that the chat cannot be reached", async (t) => {
  const redis = await startRedis(t);
  redis.signal("SIGSTOP"); // the gateway will reach it only later
  const gateway = new Gateway(t, await freePort(), ["--redis", redis.url, "--drain", "0"]);
  await until("it has begun", () => gateway.log.some((line) => line.kind === "start"));
  const early = new Member(t, gateway.url);
  early.socket.once("open", () => early.send({ type: "join", name: "early" }));
  await lasting(100);
  redis.signal("SIGCONT");
  await early.waitFor(({ type }) => type === "welcome" || type === "error");
  assert.equal(early.received[0].type, "welcome", JSON.stringify(early.received));
  assert.equal((await get(`${gateway.origin}/readyz`)).status, 200);
  assert.deepEqual(await gateway.stop("SIGINT"), { code: 0, signal: null });
});

/** Keeps Redis busy for so long, several times; the others get a word in between, since no two commands can be read at once. */
function keepBusy(t, redis, seconds, times) {
  const script = "local function now() return tonumber(redis.call('TIME')[1]) end local till = now() + ARGV[1] repeat until now() >= till return 'done'";
  const words = ["EVAL", script, "0", String(seconds), "x".repeat(400000)];
  const command = `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`;
  const socket = net.connect(redis.port, "127.0.0.1");
  atEnd(t, () => socket.destroy());
  socket.write(command.repeat(times));
  return new Promise((resolve, reject) => {
    let text = "";
    socket.on("error", reject);
    socket.on("data", (data) => {
      text += data;
      if (/^-/m.test(text)) reject(new Error(text));
      if (text.split("done").length > times) resolve();
    });
  });
}

test("a Redis that was slow, but answered, was given up", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  await keepBusy(t, redis, 3, 4);
  const { count } = (await gateway.stats()).probe_lag;
  await until("a probe comes back", async () => (await gateway.stats()).probe_lag.count > count);
  assert.equal((await gateway.stats()).redis_lost, 0);
  alice.send({ type: "say", text: "still here" });
  await alice.waitFor({ type: "message", text: "still here" });
});

// Fifty-six gateways with a thousand rooms each asked for all of their lists at once when Redis was back. It had a
// minute's work then, so that they gave it up after half of that, and asked again.
test("after Redis was away, all gateways read the lists of all their rooms at once, and again, and again", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  redis.run("CLIENT", "PAUSE", "4000", "WRITE"); // scripts wait, and can be counted
  const guests = Array.from({ length: 60 }, (_, i) => new Member(t, `${gateway.url}/many-${i}`));
  const coming = Promise.all(guests.map((guest) => guest.join("bob")));
  await until("it listens to all rooms", () => redis.lines("PUBSUB", "CHANNELS", "yukizuri:{many-*").length === guests.length);
  for (let i = 0; i < 3; i++) await alice.settled();
  const waiting = redis.lines("CLIENT", "LIST", "TYPE", "normal").map((line) => Number(/ qbuf=(\d+)/.exec(line)[1]));
  redis.run("CLIENT", "UNPAUSE");
  // each room is noted, for 150 bytes; to ask for the lists of all of them would be 17,000 more
  assert.ok(Math.max(...waiting) > 60 * 100 && Math.max(...waiting) < 60 * 250, `a few lists are asked for: ${waiting} bytes`);
  await coming;
});
