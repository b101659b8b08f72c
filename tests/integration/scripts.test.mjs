// The scripts alone, in a real Redis: thousands of random calls from a seed, compared with a model of the room;
// broken keys; and a test for each single rule.
//   TEST_SEED=7,8 node --test tests/integration/scripts.test.mjs
import assert from "node:assert/strict";
import test from "node:test";
import { atEnd, startRedis } from "../lib/harness.mjs";
import { Resp, RespError } from "../lib/resp.mjs";
import { World, plain } from "../lib/room-world.mjs";
import { checkTtls, readAll } from "../lib/room-state.mjs";
import { liveWithBroken } from "../lib/room-breaks.mjs";
import { RoomCalls, words } from "../lib/room-calls.mjs";

const seeds = (process.env.TEST_SEED ?? "1,2,3").split(",").map(Number);
const BATCHES = 25;
const CALLS = 40;
const BREAKS = 20;
const token = (session) => ({ shownId: `new ${session}`, shownHash: `hash ${session}` });
const reap = (gateway, ...names) => ({ gateway, spared: "", names });
const said = (text, nonce = "") => ({ says: [{ id: "i", body: `"from":{},"text":"${text}"}`, nonce, epoch: "" }] });

for (const seed of seeds)
  test(`random script calls answer, publish and store what a model of the room predicts (seed ${seed})`, async (t) => {
    const world = await World.start(t, await startRedis(t, { alone: true }), seed);
    for (let i = 0; i < BATCHES; i++) await world.run(CALLS);
    for (const status of ["joined", "resumed", "taken", "full", "moved", "late"]) assert.ok(world.statuses.has(status), `somebody was ${status}`);
  });

for (const seed of seeds)
  test(`a broken key stops no script, removes no other member and leaves nothing half done (seed ${seed})`, async (t) => {
    const world = await World.start(t, await startRedis(t, { alone: true }), seed);
    for (let i = 0; i < BREAKS; i++) {
      await world.run(15);
      await liveWithBroken(world, 5);
    }
  });

/** An empty room, and functions to call its scripts. */
async function startRoom(t) {
  const world = await World.start(t, await startRedis(t, { alone: true }), 0);
  const [room] = world.rooms;
  const base = room.base;
  const run = (name, call, changed) => world.calls.run(name, room, world.fresh("e"), words[name](room, call), changed);
  const call = async (name, what) => {
    const reply = await run(name, what);
    assert.ok(!(reply instanceof RespError), `${name}: ${reply?.text}`);
    return plain(name, reply);
  };
  return {
    world, room, base, run, call,
    redis: (...command) => world.redis.call(...command),
    published: async () => (await world.receivedSince()).map(([, event]) => event),
    join: async (gateway, ...people) => (await call("join", { gateway, until: 0, people: people.map(person) })).map(([status, ...rest]) => (status === "joined" || status === "resumed" ? [status, rest[0]] : [status])),
  };
}

const person = (more) => ({
  folded: more.name, address: "", shown: "", mark: "", id: `new ${more.session}`, hash: `hash ${more.session}`, shownId: "", shownHash: "", asked: 0,
  restore: false, floor: 0, floorEpoch: "", ...more,
});

test("a member that resumed under its own name is reinstated by its last session only", async (t) => {
  for (const asked of [0, "when it did"]) {
    const { join, call, world } = await startRoom(t);
    const last = { name: "ann", session: "s2", asked: world.start - 5000, ...token("s1") };
    await join("g1", { name: "ann", session: "s1", asked: world.start - 9000 });
    assert.deepEqual(await join("g2", last), [["resumed", "new s1"]]);
    assert.equal(await call("reap", reap("g2", "ann")), 1);
    assert.deepEqual(await join("g1", { name: "ann", session: "s1", asked: world.start - 9000, restore: true, ...token("s1") }), [["moved"]]);
    // its gateway may not know the clock of Redis yet
    assert.deepEqual(await join("g2", { ...last, restore: true, ...(asked === 0 && { asked }) }), [["joined", "new s1"]]);
  }
});

test("a member that moved its token to another name and back is reinstated there by its last session only", async (t) => {
  const { join, call, world } = await startRoom(t);
  const records = [["g1", "ann", "s1", 9000], ["g2", "bo", "s2", 7000], ["g3", "bo", "s3", 5000]];
  const [first, second, third] = records.map(([gateway, name, session, ago]) => [gateway, { name, session, asked: world.start - ago, ...token("s1") }]);
  const again = ([gateway, record]) => join(gateway, { ...record, restore: true });
  await join(first[0], { ...first[1], shownId: "", shownHash: "" });
  await call("reap", reap("g1", "ann"));
  assert.deepEqual(await join(...second), [["joined", "new s1"]]);
  assert.deepEqual(await join(...third), [["resumed", "new s1"]]);
  await call("reap", reap("g3", "bo"));
  for (const record of [first, second]) assert.deepEqual(await again(record), [["moved"]]);
  assert.deepEqual(await again(third), [["joined", "new s1"]]);
  assert.deepEqual(await again(first), [["moved"]]);
});

test("of two sessions with one token that are reinstated after Redis lost its memory, one becomes a member", async (t) => {
  const { join, call, redis, base, world } = await startRoom(t);
  const earlier = { name: "ann", session: "s1", asked: world.start - 9000, restore: true, ...token("s1") };
  const later = { name: "bo", session: "s2", asked: world.start - 5000, restore: true, ...token("s1") };
  assert.deepEqual(await join("g2", later), [["joined", "new s1"]]);
  assert.deepEqual(await join("g1", earlier), [["moved"]]);
  assert.deepEqual(await redis("SMEMBERS", `${base}:members`), ["bo"]);
  await redis("FLUSHALL");
  assert.deepEqual(await join("g1", earlier), [["joined", "new s1"]]);
  assert.deepEqual(await join("g2", later), [["taken"]]); // the name is not taken away; the session joins as a new member, or asks again
  assert.deepEqual(await redis("SMEMBERS", `${base}:members`), ["ann"]);
  await call("leave", { gateway: "g1", leaves: [{ folded: "ann", session: "s1", said: false, spared: "" }] });
  assert.deepEqual(await join("g2", later), [["joined", "new s1"]]);
});

test("while a member is present, the calls about it renew all keys that its room and its token need", async (t) => {
  const { join, call, redis, base, world } = await startRoom(t);
  await join("g1", { name: "ann", session: "s1" });
  await call("reap", reap("g1", "ann"));
  await call("publish", said("one", "n"));
  const record = { name: "ann", session: "s2", ...token("s1") };
  const renewed = async (what) => {
    for (const { key } of await readAll(world.redis)) await redis("EXPIRE", key, 20);
    await what();
    return (await readAll(world.redis)).filter(({ ttl }) => ttl > 60000).map(({ key }) => key.slice(base.length + 1));
  };
  const own = ["head", "left:new s1", "member:ann", "members"];
  assert.deepEqual(await renewed(() => join("g1", record)), ["head", "left:new s1", "member:ann", "members", "recent"]);
  assert.deepEqual(await renewed(() => call("refresh", { records: [{ folded: "ann", session: "s2" }] })), own);
  assert.deepEqual(await renewed(() => join("g2", { ...record, session: "s3" })), ["head", "member:ann", "members"]);
  assert.deepEqual(await renewed(() => call("publish", said("two", "m"))), ["nonces:i", "recent"]);
  assert.deepEqual(await renewed(() => call("reap", reap("g2", "ann"))), ["left:new s1", "recent"]);
  assert.deepEqual(await renewed(() => join("g2", { ...record, session: "s3", restore: true })), ["head", "left:new s1", "member:ann", "members", "recent"]);
});

test("reaping in a room with a broken list removes no member silently", async (t) => {
  const { join, call, redis, base, published } = await startRoom(t);
  await join("g1", { name: "ann", session: "s1" });
  await redis("SET", `${base}:members`, "x");
  assert.equal(await call("reap", reap("g1", "ann")), 1);
  assert.deepEqual((await published()).at(-1), { type: "presence", seq: 2, joined: [], left: [{ id: "new s1", name: "ann" }], count: 0 });
});

test("reaping many members announces fifty at a time, each time with the remaining count", async (t) => {
  const { join, call, published } = await startRoom(t);
  const names = Array.from({ length: 120 }, (_, i) => `n${i}`);
  for (let i = 0; i < names.length; i += 15) await join("g1", ...names.slice(i, i + 15).map((name) => ({ name, session: name })));
  await join("g2", { name: "ann", session: "s1" });
  await published();
  assert.equal(await call("reap", reap("g1", ...names, "ann", ...names)), 120);
  const told = await published();
  assert.deepEqual(told.map(({ left, count }) => [left.length, count]), [[50, 71], [50, 21], [20, 1]]);
  assert.deepEqual(told.flatMap(({ left }) => left.map(({ name }) => name)), names);
});

test("a member who is named twice in one leave leaves once", async (t) => {
  const { join, call, published } = await startRoom(t);
  await join("g1", { name: "ann", session: "s1" }, { name: "bo", session: "s2" });
  const ann = { folded: "ann", session: "s1", said: false, spared: "" };
  await call("leave", { gateway: "g1", leaves: [ann, ann] });
  assert.deepEqual((await published()).at(-1), { type: "presence", seq: 2, joined: [], left: [{ id: "new s1", name: "ann" }], count: 1 });
});

test("stored events of a wrong type are ignored by reads and trims", async (t) => {
  for (const [name, what, answer] of [["recent", { after: 0, most: 10 }, ({ events }) => events], ["trim", { seq: 0, epoch: "e1" }, (number) => number]]) {
    const { call, redis, base } = await startRoom(t);
    await call("publish", said("one"));
    await redis("SET", `${base}:recent`, "x");
    assert.deepEqual(answer(await call(name, what)), name === "recent" ? [] : 0);
    assert.deepEqual(await call("publish", said("two")), [2]);
  }
});

test("a room stores no more bytes of events than it may, and forgets the oldest first", async (t) => {
  const { call, join, redis, base, world } = await startRoom(t);
  const MOST = 2000;
  Object.assign(world.rooms[0], { mostBytes: MOST, mostKept: 100 });
  const stored = async () => (await redis("XRANGE", `${base}:recent`, "-", "+")).map(([id, fields]) => ({ id, bytes: fields[3].length }));
  const sum = (list) => list.reduce((all, { bytes }) => all + bytes, 0);
  let seq = 0;
  for (let i = 0; i < 60; i++) {
    const says = Array.from({ length: 1 + (i % 7) }, (_, k) => said("x".repeat(1 + ((37 * i + k) % 300))).says[0]);
    seq = (await call("publish", { says })).at(-1);
    if (i % 10 === 5) await join("g1", { name: `n${i}`, session: `s${i}` }), seq++;
    const list = await stored();
    assert.ok(sum(list) <= MOST, `${sum(list)} after ${seq}`);
    assert.deepEqual(list.map(({ id }) => id), list.map((_, k) => `${seq - list.length + 1 + k}-0`), "the last ones");
    if (seq > 20 && i <= 30) assert.ok(sum(list) > MOST - 500, `not fewer than need be: ${sum(list)}`);
    if (i === 30) await redis("XTRIM", `${base}:recent`, "MAXLEN", "2"), await call("trim", { seq: 1, epoch: "e0" });
  }
  await call("publish", said("x".repeat(MOST)));
  assert.deepEqual(await stored(), []);
  await call("publish", said("small"));
  assert.equal((await stored()).length, 1);
});

test("foreign entries among the stored events are never returned", async (t) => {
  const { call, redis, base } = await startRoom(t);
  await call("publish", said("one"));
  const own = ["at", "1", "event", "{}", "said", "9"];
  await redis("XADD", `${base}:recent`, "1-5", ...own);
  await call("publish", said("two"));
  await redis("XADD", `${base}:recent`, "2-5", "foreign", "x");
  await call("publish", said("three"));
  await redis("XADD", `${base}:recent`, "7-0", ...own);
  await redis("XADD", `${base}:recent`, "*", "foreign", "x");
  const { events } = await call("recent", { after: 0, most: 10 });
  assert.deepEqual(events.map(({ event }) => event.text), ["one", "two", "three"]);
});

test("stored events behind the last possible id are started again", async (t) => {
  const { call, redis, base } = await startRoom(t);
  await redis("XADD", `${base}:recent`, "18446744073709551615-18446744073709551615", "foreign", "x");
  await call("roster", { most: 1 });
  await redis("XADD", `${base}:recent`, "18446744073709551615-18446744073709551615", "foreign", "x");
  assert.deepEqual(await call("publish", said("one")), [1]);
  assert.deepEqual((await call("recent", { after: 0, most: 10 })).events.map(({ event }) => event.text), ["one"]);
});

test("a broken floor becomes a number of the room", async (t) => {
  const { join, run, redis, base } = await startRoom(t);
  await join("g1", { name: "ann", session: "s1" });
  for (const floor of ["-5", "-inf", "nan", "1.5", "1e300", "x"]) {
    await redis("HSET", `${base}:member:ann`, "floor", floor);
    const people = [person({ name: "ann", session: "s2", ...token("s1") })];
    const [[status, , number, answered]] = await run("join", { gateway: "g1", until: 0, people });
    assert.equal(status, "resumed");
    assert.ok(answered >= 0 && answered <= number, `${floor} becomes ${answered}`);
  }
});

for (const [how, goesOn] of [["a new epoch", false], ["a new epoch, and another history after it", true]])
  test(`a number of an epoch that ended with the room's head does not hide events that a member may see: ${how}`, async (t) => {
    const { join, run, call, redis, base } = await startRoom(t);
    for (let i = 0; i < 30; i++) await call("publish", said(`a${i}`));
    await join("g1", { name: "there", session: "s1" }, { name: "left", session: "s2" }, { name: "restored", session: "s3" });
    const { epoch, seq } = await call("recent", { after: 0, most: 1 });
    await call("leave", { gateway: "g1", leaves: [{ folded: "left", session: "s2", said: false, spared: "" }] });
    await redis("DEL", `${base}:head`, `${base}:member:restored`);
    for (let i = 0; i < 40; i++) await call("publish", said(`b${i}`));
    if (goesOn) await redis("HSET", `${base}:head`, "history", "other");
    const people = [
      person({ name: "there", session: "s4", ...token("s1") }), person({ name: "left", session: "s5", ...token("s2") }),
      person({ name: "restored", session: "s3", ...token("s3"), restore: true, floor: seq, floorEpoch: epoch }),
    ];
    const answers = await run("join", { gateway: "g1", until: 0, people });
    assert.deepEqual(answers.map(([status, id, , floor]) => [status, id, floor]), [["resumed", "new s1", 0], ["joined", "new s2", 0], ["joined", "new s3", 0]]);
  });

test("a floor is translated through forks, also when it is stored again, and when an older gateway stored no epoch", async (t) => {
  const { join, run, call, redis, base } = await startRoom(t);
  await call("publish", said("a"));
  await join("g1", { name: "ann", session: "s1" }, { name: "bo", session: "s2" });
  await redis("HSET", `${base}:head`, "seq", "0", "history", "other"); // an older state: neither is known there
  for (let i = 0; i < 5; i++) await call("publish", said(`b${i}`));
  await call("leave", { gateway: "g1", leaves: [{ folded: "bo", session: "s2", said: false, spared: "" }] });
  await redis("HSET", `${base}:head`, "history", "yet another");
  const back = () => run("join", { gateway: "g1", until: 0, people: [person({ name: "ann", session: "s3", ...token("s1") }), person({ name: "bo", session: "s4", ...token("s2") })] });
  assert.deepEqual((await back()).map(([, , , floor]) => floor), [0, 0]);
  assert.equal(await redis("HGET", `${base}:member:bo`, "floor_epoch"), await redis("HGET", `${base}:head`, "epoch"));
  await redis("HDEL", `${base}:member:ann`, "floor_epoch");
  await redis("HSET", `${base}:member:ann`, "floor", "3");
  assert.equal((await back())[0][3], 3);
});

for (const [what, name, call] of [
  ["a message with a nonce", "publish", said("one", "n")],
  ["a member", "join", { gateway: "g1", until: 0, people: [person({ name: "ann", session: "s1" }), person({ name: "bo", session: "s2" })] }],
])
  for (const right of ["zadd", "zremrangebyrank", "expire", "sadd", "hset", "xadd"])
    test(`${what} of a user without ${right.toUpperCase()} leaves no key without a TTL`, async (t) => {
      const { run, redis, world } = await startRoom(t);
      await redis("ACL", "SETUSER", "default", `-${right}`);
      await run(name, call);
      await run(name, call);
      await redis("ACL", "SETUSER", "default", "+@all");
      checkTtls(await readAll(world.redis));
    });

test("a nonce with a broken number is accepted as new, and known afterwards", async (t) => {
  const { call, redis, base } = await startRoom(t);
  await redis("ZADD", `${base}:nonces:i`, "inf", "n");
  assert.deepEqual(await call("publish", said("one", "n")), [1]);
  assert.deepEqual(await call("publish", said("one", "n")), [1]);
});

test("an epoch with an empty name is ignored, and the numbers start again", async (t) => {
  const { call, redis, base } = await startRoom(t);
  await redis("HSET", `${base}:head`, "epoch", "", "seq", "7");
  const { epoch, seq } = await call("recent", { after: 0, most: 10 });
  assert.match(epoch, /^e\d+$/);
  assert.equal(seq, 0);
});

test("the last eight forks are kept, and no invalid one", async (t) => {
  const { call, redis, base } = await startRoom(t);
  await call("publish", said("one"));
  await redis("HSET", `${base}:head`, "forks", `${"y".repeat(5000)}:3 a:b nan:nan x:99999999999999999999999`);
  const epochs = [];
  for (let i = 0; i < 12; i++) {
    epochs.push(await redis("HGET", `${base}:head`, "epoch"));
    await redis("HSET", `${base}:head`, "history", `other ${i}`);
    const { forks, seq } = await call("recent", { after: 0, most: 10 });
    assert.deepEqual([forks, seq], [epochs.slice(-8).map((epoch) => `${epoch}:1`).join(" "), 1]);
  }
});

test("a floor in an unknown epoch is the beginning, however many forks are known", async (t) => {
  const { join, run, redis, base } = await startRoom(t);
  await join("g1", { name: "ann", session: "s1" });
  for (const forks of ["", "a:1", "a:1 b:2 c:3 d:4 e:5 f:6 g:7 h:8"]) {
    await redis("HSET", `${base}:head`, "seq", 20, "forks", forks);
    await redis("DEL", `${base}:member:bo`, `${base}:left:new s2`);
    const bo = person({ name: "bo", session: "s3", asked: 1, restore: true, floor: 9, floorEpoch: "x", ...token("s2") });
    const [[status, , , floor]] = await run("join", { gateway: "g1", until: 0, people: [bo] });
    assert.deepEqual([status, floor], ["joined", 0], forks); // as lineage_stand
  }
});

test("no script fails because of a key of another type, and its answer reflects the stored state", async (t) => {
  const { join, call, redis, base, published } = await startRoom(t);
  const ann = { folded: "ann", session: "s1", said: false, spared: "" };
  const record = person({ name: "ann", session: "s1", restore: true, ...token("s1") });
  const calls = {
    join: { gateway: "g1", until: 0, people: [record, person({ name: "bo", session: "s2" })] }, leave: { gateway: "g1", leaves: [ann] }, reap: reap("g1", "ann"), refresh: { records: [ann] },
    publish: said("two", "m"), ours: { gateway: "g1", most: 10 }, recent: { after: 0, most: 10 }, roster: { most: 10 }, trim: { seq: 1, epoch: "e1" },
  };
  const types = [["SET", "x"], ["RPUSH", "x"], ["HSET", "f", "x"], ["SADD", "x"], ["ZADD", "1", "x"], ["XADD", "*", "f", "x"]];
  for (const [name, what] of Object.entries(calls))
    for (const kind of ["head", "recent", "members", "member:ann", "left:new s1", "nonces:i"])
      for (const [command, ...words] of types) {
        await redis("FLUSHDB");
        await join("g1", { name: "ann", session: "s1" });
        await call("publish", said("one", "n"));
        await redis("DEL", `${base}:${kind}`);
        await redis(command, `${base}:${kind}`, ...words);
        await published();
        await call(name, what);
        const told = (await published()).findLast(({ type }) => type === "presence");
        if (told) assert.equal(told.count, await redis("SCARD", `${base}:members`), `${name} with ${command} ${kind}`);
      }
});

test("a call for which Redis has no memory is refused as a whole: nothing is announced or changed", async (t) => {
  const { join, run, redis, published, world } = await startRoom(t);
  await join("g1", { name: "ann", session: "s1" });
  await published();
  const before = await readAll(world.redis);
  await redis("CONFIG", "SET", "maxmemory", "1");
  const ann = { folded: "ann", session: "s1", said: false, spared: "" };
  const back = [person({ name: "ann", session: "s2", ...token("s1") })];
  const calls = [["leave", { gateway: "g1", leaves: [ann] }], ["reap", reap("g1", "ann")], ["join", { gateway: "g2", until: 0, people: [person({ name: "bo", session: "s3" })] }], ["join", { gateway: "g2", until: 0, people: back }]];
  for (const [name, call] of calls) assert.match((await run(name, call)).text ?? "", /OOM/, name);
  assert.match((await run("publish", said("one", "n")))[0].text, /^OOM/);
  await redis("CONFIG", "SET", "maxmemory", "0");
  const without = ({ ttl, ...key }) => key;
  assert.deepEqual((await readAll(world.redis)).map(without), before.map(without));
  assert.deepEqual(await published(), []);
});

// Which arguments of each script are numbers, counted as in Lua, and which must not be empty.
const CALLS_OF = {
  join: [{ gateway: "g1", until: 0, people: [person({ name: "bo", session: "s2" }), person({ name: "cy", session: "s3" })] }, [6, 7, 10, 21, 23, 35], [11, 15, 16, 17, 25, 29]],
  leave: [{ gateway: "g1", leaves: [{ folded: "ann", session: "s1", said: false, spared: "" }] }, [], []],
  refresh: [{ records: [{ folded: "ann", session: "s1" }] }, [5], []],
  reap: [reap("g1", "ann"), [], []],
  publish: [{ says: [...said("one", "n").says, ...said("two", "m").says] }, [5, 6], []],
  ours: [{ gateway: "g1", most: 10 }, [8], []],
  recent: [{ after: 0, most: 10 }, [5, 6, 7], []],
  roster: [{ most: 10 }, [5], []],
  trim: [{ seq: 1, epoch: "e1" }, [5], []],
};

for (const [name, [call, numbers, names]] of Object.entries(CALLS_OF))
  test(`${name} with a wrong argument is an error and changes nothing`, async (t) => {
    const { join, run, world, published } = await startRoom(t);
    await join("g1", { name: "ann", session: "s1" });
    await world.redis.call("HSET", `${world.rooms[0].base}:head`, "history", "other"); // no fork either
    await published();
    const without = ({ ttl, ...key }) => key;
    const before = (await readAll(world.redis)).map(without);
    const refused = async (changed) => {
      const reply = await run(name, call, changed);
      assert.ok(reply instanceof RespError, `${JSON.stringify(changed)} gives ${JSON.stringify(reply)}`);
      assert.deepEqual((await readAll(world.redis)).map(without), before, `${JSON.stringify(changed)} changes something`);
    };
    for (const index of [2, 3, 4, ...numbers]) for (const wrong of ["-1", "nan", "inf", "", "x", "1.5", "1e300", "\0", " 7", "9007199254740993"]) await refused({ [index]: wrong });
    for (const index of [1, ...names]) await refused({ [index]: "" });
    if (["join", "leave", "publish", "refresh"].includes(name)) await refused({ [4 + words[name](world.rooms[0], call).args.length]: undefined });
    await refused({ 2: "0" });
    assert.deepEqual(await published(), []);
  });

/** Put before a script, it changes what that learns of the history of Redis by these patterns of Lua. */
const disguise = (changes) => `
  local real = redis
  local redis = setmetatable({call = function(command, ...)
    local answer = real.call(command, ...)
    if command ~= 'INFO' then return answer end
    ${changes.map(([from, to]) => `answer = string.gsub(answer, '${from}', '${to}')`).join("\n")}
    return answer
  end}, {__index = real})
`;

/** A room of 'e1' in which one line was said, and a function that says more to a Redis in disguise: `masters` is the gateway connected to. It
 *  returns the epoch and the forks. */
async function startHistories(t) {
  const redis = await Resp.connect((await startRedis(t, { alone: true })).port);
  atEnd(t, () => redis.close());
  const own = /master_replid:(\w{10})/.exec(await redis.call("INFO", "replication"))[1];
  const room = { base: "yukizuri:{a}", headTtl: 60, retention: 60, mostKept: 10, mostBytes: 0, mostNonces: 4, nonceTtl: 60 };
  const disguised = (changes) => ({ call: (command, what, ...rest) => redis.call(command, what, ...(what === "LOAD" ? [disguise(changes) + rest[0]] : rest)) });
  const sayTo = async (changes, epoch, masters = []) => {
    const calls = await RoomCalls.load(disguised(changes));
    const answer = await calls.run("publish", room, [epoch, ...masters].join(" "), words.publish(room, said("x")));
    assert.ok(!(answer instanceof RespError), answer.text);
    return redis.call("HMGET", `${room.base}:head`, "epoch", "forks");
  };
  assert.deepEqual(await sayTo([], "e1"), ["e1", ""]);
  return { own, sayTo };
}

const ANOTHER = [["master_replid:%w+", `master_replid:${"b".repeat(40)}`]];
const HIDDEN = [["master_replid:%w+", "hidden:"], ["master_replid2:%w+", "hidden:"]];

test("a room whose slot has moved here keeps its epoch, while the master that it comes from lives", async (t) => {
  const { own, sayTo } = await startHistories(t);
  assert.deepEqual(await sayTo(ANOTHER, "e2", ["b".repeat(10), own]), ["e1", ""]);
});

test("a Redis that hides its predecessor, or its own history, is not taken for one to which the room was moved", async (t) => {
  for (const changes of [[...ANOTHER, HIDDEN[1]], [HIDDEN[0]], HIDDEN]) {
    const { own, sayTo } = await startHistories(t);
    assert.deepEqual(await sayTo(changes, "e2", [own]), ["e2", "e1:1"]);
  }
});

test("a Redis that always hides its history begins one epoch, not one with each call", async (t) => {
  const { sayTo } = await startHistories(t);
  assert.deepEqual(await sayTo(HIDDEN, "e2"), ["e2", "e1:1"]);
  assert.deepEqual(await sayTo(HIDDEN, "e3"), ["e2", "e1:1"]);
  assert.deepEqual(await sayTo([], "e4"), ["e4", "e1:1 e2:3"]);
});
