// What a hand, a foreign program or a broken Redis can put in the way: streams full of rubbish, numbers that nobody can
// count with, names that are no text, rights that are taken away, answers without end. Nobody is kept out by it, nothing
// is lost, and nothing is asked again without a rest.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import test from "node:test";
import { Member, atEnd, get, joined, startGateway, startRedis, until } from "../lib/harness.mjs";
import { Resp } from "../lib/resp.mjs";

const ROOM = "yukizuri:{lobby}";
const calls = (redis, command) => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(redis.run("INFO", "commandstats"))?.[1] ?? 0);
const head = (redis, field) => redis.run("HGET", `${ROOM}:head`, field);

async function connect(t, redis) {
  const resp = await Resp.connect(redis.port);
  atEnd(t, () => resp.close());
  return resp;
}

async function say(member, text, nonce = text) {
  member.send({ type: "say", text, nonce });
  return member.waitFor({ type: "ack", nonce });
}

// --- The way to Redis ---

/** A way to Redis on which something else can be put before the next answer, or in each answer in a word's place. */
async function startSpoiledPath(t, redis) {
  const path = { spoil: null, change: (bytes) => bytes };
  const sockets = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(redis.port, "127.0.0.1");
    for (const socket of [near, far]) sockets.add(socket.on("error", () => {}));
    near.on("data", (bytes) => far.write(bytes)).on("close", () => far.destroy());
    far.on("data", (bytes) => {
      if (path.spoil !== null) near.write(path.spoil, "latin1");
      path.spoil = null;
      near.write(path.change(bytes));
    });
    far.on("close", () => near.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  atEnd(t, () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  path.url = redis.urlAt("127.0.0.1", server.address().port);
  return path;
}

// --- A room's stream ---

const FILL = `
  local seq = tonumber(redis.call('HGET', KEYS[1], 'seq'))
  for i = 1, tonumber(ARGV[1]) do
    redis.call('XADD', KEYS[2], (seq + i) .. '-0', 'at', '1', 'event', 'foreign', 'said', '0')
  end
  return redis.call('HSET', KEYS[1], 'seq', seq + ARGV[1])`;

test("a stream full of foreign entries keeps nobody out, and is not read again and again", async (t) => {
  const redis = await startRedis(t);
  const [near, far] = [await startGateway(t, { redis }), await startGateway(t, { redis, args: ["--gateway-id", "far"] })];
  const alice = await joined(t, near.url, "alice");
  await say(alice, "one");
  redis.run("EVAL", FILL, "2", `${ROOM}:head`, `${ROOM}:recent`, "1200");
  const probes = calls(redis, "xrange");
  const bob = await joined(t, far.url, "bob"); // opens the room there
  await say(bob, "two");
  await alice.waitFor({ type: "message", text: "two" });
  await say(alice, "three");
  await bob.waitFor({ type: "message", text: "three" });
  assert.ok(calls(redis, "xrange") - probes < 40, `${calls(redis, "xrange") - probes} reads`); // with those of two gateways' probes
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

test("an event behind a thousand foreign entries is found, and is no gap", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  await say(alice, "one");
  redis.run("EVAL", HIDE, "2", `${ROOM}:head`, `${ROOM}:recent`); // kept, and never published
  await say(alice, "two");
  await alice.waitFor({ type: "message", text: "two" });
  assert.deepEqual(alice.messages().map(({ text }) => text), ["one", "before", "behind", "two"]);
  assert.ok(!alice.find({ type: "gap" }));
});

test("an event under another number than its own is none", async (t) => {
  const redis = await startRedis(t);
  const [near, far] = [await startGateway(t, { redis }), await startGateway(t, { redis, args: ["--gateway-id", "far"] })];
  const alice = await joined(t, near.url, "alice");
  await say(alice, "one");
  const next = Number(head(redis, "seq")) + 1;
  const forged = (seq) => `{"type":"message","seq":${seq},"at":1,"from":{"id":"i","name":"n"},"text":"forged"}`;
  redis.run("XADD", `${ROOM}:recent`, `${next}-0`, "at", "1", "event", forged(4000000000), "said", "9");
  redis.run("HSET", `${ROOM}:head`, "seq", String(next));
  const bob = await joined(t, far.url, "bob");
  for (const text of ["two", "three", "four"]) await say(alice, text);
  await bob.waitFor({ type: "message", text: "four" });
  assert.deepEqual(bob.messages().map(({ text }) => text), ["two", "three", "four"]);
  for (const member of [alice, bob]) assert.ok(!member.find((message) => message.type === "gap" && message.missed > 1), "nothing was missed but that");
});

test("numbers that nobody can count with are none", async (t) => {
  const redis = await startRedis(t);
  const [near, far] = [await startGateway(t, { redis }), await startGateway(t, { redis, args: ["--gateway-id", "far"] })];
  const alice = await joined(t, near.url, "alice");
  await say(alice, "one");
  for (const [at, said] of [["-9223372036854775808", "9223372036854775807"], ["9223372036854775807", "-9223372036854775808"], ["nan", "1e300"], ["99999999999999999999", ""]]) {
    const next = Number(head(redis, "seq")) + 1;
    const event = `{"type":"message","seq":${next},"at":1,"from":{"id":"i","name":"n"},"text":"${at}"}`;
    redis.run("XADD", `${ROOM}:recent`, `${next}-0`, "at", at, "event", event, "said", said);
    redis.run("HSET", `${ROOM}:head`, "seq", String(next));
  }
  const bob = await joined(t, far.url, "bob"); // reads them; UBSan looks on
  await say(bob, "two");
  await alice.waitFor({ type: "message", text: "two" });
  for (const seq of ["18446744073709551615", "9223372036854775807", "4503599627370496"])
    redis.run("PUBLISH", ROOM, `{"type":"message","seq":${seq},"at":1,"from":{"id":"i","name":"n"},"text":"forged"}`);
  await say(bob, "three");
  await alice.waitFor({ type: "message", text: "three" });
  assert.ok(!alice.find({ text: "forged" }));
});

// --- Epochs ---

test("while each answer tells another epoch, kept events are read now and then, and all is well when one stays", async (t) => {
  const redis = await startRedis(t);
  const path = await startSpoiledPath(t, redis);
  const gateway = await startGateway(t, { redis: path.url });
  const alice = await joined(t, gateway.url, "alice");
  await say(alice, "one");
  const before = (await gateway.stats()).stream_reads;
  const epoch = head(redis, "epoch");
  let answers = 0;
  path.change = (bytes) => {
    const text = bytes.toString("latin1");
    return text.includes(epoch) ? Buffer.from(text.replaceAll(epoch, String(++answers).padStart(epoch.length, "e")), "latin1") : bytes;
  };
  redis.run("CLIENT", "KILL", "TYPE", "pubsub"); // it listens anew, and asks what is kept
  const began = Date.now();
  await until("it was answered so a few times", () => answers >= 6);
  const seconds = (Date.now() - began) / 1000;
  const reads = (await gateway.stats()).stream_reads - before;
  assert.ok(reads <= 4 + 3 * seconds, `${reads} reads in ${seconds} s`);
  path.change = (bytes) => bytes;
  await say(alice, "two");
  await alice.waitFor({ type: "message", text: "two" });
});

// --- Text ---

test("somebody whose name was broken by hand is counted and not named: every frame is text that browsers take", async (t) => {
  const redis = await startRedis(t);
  const [near, far] = [await startGateway(t, { redis }), await startGateway(t, { redis, args: ["--gateway-id", "far"] })];
  const alice = await joined(t, near.url, "alice");
  const hand = await connect(t, redis);
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
  await say(bob, "one");
  assert.ok(!bob.find({ type: "gap" }));
  assert.equal(bob.closed, null);
  // a gateway that opens the room while she is broken names the others
  const carol = await joined(t, near.url, "carol");
  await hand.call("HSET", `${ROOM}:member:bob`, "name", "\xfe");
  const third = await startGateway(t, { redis, args: ["--gateway-id", "third"] });
  const dave = await joined(t, third.url, "dave");
  assert.deepEqual(dave.welcome.members.map(({ name }) => name).sort(), ["carol", "dave"]);
  assert.equal(dave.welcome.count, 3);
  assert.equal(carol.closed, null);
});

// --- Rights ---

test("what Redis refuses for want of a right is not thrown away: epoch, members and nonces outlive it", async (t) => {
  const redis = await startRedis(t);
  const allow = (...rules) => redis.run("ACL", "SETUSER", "chat", ...rules);
  allow("on", ">secret", "~*", "&*", "+@all");
  const gateway = await startGateway(t, { redis: `redis://chat:secret@127.0.0.1:${redis.port}` });
  const alice = await joined(t, gateway.url, "alice");
  const { seq } = await say(alice, "one");
  const before = head(redis, "epoch");
  for (const right of ["hmget", "zscore"]) {
    allow(`-${right}`);
    alice.send({ type: "say", text: "one again", nonce: "one" });
    alice.send({ type: "say", text: "refused", nonce: `refused ${right}` });
    await alice.waitFor({ type: "error", nonce: `refused ${right}` });
    allow(`+${right}`);
    await until("ready", async () => (await get(`${gateway.origin}/readyz`)).status === 200);
  }
  alice.send({ type: "say", text: "one again", nonce: "one" });
  await say(alice, "two");
  await alice.waitFor({ type: "message", text: "two" });
  assert.equal(alice.received.findLast((message) => message.type === "ack" && message.nonce === "one").seq, seq);
  assert.deepEqual(alice.messages().map(({ text }) => text), ["one", "two"]);
  assert.equal(head(redis, "epoch"), before);
  assert.equal(redis.run("HGET", `${ROOM}:member:alice`, "name"), "alice");
  assert.ok(!alice.find({ type: "gap" }));
});

test("a fork with a number that nobody can count with is none: the room goes on", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  await say(alice, "one");
  for (const number of ["18446744073709551615", "99999999999999999999", "4503599627370496"]) {
    redis.run("HSET", `${ROOM}:head`, "epoch", `by-hand-${number.slice(0, 9)}`, "forks", `a:1 b:1 c:1 d:1 e:1 f:1 g:1 h:${number}`);
    redis.run("CLIENT", "KILL", "TYPE", "pubsub");
    await alice.insist(number);
    await alice.waitFor({ type: "message", text: number });
  }
});

// --- Answers without end ---

for (const [name, spoil] of [
  ["an array of two thousand million", "*2147483647\r\n"],
  ["an array of a hundred million in another one", "*2\r\n:1\r\n*100000000\r\n"],
  ["a string that goes on and on", `$9000000000000000000\r\n${"x".repeat(48 << 20)}`],
])
  test(`an answer that announces ${name} ends the connection with a sentence, and the gateway comes back`, async (t) => {
    const redis = await startRedis(t);
    const path = await startSpoiledPath(t, redis);
    const gateway = await startGateway(t, { redis: path.url });
    const alice = await joined(t, gateway.url, "alice");
    path.spoil = spoil;
    await until("the log says what came", () => gateway.log.some((line) => line.kind === "redis-lost" && /longer answer/.test(line.err)));
    await until("ready", async () => (await get(`${gateway.origin}/readyz`)).status === 200);
    await say(alice, "one");
    await alice.waitFor({ type: "message", text: "one" });
  });

// --- Names ---

test("a name that is taken costs Redis a score of questions at most, and what is suggested is free", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  await joined(t, gateway.url, "alice");
  const hand = await connect(t, redis);
  const take = (number) => hand.call("HSET", `${ROOM}:member:alice${number}`, "id", `i${number}`);
  let highest = 1;
  for (const upTo of [1, 2, 3, 30, 99, 998, 999]) {
    for (let number = highest + 1; number <= upTo; number++) await take(number);
    highest = upTo;
    const before = calls(redis, "exists");
    const bob = await new Member(t, gateway.url).opened();
    bob.send({ type: "join", name: "alice" });
    const { suggestion } = await bob.waitFor({ type: "error", code: "name_taken" });
    assert.ok(calls(redis, "exists") - before < 40, `${calls(redis, "exists") - before} questions`); // with those of a probe or two
    assert.equal(suggestion, upTo === 999 ? undefined : `alice${upTo + 1}`);
  }
});
