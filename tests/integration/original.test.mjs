// The failures of the original service, each under the name of its symptom. Those that concern the page are
// in ../browser/original.test.mjs.
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import test from "node:test";
import { Member, get, joined, rawExchange, startGateway, startRedis, until } from "../lib/harness.mjs";

test("one reader 256 messages behind crashed the server", async (t) => {
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

test("a forged cookie crashed it", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const cookies = ["yukizuri=", "yukizuri=x", "=", ";;;", "yukizuri=" + "A".repeat(3000), "yukizuri=\x80\xff\x01", 'yukizuri="unfinished', "yukizuri=MTIzfGdvYnw=; yukizuri=MTIzfGdvYnw=", "yukizuri=%00%00"];
  for (const cookie of cookies) {
    const page = (await rawExchange(gateway.port, Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\nConnection: close\r\n\r\n`, "latin1"))).toString();
    assert.match(page, /^HTTP\/1\.1 (200|400) /, cookie);
    const upgrade = `GET /room HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
    const answer = (await rawExchange(gateway.port, Buffer.from(upgrade, "latin1"), { stopAt: "\r\n\r\n" })).toString();
    assert.match(answer, /^HTTP\/1\.1 (101|400) /, cookie);
  }
  const alice = await new Member(t, gateway.url, { headers: { Cookie: "yukizuri=forged" } }).join("alice");
  assert.equal(alice.welcome.me.name, "alice", "who one is comes from join alone");
});

test("a forged X-Forwarded-For was believed and shown", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  assert.equal((await get(`${gateway.origin}/metrics`)).status, 200, "we are local");
  for (const headers of [{ "X-Forwarded-For": "127.0.0.1" }, { "X-Real-IP": "127.0.0.1" }, { "X-Forwarded-For": "10.0.0.1, 127.0.0.1" }]) assert.equal((await get(`${gateway.origin}/metrics`, { headers })).status, 403);
  const eve = await new Member(t, gateway.url, { headers: { "X-Forwarded-For": "8.8.8.8" } }).join("eve");
  assert.equal(eve.welcome.me.address, "127.0.0.x");
  await until("it is warned about once", () => gateway.log.filter((line) => line.kind === "forwarded-ignored").length === 1);
});

test("a second tab with the same name took the first off the list", async (t) => {
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

test("nickname rules lived only in the browser", async (t) => {
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

test("a dead peer stayed on the list", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "1"] });
  const watcher = await joined(t, gateway.url, "watcher");
  const alice = await joined(t, gateway.url, "alice");
  alice.socket.terminate();
  await until("alice has left", () => watcher.saw("left", "alice"));
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["watcher"]);
  assert.equal((await gateway.stats()).ghosts, 0);
});

test("the whole member list went out with every message", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const crowd = await Promise.all(Array.from({ length: 60 }, (_, i) => joined(t, gateway.url, `somebody-${i}`)));
  const frames = [];
  const alice = await new Member(t, gateway.url).opened();
  alice.socket.on("message", (data) => frames.push(data));
  await alice.join("alice");
  crowd[7].send({ type: "say", text: "hello", nonce: "1" });
  await alice.waitFor({ type: "message", text: "hello" });
  const bob = await joined(t, gateway.url, "bob");
  await until("bob is seen", () => alice.saw("joined", "bob"));
  assert.ok(bob.welcome.members.length > 60, "the list comes once, with the welcome");
  for (const frame of frames.filter((data) => !data.includes('"welcome"'))) {
    assert.ok(frame.length < 300, `${frame.length} bytes: ${frame}`);
    assert.ok((frame.toString().match(/somebody-/g) ?? []).length <= 1, frame.toString());
  }
});

test("a socket leaked when the handshake was accepted without a session", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-members", "1", "--ping", "1", "--leave-grace", "0"] });
  const sockets = () => fs.readdirSync(`/proc/${gateway.pid}/fd`).length;
  await joined(t, gateway.url, "alice");
  const before = sockets();
  // people who never join, people who are refused, and some who vanish in the middle of the handshake
  const visitors = await Promise.all(Array.from({ length: 100 }, () => new Member(t, gateway.url).opened()));
  for (const visitor of visitors.slice(50)) visitor.send({ type: "join", name: "bob" });
  await Promise.all(visitors.slice(50).map((visitor) => visitor.waitFor({ type: "error", code: "room_full" })));
  const half = Array.from({ length: 50 }, () => net.connect(gateway.port, "127.0.0.1").on("error", () => {}));
  for (const socket of half) socket.write("GET /room HTTP/1.1\r\nUpgrade: webso");
  await until("all are there", () => sockets() === before + 150);
  for (const [i, { socket }] of visitors.entries()) i % 2 === 0 ? socket.terminate() : socket.close();
  for (const [i, socket] of half.entries()) i % 2 === 0 ? socket.destroy() : socket.end();
  await until(() => `no socket is left: ${sockets()} and not ${before}`, () => sockets() === before);
  assert.equal((await gateway.stats()).connections, 1);
  assert.equal((await get(`${gateway.origin}/healthz`)).status, 200);
});
