// Joins: names, the content of a welcome, and bursts of joins.
import assert from "node:assert/strict";
import test from "node:test";
import { Member, atEnd, joined, startGateway, startRedis, until } from "../lib/harness.mjs";
import { ROOM, arrivals, breakSilence, keptEvents } from "../lib/rooms.mjs";
import { Resp } from "../lib/resp.mjs";
import { joinTogether, waitingBurst } from "../lib/burst.mjs";

test("names are compared folded, and the error for a taken name has a free suggestion", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  await joined(t, gateways[0].url, "Straße");
  const other = await new Member(t, gateways[1].url).opened();
  other.send({ type: "join", name: "  ＳＴＲＡＳＳＥ " });
  const error = await other.waitFor({ type: "error", code: "name_taken" });
  assert.equal(error.suggestion, "STRASSE2");
  other.send({ type: "join", name: error.suggestion });
  assert.equal((await other.waitFor({ type: "welcome" })).me.name, "STRASSE2");
  const third = await new Member(t, gateways[0].url).opened();
  third.send({ type: "join", name: "strasse" });
  assert.equal((await third.waitFor({ type: "error" })).suggestion, "strasse3");
});

test("a name that looks like a member's is taken, whatever script it is in, and the suggestion looks like nobody's", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis })];
  await joined(t, gateways[0].url, "alice");
  await joined(t, gateways[0].url, "Tоm"); // with a Cyrillic letter
  assert.equal(redis.run("HGET", "yukizuri:{lobby}:member:alice", "name"), "alice");
  const other = await new Member(t, gateways[1].url).opened();
  const alike = { аlice: "аlice2", "аӏісе": "аӏісе2", ΑLICΕ: "ΑLICΕ2", "ａｌｉｃｅ": "alice2", Tom: "Tom2", ТОМ: "ТОМ2" };
  for (const [name, suggestion] of Object.entries(alike)) {
    other.received.length = 0;
    other.send({ type: "join", name });
    assert.equal((await other.waitFor({ type: "error", code: "name_taken" })).suggestion, suggestion, name);
  }
  other.send({ type: "join", name: alike.аlice });
  assert.equal((await other.waitFor({ type: "welcome" })).me.name, "аlice2", "as it was written");
  const third = await new Member(t, gateways[0].url).opened();
  third.send({ type: "join", name: "alice" });
  assert.equal((await third.waitFor({ type: "error", code: "name_taken" })).suggestion, "alice3", "аlice2 is there");
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members").sort(), ["alice", "alice2", "tom"]);
});

test("the welcome of a late member names at most 200 members, including itself", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  await Promise.all(Array.from({ length: 230 }, (_, i) => joined(t, gateway.url, `m${i}`)));
  const late = await joined(t, gateway.url, "late");
  assert.equal(late.welcome.count, 231);
  assert.equal(late.welcome.members.length, 200);
  assert.ok(late.welcome.members.some((m) => m.id === late.welcome.me.id));
});

test("a member who is greeted on joining gets its welcome first, also when many join at once", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const rooms = Array.from({ length: 30 }, (_, i) => `${gateway.url}/room-${i}`); // in each room, the next presence is sent at once
  for (const room of rooms) {
    const bob = await joined(t, room, "bob");
    bob.socket.on("message", (data) => {
      if (JSON.parse(data).joined?.some(({ name }) => name === "guest")) bob.send({ type: "say", text: "hello", nonce: "1" });
    });
  }
  for (const [i, room] of rooms.entries()) {
    const other = await new Member(t, gateway.url).opened();
    const guest = await new Member(t, room).opened();
    other.send({ type: "join", name: `other-${i}` }); // is welcomed; the next ones wait for the batch
    guest.send({ type: "join", name: "guest" });
    const { seq } = await guest.waitFor({ type: "message", text: "hello" });
    assert.ok(seq > guest.find({ type: "welcome" }).seq, "after its welcome");
  }
});

test("messages do not wait behind joins", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  breakSilence(redis);
  const burst = await waitingBurst(t, gateway, redis, 300);
  alice.sendTogether([{ type: "say", text: "still here" }, { type: "ping" }]);
  await alice.waitFor({ type: "pong" });
  redis.thaw();
  const { seq } = await alice.waitFor({ type: "message" });
  await Promise.all(burst.map((member) => member.waitFor({ type: "welcome" })));
  await until("alice sees them all", () => alice.received.some(({ count }) => count === 301));
  const before = new Map(keptEvents(redis).map((event) => [event.seq, event.joined?.length ?? 0]));
  const overtaken = Array.from({ length: seq - alice.welcome.seq - 1 }, (_, i) => before.get(alice.welcome.seq + 1 + i)).reduce((sum, count) => sum + count, 0);
  assert.ok(overtaken <= 150, `it was said after ${overtaken} of them had come in`);
});

test("of two joins with the same name or token in one call, the first succeeds and the other is refused", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "0"] });
  const gone = [];
  await joined(t, gateway.url, "earlier");
  breakSilence(redis);
  for (let i = 0; i < 4; i++) gone.push(await joined(t, gateway.url, `gone-${i}`));
  for (const member of gone) member.socket.terminate();
  await until("their tokens are kept", () => redis.lines("KEYS", "yukizuri:{lobby}:left:*").filter(Boolean).length === 4);
  const twins = [0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5].map((number) => ({ name: `twin-${number}-` }));
  const back = gone.flatMap(({ welcome: { me, resume } }) => [{ name: me.name, resume }, { name: `other-${me.name}`, resume }, { name: me.name, resume }]);
  const sockets = await joinTogether(t, gateway, redis, [...twins, ...back]);
  for (const [i, { name }] of twins.entries()) {
    if (i % 4 < 2) await sockets[i].waitFor({ type: "welcome" });
    else assert.deepEqual((({ code, suggestion }) => [code, suggestion])(await sockets[i].waitFor({ type: "error" })), ["name_taken", `${name}2`]);
  }
  for (const [i, { welcome }] of gone.entries()) {
    const [first, other, again] = sockets.slice(12 + 3 * i);
    assert.equal((await again.waitFor({ type: "welcome" })).me.id, welcome.me.id);
    assert.equal((await first.waitClosed()).code, 4409, "its member is on the other socket now");
    assert.notEqual((await other.waitFor({ type: "welcome" })).me.id, welcome.me.id, "a token is good once");
  }
  assert.deepEqual(arrivals(redis).flat().length, new Set(arrivals(redis).flat()).size + 4, "each name once, and the four who had gone");
});

test("max-members holds for joins in one call", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--max-members", "100"] });
  const burst = await waitingBurst(t, gateway, redis, 150);
  redis.thaw();
  const answers = await Promise.all(burst.map((member) => member.waitFor(({ type }) => type === "welcome" || type === "error")));
  assert.deepEqual(answers.map(({ type, code }) => code ?? type), Array.from({ length: 150 }, (_, i) => (i < 100 ? "welcome" : "room_full")));
  assert.deepEqual(redis.lines("SCARD", "yukizuri:{lobby}:members"), ["100"]);
});

test("each suggestion for a taken name of 16 characters is free", async (t) => {
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

test("a join with a taken name does not remove its member from the list", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "0"] });
  const first = await joined(t, gateway.url, "alice");
  const second = await new Member(t, gateway.url).opened();
  second.send({ type: "join", name: "alice" });
  await second.waitFor({ type: "error", code: "name_taken" });
  second.socket.terminate();
  await until("the second is gone", async () => (await gateway.stats()).connections === 1);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["alice"]);
  first.send({ type: "say", text: "still here", nonce: "1" });
  await first.waitFor({ type: "ack" });
});

test("the gateway itself refuses invalid names", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const visitor = await new Member(t, gateway.url).opened();
  const unfair = ["", "   ", "\u200b", "a".repeat(17), "a\u202eb", "a\nb", "\u0000", "あ".repeat(17), "\ud800", "\u2800"];
  for (const name of unfair) {
    const before = visitor.received.length;
    visitor.send({ type: "join", name });
    const answer = await until(`an answer to ${JSON.stringify(name)}`, () => visitor.received[before]);
    assert.equal(answer.type, "error", JSON.stringify(name));
    assert.ok(["bad_name", "bad_message"].includes(answer.code), JSON.stringify(answer));
  }
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), []);
});

test("a say before the join, a second join and invalid names are refused", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const member = await new Member(t, gateway.url).opened();
  const early = await member.refused({ type: "say", text: "x", nonce: "n" });
  assert.deepEqual([early.code, early.nonce], ["not_joined", "n"]);
  for (const type of ["typing", "leave", "members"]) assert.equal((await member.refused({ type })).code, "not_joined");
  const unfair = ["", "   ", "\u3000", "\u0000\u0001".slice(1), "a\u0007b", "a\u202eb", "a\u200bb", "\u2066x", "\ufeff", "a\nb", "\u3164", "x".repeat(17), "\u0301".repeat(300), "あ".repeat(17), "\u00ad", "\ue000"];
  for (const name of unfair) assert.equal((await member.refused({ type: "join", name })).code, "bad_name", JSON.stringify(name));
  await member.join("あ".repeat(16));
  assert.equal((await member.refused({ type: "join", name: "other" })).code, "already_joined");
  const fair = ["👍🏽", "Ω", "ｱﾘｽ", "O'Brien", '"><img src=x>', "a b", "שלום", "नमस्ते", "ตั้ม"];
  for (const name of fair) await joined(t, gateway.url, name);
});

test("a name that a page shows like another one is taken, and a name of joined characters is free", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  await joined(t, gateway.url, "ann lee");
  const member = await new Member(t, gateway.url).opened();
  const same = ["ann  lee", "ann\u1680lee", "ann\u2003lee", " Ann Lee\u1680", "ann lee\ufe0f"];
  for (const name of same) assert.equal((await member.refused({ type: "join", name })).code, "name_taken", JSON.stringify(name));
  for (const name of ["\u0301", "ann\u{1d159}", "\ufffc", "\u{13441}", `Z${"\u0301\u0302\u0303".repeat(15)}`, "an\u200dn"])
    assert.equal((await member.refused({ type: "join", name })).code, "bad_name", JSON.stringify(name));
  const free = ["👨\u200d👩\u200d👧", "می\u200cخواهم", "ශ\u0dca\u200dරී", "🏳\ufe0f\u200d🌈", "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}", "🇯🇵".repeat(16)];
  for (const name of free) assert.equal((await joined(t, gateway.url, name)).welcome.me.name, name);
  const twin = await member.refused({ type: "join", name: "👨👩👧" });
  assert.deepEqual([twin.code, twin.suggestion], ["name_taken", "👨👩👧2"]);
});

test("two links that look the same lead to one room", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const one = await joined(t, `${gateway.url}/${encodeURIComponent("葛城")}`, "one");
  const other = await joined(t, `${gateway.url}/${encodeURIComponent("葛\u{e0100}城")}`, "other");
  assert.equal(other.welcome.room, one.welcome.room);
  assert.equal(other.welcome.count, 2);
});

async function connectTo(t, redis) {
  const resp = await Resp.connect(redis.port);
  atEnd(t, () => resp.close());
  return resp;
}

test("a taken name costs Redis about 20 look-ups at most, and the suggestion is free", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  await joined(t, gateway.url, "alice");
  const hand = await connectTo(t, redis);
  const take = (number) => hand.call("HSET", `${ROOM}:member:alice${number}`, "id", `i${number}`);
  let highest = 1;
  for (const upTo of [1, 2, 3, 30, 99, 998, 999]) {
    for (let number = highest + 1; number <= upTo; number++) await take(number);
    highest = upTo;
    const before = redis.calls("exists");
    const bob = await new Member(t, gateway.url).opened();
    bob.send({ type: "join", name: "alice" });
    const { suggestion } = await bob.waitFor({ type: "error", code: "name_taken" });
    assert.ok(redis.calls("exists") - before < 40, `${redis.calls("exists") - before} questions`); // including those of one or two probes
    assert.equal(suggestion, upTo === 999 ? undefined : `alice${upTo + 1}`);
  }
});
