// The judge must find each fault: each of these records breaks one promise, and one keeps them all.
import assert from "node:assert/strict";
import test from "node:test";
import { judge, promises } from "./judge.mjs";
import { History } from "./history.mjs";
import { makeSchedule } from "./schedule.mjs";

const graceMs = 6000;
const welcome = (t, seq, more = {}) => ({ t, what: "welcome", id: "?", epoch: "e1", seq, recovered: false, missed: 0, here: [], count: 0, ...more });
const message = (t, seq, more = {}) => ({ t, what: "message", epoch: "e1", seq, from: "A", nonce: `n${seq}`, text: `text ${seq}`, ...more });
const presence = (t, seq, more = {}) => ({ t, what: "presence", epoch: "e1", seq, joined: [], left: [], count: 2, ...more });
const ack = (t, seq, more = {}) => ({ t, what: "ack", epoch: "e1", seq, nonce: `n${seq}`, ...more });
const gap = (t, seq, more = {}) => ({ t, what: "gap", epoch: "e2", seq, missed: 0, ...more });

const many = (from, to, step, make) => Array.from({ length: (to - from) / step }, (_, i) => make(from + i * step, i));

function person(name, id, record) {
  return { name, said: new Map(), failed: new Map(), record: [{ t: 0, what: "start" }, ...record.map((entry) => (entry.id === "?" ? { ...entry, id } : entry))] };
}

const epoch = (t, seq, more = {}) => ({ t, what: "epoch", epoch: "e2", seq, ...more });

/** The same, where e2 continues after number 2 of e1. */
function expectForked(alice, bob, broken) {
  const history = new History();
  history.note("e2", "e1:2");
  const verdict = judge([person("alice", "A", alice), person("bob", "B", bob)], { graceMs, lastEpoch: "e2", forked: 1, history });
  assert.deepEqual(promises.filter((promise) => verdict[promise].length > 0), broken, JSON.stringify(verdict, null, 1));
}

/** Judges alice and bob; exactly the promises in `broken` must be broken. */
function expect(alice, bob, broken, lastEpoch = "e1") {
  const verdict = judge([person("alice", "A", alice), person("bob", "B", bob)], { graceMs, lastEpoch, emptied: lastEpoch === "e1" ? 0 : 1 });
  assert.deepEqual(promises.filter((promise) => verdict[promise].length > 0), broken, JSON.stringify(verdict, null, 1));
  return verdict;
}

const good = [welcome(1, 0), message(2, 1), message(3, 2), message(4, 3)];

test("a run without faults breaks no promise and is counted", () => {
  const verdict = expect([...good, ack(5, 2)], good, []);
  assert.deepEqual([verdict.delivered, verdict.acknowledged], [6, 1]);
});

test("a message that one member did not get is lost", () => {
  expect(good, [welcome(1, 0), message(2, 1), message(4, 3)], ["lost"]);
  expect(good, [welcome(1, 0), message(2, 1), message(4, 2)], ["lost"]); // the last one
});

test("messages from before a join or after a leave are not owed", () => {
  expect(good, [welcome(3, 2), message(4, 3)], []);
  expect(good, [welcome(1, 0), message(2, 1), { t: 3, what: "leave", id: "B" }], []);
});

test("messages during an absence are owed once to the member who returns", () => {
  const away = [welcome(1, 0), message(2, 1), { t: 3, what: "lost" }];
  expect(good, [...away, welcome(5, 3, { recovered: true }), message(6, 2), message(7, 3)], []);
  expect(good, [...away, welcome(5, 3, { recovered: true }), message(7, 3)], ["lost"]);
  expect(good, [...away, welcome(5, 3, { recovered: true }), message(6, 1), message(6, 2), message(7, 3)], ["disorder"]);
  expect(good, [...away, welcome(5, 3, { missed: 2 })], ["unexcused"]);
});

test("an acknowledged message that no member saw is lost", () => {
  expect([...good, ack(5, 9)], good, ["lost"]);
});

test("a message with two numbers is a duplicate", () => {
  const twice = [...good, message(5, 4, { nonce: "n3", text: "text 3" })];
  expect(twice, twice, ["doubled"]);
});

test("only the first presence may repeat the number of the welcome", () => {
  const line = (t, seq) => ({ t, what: "presence", epoch: "e1", seq, joined: [], left: [], count: 2 });
  expect([welcome(1, 0), line(2, 0), message(3, 1), message(4, 2), message(5, 3)], good, []);
  expect([welcome(1, 0), message(3, 1), line(3, 1), message(4, 2), message(5, 3)], good, ["disorder"]);
});

test("numbers that decrease, or differ between members, are a disorder", () => {
  expect([welcome(1, 0), message(2, 1), message(3, 3), message(4, 2)], good, ["disorder"]);
  expect(good, [welcome(1, 0), message(2, 1), message(3, 2, { text: "other" }), message(4, 3)], ["disorder"]);
});

test("only a new epoch excuses a gap, and the gap must be reported", () => {
  const news = (t) => [message(t, 1, { epoch: "e2", nonce: "x", text: "x" })];
  expect([...good, gap(5, 0), ...news(6)], [...good, gap(5, 0), ...news(6)], [], "e2");
  expect([...good, gap(5, 0), ...news(6)], [...good, welcome(5, 0, { epoch: "e2" }), gap(5, 0), ...news(6)], [], "e2");
  expect([...good, gap(5, 0), ...news(6)], [...good, welcome(5, 0, { epoch: "e2" }), ...news(6)], ["unexcused"], "e2");
  expect([...good, gap(5, 0), ...news(6)], [...good, ...news(6)], ["disorder"], "e2");
  expect([...good, gap(5, 3, { epoch: "e1", missed: 2 })], good, ["unexcused"]);
});

test("a member within its grace period may not be announced as left", () => {
  const steady = (t) => message(t, t / 100);
  const alice = [welcome(1, 0), ...many(100, 20000, 100, steady)];
  const left = (t) => presence(t, 200, { left: ["B"] });
  const gone = (t) => [welcome(1, 0), ...many(100, t, 100, steady), { t, what: "leave", id: "elsewhere" }];
  const bob = (t) => [...gone(t).slice(0, -1)];
  const judged = (lastSeen) => judge([person("alice", "A", [...alice, left(20000)]), person("bob", "B", bob(lastSeen))], { graceMs, lastEpoch: "e1" });
  assert.equal(judged(13000).falseLeaves.length, 0);
  assert.equal(judged(18000).falseLeaves.length, 1);
});

test("absence does not count while Redis is unavailable", () => {
  const record = [welcome(1, 0), message(100, 1)];
  const judged = (away) => judge([person("alice", "A", [...record, presence(20000, 2, { left: ["B"] })]), person("bob", "B", record)], { graceMs, lastEpoch: "e1", away }).falseLeaves.length;
  assert.equal(judged([]), 0);
  assert.equal(judged([[2000, 10000]]), 0);
  assert.equal(judged([[2000, 10000], [5000, 17000]]), 1);
});

test("data that arrives late from a stalled path does not prove that a member was present", () => {
  const record = [welcome(1, 0), message(100, 1), message(10500, 2)];
  const bob = person("bob", "B", record);
  const judged = () => judge([person("alice", "A", [...record, presence(11000, 3, { left: ["B"] })]), bob], { graceMs, lastEpoch: "e1" }).falseLeaves.length;
  assert.equal(judged(), 1);
  bob.stalls = [[200, 10000]];
  assert.equal(judged(), 0);
  bob.stalls = [];
  const stallsOf = (id, t) => (id === "B" && t === 11000 ? [[200, 10000]] : []);
  assert.equal(judge([person("alice", "A", [...record, presence(11000, 3, { left: ["B"] })]), bob], { graceMs, lastEpoch: "e1", stallsOf }).falseLeaves.length, 0);
});

test("more new epochs than losses of Redis' memory are not excused", () => {
  const twice = [...good, gap(5, 0), message(6, 1, { epoch: "e2", nonce: "x", text: "x" })];
  const verdict = judge([person("alice", "A", twice), person("bob", "B", twice)], { graceMs, lastEpoch: "e2", emptied: 0 });
  assert.equal(verdict.unexcused.length, 1);
});

test("an acknowledged message that no member saw is lost, unless it was the last one before Redis lost its memory", () => {
  const news = [gap(5, 0), message(6, 1, { epoch: "e2", nonce: "x", text: "x" })];
  expect([...good, ack(4, 9), ...news], [...good, ...news], [], "e2");
  expect([...good.slice(0, 3), ack(3, 2.5), good[3], ...news], [...good, ...news], ["lost"], "e2");
});

test("a needless refusal of a message or a name is reported", () => {
  const alice = person("alice", "A", good);
  alice.failed.set("n9", "bad_message");
  assert.equal(judge([alice], { graceMs, lastEpoch: "e1", emptied: 1 }).refusals.length, 1);
  expect([...good, { t: 90000, what: "refused", code: "name_taken" }], good, ["refusals"]);
  expect([...good, { t: 9000, what: "refused", code: "room_full" }], good, ["refusals"]);
});

test("a present member may not be announced as joined", () => {
  const alice = [welcome(1, 0, { here: ["A"] }), presence(2, 1, { joined: ["B"] })];
  expect(alice, [welcome(1, 1)], []);
  expect([...alice, presence(3, 2, { joined: ["B"] })], [welcome(1, 1)], ["falseJoins"]);
  const listed = [welcome(1, 0, { here: ["A", "B"] }), presence(2, 1, { joined: ["B"] })]; // from a batch that began before the welcome
  expect(listed, [welcome(1, 1)], []);
  expect([...listed, presence(3, 2, { joined: ["B"] })], [welcome(1, 1)], ["falseJoins"]);
  const again = [{ t: 3, what: "leave", id: "A" }, { t: 4, what: "start" }, welcome(5, 2, { here: ["A"] }), presence(6, 3, { joined: ["B"] })];
  expect([...alice, ...again], [welcome(1, 1)], []);
  expect([...alice, presence(3, 2, { left: ["C"] }), presence(4, 3, { joined: ["C"] })], [welcome(1, 1)], []);
});

test("the same seed gives the same schedule, and another seed gives another one", () => {
  const make = (seed) => makeSchedule({ seed, ms: 180000, gateways: 3, members: 50 });
  assert.deepEqual(make(1), make(1));
  assert.notDeepEqual(make(1), make(2));
  assert.ok(make(1).length > 40);
});

test("an epoch that continues the numbers is not a gap, and the messages after it are owed", () => {
  const before = [welcome(1, 0), message(2, 1), message(3, 2)];
  const after = [epoch(4, 2), message(5, 3, { epoch: "e2", text: "other" })];
  expectForked([...before, ...after], [...before, ...after], []);
  expectForked([...before, ...after], [...before, epoch(4, 2)], ["lost"]);
  expectForked([...before, ...after], [...before, gap(4, 2), after[1]], ["unexcused"]);
});

test("a member who saw messages that the other history lacks is owed a gap and the replacing messages", () => {
  const beyond = [...good, gap(5, 2), message(6, 3, { epoch: "e2", nonce: "m", text: "other" })];
  expectForked(beyond, beyond, []);
  expectForked(beyond, [...good, epoch(5, 2), message(6, 3, { epoch: "e2", nonce: "m", text: "other" })], ["disorder"]);
  expectForked(beyond, [...good, gap(5, 2)], ["lost"]);
});

test("a member who returns from an earlier epoch is owed the unseen messages of the later one", () => {
  const before = [welcome(1, 0), message(2, 1)];
  const rest = [message(5, 2, { epoch: "e2" }), message(6, 3, { epoch: "e2", nonce: "m", text: "other" })];
  const recovered = welcome(4, 3, { epoch: "e2", recovered: true });
  expectForked([...before, recovered, ...rest], [...before, recovered, ...rest], []);
  expectForked([...before, recovered, ...rest], [...before, recovered, rest[1]], ["lost"]);
});

test("only just after Redis returned with an older state may a member return as a new one", () => {
  const alice = [...good, { t: 5, what: "lost" }, welcome(9, 7, { id: "C", missed: 4 })];
  const verdictOf = (wentBack) => judge([person("alice", "A", alice)], { graceMs, lastEpoch: "e1", forked: 1, wentBack });
  assert.deepEqual([verdictOf([4]).unexcused.length, verdictOf([4]).strangers], [0, 1]);
  assert.equal(verdictOf([]).unexcused.length, 1);
  assert.equal(verdictOf([-20000]).unexcused.length, 1);
});
