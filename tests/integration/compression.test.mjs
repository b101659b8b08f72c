// permessage-deflate (RFC 7692): frames of a room that some of its members get compressed, and messages that are.
import assert from "node:assert/strict";
import { once } from "node:events";
import test from "node:test";
import zlib from "node:zlib";
import { Member, UPGRADE, get, joined, keepBytes, maskedFrame, metric, rawExchange, rawWebSocket, startGateway, startNginx, startRedis, until } from "../lib/harness.mjs";
import { talkUntilSlow } from "../lib/floods.mjs";

const COMPRESSED = { perMessageDeflate: { threshold: 0 } };
const LONG = "昨日の夜、駅前の小さな店でラーメンを食べました。Nobody was there but the cook and me. ".repeat(12);

/** A member that takes compressed frames, and compresses what it sends. */
class CompressedMember extends Member {
  constructor(t, url) {
    super(t, url, COMPRESSED);
  }
}

const joinedCompressed = (t, url, name, more) => new CompressedMember(t, url).join(name, more);

/** Bytes that the peer of this member has sent. */
const wire = (member) => member.socket._socket.bytesRead;

/** The frames in these bytes: { first, payload }. */
function framesIn(bytes) {
  const frames = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const short = bytes[at + 1];
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    frames.push({ first: bytes[at], payload: bytes.subarray(at + head, at + head + length) });
    at += head + length;
  }
  return frames;
}

/** A message as RFC 7692 section 7.2.1 has it. */
const deflated = (text) => zlib.deflateRawSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);

/** A frame of a client, of any length, with a mask of zeros. */
function longFrame(first, payload) {
  if (payload.length < 126) return maskedFrame(first & 0x7f, payload);
  const head = Buffer.from([first, 0xfe, 0, 0, 0, 0, 0, 0]);
  head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

const OFFER = UPGRADE.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");

/** A socket after a handshake that negotiated compression. */
async function rawCompressed(t, gateway) {
  const socket = await rawWebSocket(t, gateway, OFFER);
  return { socket, bytes: keepBytes(socket) };
}

/** Sends these bytes and returns the close code. */
async function closeCode(t, gateway, ...parts) {
  const { socket, bytes } = await rawCompressed(t, gateway);
  for (const part of parts) socket.write(Buffer.from(part));
  await once(socket, "close");
  const close = framesIn(bytes()).find(({ first }) => first === 0x88);
  assert.ok(close, `a close frame in ${bytes().toString("hex")}`);
  return close.payload.readUInt16BE(0);
}

test("a client that offers compression gets it without context takeover, with the window it asks for", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const answer = async (offer) => /Sec-WebSocket-Extensions: (.*)\r\n/.exec((await rawExchange(gateway.port, UPGRADE.replace("\r\n\r\n", `\r\nSec-WebSocket-Extensions: ${offer}\r\n\r\n`), { stopAt: "\r\n\r\n" })).toString("latin1"))?.[1];
  const base = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
  assert.equal(await answer("permessage-deflate; client_max_window_bits"), base);
  for (let bits = 9; bits <= 15; bits++) assert.equal(await answer(`permessage-deflate; server_max_window_bits=${bits}`), `${base}; server_max_window_bits=9`);
  assert.equal(await answer("permessage-deflate; server_max_window_bits=8"), undefined);
  assert.equal(await answer("permessage-deflate; server_max_window_bits=16, permessage-deflate"), base);
  const malformed = await rawExchange(gateway.port, OFFER.replace("permessage-deflate", 'permessage-deflate; a="'), { stopAt: "\r\n\r\n" });
  assert.match(malformed.toString("latin1"), /^HTTP\/1\.1 400 /);
});

test("clients with windows of 9 to 15 bits understand what all are sent, and are understood", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const members = [];
  for (let bits = 9; bits <= 15; bits++) {
    const perMessageDeflate = { threshold: 0, serverMaxWindowBits: bits, clientMaxWindowBits: bits };
    members.push(await new Member(t, gateway.url, { perMessageDeflate }).join(`bits-${bits}`));
    assert.equal(members.at(-1).socket.extensions, "permessage-deflate");
  }
  const texts = members.map((_, i) => `${i} ${LONG.slice(0, 100 + 200 * i)} ${"x".repeat(600 * (i % 2))} ${LONG.slice(-300)}`.slice(0, 2000));
  for (const [i, member] of members.entries()) await member.say(texts[i], `${i}`);
  for (const member of members) {
    await until("all lines", () => member.messages().length === texts.length);
    assert.deepEqual(member.texts(), texts);
  }
});

test("with compression=false nobody gets it", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--compression", "false"] });
  const member = await joinedCompressed(t, gateway.url, "alice");
  assert.equal(member.socket.extensions, "");
  await member.say(LONG, "long");
  await member.waitFor({ type: "message", text: LONG });
  assert.equal(await metric(gateway, "deflated_frames_total"), 0);
});

test("in a room where half have it everybody sees the same, and each frame is compressed once", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const members = [];
  for (let i = 0; i < 12; i++) members.push(await (i % 2 ? joinedCompressed : joined)(t, gateway.url, `m${i}`));
  for (const member of members) await member.settled();
  const before = { frames: await metric(gateway, "deflated_frames_total"), wires: members.map(wire) };
  const texts = Array.from({ length: 20 }, (_, i) => (i % 5 === 4 ? `short ${i}` : `${i} ${LONG}`));
  for (const [i, text] of texts.entries()) members[i % 12].send({ type: "say", text, nonce: `${i}` });
  for (const member of members) await until("all lines", () => member.messages().length === texts.length);
  const [first] = members;
  assert.deepEqual([...first.texts()].sort(), [...texts].sort());
  for (const member of members) assert.deepEqual(member.messages(), first.messages());
  assert.equal((await metric(gateway, "deflated_frames_total")) - before.frames, 16, "once each for all members");
  const sizes = members.map((member, i) => wire(member) - before.wires[i]);
  for (let i = 1; i < 12; i += 2) assert.ok(sizes[i] < sizes[0] / 2, `${sizes[i]} of ${sizes[0]} bytes`);
});

test("compressed messages of a client are understood, however they are fragmented and cut", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const ping = deflated('{"type":"ping"}');
  const stream = Buffer.concat([
    maskedFrame(0x41, ping), maskedFrame(0x41, ping.subarray(0, 5), { fin: false }), maskedFrame(9, "p"), maskedFrame(0, ping.subarray(5)), maskedFrame(1, '{"type":"ping"}'),
  ]);
  for (let cut = 1; cut < stream.length; cut += 4) {
    const { socket, bytes } = await rawCompressed(t, gateway);
    socket.setNoDelay(true);
    socket.write(stream.subarray(0, cut));
    socket.write(stream.subarray(cut));
    await until("three pongs", () => framesIn(bytes()).filter(({ payload }) => payload.toString() === '{"type":"pong"}').length === 3);
    socket.destroy();
  }
  assert.ok((await metric(gateway, "inflated_messages_total")) > 0);
});

test("a bomb is closed with 1009 and takes no memory, and the gateway serves on", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const watcher = await joinedCompressed(t, gateway.url, "watcher");
  const before = (await gateway.stats()).resident_memory_bytes;
  const bomb = longFrame(0xc1, deflated(Buffer.alloc(20e6, "x")));
  assert.ok(bomb.length < 32768);
  for (let i = 0; i < 20; i++) assert.equal(await closeCode(t, gateway, bomb), 1009);
  assert.ok((await gateway.stats()).resident_memory_bytes - before < 16e6, "memory stays bounded");
  assert.equal(await metric(gateway, 'refused_total{reason="max-message"}'), 20);
  await watcher.say(LONG, "long");
  await watcher.waitFor({ type: "message", text: LONG });
});

test("max-message is the limit of a message, compressed and inflated", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-message", "20000", "--max-text", "1000"] });
  const member = await joinedCompressed(t, gateway.url, "alice");
  const refused = (length) => member.refused(JSON.stringify({ type: "unknown", text: "" }).padEnd(length));
  assert.equal((await refused(20000)).code, "bad_message");
  member.send(JSON.stringify({ type: "unknown" }).padEnd(20001));
  assert.equal((await member.waitClosed()).code, 1009);
  assert.equal(await closeCode(t, gateway, [0xc1, 0xfe, 0x4e, 0x21, 0, 0, 0, 0, 0]), 1009, "20,001 compressed bytes are announced");
});

test("what is wrong with a compressed message has its close code", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const mask = [0, 0, 0, 0];
  assert.equal(await closeCode(t, gateway, [0xc1, 0x81, ...mask, 0x06]), 1007, "no such block");
  assert.equal(await closeCode(t, gateway, [0xc1, 0x83, ...mask, 0xf2, 0x48, 0xcd]), 1007, "cut off");
  assert.equal(await closeCode(t, gateway, maskedFrame(0x41, deflated(Buffer.from([0xff])))), 1007, "not UTF-8");
  assert.equal(await closeCode(t, gateway, maskedFrame(0x42, deflated("binary"))), 1003, "binary");
  assert.equal(await closeCode(t, gateway, [0x01, 0x80, ...mask, 0xc0, 0x81, ...mask, 0x00]), 1002, "a continuation with the bit");
  assert.equal(await closeCode(t, gateway, [0xc9, 0x80, ...mask]), 1002, "a ping with the bit");
  assert.equal(await closeCode(t, gateway, [0xa1, 0x80, ...mask]), 1002, "another bit");
  assert.equal((await get(`${gateway.origin}/healthz`)).status, 200);
});

test("a reader that is hundreds of compressed messages behind catches up, in order", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0", "--backlog", "0"] });
  const talker = await joined(t, gateway.url, "talker");
  const reader = await joinedCompressed(t, gateway.url, "reader");
  const plain = await joined(t, gateway.url, "plain");
  for (const { socket } of [reader, plain]) socket.pause();
  const BEHIND = 1500;
  for (let i = 0; i < BEHIND; i++) talker.send({ type: "say", text: `${i} ${LONG}`, nonce: `${i}` });
  await until("the talker has all of them", () => talker.messages().length === BEHIND);
  for (const { socket } of [reader, plain]) socket.resume();
  for (const member of [reader, plain]) {
    await until("it catches up", () => member.messages().length === BEHIND);
    assert.deepEqual(member.messages(), talker.messages());
  }
});

test("a compressed reader that never reads is closed with 4408, and gets what it missed when it comes back", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0", "--backlog", "65536"] });
  const talker = await joined(t, gateway.url, "talker");
  const lazy = await joinedCompressed(t, gateway.url, "lazy");
  lazy.socket.pause();
  const said = await talkUntilSlow(gateway, talker, 50);
  lazy.socket.resume();
  assert.equal((await lazy.waitClosed()).code, 4408);
  const { epoch, resume } = lazy.welcome;
  const seq = Math.max(lazy.welcome.seq, ...lazy.messages().map((m) => m.seq));
  const again = await joinedCompressed(t, gateway.url, "lazy", { resume, since: { epoch, seq } });
  await again.waitFor({ type: "message", nonce: `n${said - 1}` });
  const got = [...lazy.messages(), ...again.messages()].map((m) => m.nonce);
  assert.deepEqual(got, Array.from({ length: said }, (_, i) => `n${i}`));
});

test("a resume over compression replays what a plain member was sent", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const talker = await joined(t, gateway.url, "talker");
  const alice = await joined(t, gateway.url, "alice");
  const { resume, epoch, seq } = alice.welcome;
  alice.socket.terminate();
  for (let i = 0; i < 200; i++) talker.send({ type: "say", text: `${i} ${LONG}`, nonce: `${i}` });
  await until("all are said", () => talker.messages().length === 200);
  const again = await joinedCompressed(t, gateway.url, "alice", { resume, since: { epoch, seq } });
  assert.equal(again.welcome.recovered, true);
  await until("all are replayed", () => again.messages().length === 200);
  assert.deepEqual(again.messages(), talker.messages());
});

test("a welcome is never compressed, because it has the token; a list of members is, to less than half", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  await Promise.all(Array.from({ length: 60 }, (_, i) => joined(t, gateway.url, `guest-${i}`)));
  const { socket, bytes } = await rawCompressed(t, gateway);
  socket.write(maskedFrame(0x41, deflated(JSON.stringify({ type: "join", name: "raw" }))));
  const welcome = await until("the welcome", () => framesIn(bytes()).find(({ payload }) => payload.includes('"welcome"')));
  assert.equal(welcome.first, 0x81);
  socket.write(maskedFrame(1, '{"type":"members"}'));
  const text = ({ first, payload }) => (first === 0xc1 ? zlib.inflateRawSync(payload, { finishFlush: zlib.constants.Z_SYNC_FLUSH }) : payload).toString();
  const list = await until("the list", () => framesIn(bytes()).find((frame) => text(frame).startsWith('{"type":"members"')));
  assert.equal(list.first, 0xc1);
  assert.equal(JSON.parse(text(list)).members.length, 61);
  assert.ok(list.payload.length * 2 < text(list).length, `${list.payload.length} of ${text(list).length} bytes`);
});

test("the echo endpoint returns compressed messages of any size", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--echo-path", "/echo", "--max-message", "1000000"] });
  const member = await new Member(t, `ws://127.0.0.1:${gateway.port}/echo`, COMPRESSED).opened();
  assert.match(member.socket.extensions, /^permessage-deflate/);
  member.socket.removeAllListeners("message");
  const back = [];
  member.socket.on("message", (data, binary) => back.push([data, binary]));
  const noise = Buffer.from(Array.from({ length: 300000 }, (_, i) => ((i * 2654435761) >>> 13) & 0xff));
  const sent = [0, 1, 125, 126, 199, 200, 65535, 65536, 65537, 999999].flatMap((size) => [Buffer.alloc(size, "x").toString(), Buffer.alloc(size, "yukizuri ")]);
  for (const size of [200, 5000, 70000, 300000]) sent.push(noise.subarray(0, size));
  for (const data of sent) member.socket.send(data);
  await until("all are back", () => back.length === sent.length);
  for (const [i, [data, binary]] of back.entries()) {
    assert.equal(binary, typeof sent[i] !== "string");
    assert.ok(Buffer.from(sent[i]).equals(data), `message ${i}`);
  }
});

test("through nginx members are compressed as well", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const nginx = await startNginx(t, [`127.0.0.1:${gateway.port}`]);
  const alice = await joinedCompressed(t, nginx.url, "alice");
  const bob = await joined(t, nginx.url, "bob");
  assert.match(alice.socket.extensions, /^permessage-deflate/);
  await alice.say(LONG, "long");
  for (const member of [alice, bob]) await member.waitFor({ type: "message", text: LONG });
  assert.ok((await metric(gateway, "deflated_frames_total")) > 0);
});
