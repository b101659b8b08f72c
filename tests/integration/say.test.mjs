// Messages: one order for all, each line once, and refusals with a reason.
import assert from "node:assert/strict";
import test from "node:test";
import { Member, joined, startGateway, startRedis, until } from "../lib/harness.mjs";

const say = (fields) => `{"type":"say",${fields}}`;

test("members of different gateways see each other join, talk and leave", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const alice = await joined(t, gateways[0].url, "alice");
  const bob = await joined(t, gateways[1].url, "ボブ");
  assert.equal(bob.welcome.count, 2);
  assert.deepEqual(bob.welcome.members.map((m) => m.name).sort(), ["alice", "ボブ"]);
  await until("alice sees bob come", () => alice.saw("joined", "ボブ"));

  const earlier = redis.now();
  bob.send({ type: "say", text: "こんにちは\n<b>&\"'</b> 👨‍👩‍👧", nonce: "n-1" });
  const received = await alice.waitFor({ type: "message" });
  assert.equal(received.text, "こんにちは\n<b>&\"'</b> 👨‍👩‍👧");
  assert.equal(received.nonce, "n-1");
  assert.deepEqual(received.from, bob.welcome.me);
  assert.ok(earlier <= received.at && received.at <= redis.now(), "the time is that of Redis, in ms");
  const own = await bob.waitFor({ type: "message" });
  assert.deepEqual(own, received, "the sender's own line is the same one");
  const ack = await bob.waitFor({ type: "ack", nonce: "n-1" });
  assert.equal(ack.seq, received.seq);

  bob.send({ type: "leave" });
  await until("alice sees bob leave", () => alice.saw("left", "ボブ"));
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["alice"]);
});

test("3 gateways, 30 members, 1,000 messages: every member gets every message once, in one order", async (t) => {
  const redis = await startRedis(t);
  const gateways = await Promise.all([1, 2, 3].map(() => startGateway(t, { redis, args: ["--rate", "0"] })));
  const members = await Promise.all(Array.from({ length: 30 }, (_, i) => joined(t, gateways[i % 3].url, `member-${i}`)));
  await until("all know of all", () => members.every((m) => [m.welcome, ...m.received].some((r) => r.count === 30)));

  for (let i = 0; i < 1000; i++) members[i % 30].send({ type: "say", text: `message ${i}`, nonce: `n${i}` });
  await until("1000 messages at everybody", () => members.every((m) => m.messages().length >= 1000), 60000);
  await Promise.all(members.map((m) => m.settled()));

  const order = members[0].messages().map((m) => m.seq);
  assert.equal(new Set(members[0].messages().map((m) => m.text)).size, 1000, "every message, once");
  assert.ok(order.every((seq, i) => i === 0 || seq > order[i - 1]), "seq grows");
  for (const member of members) {
    assert.deepEqual(member.messages().map((m) => m.seq), order);
    assert.deepEqual(member.messages().map((m) => m.text), members[0].messages().map((m) => m.text));
    const acks = member.received.filter((m) => m.type === "ack");
    assert.equal(acks.length, member === members[0] || members.indexOf(member) < 1000 % 30 ? Math.ceil(1000 / 30) : Math.floor(1000 / 30));
    for (const ack of acks) assert.equal(member.messages().find((m) => m.nonce === ack.nonce).seq, ack.seq);
  }
});

test("rooms are separate from each other", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const here = await joined(t, `${gateway.url}/tea`, "alice");
  const there = await joined(t, `${gateway.url}/${encodeURIComponent("珈琲")}`, "alice");
  assert.equal(there.welcome.room, "珈琲");
  here.send({ type: "say", text: "tea", nonce: "1" });
  there.send({ type: "say", text: "coffee", nonce: "1" });
  await here.waitFor({ type: "message" });
  await there.waitFor({ type: "message" });
  await Promise.all([here.settled(), there.settled()]);
  assert.deepEqual(here.messages().map((m) => m.text), ["tea"]);
  assert.deepEqual(there.messages().map((m) => m.text), ["coffee"]);
});

test("typing reaches the others and is not stored", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  const bob = await joined(t, gateway.url, "bob");
  alice.send({ type: "typing" });
  const typing = await bob.waitFor({ type: "typing" });
  assert.equal(typing.from.id, alice.welcome.me.id);
  assert.ok(!redis.run("XRANGE", "yukizuri:{lobby}:recent", "-", "+").includes("typing"));
});

test("every refusal of a say has its nonce and its reason", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const member = await joined(t, gateway.url, "alice");
  const cases = [
    [say('"text":"half \\ud83d","nonce":"n"'), /half a character/],
    [say('"text":"\\ude00","nonce":"n"'), /half a character/],
    [say('"text":"a\\u0000b","nonce":"n"'), /U\+0000/],
    [say('"text":"","nonce":"n"'), /empty/],
    [say('"text":"\\u200b","nonce":"n"'), /empty/],
    [say('"text":7,"nonce":"n"'), /"text"/],
    [say('"nonce":"n"'), /"text"/],
    [say('"text":"x","nonce":"n","epoch":7'), /"epoch"/],
    [say('"text":"x","nonce":"n","at":9223372036854775808'), /too big/],
    [say('"text":"x","nonce":"n","at":-1e999'), /too big/],
    [say('"text":"x","nonce":"n"') + "!", /follows/],
    [say('"text":"x","nonce":"n"') + say('"text":"y","nonce":"other"'), /follows/],
    [say('"text":"\\x","nonce":"n"'), /JSON/],
    ['{"type":"say","nonce":"n","text":"cut', /JSON/],
    ['{"type":"sya","text":"x"}', /"type"/, undefined],
    [say('"text":"x","nonce":""'), /1 to 64/, undefined],
    [say('"text":"x","nonce":["n"]'), /1 to 64/, undefined],
    [say('"text":"x","nonce":"\\ud83d"'), /half a character/, undefined],
    [say(`"text":"x","nonce":"${"n".repeat(65)}"`), /1 to 64/, undefined],
  ];
  for (const [text, why, nonce = text.includes('"nonce":"n"') ? "n" : undefined] of cases) {
    const error = await member.refused(text);
    assert.deepEqual([error.code, error.nonce, error.retry_after], ["bad_message", nonce, undefined], text);
    assert.equal(error.accepted, nonce === undefined ? undefined : false, text);
    assert.match(error.message, why, text);
  }
  const visitor = await new Member(t, gateway.url).opened();
  const early = await visitor.refused(say('"text":"x","nonce":"n"'));
  assert.deepEqual([early.code, early.nonce, early.accepted], ["not_joined", "n", false]);
});

test("a refusal has retry_after if and only if it may be repeated", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--max-text", "10", "--rate", "1:4"] });
  const alice = await joined(t, gateway.url, "alice");
  const answer = async (nonce, more) => {
    alice.send({ type: "say", text: "x", nonce, ...more });
    const { code, accepted, retry_after: seconds, message } = await alice.waitFor({ type: "error", nonce });
    return { code, accepted, again: seconds > 0, message };
  };
  const { message: long, ...tooLong } = await answer("long", { text: "x".repeat(11) });
  assert.deepEqual(tooLong, { code: "too_long", accepted: false, again: false });
  assert.match(long, /at most 10 characters/);
  const { message: epoch, ...changed } = await answer("epoch", { epoch: "another" });
  assert.deepEqual(changed, { code: "epoch_changed", accepted: false, again: false });
  assert.match(epoch, /^Not sent: .* begun anew/);
  redis.refuseWrites();
  const { message: sure, ...full } = await answer("full");
  redis.takeWrites();
  assert.deepEqual(full, { code: "unavailable", accepted: false, again: true });
  assert.match(sure, /was not sent/);
  for (const nonce of ["1", "2", "3", "4", "5"]) alice.send({ type: "say", text: "x", nonce });
  const fast = await alice.waitFor({ type: "error", code: "too_fast" });
  assert.deepEqual([fast.accepted, fast.retry_after > 0], [false, true]);
});

test("an unavailable for a line that may have been accepted has no accepted field", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  redis.freeze(t);
  alice.send({ type: "say", text: "on its way", nonce: "n" });
  const error = await alice.waitFor({ type: "error", nonce: "n" });
  assert.deepEqual([error.code, error.accepted, error.retry_after > 0], ["unavailable", undefined, true]);
  assert.match(error.message, /nobody knows whether/);
});

test("a welcome contains the limits, and the longest text fits in any JSON escaping", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  assert.deepEqual(alice.welcome.limits, { text: 2000, message: 32768 });
  const text = "\u{1f600}".repeat(2000);
  const escaped = "\\ud83d\\ude00".repeat(2000);
  alice.send(say(`"text":"${escaped}","nonce":"${"n".repeat(64)}","epoch":"${alice.welcome.epoch}"`));
  await alice.waitFor({ type: "message", text });
  const other = await startGateway(t, { redis, args: ["--max-text", "0", "--max-message", "600"] });
  assert.deepEqual((await joined(t, other.url, "bob")).welcome.limits, { text: 0, message: 600 });
});

test("300 messages at once need few calls, are all answered, and keep their order", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  const before = redis.calls("evalsha");
  alice.sendTogether(Array.from({ length: 300 }, (_, i) => ({ type: "say", text: `line ${i}`, ...(i % 3 && { nonce: `n${i}` }) })));
  await until("bob has all", () => bob.messages().length === 300);
  const said = redis.calls("evalsha") - before;
  assert.ok(said < 30, `${said} calls`);
  assert.deepEqual(bob.messages().map(({ text }) => text), Array.from({ length: 300 }, (_, i) => `line ${i}`));
  const first = bob.messages()[0].seq;
  assert.deepEqual(bob.messages().map(({ seq }) => seq), Array.from({ length: 300 }, (_, i) => first + i), "numbers have no holes");
  await until("200 acks", () => alice.received.filter(({ type }) => type === "ack").length === 200);
  for (const { nonce, seq } of alice.received.filter(({ type }) => type === "ack")) assert.equal(seq, first + Number(nonce.slice(1)));
  assert.equal(redis.lines("XLEN", "yukizuri:{lobby}:recent")[0], "300", "each is kept as an event of its own");
});

test("a repeated nonce within one iteration is shown once; a wrong epoch is refused alone", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  alice.sendTogether([
    { type: "say", text: "once", nonce: "a" },
    { type: "say", text: "old", nonce: "b", epoch: "another-epoch" },
    { type: "say", text: "once", nonce: "a" },
    { type: "say", text: "last", nonce: "c", epoch: alice.welcome.epoch },
  ]);
  const refused = await alice.waitFor({ type: "error", nonce: "b" });
  assert.deepEqual([refused.code, refused.accepted], ["epoch_changed", false]);
  const last = await alice.waitFor({ type: "ack", nonce: "c" });
  const acks = alice.received.filter(({ type, nonce }) => type === "ack" && nonce === "a");
  await until("bob has the last", () => bob.messages().some(({ text }) => text === "last"));
  assert.deepEqual(bob.messages().map(({ text }) => text), ["once", "last"]);
  assert.deepEqual(acks.map(({ seq }) => seq), [last.seq - 1, last.seq - 1], "both are answered with the one number");
});

test("messages to three rooms in one iteration each reach their own room", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const members = await Promise.all(Array.from({ length: 6 }, (_, i) => joined(t, `${gateway.url}/room${i % 3}`, `m${i}`)));
  for (const member of members) member.sendTogether(Array.from({ length: 20 }, (_, i) => ({ type: "say", text: `${i}`, nonce: `${i}` })));
  await until("40 messages each", () => members.every((member) => member.messages().length === 40));
  for (const [i, member] of members.entries()) assert.deepEqual(new Set(member.messages().map(({ from }) => from.name)), new Set([`m${i % 3}`, `m${(i % 3) + 3}`]));
});

test("a Redis without memory refuses all messages of a call at once, and none is shown", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  redis.refuseWrites();
  alice.sendTogether([1, 2, 3].map((i) => ({ type: "say", text: `${i}`, nonce: `${i}` })));
  for (const nonce of ["1", "2", "3"]) {
    const error = await alice.waitFor({ type: "error", nonce });
    assert.deepEqual([error.code, error.accepted], ["unavailable", false]);
  }
  redis.takeWrites();
  alice.send({ type: "say", text: "again", nonce: "4" });
  await alice.waitFor({ type: "ack", nonce: "4" });
  await until("bob has it", () => bob.messages().length > 0);
  assert.deepEqual(bob.messages().map(({ text }) => text), ["again"]);
});

test("a room of more than 2,048 members has one order, also for messages between two slices of it", async (t) => {
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

test("a nonce is remembered after its author has left, so that a late repeat is not shown", async (t) => {
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

test("malformed messages are answered with bad_message, and the connection stays open", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const member = await new Member(t, gateway.url).opened();
  const bad = [
    "not json", "", "{", "[]", "1", "null", '"join"', "{}", '{"type":1}', '{"type":"unknown"}', '{"type":"join"}',
    '{"type":"join","name":1}', '{"type":"join","name":"a","resume":1}', '{"type":"join","name":"a","since":5}',
    '{"type":"join","name":"a","since":{"epoch":"x"}}', '{"type":"join","name":"a","since":{"epoch":"x","seq":-1}}',
    '{"type":"join","name":"a\\u0000b"}', '{"type":"say"}', '{"type":"say","text":""}', '{"type":"say","text":"  \\n"}',
    '{"type":"say","text":5}', '{"type":"say","text":"x","nonce":""}', '{"type":"say","text":"x","nonce":7}',
    `{"type":"say","text":"x","nonce":"${"n".repeat(65)}"}`, '{"type":"say","text":"\\ud800"}', "[".repeat(5000),
    '{"a":'.repeat(2000), '{"type":"say","text":"x"} trailing',
  ];
  for (const text of bad) assert.equal((await member.refused(text)).code, "bad_message", text.slice(0, 60));
  await member.join("alice");
  for (const text of bad) assert.equal((await member.refused(text)).code, "bad_message", text.slice(0, 60));
  member.send({ type: "say", text: "still here", nonce: "1", unknown: ["ignored"] });
  await member.waitFor({ type: "ack" });
  assert.ok((await gateway.stats()).errors.bad_message >= bad.length);
});

test("a say repeated with the same nonce, also through another gateway, is shown once", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  const bob = await joined(t, gateways[0].url, "bob");
  const alice = await joined(t, gateways[0].url, "alice");
  alice.send({ type: "say", text: "once", nonce: "n" });
  const ack = await alice.waitFor({ type: "ack" });
  alice.socket.terminate();
  const again = await joined(t, gateways[1].url, "alice", { resume: alice.welcome.resume });
  again.send({ type: "say", text: "once", nonce: "n" });
  assert.equal((await again.waitFor({ type: "ack" })).seq, ack.seq);
  again.send({ type: "say", text: "and then", nonce: "m" });
  await bob.waitFor({ type: "message", text: "and then" });
  assert.deepEqual(bob.messages().map((m) => m.text), ["once", "and then"]);
});
