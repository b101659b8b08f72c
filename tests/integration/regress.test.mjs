// Bugs that were found, each under the name of its symptom.
import assert from "node:assert/strict";
import test from "node:test";
import { Gateway, Member, atEnd, get, joined, startGateway, startRedis, until } from "../lib/harness.mjs";

test("a room of more than 2,048 members: memory was read after it was freed when messages came between two slices", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0", "--retention-messages", "1"] });
  const members = [];
  for (let i = 0; i < 2200; i += 100) members.push(...(await Promise.all(Array.from({ length: 100 }, (_, k) => joined(t, gateway.url, `m${i + k}`)))));
  const SAYS = 60;
  for (let i = 0; i < SAYS; i++) {
    members[i].send({ type: "say", text: `${i}`, nonce: "1" });
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => `all have all: ${Math.min(...members.map((m) => m.messages().length))}`, () => members.every((m) => m.messages().length === SAYS), 60000);
  const order = members[0].messages().map((m) => m.seq);
  for (const member of members) assert.deepEqual(member.messages().map((m) => m.seq), order);
});

test("a gateway killed and restarted under its old id: its earlier members stayed on the list for ever", async (t) => {
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

test("a name of 16 characters was suggested with a number that was taken already", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const name = "abcdefghijklmnop";
  await joined(t, gateway.url, name);
  const seen = new Set();
  for (let i = 0; i < 4; i++) {
    const member = await new Member(t, gateway.url).opened();
    member.send({ type: "join", name });
    const { suggestion } = await member.waitFor({ type: "error", code: "name_taken" });
    assert.ok(!seen.has(suggestion), suggestion);
    seen.add(suggestion);
    await member.join(suggestion);
  }
});

test("who came and went within one presence line stayed on everybody's list", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--leave-grace", "0", "--rate", "0"] });
  const watcher = await joined(t, gateway.url, "watcher");
  for (let i = 0; i < 30; i++) {
    const visitor = await joined(t, gateway.url, `v${i}`);
    visitor.send({ type: "leave" });
    await visitor.join(`w${i}`);
    visitor.send({ type: "leave" });
    await visitor.settled();
  }
  await until("the last line", () => watcher.received.filter((m) => m.type === "presence").at(-1).count === 1);
  const here = new Set();
  for (const { left, joined: came } of watcher.received.filter((m) => m.type === "presence")) {
    for (const person of left) here.delete(person.id);
    for (const person of came) here.add(person.id);
  }
  here.delete(watcher.welcome.me.id);
  assert.deepEqual([...here], []);
});

test("after Redis lost its memory, a member who reconnected lost messages without a word", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const bob = await joined(t, gateway.url, "bob");
  const alice = await joined(t, gateway.url, "alice");
  for (let i = 0; i < 50; i++) bob.send({ type: "say", text: `${i}`, nonce: `${i}` });
  await alice.waitFor({ type: "message", text: "49" });
  redis.run("FLUSHALL");
  bob.send({ type: "say", text: "new epoch", nonce: "a" });
  const gap = await alice.waitFor({ type: "gap" });
  await alice.waitFor({ type: "message", text: "new epoch" });
  assert.notEqual(gap.epoch, alice.welcome.epoch);
  await until("the members are put back", () => redis.run("SCARD", "yukizuri:{lobby}:members") === "2", 30000);
  const last = Math.max(gap.seq, ...alice.received.slice(alice.received.indexOf(gap)).map((m) => m.seq ?? 0));
  alice.socket.terminate();
  bob.send({ type: "say", text: "while away", nonce: "b" });
  await bob.waitFor({ type: "ack", nonce: "b" });
  const again = await joined(t, gateway.url, "alice", { resume: alice.welcome.resume, since: { epoch: gap.epoch, seq: last } });
  assert.deepEqual([again.welcome.recovered, again.welcome.missed], [true, 0]);
  await again.waitFor({ type: "message", text: "while away" });
  again.socket.terminate();
  const old = await joined(t, gateway.url, "alice", { resume: alice.welcome.resume, since: { epoch: alice.welcome.epoch, seq: 3 } });
  assert.equal(old.welcome.recovered, false);
  await old.waitFor({ type: "gap", missed: 0 });
});

test("a second start with a private Redis was a second chat on the same port, without an error", async (t) => {
  const first = await startGateway(t, {});
  const second = new Gateway(t, first.port, []);
  assert.deepEqual(await second.ended, { code: 1, signal: null });
  assert.match(second.errors, /^yukizuri: cannot listen on .*in use; stop what listens there .+\n$/);
});

test("ended with says and joins under way: the gateway read freed memory", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  const bob = await new Member(t, gateway.url).opened();
  redis.signal("SIGSTOP");
  atEnd(t, () => redis.signal("SIGCONT"));
  alice.send({ type: "say", text: "x", nonce: "1" });
  bob.send({ type: "join", name: "bob" });
  await alice.settled();
  await bob.settled();
  assert.deepEqual(await gateway.stop("SIGINT"), { code: 0, signal: null });
});

test("many rooms opened in a row stayed open, and closed one a second", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  for (let i = 0; i < 1200; i += 50)
    await Promise.all(
      Array.from({ length: 50 }, async (_, k) => {
        const member = await joined(t, `${gateway.url}/r${i + k}`, "a");
        member.send({ type: "leave" });
        await member.settled();
        member.socket.terminate();
      }),
    );
  await until("at most 1,000 linger", async () => (await gateway.stats()).rooms <= 1000);
});

/** Stops Redis for as long as `during` takes. */
async function whileStopped(t, redis, gateway, during) {
  redis.signal("SIGSTOP");
  atEnd(t, () => redis.running && redis.signal("SIGCONT"));
  await during();
  redis.signal("SIGCONT");
  await until("Redis is back", async () => (await get(`${gateway.origin}/readyz`)).status === 200, 30000);
}

test("a leave while Redis was away was forgotten: the name stayed taken and nobody saw it go", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "0"] });
  const watcher = await joined(t, gateway.url, "watcher");
  const alice = await joined(t, gateway.url, "alice");
  const bob = await joined(t, gateway.url, "bob");
  await whileStopped(t, redis, gateway, async () => {
    await until("readyz is 503", async () => (await get(`${gateway.origin}/readyz`)).status === 503, 30000);
    alice.send({ type: "leave" });
    await alice.settled();
    bob.socket.terminate();
    await until("bob is gone", async () => (await gateway.stats()).connections === 2);
  });
  await until("both have left", () => watcher.saw("left", "alice") && watcher.saw("left", "bob"));
  await until("the set is right", () => redis.lines("SMEMBERS", "yukizuri:{lobby}:members").join() === "watcher");
  await joined(t, gateway.url, "alice");
});

test("a join whose answer was lost left a phantom that blocked its own name", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const watcher = await joined(t, gateway.url, "watcher");
  const alice = await new Member(t, gateway.url).opened();
  await whileStopped(t, redis, gateway, async () => {
    alice.send({ type: "join", name: "alice" });
    await alice.waitFor({ type: "error", code: "unavailable" }, 30000);
  });
  await alice.insistOn({ type: "join", name: "alice" }, "welcome");
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members").sort(), ["alice", "watcher"]);
  assert.equal(watcher.closed, null);
});

test("keys that somebody broke by hand made the room unusable, or the gateway spin", async (t) => {
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

test("junk on a gateway's own channel made it compute nonsense", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--gateway-id", "g"] });
  const alice = await joined(t, gateway.url, "alice");
  for (const junk of ["probe -9223372036854775808", "probe ", "probe x", "", "{", '{"type":"resumed"}', '{"type":"resumed","id":1}', `{"type":"resumed","id":"${alice.welcome.me.id}","session":"1"}`]) redis.run("PUBLISH", "yukizuri:gateway:g", junk);
  alice.send({ type: "say", text: "alive", nonce: "1" });
  await alice.waitFor({ type: "message", text: "alive" });
  const lag = (await gateway.stats()).probe_lag;
  assert.ok(lag.last_seconds >= 0 && lag.last_seconds < 60);
});
