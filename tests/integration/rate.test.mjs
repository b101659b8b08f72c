// The rate limit, and clients that exceed it.
import assert from "node:assert/strict";
import net from "node:net";
import test from "node:test";
import { Member, UPGRADE, atEnd, counts, get, joined, keepBytes, lapse, maskedFrame, ofKind, rawWebSocket, startGateway, startNginx, startRedis, until, untilLogged } from "../lib/harness.mjs";
import { FLOODS, floodUntilClosed } from "../lib/floods.mjs";

test("a text that is too long is refused, and a client that is too fast gets retry_after", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-text", "10", "--rate", "1:3"] });
  const member = await joined(t, gateway.url, "alice"); // takes one token
  const long = await member.refused({ type: "say", text: "あ".repeat(11), nonce: "long" });
  assert.deepEqual([long.code, long.nonce], ["too_long", "long"]);
  for (const nonce of ["1", "2", "3", "4"]) member.send({ type: "say", text: "あ".repeat(10), nonce });
  const fast = await member.waitFor({ type: "error", code: "too_fast" });
  assert.ok(fast.retry_after > 0 && fast.retry_after <= 2 && fast.nonce);
  await member.waitFor({ type: "ack", nonce: "1" });
  await lapse(Math.max(...member.received.map((m) => m.retry_after ?? 0)) * 1000).end();
  await member.say("again");
});

test("during a flood of pings new clients can join and /healthz answers", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const flood = Buffer.concat(Array(10000).fill(maskedFrame(1, '{"type":"ping"}')));
  const floods = Array.from({ length: 24 }, () => {
    const socket = net.connect(gateway.port, "127.0.0.1");
    atEnd(t, () => socket.destroy());
    socket.on("error", () => {});
    socket.write(UPGRADE);
    socket.once("data", () => socket.write(flood));
    socket.on("drain", () => socket.write(flood));
    socket.resume();
    return socket;
  });
  await until("all of them flood", () => floods.every(({ bytesRead }) => bytesRead > 5000));
  for (let i = 0; i < 3; i++) assert.equal((await get(`${gateway.origin}/healthz`)).status, 200);
  await joined(t, gateway.url, "alice");
  assert.ok(floods.every(({ destroyed }) => !destroyed), "they still flood");
});

for (const [what, send] of Object.entries(FLOODS)) {
  test(`a client that floods with ${what} is closed with 4429 within seconds, member or not`, async (t) => {
    const gateway = await startGateway(t, { redis: await startRedis(t) });
    const bob = await joined(t, gateway.url, "bob");
    assert.equal(await floodUntilClosed(await joined(t, gateway.url, "alice"), send), 4429);
    assert.equal(await floodUntilClosed(await new Member(t, gateway.url).opened(), send), 4429);
    await bob.settled();
    assert.equal(bob.closed, null);
  });
}

test("a client that floods and answers no ping is closed with 4429", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const socket = await rawWebSocket(t, gateway);
  const bytes = keepBytes(socket);
  await until("it is closed", () => {
    if (!socket.destroyed) socket.write(Buffer.concat(Array(20).fill(maskedFrame(1, "rubbish"))));
    return bytes().includes(Buffer.from([0x11, 0x4d])); // 4429
  }, 60000);
});

test("a client that obeys retry_after is never closed, and all its lines are accepted, however many it sends at once", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "40:20"] });
  const alice = await joined(t, gateway.url, "alice");
  const LINES = 300;
  await alice.obey(t, LINES);
  const again = alice.received.filter(({ code }) => code === "too_fast");
  assert.ok(again.length < 2 * LINES, `${again.length} refusals: they come back at different times`);
});

test("a client that obeys retry_after is never closed, even if each late line uses the token of the next one", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "50:1"] });
  const alice = await joined(t, gateway.url, "alice");
  await alice.obey(t, 100);
});

test("a client that cannot have read too_fast yet is not closed", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const alice = await joined(t, gateway.url, "alice");
  const flood = (count) => Array.from({ length: count }, () => FLOODS.lines(alice));
  alice.socket.pause();
  flood(100);
  await until("the first ones are refused", async () => (await counts(gateway, "refused_total")).rate > 50);
  await lapse(6000).end(); // long enough for an informed client to stop
  flood(300);
  await until("the others, too", async () => (await counts(gateway, "refused_total")).rate > 300);
  alice.socket.resume();
  await alice.settled();
  assert.equal(alice.closed, null);
});

test("a client that pings, types and talks within the rate is never refused", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "50:20"] });
  const alice = await joined(t, gateway.url, "alice");
  for (let i = 0; i < 12; i++) alice.send({ type: "say", text: `${i}`, nonce: `${i}` }); // some tokens are left, because delays differ
  for (let i = 12; i < 34; i++) { // at most 50 a second
    await lapse(22).end();
    alice.send({ type: "say", text: `${i}`, nonce: `${i}` });
    if (i % 5 === 0) for (const type of ["typing", "ping"]) alice.send({ type });
    if (i % 5 === 0) alice.socket.ping();
  }
  await alice.waitFor({ type: "ack", nonce: "33" });
  await alice.settled();
  assert.deepEqual(alice.received.filter(({ type }) => type === "error"), []);
  assert.deepEqual(await counts(gateway, "refused_total"), {});
});

test("without a rate no client is refused or closed", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  for (let i = 0; i < 500; i++) {
    alice.send({ type: "say", text: `${i}`, nonce: `${i}` });
    alice.send({ type: "ping" });
    alice.socket.ping();
  }
  await alice.waitFor({ type: "ack", nonce: "499" });
  await until("every ping is answered", () => alice.received.filter(({ type }) => type === "pong").length === 500);
  assert.deepEqual(alice.received.filter(({ type }) => type === "error"), []);
});

test("without a rate, nothing more is read from a member while 64 of its lines are on their way to Redis; all are accepted in the end", async (t) => {
  const redis = await startRedis(t, { alone: true });
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  const before = (await gateway.stats()).messages_in;
  redis.freeze(t);
  const LINES = 600;
  for (let i = 0; i < LINES; i++) alice.send({ type: "say", text: "x".repeat(1900), nonce: `${i}` });
  const read = async () => (await gateway.stats()).messages_in - before;
  await until("64 are on their way", async () => (await read()) >= 64);
  for (let i = 0; i < 20; i++) await bob.ask({ type: "ping" }, ({ type }) => type === "pong"); // others are read from
  const most = 64 + 20 + 65536 / 1900; // and what came with the last of them in one read
  assert.ok((await read()) <= most, `${await read()}`);
  redis.thaw();
  await until("all are accepted", () => alice.received.filter(({ type }) => type === "ack").length === LINES);
});

test("a client that is closed for its messages gets the close code through nginx too, even with more data in transit", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--trusted-proxy", "127.0.0.1"] });
  const nginx = await startNginx(t, [`127.0.0.1:${gateway.port}`]);
  const flooder = await joined(t, nginx.url, "flooder");
  for (let i = 0; i < 50000; i++) FLOODS.typing(flooder);
  assert.equal((await flooder.waitClosed()).code, 4429);
  const big = await joined(t, nginx.url, "big");
  big.send("x".repeat(20000000));
  assert.equal((await big.waitClosed()).code, 1009);
});

test("a flood is one line of the log per member and minute, even if the member reconnects and continues", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const alice = await joined(t, `${gateway.url}/den`, "alice");
  await joined(t, `${gateway.url}/den`, "bob");
  assert.equal(await floodUntilClosed(alice, FLOODS.lines), 4429);
  const [line] = await untilLogged(gateway, "flood");
  assert.deepEqual([line.id, line.username, line.remote_addr, line.room], [alice.welcome.me.id, "alice", "127.0.0.1", "den"]);
  const lost = await until("its end", () => ofKind(gateway, "lost").find(({ username }) => username === "alice"));
  assert.ok(Number(line.count) > 50 && Number(line.count) <= Number(lost.refused), `${line.count} of ${lost.refused}`);
  const again = await joined(t, `${gateway.url}/den`, "alice", { resume: alice.welcome.resume });
  assert.equal(again.welcome.me.id, alice.welcome.me.id);
  assert.equal(await floodUntilClosed(again, FLOODS.lines), 4429);
  await until("its second end", () => ofKind(gateway, "lost").filter(({ username, why }) => username === "alice" && why === "rate").length === 2);
  assert.equal(ofKind(gateway, "flood").length, 1);
});

test("a flood from a client that has not joined is logged with its address", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--log-address", "masked", "--trusted-proxy", "127.0.0.1"] });
  const visitor = await new Member(t, gateway.url, { headers: { "X-Forwarded-For": "203.0.113.7" } }).opened();
  await floodUntilClosed(visitor, FLOODS.rubbish);
  const [line] = await untilLogged(gateway, "flood");
  assert.deepEqual([line.id, line.username, line.remote_addr, line.room], [undefined, undefined, "203.0.113.x", "lobby"]);
});

test("a flood that goes on is logged while it lasts", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "1:2"] });
  const alice = await joined(t, gateway.url, "alice");
  for (let i = 0; i < 30; i++) FLOODS.lines(alice);
  const [line] = await untilLogged(gateway, "flood");
  assert.equal(line.username, "alice");
  assert.ok(Number(line.count) >= 25 && Number(line.count) <= 29, line.count); // of 30; the join took one token
  assert.equal(alice.closed, null);
});
