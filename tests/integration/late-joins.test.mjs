// Joins that Redis executes too late, because Redis or the path to it was frozen.
import assert from "node:assert/strict";
import net from "node:net";
import test from "node:test";
import { startHeldRoom } from "../lib/held-room.mjs";
import { Member, atEnd, joined, lapse, unfit, until, untilReady } from "../lib/harness.mjs";

/** The commands that Redis executes, in order, each as a list of words. */
async function startRecord(t, redis) {
  const socket = net.connect(redis.port, "127.0.0.1");
  atEnd(t, () => socket.destroy());
  let text = "";
  socket.on("data", (bytes) => (text += bytes));
  socket.write("MONITOR\r\n");
  await until("Redis tells what it is asked", () => text.startsWith("+OK"));
  const words = (line) => [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word]) => word);
  return () => text.split("\r\n").map(words);
}

const JOIN_WORDS = { epoch: 0, until: 9, session: 14, freshId: 15, freshHash: 16, asked: 20 }; // of ARGV, see join.lua
const NOT_TOLD_APART_BY = ["session", "asked_at"]; // of a member's hash: random words and times

/** The joins of alice through the gateway `far`, without random words and times. */
function joinsOf(calls) {
  const joins = calls.filter((call) => /^evalsha$/i.test(call[0]) && call.some((word) => word.endsWith(":member:alice")) && call.at(-14) === "alice" && call.includes("far"));
  return joins.map((call) => {
    const first = 3 + Number(call[2]);
    const leftOut = Object.values(JOIN_WORDS).map((at) => first + at);
    return call.filter((_, i) => !leftOut.includes(i));
  });
}

test("only the time of the request tells a late join from one that is in time", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const { redis, path, near, far, session, comeBack } = await startHeldRoom(t);
  const calls = await startRecord(t, redis);
  const [inTime, tooLate] = [[], []]; // the state of alice in Redis at the time of each join
  const note = (list) => list.push([...redis.lines("HGETALL", "yukizuri:{lobby}:member:alice"), ...redis.lines("KEYS", "yukizuri:{lobby}:left:*")]);
  const ask = async () => {
    const member = await new Member(t, far.url).opened();
    member.send(comeBack);
    member.send({ type: "ping" });
    await member.waitFor({ type: "pong" }); // the join was read before the ping
    return member;
  };
  const answered = (member) => member.waitFor(({ type }) => type === "welcome" || type === "error");
  const backOnNear = () => joined(t, near.url, "alice", { resume: comeBack.resume });

  note(inTime);
  assert.equal((await answered(await ask())).type, "welcome");

  await backOnNear(); // her gateway gives the join up, and nothing else happens
  note(tooLate);
  const before = session();
  path.hold();
  const ofUse = lapse(5500); // 5 s, plus the difference of the clocks
  assert.equal((await answered(await ask())).code, "unavailable");
  await ofUse.end();
  path.release();
  await until("Redis has judged it", () => redis.run("INFO", "errorstats").includes("errorstat_LATE:count=1"));
  assert.deepEqual(session(), before);

  (await backOnNear()).socket.terminate(); // the welcome is lost, and she joins through the other gateway
  await untilReady(far);
  note(inTime);
  const again = await joined(t, far.url, "alice", { resume: comeBack.resume });
  assert.equal(again.welcome.me.name, "alice");

  path.hold(); // she joins through the other gateway, and then through this one
  const held = await ask();
  await lapse(400).end(); // a gateway knows the clock of Redis to 250 ms
  const later = await backOnNear();
  note(tooLate);
  path.release();
  assert.equal((await answered(held)).code, "unavailable");
  await later.settled();
  assert.equal(later.closed, null);

  await until("all joins are recorded", () => joinsOf(calls()).length === 4);
  const [first, ...others] = joinsOf(calls());
  for (const other of others) assert.deepEqual(other, first);
  const same = (lines) => lines.filter((_, i) => !NOT_TOLD_APART_BY.includes(lines[i - (i % 2)]));
  const [there, ...elsewhere] = [...inTime, ...tooLate].map(same);
  for (const other of elsewhere) assert.deepEqual(other, there);
});

test("a join that its gateway gave up while Redis was frozen is not executed", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const { redis, far, alice, session, comeBack } = await startHeldRoom(t);
  const before = session();
  const given = await new Member(t, far.url).opened();
  redis.freeze(t);
  const ofUse = lapse(5500); // 5 s, plus the difference of the clocks
  given.send(comeBack);
  await given.waitFor({ type: "error", code: "unavailable" });
  await ofUse.end();
  redis.thaw(); // its connection was closed, but Redis still reads it
  const judged = () => redis.run("INFO", "errorstats").includes("errorstat_LATE:count=1");
  await until("Redis has judged it", () => judged() || session().join() !== before.join());
  await alice.settled();
  assert.equal(alice.closed, null);
  assert.deepEqual(session(), before);
});

test("a join that was given up is not announced", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const { redis, path, far, alice } = await startHeldRoom(t);
  const dora = await new Member(t, far.url).opened();
  path.hold();
  const ofUse = lapse(5500); // 5 s, plus the difference of the clocks
  dora.send({ type: "join", name: "dora" });
  await dora.waitFor({ type: "error", code: "unavailable" });
  dora.socket.terminate();
  await ofUse.end();
  path.release();
  await until("Redis has judged it", () => redis.run("INFO", "errorstats").includes("errorstat_LATE:count=1") || alice.saw("joined", "dora"));
  await alice.settled();
  assert.equal(redis.run("EXISTS", "yukizuri:{lobby}:member:dora"), "0");
  assert.equal(alice.saw("joined", "dora"), false);
});

for (const nearFirst of [true, false])
  test(`a member who asked through two gateways while Redis was frozen is where it asked last; ${nearFirst ? "that" : "the other"} one was reached first`, { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
    const { redis, path, near, far, session, comeBack } = await startHeldRoom(t);
    const [earlier, later] = [await new Member(t, far.url).opened(), await new Member(t, near.url).opened()];
    const ask = async (member) => {
      member.send(comeBack);
      member.send({ type: "ping" });
      await member.waitFor({ type: "pong" });
    };
    if (nearFirst) path.hold();
    redis.freeze(t);
    await ask(earlier);
    await lapse(400).end(); // a gateway knows the clock of Redis to 250 ms
    await ask(later);
    redis.thaw();
    await later.waitFor({ type: "welcome" });
    path.release();
    await earlier.waitFor(({ type, code }) => type === "welcome" || code === "unavailable");
    await later.settled();
    assert.equal(later.closed, null);
    assert.notEqual(session()[0], "far");
  });
