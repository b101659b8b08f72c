// Pressure: how hard it is to come in, by the setting, by a key in Redis, and by itself.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { Member, Process, joined, lapse, metric, ofKind, startGateway, startRedis, until } from "../lib/harness.mjs";

const newcomer = async (t, gateway) => new Member(t, gateway.url).opened();
const level = (gateway) => metric(gateway, "pressure");
const zeroBits = (hash) => { const at = hash.findIndex((byte) => byte !== 0); return at * 8 + Math.clz32(hash[at]) - 24; };
const hash = (challenge, work) => createHash("sha256").update(`${challenge}:${work}`).digest();

/** A work with at least `least` zero bits, and fewer than `below`. */
function solve({ challenge, bits }, least = bits, below = 257) {
  for (let i = 0; ; i++) {
    const zeroes = zeroBits(hash(challenge, String(i)));
    if (zeroes >= least && zeroes < below) return { challenge, work: String(i) };
  }
}

/** Joins with the work that is asked for. */
async function workToJoin(member, name) {
  const asked = await member.askToJoin(name);
  assert.equal(asked.code, "work_needed", JSON.stringify(asked));
  return member.askToJoin(name, solve(asked));
}

test("at pressure 2 a newcomer joins with a proof of work, which is good once, for its address, on every gateway", async (t) => {
  const redis = await startRedis(t);
  const args = ["--pressure", "2", "--trusted-proxy", "127.0.0.1", "--rate", "0"];
  const [one, two] = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
  const from = (address) => ({ headers: { "X-Forwarded-For": address } });
  const first = await new Member(t, one.url, from("203.0.113.7")).opened();
  const asked = await first.askToJoin("alice");
  assert.deepEqual([asked.code, asked.bits, typeof asked.challenge], ["work_needed", 17, "string"]);
  const done = solve(asked);
  assert.equal((await first.askToJoin("alice", solve(asked, asked.bits - 4, asked.bits))).code, "work_needed", "some bits are missing");
  const elsewhere = await new Member(t, two.url, from("203.0.113.8")).opened();
  assert.equal((await elsewhere.askToJoin("alice", done)).code, "work_needed", "it is another address'");
  assert.equal((await first.askToJoin("alice", done)).type, "welcome");
  const again = await new Member(t, one.url, from("203.0.113.7")).opened();
  assert.equal((await again.askToJoin("bob", done)).code, "work_needed", "it was used");
  const fresh = solve(await again.askToJoin("bob"));
  assert.equal((await again.askToJoin("alice", fresh)).code, "name_taken");
  assert.equal((await again.askToJoin("bob", fresh)).type, "welcome", "it was not used for a name that was taken");
  const there = await new Member(t, two.url, from("203.0.113.9")).opened();
  const forThere = solve(await there.askToJoin("carol"));
  const other = await new Member(t, one.url, from("203.0.113.9")).opened();
  assert.equal((await other.askToJoin("carol", forThere)).type, "welcome", "the gateways have one key");
  assert.equal((await first.refused({ type: "join", name: "x", challenge: 7 })).code, "bad_message");
});

test("who is in, and who comes back with a good token, notices nothing of pressure 2 and 3; a token of nobody's helps nobody", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  for (const [pressure, code] of [["2", "work_needed"], ["3", "locked"]]) {
    redis.run("SET", "yukizuri:pressure", pressure, "EX", "60");
    await until("it is felt", async () => (await level(gateway)) === Number(pressure));
    await alice.insist(`at ${pressure}`);
    const back = await new Member(t, gateway.url).join("alice", { resume: alice.welcome.resume });
    assert.equal(back.welcome.me.id, alice.welcome.me.id);
    Object.assign(alice, { socket: back.socket, received: back.received, welcome: back.welcome });
    alice.socket.on("message", (data) => alice.received.includes(data) || 0);
    const stranger = await newcomer(t, gateway);
    const error = await stranger.askToJoin("mallory", { resume: "AAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBB" });
    assert.equal(error.code, code);
    if (code === "locked") assert.ok(error.until > redis.now() && error.until <= redis.now() + 60000);
  }
});

test("the key in Redis raises every gateway above its setting, not below it, and ends by itself; other values are none", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis }), await startGateway(t, { redis, args: ["--pressure", "1"] })];
  const levels = () => Promise.all(gateways.map(level));
  const become = (a, b) => until(`${a} and ${b}`, async () => (await levels()).join() === [a, b].join());
  await become(0, 1);
  redis.run("SET", "yukizuri:pressure", "2", "PX", "4000");
  await become(2, 2);
  await become(0, 1);
  assert.equal(redis.run("EXISTS", "yukizuri:pressure"), "0");
  redis.run("SET", "yukizuri:pressure", "3", "EX", "60");
  await become(3, 3);
  for (const value of ["0", "4", "-1", "high", ""]) {
    redis.run("SET", "yukizuri:pressure", "2", "EX", "60");
    await become(2, 2);
    redis.run("SET", "yukizuri:pressure", value, "EX", "60");
    await become(0, 1);
  }
  redis.run("DEL", "yukizuri:pressure");
  redis.run("LPUSH", "yukizuri:pressure", "3");
  await joined(t, gateways[0].url, "alice");
  assert.equal((await gateways[1].stats()).pressure, 1);
  const logged = (gateway) => ofKind(gateway, "pressure").slice(0, 2).map(({ pressure, message }) => `${pressure} ${message}`);
  assert.deepEqual(logged(gateways[0]), ["2 as an operator has ordered", "0 as the setting has it"]);
  assert.deepEqual(logged(gateways[1]), ["1 as the setting has it", "2 as an operator has ordered"]);
});

test("what is ordered holds while Redis is busy and cannot say", async (t) => {
  const redis = await startRedis(t, { alone: true });
  const gateway = await startGateway(t, { redis });
  redis.run("SET", "yukizuri:pressure", "3", "EX", "600");
  await until("it is felt", async () => (await level(gateway)) === 3);
  redis.run("CONFIG", "SET", "busy-reply-threshold", "10");
  const busy = new Process(t, "redis-cli", ["-p", String(redis.port), "EVAL", "while true do end", "0"]);
  await until("it was often told so", async () => (await metric(gateway, 'redis_errors_total{code="BUSY"}')) > 30);
  assert.deepEqual([await level(gateway), ofKind(gateway, "pressure").length], [3, 1]);
  redis.run("SCRIPT", "KILL");
  await busy.status();
});

test("an order that ends beyond all numbers has no end", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  redis.run("SET", "yukizuri:pressure", "3", "PXAT", "9223372036854775807");
  redis.run("SET", "yukizuri:{lobby}:locked", "for ever", "PXAT", "9223372036854775807");
  await until("it is felt", async () => (await level(gateway)) === 3);
  for (let i = 0; i < 10; i++) assert.equal((await (await newcomer(t, gateway)).askToJoin("alice")).code, "locked");
  const asked = redis.calls("pttl");
  await until("it is asked for again and again", () => redis.calls("pttl") > asked + 10);
  assert.equal(await level(gateway), 3);
});

test("at pressure 1 half as much may be sent", async (t) => {
  const redis = await startRedis(t);
  const accepted = async (pressure) => {
    const gateway = await startGateway(t, { redis, args: ["--pressure", pressure, "--rate", "0.01:20"] });
    const member = await joined(t, `${gateway.url}/p${pressure}`, "alice");
    member.sendTogether(Array.from({ length: 25 }, (_, i) => ({ type: "say", text: `${i}`, nonce: `${i}` })));
    await until("all are answered", () => member.received.filter(({ type, nonce }) => nonce && type !== "message").length === 25);
    return member.received.filter(({ type }) => type === "ack").length;
  };
  assert.deepEqual([await accepted("0"), await accepted("1")], [19, 9], "the join took one");
});

test("more newcomers than pressure-joins raise it step by step, up to 2, and it falls step by step", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--pressure-joins", "2", "--rate", "0", "--max-connections-per-address", "0"] });
  const seen = new Set();
  let count = 0;
  const alice = await joined(t, gateway.url, "alice");
  await until("it is at 2", async () => {
    const people = await Promise.all(Array.from({ length: 8 }, () => newcomer(t, gateway)));
    await Promise.all(people.map((one) => one.askToJoin(`n${count++}`)));
    for (const one of people) one.socket.terminate();
    seen.add(await level(gateway));
    return seen.has(2);
  });
  assert.ok(Math.max(...seen) === 2, "it shuts nobody out by itself");
  assert.equal((await workToJoin(await newcomer(t, gateway), "worker")).type, "welcome");
  await until("it is back", async () => (await level(gateway)) === 0);
  await until("the log has each step", () => ofKind(gateway, "pressure").map(({ pressure }) => pressure).join() === "1,2,1,0");
  assert.deepEqual(ofKind(gateway, "pressure").map(({ message }) => message), [...Array(3).fill("because of pressure-joins"), "as the setting has it"]);
  await joined(t, gateway.url, "late");
  await alice.settled();
});

/** Newcomers at once, of whom nobody is let in. */
async function refuseMany(t, gateway, name, code) {
  const people = await Promise.all(Array.from({ length: 8 }, () => newcomer(t, gateway)));
  const answers = await Promise.all(people.map((one, i) => one.askToJoin(name(i))));
  for (const one of people) one.socket.terminate();
  assert.ok(answers.every((answer) => [code, "work_needed"].includes(answer.code)), JSON.stringify(answers));
}

for (const { what, code, name = () => "alice", args = [], prepare = () => {} } of [
  { what: "for their name", code: "name_taken" },
  { what: "because the room is full", code: "room_full", name: (i) => `n${i}`, args: ["--max-members", "1"] },
  { what: "because the room is locked", code: "locked", name: (i) => `n${i}`, prepare: (redis) => redis.run("PUBLISH", "yukizuri:control", '{"do":"lock","room":"lobby"}') },
])
  test(`newcomers who are refused ${what} raise the pressure, too`, { timeout: 120000 }, async (t) => {
    const redis = await startRedis(t);
    const gateway = await startGateway(t, { redis, args: ["--pressure-joins", "2", "--rate", "0", "--max-connections-per-address", "0", ...args] });
    await joined(t, gateway.url, "alice");
    prepare(redis);
    await until("it is at 2", async () => (await refuseMany(t, gateway, name, code), (await level(gateway)) === 2));
  });

test("newcomers who do not do the work keep the pressure up", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--pressure-joins", "2", "--rate", "0", "--max-connections-per-address", "0"] });
  await joined(t, gateway.url, "alice");
  const refuse = () => refuseMany(t, gateway, () => "alice", "name_taken");
  await until("it is at 2", async () => (await refuse(), (await level(gateway)) === 2));
  const { over } = lapse(12000); // after 10 s of calm it would fall
  await until("they come on and on", async () => (await refuseMany(t, gateway, (i) => `n${i}`, "work_needed"), over()));
  assert.deepEqual(ofKind(gateway, "pressure").map(({ pressure }) => pressure), ["1", "2"]);
});
