// Members that read late, pause, or never read.
import assert from "node:assert/strict";
import test from "node:test";
import { Member, counts, joined, lapse, ofKind, rawWebSocket, startGateway, startRedis, until } from "../lib/harness.mjs";
import { LINE, talkUntilSlow } from "../lib/floods.mjs";

test("a member that resumes far behind with a full socket is closed with 4408 when its frames grow too old", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0", "--retention", "6", "--backlog", "0", "--max-text", "8000", "--max-message", "100000"] });
  const talker = await joined(t, gateway.url, "talker");
  const alice = await joined(t, gateway.url, "alice");
  const { resume, epoch, seq } = alice.welcome;
  alice.socket.terminate();
  const LINES = 2500;
  for (let i = 0; i < LINES; i++) talker.send({ type: "say", text: "x".repeat(6000), nonce: `${i}` });
  await talker.waitFor({ type: "ack", nonce: `${LINES - 1}` });
  const again = await new Member(t, gateway.url).opened();
  again.socket.pause();
  again.send({ type: "join", name: "alice", resume, since: { epoch, seq } });
  await until("she is cut off once it is all too old", async () => (await gateway.stats()).slow_readers === 1);
  again.socket.resume();
  assert.equal((await again.waitClosed()).code, 4408);
  assert.ok(again.messages().length < LINES);
  assert.deepEqual(await counts(gateway, "refused_total"), { retention: 1 });
  await talker.settled();
});

test("a reader that is hundreds of messages behind catches up, in order", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const talker = await joined(t, gateway.url, "talker");
  const reader = await joined(t, gateway.url, "reader");
  reader.socket.pause();
  const BEHIND = 600;
  for (let i = 0; i < BEHIND; i++) talker.send({ type: "say", text: `line ${i}`, nonce: `${i}` });
  await until("the talker has all of them", () => talker.messages().length === BEHIND);
  assert.equal(reader.messages().length, 0);
  reader.socket.resume();
  await until("the reader catches up", () => reader.messages().length === BEHIND);
  assert.deepEqual(reader.messages().map((m) => m.seq), talker.messages().map((m) => m.seq));
});

test("a reader that never reads is closed, and does not affect the others", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0", "--backlog", "65536"] });
  const talker = await joined(t, gateway.url, "talker");
  const lazy = await joined(t, gateway.url, "lazy");
  lazy.socket.pause();
  const said = await talkUntilSlow(gateway, talker, 50);
  await until("the talker missed nothing", () => talker.messages().length === said);
  lazy.socket.resume();
  assert.equal((await lazy.waitClosed()).code, 4408);
  const { epoch, resume } = lazy.welcome;
  const seq = Math.max(lazy.welcome.seq, ...lazy.messages().map((m) => m.seq));
  const again = await joined(t, gateway.url, "lazy", { resume, since: { epoch, seq } });
  await again.waitFor({ type: "message", nonce: `n${said - 1}` });
  const got = [...lazy.messages(), ...again.messages()].map((m) => m.nonce);
  assert.deepEqual(got, Array.from({ length: said }, (_, i) => `n${i}`), "coming back it got what it missed");
});

test("a reader that never reads is closed before a megabyte waits for it", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0", "--backlog", "65536"] });
  const talker = await joined(t, gateway.url, "talker");
  const lazy = await joined(t, gateway.url, "lazy");
  lazy.socket.pause();
  const said = await talkUntilSlow(gateway, talker, 10);
  assert.ok(said * LINE.length < 1000000, `${said} lines`);
});

test("a gateway stops reading from a client that floods with pings and never reads", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--ping", "1", "--rate", "0"] });
  const socket = await rawWebSocket(t, gateway);
  socket.pause();
  const ping = Buffer.concat([Buffer.from([0x89, 0xfd, 0, 0, 0, 0]), Buffer.alloc(125, 0x41)]);
  const flood = Buffer.concat(Array.from({ length: 2000 }, () => ping));
  const before = (await gateway.stats()).resident_memory_bytes;
  for (let i = 0; i < 100; i++) socket.write(flood);
  await until("it is dropped", async () => (await gateway.stats()).connections === 0);
  assert.ok((await gateway.stats()).resident_memory_bytes - before < 64e6, "memory stays bounded");
  socket.destroy();
});

test("a reader that continues long after it was too slow sees 4408", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0", "--backlog", "65536"] });
  const talker = await joined(t, gateway.url, "talker");
  const lazy = await joined(t, gateway.url, "lazy");
  lazy.socket.pause();
  await talkUntilSlow(gateway, talker);
  for (let i = 0; i < 8; i++) {
    await lapse(1000).end();
    lazy.send({ type: "ping" }); // its own data must not make the kernel discard unread data
  }
  lazy.socket.resume();
  assert.equal((await lazy.waitClosed()).code, 4408);
  const line = await until("the line", () => ofKind(gateway, "lost").find(({ username }) => username === "lazy"));
  assert.deepEqual(await counts(gateway, "closes_total"), { 4408: 1 });
  assert.deepEqual([line.code, line.why], ["4408", "slow reader"]);
});

test("a reader that stops for good is closed within a bounded time, and its end is logged as 4408", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0", "--backlog", "65536"] });
  const talker = await joined(t, gateway.url, "talker");
  const lazy = await joined(t, gateway.url, "lazy");
  lazy.socket.pause();
  await talkUntilSlow(gateway, talker);
  await until("it is cut off", async () => (await gateway.stats()).connections === 1, 60000);
  assert.deepEqual(await counts(gateway, "lost_total"), { "slow reader": 1 });
});
