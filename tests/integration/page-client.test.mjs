// The page's client: it repeats nothing that can never succeed, and reports every line that was not sent.
import assert from "node:assert/strict";

import test from "node:test";
import WebSocket from "ws";
import { Client } from "../../templates/client.js";
import { atEnd, startGateway, startRedis, until } from "../lib/harness.mjs";
import { FakeClock, FakeSocket } from "../lib/fake-clock.mjs";

/** A client that records its callbacks. */
function watch(t, url, open) {
  const seen = { welcomes: [], acked: [], failed: new Map(), states: [], shown: [], refused: [], slow: [], held: [] };
  const none = () => {};
  const on = {
    state: (state, delay, why) => seen.states.push({ state, delay, why }),
    welcome: (message) => seen.welcomes.push(message),
    message: ({ text }) => seen.shown.push(text),
    acked: (nonce) => seen.acked.push(nonce),
    failed: (nonce, { code }, unsure) => seen.failed.set(nonce, { code, unsure }),
    refused: ({ code }) => seen.refused.push(code),
    slow: (slow) => seen.slow.push(slow),
    held: (ms) => seen.held.push(ms),
    presence: none, members: none, notice: none, gap: none, typing: none,
  };
  const client = new Client(url, on, open);
  atEnd(t, () => client.leave());
  return { client, seen };
}

function openReal(where, Kind = WebSocket) {
  const socket = new Kind(where, { perMessageDeflate: false });
  socket.on("error", () => {}); // `onclose` follows
  return socket;
}

/** A client that has joined a gateway with a Redis of its own. */
async function comeIn(t, args = []) {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args });
  const watched = watch(t, gateway.url, openReal);
  watched.client.join("alice");
  await until("it is in", () => watched.seen.welcomes.length === 1);
  return { redis, gateway, ...watched };
}

for (const [what, text, code] of [
  ["too long", "x".repeat(20000), "too_long"],
  ["half an emoji", "half an emoji \ud83d", "bad_message"],
  ["a NUL", "a\u0000b", "bad_message"],
  ["nothing that can be seen", "\u200b", "bad_message"],
])
  test(`a line that can never be accepted (${what}) is dropped, and the next one is sent`, async (t) => {
    const gateway = await startGateway(t, { redis: await startRedis(t) });
    const { client, seen } = watch(t, gateway.url, openReal);
    client.join("alice");
    const poison = client.say(text); // the server's limits are not known yet
    const next = client.say("after it");
    await until("the next one is accepted", () => seen.acked.includes(next));
    await until("it was given up", () => seen.failed.has(poison));
    const late = client.say(text);
    await until("it is given up later, too", () => seen.failed.has(late));
    assert.deepEqual([seen.failed.get(poison), seen.failed.get(late)], [{ code, unsure: false }, { code, unsure: false }]);
    await until("the next one is shown", () => seen.shown.length > 0);
    assert.deepEqual([seen.welcomes.length, client.pending.size, seen.shown], [1, 0, ["after it"]]);
  });

/** As with an older gateway, whose welcome has no limits. */
class Unlimited extends WebSocket {
  set onmessage(handler) {
    super.onmessage = handler && ((event) => handler({ data: event.data.replace(/"limits":\{[^}]*\},/, "") }));
  }
}

test("after 1009 the biggest line is dropped, and each of the others is sent once", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const { client, seen } = watch(t, gateway.url, (where) => openReal(where, Unlimited));
  client.join("alice");
  await until("she is in", () => seen.welcomes.length > 0);
  assert.equal(client.limits, null);
  const small = [client.say("one"), client.say("y".repeat(1500))];
  const big = client.say("x".repeat(40000));
  small.push(client.say("three"));
  const bigger = client.say("x".repeat(50000));
  small.push(client.say("five"));
  await until("the others are accepted", () => small.every((nonce) => seen.acked.includes(nonce)));
  await until("both are given up", () => seen.failed.size === 2);
  assert.deepEqual(seen.failed.get(bigger), { code: "too_long", unsure: false });
  assert.equal(seen.failed.get(big).code, "too_long");
  await until("the others are shown", () => seen.shown.length >= small.length);
  assert.deepEqual(seen.shown.map((text) => text.slice(0, 5)), ["one", "yyyyy", "three", "five"]);
  assert.equal(seen.welcomes.length, 3);
});

test("sixty lines at once are all sent, with few refusals", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "10:10"] });
  const { client, seen } = watch(t, gateway.url, openReal);
  client.join("alice");
  const nonces = Array.from({ length: 60 }, (_, i) => client.say(`line ${i}`));
  await until("all are accepted", () => seen.acked.length === 60);
  assert.deepEqual(new Set(seen.acked), new Set(nonces));
  assert.deepEqual([seen.failed.size, seen.welcomes.length], [0, 1]);
  const refusals = (await gateway.stats()).errors.too_fast ?? 0;
  assert.ok(refusals > 0 && refusals <= 20, `${refusals} refusals`);
});

test("a line that was certainly not accepted is sent as a new one after Redis lost its memory", async (t) => {
  const { redis, gateway, client, seen } = await comeIn(t);
  await redis.stop("SIGKILL");
  const nonce = client.say("said while Redis was away");
  await until("it was refused", async () => (await gateway.stats()).errors.unavailable > 0);
  await startRedis(t, { port: redis.port });
  await until("it is accepted", () => seen.acked.includes(nonce));
  await until("it is shown", () => seen.shown.length > 0); // an ack may come sooner
  assert.deepEqual([seen.shown, seen.failed.size], [["said while Redis was away"], 0]);
});

/** A client whose clock and sockets the test controls. */
function play(t) {
  const clock = new FakeClock(t);
  const sockets = [];
  const watched = watch(t, "ws://test", () => {
    sockets.push(new FakeSocket());
    return sockets.at(-1);
  });
  watched.client.join("alice");
  return { clock, sockets, ...watched };
}

test("a connection that ends soon after each welcome is retried with growing delays", async (t) => {
  const { clock, sockets } = play(t);
  for (let ends = 0; ends < 40; ends++) {
    const before = sockets.length;
    sockets.at(-1).welcome();
    await clock.pass(1000);
    sockets.at(-1).end(1006);
    while (sockets.length === before) await clock.pass(100);
  }
  // 40 delays between 0 and 20 s take 400 s on average, with shorter ones first; 40 delays between 0 and 0.5 s take 10 s
  assert.ok(clock.now > 150000, `40 times within ${clock.now / 1000} s`);
});

test("ten seconds after a welcome the delays start again", async (t) => {
  const { clock, sockets, seen } = play(t);
  for (let ends = 0; ends < 10; ends++) {
    sockets.at(-1).end(1006);
    await clock.pass(20001);
  }
  // the last of them may have waited for its welcome too long already
  for (const before = sockets.length; sockets.length === before; ) await clock.pass(100);
  sockets.at(-1).welcome();
  await clock.pass(10001);
  sockets.at(-1).end(1006);
  assert.ok(seen.states.at(-1).delay <= 500, JSON.stringify(seen.states.at(-1)));
});

test("after 4429 the client waits 30 s before it reconnects, whatever wakes the page", async (t) => {
  const { clock, sockets, client, seen } = play(t);
  sockets[0].welcome();
  sockets[0].end(4429);
  assert.equal(seen.states.at(-1).state, "penalty");
  for (let i = 0; i < 29; i++) {
    await clock.pass(1000);
    client.hurry();
  }
  assert.equal(sockets.length, 1);
  while (sockets.length === 1) await clock.pass(100);
  assert.ok(clock.now >= 30000 && clock.now <= 60100, `${clock.now}`);
});

test("a join that is too big for the server is refused, and not repeated without end", async (t) => {
  const { clock, sockets, seen } = play(t);
  sockets[0].onopen();
  sockets[0].end(1009);
  await clock.pass(60000);
  assert.deepEqual([sockets.length, seen.refused], [1, ["bad_name"]]);
});

test("a line with an unanswered sending keeps its epoch, and is dropped as unsure when the epoch ends", async (t) => {
  const { clock, sockets, client, seen } = play(t);
  sockets[0].welcome();
  const unsure = client.say("unsure");
  sockets[0].end(1006);
  const fresh = client.say("fresh");
  await clock.pass(1000);
  sockets[1].welcome({ epoch: "e2" });
  assert.deepEqual(sockets[1].says().map(({ nonce, epoch }) => [nonce, epoch]), [[unsure, "e1"]]);
  for (const nonce of [unsure, fresh]) sockets[1].receive({ type: "error", code: "epoch_changed", nonce, accepted: false });
  assert.deepEqual(sockets[1].says().slice(1).map(({ nonce, epoch }) => [nonce, epoch]), [[fresh, "e2"]]);
  sockets[1].receive({ type: "gap", missed: 0, epoch: "e3", seq: 1 });
  await clock.pass(2000);
  assert.deepEqual([...seen.failed], [[unsure, { code: "epoch_changed", unsure: true }]]);
  assert.deepEqual(sockets[1].says().slice(2).map(({ nonce, epoch }) => [nonce, epoch]), [[fresh, "e3"]]);
});

test("a line that is entered while the connection closes is sent as a new one on the next connection", async (t) => {
  const { clock, sockets, client, seen } = play(t);
  sockets[0].welcome();
  sockets[0].readyState = 2;
  const nonce = client.say("while closing");
  sockets[0].end(1006);
  await clock.pass(1000);
  sockets[1].welcome({ epoch: "e2", me: { id: "another" } });
  await clock.pass(0);
  assert.deepEqual([sockets[1].says().map((line) => [line.nonce, line.epoch]), seen.failed.size], [[[nonce, "e2"]], 0]);
});

test("under a new id, a line that may have been shown is dropped, and a line that was certainly not shown is sent", async (t) => {
  const { clock, sockets, client, seen } = play(t);
  sockets[0].welcome();
  const unsure = client.say("unsure");
  const sure = client.say("sure");
  sockets[0].receive({ type: "error", code: "unavailable", nonce: sure, accepted: false, retry_after: 1 });
  sockets[0].end(1006);
  await clock.pass(1000);
  sockets[1].welcome({ me: { id: "another" } });
  await clock.pass(0);
  assert.deepEqual([...seen.failed], [[unsure, { code: "new_id", unsure: true }]]);
  assert.deepEqual(sockets[1].says().map(({ nonce }) => nonce), [sure]);
});

test("one line at a time is under way, and what is refused for a while holds up those behind it", async (t) => {
  const { clock, sockets, client, seen } = play(t);
  sockets[0].welcome();
  const [one, two, three] = ["one", "two", "three"].map((text) => client.say(text));
  const said = () => sockets[0].says().map(({ nonce }) => nonce);
  const refuse = (nonce, seconds) => sockets[0].receive({ type: "error", code: "too_fast", accepted: false, nonce, retry_after: seconds });
  assert.deepEqual(said(), [one]);
  sockets[0].receive({ type: "ack", nonce: one });
  assert.deepEqual(said(), [one, two]);
  refuse(two, 0.5);
  await clock.pass(499);
  assert.deepEqual(said(), [one, two]);
  assert.deepEqual(seen.held, [500]);
  await clock.pass(1);
  assert.deepEqual(said(), [one, two, two]);
  sockets[0].receive({ type: "ack", nonce: two });
  assert.deepEqual(said(), [one, two, two], "what comes next keeps the distance");
  await clock.pass(500);
  assert.deepEqual(said(), [one, two, two, three]);
  sockets[0].receive({ type: "ack", nonce: three });
  assert.deepEqual(seen.held, [500, 0, 500, 0]);
});

test("a line without an answer for three seconds is told, and its end as well", async (t) => {
  const { clock, sockets, client, seen } = play(t);
  sockets[0].welcome();
  const nonce = client.say("slow");
  await clock.pass(2999);
  assert.deepEqual(seen.slow, []);
  await clock.pass(1);
  assert.deepEqual(seen.slow, [true]);
  assert.equal(sockets[0].sent.at(-1).type, "ping");
  sockets[0].receive({ type: "pong" });
  await clock.pass(30000);
  assert.equal(sockets.length, 1, "the connection is there, the chat is slow");
  sockets[0].receive({ type: "ack", nonce });
  assert.deepEqual(seen.slow, [true, false]);
});

test("a connection that is asked and says nothing for five seconds is lost", async (t) => {
  const { clock, sockets, client, seen } = play(t);
  sockets[0].welcome();
  client.say("into nothing");
  await clock.pass(7999);
  assert.equal(seen.states.at(-1).state, "joined");
  await clock.pass(1);
  assert.equal(seen.states.at(-1).state, "waiting");
  assert.deepEqual(seen.slow, [true, false]);
});

test("a connection that brings nobody in within ten seconds is given up", async (t) => {
  const { clock, sockets, seen } = play(t);
  await clock.pass(9999);
  assert.deepEqual([sockets.length, seen.states.at(-1).state], [1, "connecting"]);
  await clock.pass(1);
  assert.equal(seen.states.at(-1).state, "waiting");
  await clock.pass(1000);
  assert.equal(sockets.length, 2);
});

test("a message is shown once, however often it comes", async (t) => {
  const { sockets, seen } = play(t);
  sockets[0].welcome();
  const message = (seq) => sockets[0].receive({ type: "message", seq, at: 1, from: { id: "bob" }, text: `${seq}` });
  for (const seq of [2, 3, 2, 3, 4]) message(seq);
  assert.deepEqual(seen.shown, ["2", "3", "4"]);
});

test("a join that is refused for a while is tried again, not sooner than the error says", async (t) => {
  const { clock, sockets, seen } = play(t);
  sockets[0].onopen();
  sockets[0].receive({ type: "error", code: "room_full", retry_after: 10 });
  assert.deepEqual(seen.refused, []);
  await clock.pass(9999);
  assert.equal(sockets.length, 1);
  await clock.pass(1000);
  assert.equal(sockets.length, 2);
});

test("a connection that brings nothing for twice the ping is lost", async (t) => {
  const { clock, sockets, seen } = play(t);
  sockets[0].welcome({ ping: 5 });
  await clock.pass(5000);
  assert.equal(sockets[0].sent.at(-1).type, "ping");
  await clock.pass(4000);
  assert.equal(seen.states.at(-1).state, "joined");
  await clock.pass(6000); // to the moment at which it is lost: the next attempt may follow at once
  assert.equal(seen.states.at(-1).state, "waiting");
});

test("who stops coming in is not brought in later", async (t) => {
  const { clock, sockets, client } = play(t);
  client.stop();
  await clock.pass(60000);
  client.hurry();
  assert.deepEqual([sockets.length, sockets[0].readyState], [1, 3]);
});

test("an unavailable without accepted is repeated with the nonce and the epoch of its first sending", async (t) => {
  const { clock, sockets, client } = play(t);
  sockets[0].welcome();
  const nonce = client.say("open");
  sockets[0].receive({ type: "error", code: "unavailable", nonce, retry_after: 1 });
  sockets[0].receive({ type: "gap", missed: 0, epoch: "e2", seq: 1 });
  await clock.pass(1000);
  assert.deepEqual(sockets[0].says().map((line) => [line.nonce, line.epoch]), [[nonce, "e1"], [nonce, "e1"]]);
});

test("a refusal without retry_after is final, whatever its code", async (t) => {
  const { clock, sockets, client, seen } = play(t);
  sockets[0].welcome();
  const muted = client.say("muted");
  const slow = client.say("slow");
  sockets[0].receive({ type: "error", code: "muted", nonce: muted, accepted: false });
  sockets[0].receive({ type: "error", code: "slow", nonce: slow, accepted: false, retry_after: 20 });
  await clock.pass(19000);
  assert.deepEqual([...seen.failed], [[muted, { code: "muted", unsure: false }]]);
  await clock.pass(1000);
  assert.deepEqual(sockets[0].says().map(({ nonce }) => nonce), [muted, slow, slow]);
});

test("a user who leaves is told about each unsent line", async (t) => {
  const { clock, sockets, client, seen } = play(t);
  sockets[0].welcome();
  const sent = client.say("sent");
  sockets[0].end(1006);
  const unsent = client.say("unsent");
  client.leave();
  await clock.pass(60000);
  assert.deepEqual([...seen.failed], [[sent, { code: "left", unsure: true }], [unsent, { code: "left", unsure: false }]]);
  assert.equal(sockets.length, 1);
});

for (const [how, code, end] of [["has left", "left", ({ client }) => client.leave()], ["was ended by the operator", "ended", ({ sockets }) => sockets[0].end(4503)]]) {
  test(`a line from a user who ${how} is dropped at once and reported`, async (t) => {
    const played = play(t);
    played.sockets[0].welcome();
    end(played);
    const said = played.client.say("too late");
    await played.clock.pass(60000);
    assert.deepEqual([...played.seen.failed], [[said, { code, unsure: false }]]);
    assert.equal(played.client.pending.size, 0);
  });
}

test("a user who is removed by the operator is told about each unsent line", async (t) => {
  const { clock, sockets, client, seen } = play(t);
  sockets[0].welcome();
  const sent = client.say("sent");
  sockets[0].end(4503);
  await clock.pass(60000);
  assert.deepEqual([...seen.failed], [[sent, { code: "ended", unsure: true }]]);
  assert.equal(sockets.length, 1);
});

test("while Redis is away a line is slow and not too fast, and that is told once", async (t) => {
  const { clock, sockets, client, seen } = play(t);
  sockets[0].welcome();
  const nonce = client.say("one");
  for (let i = 0; i < 5; i++) {
    sockets[0].receive({ type: "error", code: "unavailable", nonce, retry_after: 1 });
    await clock.pass(1000);
  }
  assert.deepEqual(seen.slow, [true]);
  assert.deepEqual(seen.held.filter((ms) => ms > 0), []);
  sockets[0].receive({ type: "ack", nonce, seq: 7 });
  assert.deepEqual([seen.slow, seen.acked], [[true, false], [nonce]]);
});

test("another name on a connection that refused the first one has ten seconds of its own, and is told as connecting", async (t) => {
  const { clock, sockets, client, seen } = play(t);
  sockets[0].onopen();
  sockets[0].receive({ type: "error", code: "name_taken" });
  await clock.pass(9000);
  client.join("alice2");
  assert.equal(seen.states.at(-1).state, "connecting");
  assert.deepEqual(sockets[0].sent.map(({ name }) => name), ["alice", "alice2"]);
  await clock.pass(9000);
  sockets[0].welcome();
  assert.deepEqual([sockets.length, seen.states.at(-1).state], [1, "joined"]);
});

test("lines without an answer go over a reload, with their nonces; those of somebody else are given up", async (t) => {
  const { sockets, client } = play(t);
  sockets[0].welcome();
  const sent = client.say("sent");
  const unsent = client.say("unsent");
  const memory = JSON.parse(JSON.stringify(client.remember()));
  for (const isAnother of [false, true]) {
    const after = play(t);
    after.client.leave();
    after.client.join("alice", memory);
    assert.deepEqual([...after.client.pending.keys()], [sent, unsent]);
    after.sockets.at(-1).welcome(isAnother ? { me: { id: "another" } } : {});
    await after.clock.pass(0);
    const { nonce } = after.sockets.at(-1).sent.find(({ type }) => type === "say");
    assert.equal(nonce, isAnother ? unsent : sent);
    assert.equal(after.seen.failed.get(sent)?.code, isAnother ? "new_id" : undefined);
  }
});

test("without a page, too, the client does the work that newcomers are asked for, once for each join", async (t) => {
  const { gateway, client, seen } = await comeIn(t, ["--pressure", "2"]);
  assert.deepEqual([seen.refused, (await gateway.stats()).errors.work_needed], [[], 1]);
  const nonce = client.say("hello");
  await until("it is accepted", () => seen.acked.includes(nonce));
});

test("in slow mode the client sends one line after the other, as often as it may, and loses none", async (t) => {
  const { redis, gateway, client, seen } = await comeIn(t);
  redis.run("PUBLISH", "yukizuri:control", '{"do":"slow","room":"lobby","every":1}');
  await until("it is slow", () => redis.run("EXISTS", "yukizuri:{lobby}:slow") === "1");
  const nonces = ["one", "two", "three"].map((text) => client.say(text));
  await until("all are accepted", () => nonces.every((nonce) => seen.acked.includes(nonce)));
  assert.deepEqual([seen.shown, seen.failed.size], [["one", "two", "three"], 0]);
  assert.ok(((await gateway.stats()).errors.slow ?? 0) <= 2, "it does not ask again and again");
  assert.ok(seen.held.some((ms) => ms > 0));
});

test("who is put out by a ban is told so by the last error, and does not come back", async (t) => {
  const { redis, gateway, client, seen } = await comeIn(t);
  redis.run("SET", "yukizuri:ban:127.0.0.1", "spam", "EX", "60");
  await until("it is out", () => seen.states.at(-1).state === "ended");
  assert.deepEqual([seen.states.at(-1).why?.code, seen.states.at(-1).why?.message], ["banned", "spam"]);
  const late = client.say("too late");
  await until("a line fails", () => seen.failed.get(late)?.code === "ended");
  assert.equal((await gateway.stats()).connections, 0);
});

test("who is kicked, and was refused something earlier, is not told that this is why", async (t) => {
  const { redis, gateway, client, seen } = await comeIn(t);
  redis.run("PUBLISH", "yukizuri:control", '{"do":"mute","room":"lobby","name":"alice"}');
  await until("it is muted", () => redis.run("EXISTS", "yukizuri:{lobby}:muted") === "1");
  client.typing();
  await until("its typing is refused", async () => (await gateway.stats()).errors.muted === 1);
  redis.run("PUBLISH", "yukizuri:control", '{"do":"kick","room":"lobby","name":"alice"}');
  await until("it is out", () => seen.states.at(-1).state === "ended");
  assert.equal(seen.states.at(-1).why, null);
});
