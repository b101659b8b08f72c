// The worst input: the contract's errors, and nothing dies.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import test from "node:test";
import { Member, atEnd, get, joined, lasting, rawExchange, startGateway, startRedis, until } from "../lib/harness.mjs";

async function visitor(t, gateway) {
  return new Member(t, gateway.url).opened();
}

/** Sends it and gives the error that answers. */
async function refused(member, message) {
  const before = member.received.length;
  member.send(message);
  return until(`an error for ${String(message).slice(0, 60)}`, () => member.received.slice(before).find((m) => m.type === "error"));
}

test("what is not a message is answered bad_message, and the connection goes on", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const member = await visitor(t, gateway);
  const bad = [
    "not json", "", "{", "[]", "1", "null", '"join"', "{}", '{"type":1}', '{"type":"unknown"}', '{"type":"join"}',
    '{"type":"join","name":1}', '{"type":"join","name":"a","resume":1}', '{"type":"join","name":"a","since":5}',
    '{"type":"join","name":"a","since":{"epoch":"x"}}', '{"type":"join","name":"a","since":{"epoch":"x","seq":-1}}',
    '{"type":"join","name":"a\\u0000b"}', '{"type":"say"}', '{"type":"say","text":""}', '{"type":"say","text":"  \\n"}',
    '{"type":"say","text":5}', '{"type":"say","text":"x","nonce":""}', '{"type":"say","text":"x","nonce":7}',
    `{"type":"say","text":"x","nonce":"${"n".repeat(65)}"}`, '{"type":"say","text":"\\ud800"}', "[".repeat(5000),
    '{"a":'.repeat(2000), '{"type":"say","text":"x"} trailing',
  ];
  for (const text of bad) assert.equal((await refused(member, text)).code, "bad_message", text.slice(0, 60));
  await member.join("alice");
  for (const text of bad) assert.equal((await refused(member, text)).code, "bad_message", text.slice(0, 60));
  member.send({ type: "say", text: "still here", nonce: "1", unknown: ["ignored"] });
  await member.waitFor({ type: "ack" });
  assert.ok((await gateway.stats()).errors.bad_message >= bad.length);
});

test("say before join, a second join, unfair names", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const member = await visitor(t, gateway);
  const early = await refused(member, { type: "say", text: "x", nonce: "n" });
  assert.deepEqual([early.code, early.nonce], ["not_joined", "n"]);
  for (const type of ["typing", "leave", "members"]) assert.equal((await refused(member, { type })).code, "not_joined");
  const unfair = ["", "   ", "\u3000", "\u0000\u0001".slice(1), "a\u0007b", "a\u202eb", "a\u200bb", "\u2066x", "\ufeff", "a\nb", "\u3164", "x".repeat(17), "\u0301".repeat(300), "あ".repeat(17), "\u00ad", "\ue000"];
  for (const name of unfair) assert.equal((await refused(member, { type: "join", name })).code, "bad_name", JSON.stringify(name));
  await member.join("あ".repeat(16));
  assert.equal((await refused(member, { type: "join", name: "other" })).code, "already_joined");
  const fair = ["👍🏽", "Ω", "ｱﾘｽ", "O'Brien", '"><img src=x>', "a b", "שלום", "नमस्ते", "ตั้ม"];
  for (const name of fair) await joined(t, gateway.url, name);
});

test("a name that a page shows as another one is taken, and one of joined signs is free", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  await joined(t, gateway.url, "ann lee");
  const member = await visitor(t, gateway);
  const same = ["ann  lee", "ann\u1680lee", "ann\u2003lee", " Ann Lee\u1680", "ann lee\ufe0f"];
  for (const name of same) assert.equal((await refused(member, { type: "join", name })).code, "name_taken", JSON.stringify(name));
  for (const name of ["\u0301", "ann\u{1d159}", "\ufffc", "\u{13441}", `Z${"\u0301\u0302\u0303".repeat(15)}`, "an\u200dn"])
    assert.equal((await refused(member, { type: "join", name })).code, "bad_name", JSON.stringify(name));
  const free = ["👨\u200d👩\u200d👧", "می\u200cخواهم", "ශ\u0dca\u200dරී", "🏳\ufe0f\u200d🌈", "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}", "🇯🇵".repeat(16)];
  for (const name of free) assert.equal((await joined(t, gateway.url, name)).welcome.me.name, name);
  const twin = await refused(member, { type: "join", name: "👨👩👧" });
  assert.deepEqual([twin.code, twin.suggestion], ["name_taken", "👨👩👧2"]);
});

test("two links that look the same lead to one room", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const one = await joined(t, `${gateway.url}/${encodeURIComponent("葛城")}`, "one");
  const other = await joined(t, `${gateway.url}/${encodeURIComponent("葛\u{e0100}城")}`, "other");
  assert.equal(other.welcome.room, one.welcome.room);
  assert.equal(other.welcome.count, 2);
});

test("too long and too fast", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-text", "10", "--rate", "1:3"] });
  const member = await joined(t, gateway.url, "alice"); // takes one token
  const long = await refused(member, { type: "say", text: "あ".repeat(11), nonce: "long" });
  assert.deepEqual([long.code, long.nonce], ["too_long", "long"]);
  for (const nonce of ["1", "2", "3", "4"]) member.send({ type: "say", text: "あ".repeat(10), nonce });
  const fast = await member.waitFor({ type: "error", code: "too_fast" });
  assert.ok(fast.retry_after > 0 && fast.retry_after <= 2 && fast.nonce);
  await member.waitFor({ type: "ack", nonce: "1" });
  await lasting(Math.max(...member.received.map((m) => m.retry_after ?? 0)) * 1000);
  member.send({ type: "say", text: "again", nonce: "again" });
  await member.waitFor({ type: "ack", nonce: "again" });
});

test("a 1 MB message is closed with 1009, and nothing of it is allocated or said", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const watcher = await joined(t, gateway.url, "watcher");
  for (const size of [1 << 20, 32769]) {
    const member = await visitor(t, gateway);
    member.send(JSON.stringify({ type: "say", text: "x".repeat(size) }));
    assert.equal((await member.waitClosed()).code, 1009);
  }
  const declared = await handshake(gateway); // a frame that only claims to be huge
  declared.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]));
  await once(declared, "close");
  await watcher.settled();
  assert.deepEqual(watcher.messages(), []);
});

/** A raw socket after a good handshake. */
async function handshake(gateway) {
  const socket = net.connect(gateway.port, "127.0.0.1");
  socket.write("GET /room HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  socket.on("error", () => {});
  const [answer] = await once(socket, "data");
  assert.match(answer.toString(), /^HTTP\/1\.1 101 /);
  assert.match(answer.toString(), /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/); // RFC 6455 section 1.3
  return socket;
}

/** The close code that answers these frames. */
async function closeCode(gateway, ...frames) {
  const socket = await handshake(gateway);
  const parts = [];
  socket.on("data", (part) => parts.push(part));
  for (const frame of frames) socket.write(Buffer.from(frame));
  await once(socket, "close");
  const bytes = Buffer.concat(parts);
  const at = bytes.indexOf(0x88);
  assert.ok(at >= 0 && bytes.length >= at + 4, `a close frame with a code in ${bytes.toString("hex")} after ${Buffer.concat(frames.map((f) => Buffer.from(f))).toString("hex")}`);
  return bytes.readUInt16BE(at + 2);
}

test("violations of the WebSocket protocol get their close codes", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const mask = [0, 0, 0, 0];
  assert.equal(await closeCode(gateway, [0x81, 0x02, 0x68, 0x69]), 1002, "no mask");
  assert.equal(await closeCode(gateway, [0xc1, 0x80, ...mask]), 1002, "a reserved bit");
  assert.equal(await closeCode(gateway, [0x83, 0x80, ...mask]), 1002, "an unknown opcode");
  assert.equal(await closeCode(gateway, [0x80, 0x80, ...mask]), 1002, "a continuation of nothing");
  assert.equal(await closeCode(gateway, [0x09, 0x80, ...mask]), 1002, "a fragmented ping");
  assert.equal(await closeCode(gateway, [0x89, 0xfe, 0, 126, ...mask]), 1002, "a long ping");
  assert.equal(await closeCode(gateway, [0x81, 0x81, ...mask, 0xff]), 1007, "not UTF-8");
  assert.equal(await closeCode(gateway, [0x82, 0x81, ...mask, 0x00]), 1003, "binary");
  assert.equal(await closeCode(gateway, [0x88, 0x82, ...mask, 0x03, 0xe8]), 1000, "a good close is echoed");
  assert.equal(await closeCode(gateway, [0x88, 0x82, ...mask, 0x03, 0xed]), 1002, "a close with a forbidden code");
  assert.equal(await closeCode(gateway, [0x88, 0x81, ...mask, 0x03]), 1002, "a close with half a code");
});

test("messages cut anywhere, byte by byte, fragmented, and behind pings are understood", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const frame = (opcode, text, fin = true) => {
    const payload = Buffer.from(text);
    return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode, 0x80 | payload.length, 1, 2, 3, 4]), payload.map((byte, i) => byte ^ [1, 2, 3, 4][i % 4])]);
  };
  const ping = JSON.stringify({ type: "ping" });
  const stream = Buffer.concat([
    frame(1, ping), frame(9, "p1"), frame(1, ping.slice(0, 3), false), frame(9, "p2"), frame(0, ping.slice(3, 3), false), frame(0, ping.slice(3)), frame(1, ping),
  ]);
  const answer = (bytes) => [bytes.toString("latin1").split('{"type":"pong"}').length - 1, bytes.includes("p1"), bytes.includes("p2")];
  for (let cut = 1; cut < stream.length; cut += 3) {
    const socket = await handshake(gateway);
    const parts = [];
    socket.on("data", (part) => parts.push(part));
    socket.setNoDelay(true);
    socket.write(stream.subarray(0, cut));
    socket.write(stream.subarray(cut));
    await until("three pongs", () => answer(Buffer.concat(parts))[0] === 3);
    assert.deepEqual(answer(Buffer.concat(parts)), [3, true, true]);
    socket.destroy();
  }
  const slow = await handshake(gateway);
  const parts = [];
  slow.on("data", (part) => parts.push(part));
  slow.setNoDelay(true);
  for (const byte of stream) slow.write(Buffer.from([byte]));
  await until("three pongs", () => answer(Buffer.concat(parts))[0] === 3);
  slow.destroy();
});

test("frames that come together with the handshake are not lost", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const ping = Buffer.from('{"type":"ping"}');
  const bytes = Buffer.concat([
    Buffer.from("GET /room HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
    Buffer.from([0x81, 0x80 | ping.length, 0, 0, 0, 0]), ping,
  ]);
  assert.match((await rawExchange(gateway.port, bytes, { stopAt: "pong" })).toString("latin1"), /101 Switching.*pong/s);
});

const LINE = "x".repeat(2000);

/** Says lines, so many at a time, until a reader that never reads is closed; how many those were. */
async function talkUntilClosed(gateway, talker, atOnce) {
  let said = 0;
  let stats;
  await until(() => `the lazy one is closed after ${said} lines: ${JSON.stringify(stats)}`, async () => {
    for (let i = 0; i < atOnce; i++) talker.send({ type: "say", text: LINE, nonce: `n${said++}` });
    await until("they are acknowledged", () => talker.find({ type: "ack", nonce: `n${said - 1}` }));
    stats = await gateway.stats();
    return stats.slow_readers === 1;
  }, 60000);
  return said;
}

test("a reader that never reads is closed, and costs the others nothing", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0", "--backlog", "65536"] });
  const talker = await joined(t, gateway.url, "talker");
  const lazy = await joined(t, gateway.url, "lazy");
  lazy.socket.pause();
  const said = await talkUntilClosed(gateway, talker, 50);
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

test("the kernel kept four megabytes for a reader that never reads, before the backlog counted", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0", "--backlog", "65536"] });
  const talker = await joined(t, gateway.url, "talker");
  const lazy = await joined(t, gateway.url, "lazy");
  lazy.socket.pause();
  const said = await talkUntilClosed(gateway, talker, 10);
  assert.ok(said * LINE.length < 1000000, `${said} lines`);
});

test("a flood of pings from somebody who never reads stops being read", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--ping", "1", "--rate", "0"] });
  const socket = await handshake(gateway);
  socket.pause();
  const ping = Buffer.concat([Buffer.from([0x89, 0xfd, 0, 0, 0, 0]), Buffer.alloc(125, 0x41)]);
  const flood = Buffer.concat(Array.from({ length: 2000 }, () => ping));
  const before = (await gateway.stats()).resident_memory_bytes;
  for (let i = 0; i < 100; i++) socket.write(flood);
  await until("it is dropped", async () => (await gateway.stats()).connections === 0, 30000);
  assert.ok((await gateway.stats()).resident_memory_bytes - before < 64e6, "memory stays bounded");
  socket.destroy();
});

test("more connections than allowed from one address, behind a trusted proxy", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-connections-per-address", "2", "--trusted-proxy", "127.0.0.1"] });
  const from = (address) => new Member(t, gateway.url, { headers: { "X-Forwarded-For": address } });
  await from("203.0.113.7").opened();
  const second = await from("203.0.113.7").opened();
  const third = from("203.0.113.7");
  await until("it is refused", () => third.error);
  assert.match(third.error.message, /429/);
  await from("203.0.113.8").opened();
  second.socket.terminate();
  await until("a place is free again", async () => (await gateway.stats()).connections === 2);
  await from("203.0.113.7").opened();
});

test("more connections than the gateway takes: 503", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-connections", "1"] });
  await visitor(t, gateway);
  const second = new Member(t, gateway.url);
  await until("it is refused", () => second.error);
  assert.match(second.error.message, /503/);
});

test("a full room, and a place that is free again", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-members", "2", "--leave-grace", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  await joined(t, gateway.url, "bob");
  const carol = await visitor(t, gateway);
  carol.send({ type: "join", name: "carol" });
  assert.ok((await carol.waitFor({ type: "error", code: "room_full" })).retry_after > 0);
  await joined(t, `${gateway.url}/elsewhere`, "carol");
  alice.send({ type: "leave" });
  await alice.settled();
  await until("carol comes in", async () => {
    const before = carol.received.length;
    carol.send({ type: "join", name: "carol" });
    const answer = await until("an answer", () => carol.received.slice(before).find((m) => m.type === "welcome" || m.type === "error"));
    return answer.type === "welcome";
  });
});

test("the echo endpoint sends text and binary back, whole, of any size up to max-message", async (t) => {
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

test("a flood of pings kept the doors closed: nobody came in, and /healthz did not answer", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--rate", "0"] });
  const body = Buffer.from('{"type":"ping"}');
  const frame = Buffer.concat([Buffer.from([0x81, 0x80 | body.length, 0, 0, 0, 0]), body]);
  const flood = Buffer.concat(Array(10000).fill(frame));
  const floods = Array.from({ length: 24 }, () => {
    const socket = net.connect(gateway.port, "127.0.0.1");
    atEnd(t, () => socket.destroy());
    socket.on("error", () => {});
    socket.write("GET /room HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
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
