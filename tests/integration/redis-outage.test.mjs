// A Redis that is absent, frozen, slow, disconnected, or full for some time.
import assert from "node:assert/strict";
import net from "node:net";
import test from "node:test";
import { Gateway, Member, atEnd, freePort, get, joined, lapse, memberThatIsIn, readyz, startGateway, startRedis, unfit, until, untilReady } from "../lib/harness.mjs";
import { membersOf } from "../lib/rooms.mjs";
import { startHeldRoom } from "../lib/held-room.mjs";
import { waitingBurst } from "../lib/burst.mjs";

test("when Redis is lost during a burst of joins, each client is told, and joins when Redis is back", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  await joined(t, gateway.url, "alice");
  const burst = await waitingBurst(t, gateway, redis, 200);
  await redis.stop("SIGKILL");
  await Promise.all(burst.map((member) => member.waitFor({ type: "error", code: "unavailable" })));
  await startRedis(t, { port: redis.port });
  await untilReady(gateway);
  for (const [i, member] of burst.entries()) member.send({ type: "join", name: `guest-${i}` });
  await Promise.all(burst.map((member) => member.waitFor({ type: "welcome" })));
});

/** The names in the last list that this member has received. */
const lastList = (member) => member.received.findLast(({ type }) => type === "members")?.members.map(({ name }) => name);

for (const silent of [false, true])
  test(`a leave during an outage of Redis is ${silent ? "in the next list of a silent room" : "announced"} when Redis is back, and the name is free`, async (t) => {
    const redis = await startRedis(t);
    const gateway = await startGateway(t, { redis, args: ["--leave-grace", "0"] });
    const watcher = await joined(t, gateway.url, "watcher");
    if (!silent) await watcher.say("hello");
    const alice = await joined(t, gateway.url, "alice");
    const bob = await joined(t, gateway.url, "bob");
    redis.freeze(t);
    await until("it is not ready", async () => (await readyz(gateway)).status === 503);
    alice.send({ type: "leave" });
    await alice.settled();
    bob.socket.terminate();
    await until("bob is gone", async () => (await gateway.stats()).connections === 2);
    redis.thaw();
    await until("both have left", () => (watcher.saw("left", "alice") && watcher.saw("left", "bob")) || (silent && lastList(watcher)?.join() === "watcher"));
    await until("the set is right", () => redis.lines("SMEMBERS", "yukizuri:{lobby}:members").join() === "watcher");
    await joined(t, gateway.url, "alice");
  });

test("a join whose answer was lost can be repeated, and does not block itself", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const watcher = await joined(t, gateway.url, "watcher");
  const alice = await new Member(t, gateway.url).opened();
  redis.freeze(t);
  alice.send({ type: "join", name: "alice" });
  await alice.waitFor({ type: "error", code: "unavailable" });
  redis.thaw();
  await alice.insistOn({ type: "join", name: "alice" }, "welcome");
  assert.deepEqual(membersOf(redis), ["alice", "watcher"]);
  assert.equal(watcher.closed, null);
});

test("a line that is refused because Redis is unreachable was certainly not accepted, and the error says so", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  redis.refuseWrites();
  alice.send({ type: "say", text: "no room for it", nonce: "full" });
  assert.equal((await alice.waitFor({ type: "error", code: "unavailable", nonce: "full" })).accepted, false);
  redis.takeWrites();
  redis.freeze(t);
  alice.send({ type: "say", text: "on its way", nonce: "frozen" });
  assert.equal((await alice.waitFor({ type: "error", nonce: "frozen" })).accepted, undefined, "nobody knows");
  redis.thaw();
  await alice.waitFor({ type: "message", text: "on its way" });
  await redis.stop("SIGKILL");
  await until("it is surely not accepted once the connection is gone", async () => {
    alice.send({ type: "say", text: "nowhere to go", nonce: "gone" });
    return (await alice.waitFor((m) => m.type === "error" && m.nonce === "gone")).accepted === false;
  });
});

test("a member who cannot resume because Redis is frozen is not announced as left", async (t) => {
  const redis = await startRedis(t);
  const args = ["--leave-grace", "4"];
  const [here, there] = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
  const watcher = await joined(t, here.url, "watcher");
  const [alice, fence] = [await joined(t, here.url, "alice"), await joined(t, here.url, "fence")];
  const { resume, epoch, seq, me } = alice.welcome;
  const grace = lapse(4000);
  alice.socket.terminate();
  redis.freeze(t);
  const early = await new Member(t, there.url).opened(); // its outcome will not be known in time
  early.send({ type: "join", name: "alice", resume, since: { epoch, seq } });
  await early.waitFor({ type: "error", code: "unavailable" });
  await grace.end();
  redis.thaw();
  const again = await memberThatIsIn(t, there.url, "alice", { resume, since: { epoch, seq } });
  assert.deepEqual([again.welcome.me.id, again.welcome.recovered], [me.id, true]);
  again.send({ type: "say", text: "here I am", nonce: "1" });
  await watcher.waitFor({ type: "message", text: "here I am" });
  fence.socket.terminate();
  await until("a later leave is done, and so are all earlier ones", () => watcher.saw("left", "fence"));
  assert.equal(watcher.departures().filter((name) => name === "alice").length, 0);
  again.send({ type: "say", text: "still here", nonce: "2" });
  await watcher.waitFor({ type: "message", text: "still here" });
});

test("messages that were shown before a gap are not counted as missed", async (t) => {
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
  cut.freeze(t);
  redis.cut("pubsub");
  await until("the other one is subscribed again", () => Number(redis.run("PUBSUB", "NUMSUB", "yukizuri:{lobby}").split("\n")[1]) === 1);
  await say(6);
  redis.run("XTRIM", "yukizuri:{lobby}:recent", "MAXLEN", "2"); // as if more than `retention` had passed
  cut.thaw();
  const gap = await alice.waitFor({ type: "gap" });
  assert.equal(gap.missed, 4);
  alice.socket.terminate();
  const { resume, epoch } = alice.welcome;
  const again = await joined(t, cut.url, "alice", { resume, since: { epoch, seq } });
  await again.waitFor({ type: "message", text: `${said - 1}` });
  assert.equal(again.welcome.missed, 4);
  assert.deepEqual(again.messages().map((m) => m.text), ["1", "2", "3", "4", "9", "10"]);
});

for (const [name, retention] of [["what Redis no longer has when a gateway comes back is counted exactly", ["--retention-messages", "3"]], ["with retention 0, what a gateway missed is counted exactly", ["--retention", "0"]]])
  test(name, async (t) => {
    const redis = await startRedis(t);
    const args = ["--rate", "0", ...retention];
    const [cut, other] = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
    const alice = await joined(t, cut.url, "alice");
    const bob = await joined(t, other.url, "bob");
    await until("bob is seen", () => alice.saw("joined", "bob"));
    cut.freeze(t);
    redis.cut("pubsub");
    await until("the other one is subscribed again", async () => {
      bob.send({ type: "typing" });
      return Number(redis.run("PUBSUB", "NUMSUB", "yukizuri:{lobby}").split("\n")[1]) === 1;
    });
    for (let i = 0; i < 7; i++) {
      const guest = await joined(t, other.url, `guest${i}`);
      guest.send({ type: "leave" });
      bob.send({ type: "say", text: `${i}`, nonce: `${i}` });
      await bob.waitFor({ type: "ack", nonce: `${i}` });
    }
    cut.thaw();
    const gap = await alice.waitFor({ type: "gap" });
    bob.send({ type: "say", text: "last", nonce: "last" });
    await alice.waitFor({ type: "message", text: "last" });
    assert.equal(gap.missed + alice.messages().length, 8, JSON.stringify(gap));
    const list = await alice.waitFor({ type: "members" });
    assert.deepEqual(list.members.map((person) => person.name).sort(), ["alice", "bob"]);
  });

test("a member who leaves while Redis refuses writes for long is on no list when Redis accepts them again", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "1"] });
  const alice = await joined(t, gateway.url, "alice");
  const leaver = await joined(t, gateway.url, "leaver");
  await until("the leaver is seen", () => alice.saw("joined", "leaver"));
  redis.refuseWrites();
  leaver.send({ type: "leave" });
  leaver.socket.close();
  await until("the members' keys have run out", () => redis.run("EXISTS", "yukizuri:{lobby}:member:leaver") === "0", 40000);
  redis.takeWrites();
  const list = await alice.waitFor({ type: "members" });
  assert.deepEqual([list.count, list.members.map((person) => person.name)], [1, ["alice"]]);
});

test("a client that connects while a gateway is starting waits for Redis, and is welcomed", async (t) => {
  const redis = await startRedis(t);
  redis.signal("SIGSTOP"); // the gateway will reach it only later
  const gateway = new Gateway(t, await freePort(), ["--redis", redis.url, "--drain", "0"]);
  await until("it has begun", () => gateway.log.some((line) => line.kind === "start"));
  const early = new Member(t, gateway.url);
  early.socket.once("open", () => early.send({ type: "join", name: "early" }));
  await until("it has connected and asked", () => early.socket._req?.socket?.connecting === false && early.socket._req.socket.bytesWritten > 0);
  redis.thaw();
  await early.waitFor(({ type }) => type === "welcome" || type === "error");
  assert.equal(early.received[0].type, "welcome", JSON.stringify([early.received, gateway.log]));
  assert.equal((await readyz(gateway)).status, 200);
  assert.deepEqual(await gateway.stop("SIGINT"), { code: 0, signal: null });
});

/** Keeps Redis busy for `ms`, several times. Other clients are served in between, because Redis reads one command at a time. */
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

test("redis_lost_total counts the connections that were lost, and no attempt that found nobody", { skip: unfit("cluster", "connections to its nodes are more than two") }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  await redis.stop("SIGKILL");
  const refused = async () => /Connection refused/.test((await readyz(gateway)).body);
  await until("an attempt has found nobody", refused);
  await lapse(1500).end();
  assert.ok(await refused());
  assert.equal((await gateway.stats()).redis_lost, 2);
});

test("a slow Redis that answers is not given up", async (t) => {
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

// If 56 gateways with 1,000 rooms each request all rosters at once, Redis has work for a minute. The gateways
// then give it up after half of that time, and request them again.
test("when Redis is back, a gateway requests the rosters of a few rooms at a time", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  redis.run("CLIENT", "PAUSE", "4000", "WRITE"); // scripts wait, and can be counted
  const guests = Array.from({ length: 60 }, (_, i) => new Member(t, `${gateway.url}/many-${i}`));
  const coming = Promise.all(guests.map((guest) => guest.join("bob")));
  await until("it listens to all rooms", () => redis.lines("PUBSUB", "CHANNELS", "yukizuri:{many-*").length === guests.length);
  const waiting = () => Math.max(...redis.lines("CLIENT", "LIST", "TYPE", "normal").map((line) => Number(/ qbuf=(\d+)/.exec(line)[1])));
  await until(() => `each room is recorded, with 150 bytes: ${waiting()}`, () => waiting() > 60 * 100);
  for (let i = 0; i < 3; i++) await alice.settled();
  const bytes = waiting(); // requesting the rosters of all rooms would be 17,000 more, and their rules as many
  redis.run("CLIENT", "UNPAUSE");
  assert.ok(bytes < 60 * 250, `a few lists are asked for: ${bytes} bytes`);
  await coming;
});

test("an answer to a request from before the new subscription is ignored", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const { redis, path, near, far } = await startHeldRoom(t);
  const [bob, dora] = [await joined(t, near.url, "bob"), await joined(t, far.url, "dora")];
  const listening = () => until("it listens again", () => redis.run("PUBSUB", "NUMSUB", "yukizuri:{lobby}").endsWith("2"));
  path.holdAnswers();
  redis.cut("pubsub", "far");
  await bob.say("one");
  await listening();
  await until("it reads what it missed", () => path.wasAsked("$3\r\n500\r\n"));
  redis.cut("pubsub", "far");
  await bob.say("two"); // while an answer without it is in transit
  await listening();
  path.release();
  await dora.waitFor({ type: "message", text: "two" });
  assert.deepEqual([dora.texts(), dora.find({ type: "gap" })], [["one", "two"], undefined]);
});

test("a gateway that starts without Redis serves the page and answers unavailable, and members can join when Redis is there", async (t) => {
  const port = await freePort();
  const gateway = await startGateway(t, { redis: `redis://127.0.0.1:${port}`, ready: false });
  assert.equal((await get(gateway.origin)).status, 200);
  const notReady = await get(`${gateway.origin}/readyz`);
  assert.equal(notReady.status, 503);
  assert.match(notReady.body, /Redis cannot be reached: .*refused/i);
  const early = await new Member(t, gateway.url).opened();
  early.send({ type: "join", name: "alice" });
  assert.ok((await early.waitFor({ type: "error", code: "unavailable" })).retry_after > 0);
  await startRedis(t, { port, alone: true });
  await untilReady(gateway);
  await early.join("alice");
});

test("after an outage of Redis, in which say answers unavailable, everything works again without a restart", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const alice = await joined(t, gateways[0].url, "alice");
  const bob = await joined(t, gateways[1].url, "bob");
  alice.send({ type: "say", text: "before", nonce: "0" });
  await bob.waitFor({ type: "message", text: "before" });
  await redis.stop("SIGKILL");
  for (const gateway of gateways) await until("it is not ready", async () => (await readyz(gateway)).status === 503);
  assert.equal((await get(`${gateways[0].origin}/healthz`)).status, 200);
  assert.equal((await get(gateways[0].origin)).status, 200);
  alice.send({ type: "say", text: "lost?", nonce: "1" });
  const error = await alice.waitFor({ type: "error", code: "unavailable" });
  assert.equal(error.nonce, "1");
  await startRedis(t, { port: redis.port });
  await Promise.all(gateways.map((gateway) => untilReady(gateway)));
  alice.send({ type: "say", text: "after", nonce: "1" });
  await bob.waitFor({ type: "message", text: "after" });
  assert.equal(alice.closed, null);
  assert.equal(bob.closed, null);
  // Redis came back empty: the members are reinstated, and all get a gap
  await until("the list is right", () => membersOf(redis).join() === "alice,bob");
  await bob.waitFor({ type: "gap", missed: 0 });
  assert.equal(bob.received.filter((m) => m.type === "gap").length, 1, "told once");
  for (const gateway of gateways) {
    await until("its end is told", () => gateway.log.filter((line) => line.kind === "redis-up").length === 2);
    assert.equal(gateway.log.filter((line) => line.kind === "redis-lost").length, 1, "one line for the outage");
  }
});

test("after a lost subscription, the missed messages are read from the stream, in order", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis, args: ["--rate", "0"] }), await startGateway(t, { redis, args: ["--rate", "0"] })];
  const alice = await joined(t, gateways[0].url, "alice");
  const bob = await joined(t, gateways[1].url, "bob");
  for (let round = 0; round < 5; round++) {
    redis.cut("pubsub");
    for (let i = 0; i < 100; i++) alice.send({ type: "say", text: `${round}-${i}`, nonce: `${round}-${i}` });
    await bob.waitFor({ type: "message", text: `${round}-99` });
  }
  const wanted = Array.from({ length: 500 }, (_, i) => `${Math.floor(i / 100)}-${i % 100}`);
  for (const member of [alice, bob]) {
    await until("all have come", () => member.messages().length >= 500);
    assert.deepEqual(member.messages().map((m) => m.text), wanted);
    assert.ok(!member.find({ type: "gap" }));
  }
});

test("SCRIPT FLUSH and a killed command connection cause no loss", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  redis.run("SCRIPT", "FLUSH");
  for (let i = 0; i < 10; i++) alice.send({ type: "say", text: `${i}`, nonce: `${i}` });
  await alice.waitFor({ type: "ack", nonce: "9" });
  assert.deepEqual(alice.messages().map((m) => m.text).sort(), Array.from({ length: 10 }, (_, i) => `${i}`));
  redis.cut("normal");
  await alice.insist("again");
  await alice.waitFor({ type: "message", text: "again" });
  assert.equal(alice.messages().filter((m) => m.text === "again").length, 1, "a repeated nonce shows once");
});
