// Keys that an operator or a foreign program has broken: they block no join, lose no message, and cause no
// busy loop.
import assert from "node:assert/strict";
import test from "node:test";
import { atEnd, joined, ofKind, startGateway, startRedis, until } from "../lib/harness.mjs";
import { HEAD, ROOM, breakSilence, departures } from "../lib/rooms.mjs";
import { Resp } from "../lib/resp.mjs";
import { joinTogether } from "../lib/burst.mjs";

const head = (redis, field) => redis.run("HGET", `${ROOM}:head`, field);

test("broken keys of one member do not hinder the joins in the same call, including its own", async (t) => {
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
  const sockets = await joinTogether(t, gateway, redis, names.map((name) => ({ name, resume: tokens[name] })));
  for (const [i, socket] of sockets.entries()) assert.equal((await socket.waitFor({ type: "welcome" })).me.name, names[i]);
  for (const name of names) assert.equal(redis.lines("HGET", `${room}:member:${name}`, "name")[0], name);
});

test("broken keys of one member do not hinder the leaves in the same call, and everybody leaves once", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "1"] });
  const watcher = await joined(t, gateway.url, "watcher");
  breakSilence(redis);
  const names = ["left-broken", "without-id", "without-name", "without-token", "whole-1", "whole-2"];
  const [broken, ...burst] = await Promise.all(names.map((name) => joined(t, gateway.url, name)));
  const room = "yukizuri:{lobby}";
  redis.run("SET", `${room}:left:${broken.welcome.me.id}`, "by hand", "EX", "100");
  redis.run("HDEL", `${room}:member:without-id`, "id");
  redis.run("HDEL", `${room}:member:without-name`, "name");
  redis.run("HDEL", `${room}:member:without-token`, "resume", "floor");
  for (const member of [broken, ...burst]) member.socket.terminate();
  await until("they are gone", () => redis.lines("SMEMBERS", `${room}:members`).join() === "watcher");
  assert.deepEqual(redis.lines("KEYS", `${room}:member:*`), [`${room}:member:watcher`]);
  await until("it is seen", () => ["left-broken", "whole-1", "whole-2"].every((name) => watcher.saw("left", name)));
  assert.deepEqual(departures(redis).flat().sort(), ["left-broken", "whole-1", "whole-2", "without-token"]);
  const back = await joined(t, gateway.url, "left-broken", { resume: broken.welcome.resume });
  assert.equal(back.welcome.me.id, broken.welcome.me.id, "the token is good");
});

test("in a room with broken keys members can talk, join and leave, and the gateway does not spin", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  let nonce = 0;
  const works = async (what) => {
    const name = `v${nonce}`;
    await until(`one can talk after ${what}`, async () => {
      alice.send({ type: "say", text: what, nonce: `${++nonce}` });
      await alice.settled();
      return alice.find({ type: "ack", nonce: `${nonce}` }) && alice.find({ type: "message", nonce: `${nonce}` });
    });
    const visitor = await joined(t, gateway.url, name);
    visitor.send({ type: "leave" });
    await until(`and join and leave after ${what}`, () => alice.saw("left", name));
  };
  const head = "yukizuri:{lobby}:head";
  const recent = "yukizuri:{lobby}:recent";
  for (const [what, ...commands] of [
    ["a stream of another type", ["SET", recent, "x"]],
    ["a foreign number in the stream", ["XADD", recent, "99999999999-0", "a", "b"]],
    ["a head of another type", ["SET", head, "x"]],
    ["a negative number", ["HSET", head, "seq", "-5"]],
    ["a number that is none", ["HSET", head, "seq", "x"]],
    ["a long epoch", ["HSET", head, "epoch", "E".repeat(100)]],
    ["no head at all", ["DEL", head]],
  ]) {
    for (const command of commands) redis.run(...command);
    await works(what);
  }
  const before = (await gateway.stats()).redis_commands;
  await alice.settled();
  await alice.settled();
  assert.ok((await gateway.stats()).redis_commands - before < 50, "the gateway does not spin");
});

test("junk on a gateway's own channel changes nothing", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--gateway-id", "g"] });
  const alice = await joined(t, gateway.url, "alice");
  for (const junk of ["probe -9223372036854775808", "probe ", "probe x", "", "{", '{"type":"resumed"}', '{"type":"resumed","id":1}', `{"type":"resumed","id":"${alice.welcome.me.id}","session":"1"}`]) redis.run("PUBLISH", "yukizuri:gateway:g", junk);
  alice.send({ type: "say", text: "alive", nonce: "1" });
  await alice.waitFor({ type: "message", text: "alive" });
  const lag = (await gateway.stats()).probe_lag;
  assert.ok(lag.last_seconds >= 0 && lag.last_seconds < 60);
});

test("a room whose head was deleted begins a new epoch: members can talk and resume", async (t) => {
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

test("one key of a wrong type does not stop other keys from expiring, and blocks no join", async (t) => {
  const redis = await startRedis(t);
  const args = ["--lease", "1", "--leave-grace", "2"];
  const gateway = await startGateway(t, { redis, args });
  const alice = await joined(t, gateway.url, "alice");
  const ben = await joined(t, gateway.url, "ben");
  const zoe = await joined(t, gateway.url, "zoe");
  const room = "yukizuri:{lobby}";
  const breakKey = (key) => (redis.run("DEL", key), redis.run("SET", key, "by hand", "EX", "100"));
  breakKey(`${room}:member:ben`);
  await until("ben is reinstated", () => redis.run("TYPE", `${room}:member:ben`) === "hash", 40000);
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

test("a head with an invalid number does not stop the room", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  for (const [i, number] of ["nan", "inf", "1e300", "9007199254740992", "-3", "1.5", "junk"].entries()) {
    redis.run("HSET", HEAD, "seq", number);
    alice.send({ type: "say", text: `line ${i}`, nonce: `${i}` });
    await alice.waitFor({ type: "message", text: `line ${i}` });
  }
});

test("broken keys of gateways are written again and logged once, and dead gateways are still detected", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const times = ["--lease", "1", "--leave-grace", "1"];
  const gateway = await startGateway(t, { redis, args: [...times, "--gateway-id", "one"] });
  const watcher = await joined(t, gateway.url, "watcher");
  const types = { "yukizuri:gateways": "set", "yukizuri:gateway:one": "hash", "yukizuri:gateway:one:rooms": "set" };
  for (let round = 0; round < 2; round++)
    for (const [key, type] of Object.entries(types)) {
      redis.run("SET", key, "x");
      await until(`${key} is mended`, () => redis.run("TYPE", key) === type && redis.run("TTL", key) !== "-1");
    }
  await until("each is told", () => ofKind(gateway, "key-mended").length >= 3);
  assert.equal(ofKind(gateway, "key-mended").length, 3);
  const doomed = await startGateway(t, { redis, args: times });
  await joined(t, doomed.url, "alice");
  redis.run("SET", "yukizuri:gateways", "x");
  await until("both are there", () => redis.run("TYPE", "yukizuri:gateways") === "set" && redis.run("SCARD", "yukizuri:gateways") === "2");
  await doomed.stop("SIGKILL");
  await until("alice is taken off", () => watcher.departures().includes("alice"));
  assert.equal(watcher.closed, null);
});

test("a forged claim, lease or set of rooms does not keep a dead gateway's members in the room", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const times = ["--lease", "1", "--leave-grace", "1"];
  const watcher = await joined(t, (await startGateway(t, { redis, args: times })).url, "watcher");
  for (const [what, ...command] of [
    ["claim", "SET", "yukizuri:bury:dead", "x"],
    ["lease", "SET", "yukizuri:gateway:dead", "x"],
    ["rooms", "SET", "yukizuri:gateway:dead:rooms", "x"],
    ["members", "SET", "yukizuri:{aside}:members", "x"],
  ]) {
    const dead = await startGateway(t, { redis, args: [...times, "--gateway-id", "dead"] });
    await joined(t, dead.url, `of-${what}`);
    await joined(t, `${dead.url}/aside`, `aside-${what}`);
    await dead.stop("SIGKILL");
    redis.run(...command);
    await until(`it is reaped, with its forged ${what}`, () => redis.run("SISMEMBER", "yukizuri:gateways", "dead") === "0", 40000);
    if (what !== "rooms") await until("its member is announced", () => watcher.departures().includes(`of-${what}`)); // otherwise nobody knows their rooms
  }
});

const FILL = `
  local seq = tonumber(redis.call('HGET', KEYS[1], 'seq'))
  for i = 1, tonumber(ARGV[1]) do
    redis.call('XADD', KEYS[2], (seq + i) .. '-0', 'at', '1', 'event', 'foreign', 'said', '0')
  end
  return redis.call('HSET', KEYS[1], 'seq', seq + ARGV[1])`;

test("a stream full of foreign entries blocks no join and is not read repeatedly", async (t) => {
  const redis = await startRedis(t);
  const [near, far] = [await startGateway(t, { redis }), await startGateway(t, { redis, args: ["--gateway-id", "far"] })];
  const alice = await joined(t, near.url, "alice");
  await alice.say("one");
  redis.run("EVAL", FILL, "2", `${ROOM}:head`, `${ROOM}:recent`, "1200");
  const probes = redis.calls("xrange");
  const bob = await joined(t, far.url, "bob"); // opens the room there
  await bob.say("two");
  await alice.waitFor({ type: "message", text: "two" });
  await alice.say("three");
  await bob.waitFor({ type: "message", text: "three" });
  assert.ok(redis.calls("xrange") - probes < 40, `${redis.calls("xrange") - probes} reads`); // including the probes of two gateways
});

const HIDE = `
  local seq = tonumber(redis.call('HGET', KEYS[1], 'seq'))
  local function keep(number, text)
    redis.call('XADD', KEYS[2], number .. '-0', 'at', '1', 'event', '{"type":"message","seq":' .. number ..
               ',"at":1,"from":{"id":"i","name":"n"},"text":"' .. text .. '"}', 'said', redis.call('HINCRBY', KEYS[1], 'said', 1))
  end
  keep(seq + 1, 'before')
  for i = 1, 1200 do redis.call('XADD', KEYS[2], (seq + 1) .. '-' .. i, 'at', '1', 'event', 'foreign', 'said', '0') end
  keep(seq + 2, 'behind')
  return redis.call('HSET', KEYS[1], 'seq', seq + 2)`;

test("an event behind a thousand foreign entries is found and causes no gap", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  await alice.say("one");
  redis.run("EVAL", HIDE, "2", `${ROOM}:head`, `${ROOM}:recent`); // stored, but never published
  await alice.say("two");
  await alice.waitFor({ type: "message", text: "two" });
  assert.deepEqual(alice.texts(), ["one", "before", "behind", "two"]);
  assert.ok(!alice.find({ type: "gap" }));
});

test("an event with a number other than its entry id is ignored", async (t) => {
  const redis = await startRedis(t);
  const [near, far] = [await startGateway(t, { redis }), await startGateway(t, { redis, args: ["--gateway-id", "far"] })];
  const alice = await joined(t, near.url, "alice");
  await alice.say("one");
  const next = Number(head(redis, "seq")) + 1;
  const forged = (seq) => `{"type":"message","seq":${seq},"at":1,"from":{"id":"i","name":"n"},"text":"forged"}`;
  redis.run("XADD", `${ROOM}:recent`, `${next}-0`, "at", "1", "event", forged(4000000000), "said", "9");
  redis.run("HSET", `${ROOM}:head`, "seq", String(next));
  const bob = await joined(t, far.url, "bob");
  for (const text of ["two", "three", "four"]) await alice.say(text);
  await bob.waitFor({ type: "message", text: "four" });
  assert.deepEqual(bob.texts(), ["two", "three", "four"]);
  for (const member of [alice, bob]) assert.ok(!member.find((message) => message.type === "gap" && message.missed > 1), "nothing was missed but that");
});

test("invalid numbers are ignored", async (t) => {
  const redis = await startRedis(t);
  const [near, far] = [await startGateway(t, { redis }), await startGateway(t, { redis, args: ["--gateway-id", "far"] })];
  const alice = await joined(t, near.url, "alice");
  await alice.say("one");
  for (const [at, said] of [["-9223372036854775808", "9223372036854775807"], ["9223372036854775807", "-9223372036854775808"], ["nan", "1e300"], ["99999999999999999999", ""]]) {
    const next = Number(head(redis, "seq")) + 1;
    const event = `{"type":"message","seq":${next},"at":1,"from":{"id":"i","name":"n"},"text":"${at}"}`;
    redis.run("XADD", `${ROOM}:recent`, `${next}-0`, "at", at, "event", event, "said", said);
    redis.run("HSET", `${ROOM}:head`, "seq", String(next));
  }
  const bob = await joined(t, far.url, "bob"); // reads them under UBSan
  await bob.say("two");
  await alice.waitFor({ type: "message", text: "two" });
  for (const seq of ["18446744073709551615", "9223372036854775807", "4503599627370496"])
    redis.run("PUBLISH", ROOM, `{"type":"message","seq":${seq},"at":1,"from":{"id":"i","name":"n"},"text":"forged"}`);
  await bob.say("three");
  await alice.waitFor({ type: "message", text: "three" });
  assert.ok(!alice.find({ text: "forged" }));
});

async function connectTo(t, redis) {
  const resp = await Resp.connect(redis.port);
  atEnd(t, () => resp.close());
  return resp;
}

test("a member with a broken name is counted but not named, and every frame is valid UTF-8", async (t) => {
  const redis = await startRedis(t);
  const [near, far] = [await startGateway(t, { redis }), await startGateway(t, { redis, args: ["--gateway-id", "far"] })];
  const alice = await joined(t, near.url, "alice");
  const hand = await connectTo(t, redis);
  for (const broken of ["\xff", "\xc3", "\xed\xa0\x80", "a\0b", "x".repeat(100000)]) {
    await hand.call("HSET", `${ROOM}:member:alice`, "name", broken);
    const bob = await joined(t, far.url, `bob ${broken.length}`);
    bob.send({ type: "leave" });
    await until("she is alone", () => redis.run("SCARD", `${ROOM}:members`) === "1");
    assert.equal(bob.closed, null);
  }
  const bob = await joined(t, far.url, "bob");
  assert.equal(bob.welcome.count, 2);
  bob.send({ type: "members" });
  await bob.waitFor({ type: "members" });
  alice.send({ type: "leave" });
  await bob.waitFor((message) => message.type === "presence" && message.count === 1);
  await bob.say("one");
  assert.ok(!bob.find({ type: "gap" }));
  assert.equal(bob.closed, null);
  // a gateway that opens the room while her key is broken lists the others
  const carol = await joined(t, near.url, "carol");
  await hand.call("HSET", `${ROOM}:member:bob`, "name", "\xfe");
  const third = await startGateway(t, { redis, args: ["--gateway-id", "third"] });
  const dave = await joined(t, third.url, "dave");
  assert.deepEqual(dave.welcome.members.map(({ name }) => name).sort(), ["carol", "dave"]);
  assert.equal(dave.welcome.count, 3);
  assert.equal(carol.closed, null);
});

test("a fork with an invalid number is ignored, and the room continues", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  await alice.say("one");
  for (const number of ["18446744073709551615", "99999999999999999999", "4503599627370496"]) {
    redis.run("HSET", `${ROOM}:head`, "epoch", `by-hand-${number.slice(0, 9)}`, "forks", `a:1 b:1 c:1 d:1 e:1 f:1 g:1 h:${number}`);
    redis.cut("pubsub");
    await alice.insist(number);
    await alice.waitFor({ type: "message", text: number });
  }
});
