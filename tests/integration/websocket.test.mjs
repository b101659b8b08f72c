// A WebSocket connection: frames, close codes, pings, and the sockets of ended ones.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import test from "node:test";
import { Member, descriptorsOf, get, joined, keepBytes, lapse, maskedFrame, rawExchange, rawWebSocket, startGateway, startRedis, stopwatch, until } from "../lib/harness.mjs";

test("a peer that answers no ping is closed after ping + 10 seconds", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--leave-grace", "0", "--ping", "1"] });
  (await joined(t, gateway.url, "before")).socket.close();
  await until("there is no connection, so the ping timer has stopped", async () => (await gateway.stats()).connections === 0);
  const watcher = await joined(t, gateway.url, "watcher");
  const silent = await joined(t, gateway.url, "silent", {});
  silent.socket.pong = () => {}; // the library answers pings by itself
  silent.socket._receiver.removeAllListeners("ping");
  const silence = lapse(9000); // ping + 10 s, minus the granularity of the ping timer
  await until("it is off the list", () => watcher.departures().filter((name) => name === "silent").length === 1);
  assert.ok(silence.over(), "not before");
  assert.equal(watcher.closed, null, "whoever answers stays");
});

test("the pings of members who joined together are spread, and each member is pinged once in `ping` seconds", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--ping", "4", "--rate", "0"] });
  const pings = []; // the member, and the number of answered requests of the other one
  const burst = await Promise.all(Array.from({ length: 40 }, (_, i) => joined(t, gateway.url, `p${i}`)));
  const other = await joined(t, gateway.url, "other");
  const seconds = stopwatch();
  let answered = 0;
  for (const [i, { socket }] of burst.entries()) socket.on("ping", () => pings.push({ i, answered }));
  await until("everybody was pinged three times", async () => {
    await other.settled();
    answered++;
    return burst.every((_, i) => pings.filter((ping) => ping.i === i).length >= 3);
  });
  const most = Math.floor(seconds() / 4) + 1;
  for (const i of burst.keys()) assert.ok(pings.filter((ping) => ping.i === i).length <= most, `${i} is not pinged more than once in 4 s`);
  const groups = new Set(pings.map((ping) => ping.answered)).size;
  assert.ok(groups >= 18, `${pings.length} pings in ${groups} groups, between which somebody else is answered`);
});

test("no socket remains of clients that never joined, were refused, or vanished during the handshake", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-members", "1", "--ping", "1", "--leave-grace", "0"] });
  const sockets = () => descriptorsOf(gateway.pid).length;
  await joined(t, gateway.url, "alice");
  const before = sockets();
  // clients that never join, clients that are refused, and clients that vanish during the handshake
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

test("a 1 MB message is closed with 1009, and is neither allocated nor delivered", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const watcher = await joined(t, gateway.url, "watcher");
  for (const size of [1 << 20, 32769]) {
    const member = await new Member(t, gateway.url).opened();
    member.send(JSON.stringify({ type: "say", text: "x".repeat(size) }));
    assert.equal((await member.waitClosed()).code, 1009);
  }
  const declared = await rawWebSocket(t, gateway); // a frame that only claims to be huge
  declared.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]));
  await once(declared, "close");
  await watcher.settled();
  assert.deepEqual(watcher.messages(), []);
});

/** Sends these frames and returns the close code. */
async function closeCode(t, gateway, ...frames) {
  const socket = await rawWebSocket(t, gateway);
  const received = keepBytes(socket);
  for (const frame of frames) socket.write(Buffer.from(frame));
  await once(socket, "close");
  const bytes = received();
  const at = bytes.indexOf(0x88);
  assert.ok(at >= 0 && bytes.length >= at + 4, `a close frame with a code in ${bytes.toString("hex")} after ${Buffer.concat(frames.map((f) => Buffer.from(f))).toString("hex")}`);
  return bytes.readUInt16BE(at + 2);
}

test("violations of the WebSocket protocol get their close codes", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const mask = [0, 0, 0, 0];
  assert.equal(await closeCode(t, gateway, [0x81, 0x02, 0x68, 0x69]), 1002, "no mask");
  assert.equal(await closeCode(t, gateway, [0xc1, 0x80, ...mask]), 1002, "a reserved bit");
  assert.equal(await closeCode(t, gateway, [0x83, 0x80, ...mask]), 1002, "an unknown opcode");
  assert.equal(await closeCode(t, gateway, [0x80, 0x80, ...mask]), 1002, "a continuation of nothing");
  assert.equal(await closeCode(t, gateway, [0x09, 0x80, ...mask]), 1002, "a fragmented ping");
  assert.equal(await closeCode(t, gateway, [0x89, 0xfe, 0, 126, ...mask]), 1002, "a long ping");
  assert.equal(await closeCode(t, gateway, [0x81, 0x81, ...mask, 0xff]), 1007, "not UTF-8");
  assert.equal(await closeCode(t, gateway, [0x82, 0x81, ...mask, 0x00]), 1003, "binary");
  assert.equal(await closeCode(t, gateway, [0x88, 0x82, ...mask, 0x03, 0xe8]), 1000, "a good close is echoed");
  assert.equal(await closeCode(t, gateway, [0x88, 0x82, ...mask, 0x03, 0xed]), 1002, "a close with a forbidden code");
  assert.equal(await closeCode(t, gateway, [0x88, 0x81, ...mask, 0x03]), 1002, "a close with half a code");
});

test("messages that are split anywhere, fragmented, or mixed with pings are understood", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const frame = (opcode, text, fin = true) => maskedFrame(opcode, text, { fin, mask: [1, 2, 3, 4] });
  const ping = JSON.stringify({ type: "ping" });
  const stream = Buffer.concat([
    frame(1, ping), frame(9, "p1"), frame(1, ping.slice(0, 3), false), frame(9, "p2"), frame(0, ping.slice(3, 3), false), frame(0, ping.slice(3)), frame(1, ping),
  ]);
  const answer = (bytes) => [bytes.toString("latin1").split('{"type":"pong"}').length - 1, bytes.includes("p1"), bytes.includes("p2")];
  for (let cut = 1; cut < stream.length; cut += 3) {
    const socket = await rawWebSocket(t, gateway);
    const bytes = keepBytes(socket);
    socket.setNoDelay(true);
    socket.write(stream.subarray(0, cut));
    socket.write(stream.subarray(cut));
    await until("three pongs", () => answer(bytes())[0] === 3);
    assert.deepEqual(answer(bytes()), [3, true, true]);
    socket.destroy();
  }
  const slow = await rawWebSocket(t, gateway);
  const bytes = keepBytes(slow);
  slow.setNoDelay(true);
  for (const byte of stream) slow.write(Buffer.from([byte]));
  await until("three pongs", () => answer(bytes())[0] === 3);
  slow.destroy();
});

test("frames that arrive together with the handshake are not lost", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const ping = Buffer.from('{"type":"ping"}');
  const bytes = Buffer.concat([
    Buffer.from("GET /room HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
    maskedFrame(1, ping),
  ]);
  assert.match((await rawExchange(gateway.port, bytes, { stopAt: "pong" })).toString("latin1"), /101 Switching.*pong/s);
});

test("the echo endpoint returns text and binary messages of any size up to max-message", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--echo-path", "/echo", "--max-message", "1000000"] });
  const member = new Member(t, `ws://127.0.0.1:${gateway.port}/echo`);
  await member.opened();
  member.socket.removeAllListeners("message");
  const back = [];
  member.socket.on("message", (data, binary) => back.push([data, binary]));
  const sent = [0, 1, 125, 126, 65535, 65536, 999999].flatMap((size) => [Buffer.alloc(size, "x").toString(), Buffer.alloc(size, 7)]);
  for (const data of sent) member.socket.send(data);
  await until("all are back", () => back.length === sent.length);
  for (const [i, [data, binary]] of back.entries()) {
    assert.equal(binary, typeof sent[i] !== "string");
    assert.ok(Buffer.from(sent[i]).equals(data), `message ${i}`);
  }
});
