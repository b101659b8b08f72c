// Hostile bytes over a WebSocket: each gets its close code, and takes nothing for longer. (Bad handshakes: abuse-http.test.mjs.)
import assert from "node:assert/strict";
import test from "node:test";
import { UPGRADE, rawExchange, until } from "../lib/harness.mjs";
import { assertNothingStays, runRounds, startVictim } from "../lib/abuse.mjs";

const MAX_MESSAGE = 400000; // of the gateway under test
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);
const [TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG] = [1, 2, 0, 8, 9, 10];

const bytes = (...parts) => Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from(part))));

/** The length of a payload, in the shortest form or in one of so many bytes. */
function lengthOf(length, width = length <= 125 ? 0 : length <= 0xffff ? 2 : 8) {
  if (width === 0) return [length];
  const out = Buffer.alloc(1 + width);
  out[0] = width === 2 ? 126 : 127;
  if (width === 2) out.writeUInt16BE(length, 1);
  else out.writeBigUInt64BE(BigInt(length), 1);
  return out;
}

/** A frame of a client. `length` is what it announces, in `width` bytes. */
function frame(opcode, payload = "", { fin = true, rsv = 0, masked = true, length, width } = {}) {
  const data = Buffer.from(payload);
  const size = Buffer.from(lengthOf(length ?? data.length, width));
  if (masked) size[0] |= 0x80;
  return bytes([(fin ? 0x80 : 0) | (rsv << 4) | opcode], size, masked ? MASK : [], masked ? data.map((byte, i) => byte ^ MASK[i % 4]) : data);
}

const more = (opcode, payload) => frame(opcode, payload, { fin: false });
const closing = (code, reason = "") => frame(CLOSE, bytes([code >> 8, code & 0xff], reason));
const BYE = closing(1000);
const many = (count, one) => Buffer.concat(Array(count).fill(one));
/** A text of these bytes, which are not UTF-8. */
const text = (...values) => frame(TEXT, values);
const say = (value) => frame(TEXT, typeof value === "string" ? value : JSON.stringify(value));

// name, frames, close code, and what comes before the close frame where that matters: of each frame its kind (T, B, P for a pong) and
// its payload, or the length of a long one. "": nothing. The path is that of the echo.
const ECHO = [
  // --- Frames (RFC 6455 section 5.2) ---
  ["a text without a mask", [frame(TEXT, "hi", { masked: false })], 1002, ""],
  ["an empty text without a mask", [frame(TEXT, "", { masked: false })], 1002, ""],
  ["binary without a mask", [frame(BINARY, "hi", { masked: false })], 1002, ""],
  ["a ping without a mask", [frame(PING, "hi", { masked: false })], 1002, ""],
  ["a close frame without a mask", [frame(CLOSE, [3, 232], { masked: false })], 1002, ""],
  ["a second text without a mask", [say("a"), frame(TEXT, "hi", { masked: false })], 1002, "T(a)"],
  ["an empty text", [say(""), BYE], 1000, "T()"],
  ["an empty binary", [frame(BINARY), BYE], 1000, "B()"],
  ...[1, 2, 4, 7].map((rsv) => [`reserved bits ${rsv} on a text`, [frame(TEXT, "hi", { rsv })], 1002, ""]),
  ...[1, 2, 4].map((rsv) => [`reserved bits ${rsv} on a ping`, [frame(PING, "hi", { rsv })], 1002, ""]),
  ["a reserved bit on a close frame", [frame(CLOSE, [3, 232], { rsv: 1 })], 1002, ""],
  ["a reserved bit on a continuation", [more(TEXT, "a"), frame(CONTINUATION, "b", { rsv: 1 })], 1002, ""],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => [`opcode ${opcode}`, [frame(opcode, "hi")], 1002, ""]),
  ["an unknown opcode within a message", [more(TEXT, "a"), frame(3, "b")], 1002, ""],
  // --- Lengths ---
  ["125 bytes in a length of 2", [frame(TEXT, "x".repeat(125), { width: 2 })], 1002, ""],
  ["no bytes in a length of 2", [frame(TEXT, "", { width: 2 })], 1002, ""],
  ["1 byte in a length of 8", [frame(TEXT, "x", { width: 8 })], 1002, ""],
  ["65,535 bytes in a length of 8", [frame(TEXT, "x".repeat(65535), { width: 8 })], 1002, ""],
  ["a length with its highest bit", [frame(BINARY, "", { length: 2n ** 63n, width: 8 })], 1002, ""],
  ["a length of 2^63 - 1", [frame(BINARY, "", { length: 2n ** 63n - 1n, width: 8 })], 1009, ""],
  ["a length of 2^32", [frame(BINARY, "", { length: 2n ** 32n, width: 8 })], 1009, ""],
  ["a byte more than may be", [frame(BINARY, "", { length: MAX_MESSAGE + 1, width: 8 })], 1009, ""],
  ["as much as may be", [frame(BINARY, Buffer.alloc(MAX_MESSAGE)), BYE], 1000, `B(${MAX_MESSAGE} bytes)`],
  ["125 bytes", [say("x".repeat(125)), BYE], 1000, "T(125 bytes)"],
  ["126 bytes", [say("x".repeat(126)), BYE], 1000, "T(126 bytes)"],
  ["65,535 bytes", [say("x".repeat(65535)), BYE], 1000, "T(65535 bytes)"],
  ["65,536 bytes", [say("x".repeat(65536)), BYE], 1000, "T(65536 bytes)"],
  // --- Fragments (section 5.4) ---
  ["a continuation of nothing", [frame(CONTINUATION, "a")], 1002, ""],
  ["a first part of a continuation of nothing", [more(CONTINUATION, "a")], 1002, ""],
  ["a continuation after a whole message", [say("a"), frame(CONTINUATION, "b")], 1002, "T(a)"],
  ["a continuation after the last fragment", [more(TEXT, "a"), frame(CONTINUATION, "b"), frame(CONTINUATION, "c")], 1002, "T(ab)"],
  ["a text within a text", [more(TEXT, "a"), say("b")], 1002, ""],
  ["binary within a text", [more(TEXT, "a"), frame(BINARY, "b")], 1002, ""],
  ["a first fragment within a text", [more(TEXT, "a"), more(TEXT, "b")], 1002, ""],
  ["empty fragments", [more(TEXT, ""), more(CONTINUATION, ""), frame(CONTINUATION, ""), BYE], 1000, "T()"],
  ["64 fragments", [more(TEXT, "x"), many(62, more(CONTINUATION, "x")), frame(CONTINUATION, "x"), BYE], 1000, `T(${"x".repeat(64)})`],
  ["65 fragments", [more(TEXT, "x"), many(63, more(CONTINUATION, "x")), frame(CONTINUATION, "x")], 1009, ""],
  ["1,000 empty fragments", [more(TEXT, ""), many(999, more(CONTINUATION, ""))], 1009, ""],
  ["65 fragments of 4,095 bytes", [more(BINARY, ""), many(64, more(CONTINUATION, Buffer.alloc(4095)))], 1009, ""],
  ["90 fragments of 4,096 bytes", [more(BINARY, ""), many(90, more(CONTINUATION, Buffer.alloc(4096))), frame(CONTINUATION, ""), BYE], 1000, `B(${90 * 4096} bytes)`],
  ["long fragments that are too much together", [more(BINARY, Buffer.alloc(MAX_MESSAGE)), frame(CONTINUATION, "x")], 1009, ""],
  ["64 fragments twice", [many(2, bytes(more(TEXT, "x"), many(62, more(CONTINUATION, "x")), frame(CONTINUATION, "x"))), BYE], 1000, `T(${"x".repeat(64)})T(${"x".repeat(64)})`],
  ["a ping between two fragments", [more(TEXT, "Hel"), frame(PING, "p"), frame(CONTINUATION, "lo"), BYE], 1000, "P(p)T(Hello)"],
  ["two pings between five fragments", [more(TEXT, "1"), more(CONTINUATION, "2"), frame(PING, "a"), more(CONTINUATION, "3"), more(CONTINUATION, "4"), frame(PING, "b"), frame(CONTINUATION, "5"), BYE], 1000, "P(a)P(b)T(12345)"],
  ["1,000 pings between two fragments", [more(TEXT, "a"), many(1000, frame(PING, "p")), frame(CONTINUATION, "b"), BYE], 1000, `${"P(p)".repeat(1000)}T(ab)`],
  ["a close frame between two fragments", [more(TEXT, "a"), closing(1000), frame(CONTINUATION, "b")], 1000, ""],
  // --- Control frames (section 5.5) ---
  ["a ping in fragments", [more(PING, "a")], 1002, ""],
  ["a pong in fragments", [more(PONG, "a")], 1002, ""],
  ["a close frame in fragments", [frame(CLOSE, [3, 232], { fin: false })], 1002, ""],
  ["a ping of 126 bytes", [frame(PING, "x".repeat(126))], 1002, ""],
  ["a pong of 126 bytes", [frame(PONG, "x".repeat(126))], 1002, ""],
  ["a close frame of 126 bytes", [closing(1000, "x".repeat(124))], 1002, ""],
  ["a ping with a length of 8", [frame(PING, "x", { width: 8 })], 1002, ""],
  ["an empty ping", [frame(PING), BYE], 1000, "P()"],
  ["a ping of 125 bytes", [frame(PING, Buffer.alloc(125, 0xff)), BYE], 1000, "P(125 bytes)"],
  ["pongs that nobody asked for", [frame(PONG), frame(PONG, "x"), frame(PONG, Buffer.alloc(125)), BYE], 1000, ""],
  ["a ping after a close frame", [BYE, frame(PING, "x")], 1000, ""],
  ["a text after a close frame", [BYE, say("x")], 1000, ""],
  ["a violation after a close frame", [BYE, frame(TEXT, "x", { masked: false })], 1000, ""],
  ["two close frames", [closing(1001), BYE], 1001, ""],
  // --- UTF-8 (section 8.1) ---
  ["a byte that is in no text", [text(0xff)], 1007, ""],
  ["0xfe", [text(0x61, 0xfe)], 1007, ""],
  ["a continuation byte alone", [text(0x80)], 1007, ""],
  ["a character that is cut", [text(0x61, 0xc3)], 1007, ""],
  ["a longer form in 2 bytes", [text(0xc0, 0xaf)], 1007, ""],
  ["a longer form in 3 bytes", [text(0xe0, 0x80, 0xaf)], 1007, ""],
  ["a longer form in 4 bytes", [text(0xf0, 0x80, 0x80, 0xaf)], 1007, ""],
  ["half a surrogate pair", [text(0xed, 0xa0, 0x80)], 1007, ""],
  ["both halves of a surrogate pair", [text(0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80)], 1007, ""],
  ["beyond the last code point", [text(0xf4, 0x90, 0x80, 0x80)], 1007, ""],
  ["5 bytes of a character", [text(0xf8, 0x88, 0x80, 0x80, 0x80)], 1007, ""],
  ["the last code point", [text(0xf4, 0x8f, 0xbf, 0xbf), BYE], 1000, "T(\u{10ffff})"],
  ["a NUL in a text", [text(0), BYE], 1000, "T(\0)"],
  ["a character in two fragments", [more(TEXT, [0xe7, 0x8f]), frame(CONTINUATION, [0x88]), BYE], 1000, "T(珈)"],
  ["a character in two fragments around a ping", [more(TEXT, [0xe7]), frame(PING, [0xff]), frame(CONTINUATION, [0x8f, 0x88]), BYE], 1000, "P(\ufffd)T(珈)"],
  ["a character that is cut by the end of a fragmented text", [more(TEXT, [0xe7, 0x8f]), frame(CONTINUATION, "")], 1007, ""],
  ["no UTF-8 in a second fragment", [more(TEXT, "a"), more(CONTINUATION, [0xff])], 1007, ""],
  ["no UTF-8 at the beginning of a long text", [frame(TEXT, bytes([0xff], Buffer.alloc(1000)), { length: 300000 })], 1007, ""],
  ["binary that is no UTF-8", [frame(BINARY, [0xff]), BYE], 1000, "B(\ufffd)"],
  // --- Close codes (section 7.4) ---
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].map((code) => [`close code ${code}`, [closing(code)], code, ""]),
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((code) => [`close code ${code}`, [closing(code)], 1002, ""]),
  ["a close frame without a code", [frame(CLOSE)], 1005, ""],
  ["a close frame with half a code", [frame(CLOSE, [3])], 1002, ""],
  ["a reason of 123 bytes", [closing(1000, "x".repeat(123))], 1000, ""],
  ["a reason that is no UTF-8", [closing(1000, [0xff])], 1007, ""],
  ["a reason that is cut", [closing(1000, [0xe7, 0x8f])], 1007, ""],
];

// The same in the chat.
const CHAT = [
  ["binary", [frame(BINARY, "{}")], 1003],
  ["an empty binary", [frame(BINARY)], 1003],
  ["a text that is no UTF-8", [text(0xff)], 1007],
  ["a text in 65 fragments", [more(TEXT, "{"), many(64, more(CONTINUATION, " "))], 1009],
  ["no JSON", [say("hello"), BYE], 1000],
  ["nothing", [say(""), BYE], 1000],
  ["a NUL", [say("\0"), BYE], 1000],
  ["half an object", [say('{"type":"join"'), BYE], 1000],
  ["an object and more", [say('{"type":"ping"}{"type":"ping"}'), BYE], 1000],
  ["a number", [say("1e999"), BYE], 1000],
  ["a list of 100,000 lists", [say("[".repeat(100000)), BYE], 1000],
  ["an object of 50,000 objects", [say('{"a":'.repeat(50000)), BYE], 1000],
  ["10,000 keys", [say(`{${Array.from({ length: 10000 }, (_, i) => `"${i}":1`)}}`), BYE], 1000],
  ["a key twice", [say('{"type":"ping","type":"join"}'), BYE], 1000],
  ["a type that is a number", [say({ type: 1 }), BYE], 1000],
  ["an unknown type", [say({ type: "sudo" }), BYE], 1000],
  ["no type", [say({}), BYE], 1000],
  ["a join without a name", [say({ type: "join" }), BYE], 1000],
  ["a name that is an object", [say({ type: "join", name: {} }), BYE], 1000],
  ["a name of 100,000 letters", [say({ type: "join", name: "x".repeat(100000) }), BYE], 1000],
  ["a name of control characters", [say({ type: "join", name: "\x1b[2J\r\n" }), BYE], 1000],
  ["a name that is half a surrogate pair", [say('{"type":"join","name":"\\ud800"}'), BYE], 1000],
  ["a name with an escaped NUL", [say('{"type":"join","name":"a\\u0000b"}'), BYE], 1000],
  ["a token that is none", [say({ type: "join", name: "a", resume: "x".repeat(1000), since: { epoch: "x", seq: -1 } }), BYE], 1000],
  ["a number beyond all", [say('{"type":"join","name":"a","resume":"x","since":{"epoch":"x","seq":1e308}}'), BYE], 1000],
  ["a line without a join", [say({ type: "say", text: "hi", nonce: "1" }), BYE], 1000],
  ["5,000 bad messages at once", [many(5000, say("x")), BYE], 1000],
];

const upgradeTo = (path) => UPGRADE.replace("/room", path);
const CASES = [...ECHO.map((each) => ["echo", "/echo", ...each]), ...CHAT.map((each) => ["chat", "/room", ...each])].map(([where, path, name, frames, code, before]) => ({
  name: `${where}: ${name}`,
  bytes: bytes(upgradeTo(path), ...frames),
  expected: { code, before },
}));

/** One frame of the gateway at the beginning of `data`. */
function readFrame(data) {
  assert.equal(data[1] & 0x80, 0, "a server masks nothing");
  const [length, at] = data[1] < 126 ? [data[1], 2] : data[1] === 126 ? [data.readUInt16BE(2), 4] : [Number(data.readBigUInt64BE(2)), 10];
  assert.ok(data.length >= at + length, "frames are whole");
  return { fin: data[0] >> 7, opcode: data[0] & 0x7f, payload: data.subarray(at, at + length), rest: data.subarray(at + length) };
}

/** What a peer got: the status of its handshake, what came before the close frame, the close code, and how many bytes followed it. */
function readAnswer(answer) {
  const end = answer.indexOf("\r\n\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer.toString("latin1"))?.[1]);
  let [rest, before] = [answer.subarray(end + 4), ""];
  while (rest.length > 0) {
    const { opcode, payload, ...one } = readFrame(rest);
    rest = one.rest;
    if (opcode === CLOSE) return { status, before, code: payload.length === 0 ? 1005 : payload.readUInt16BE(0), after: rest.length };
    before += `${{ [TEXT]: "T", [BINARY]: "B", [PONG]: "P", [PING]: "" }[opcode]}(${payload.length > 100 ? `${payload.length} bytes` : payload})`;
  }
  return { status, before, code: 1006, after: 0 };
}

function judge(answer, { code, before }) {
  const got = readAnswer(answer);
  const right = got.status === 101 && got.code === code && got.after === 0 && (before === undefined || got.before === before);
  return right ? null : `${got.status}, ${got.code} and not ${code}, ${got.after} bytes after it, before it ${JSON.stringify(got.before.slice(0, 200))}`;
}

const ARGS = ["--echo-path", "/echo", "--max-message", String(MAX_MESSAGE), "--leave-grace", "0"];

test("each violation gets its close code and nothing after it, and takes nothing for longer", { timeout: 120000 }, async (t) => {
  assert.ok(CASES.length >= 110, `${CASES.length} cases`);
  assert.equal(new Set(CASES.map(({ name }) => name)).size, CASES.length, "each name once");
  await runRounds(t, await startVictim(t, ARGS), CASES, { expected: (each) => each.expected, viaNginx: (each) => each.expected, judge });
});

test("whoever stops within a frame or a message is dropped after ping + 10 seconds", { timeout: 60000 }, async (t) => {
  const victim = await startVictim(t, [...ARGS, "--ping", "1"]);
  const halves = {
    "nothing": [],
    "one byte": [[0x81]],
    "half a length": [[0x81, 0xfe, 0x10]],
    "half a mask": [[0x81, 0x85, 1, 2]],
    "half a payload": [frame(TEXT, "hel", { length: 5 })],
    "a large message of which nothing comes": [frame(BINARY, "", { length: MAX_MESSAGE, width: 8 })],
    "a fragment": [more(TEXT, "a")],
    "half a ping within a message": [more(TEXT, "a"), frame(PING, "x", { length: 5 })],
    "half a close frame": [[0x88, 0x82, 0, 0, 0, 0, 3]],
  };
  const answers = await Promise.all(Object.values(halves).map((frames) => rawExchange(victim.gateway.port, bytes(upgradeTo("/echo"), ...frames))));
  for (const [i, name] of Object.keys(halves).entries()) assert.equal(readAnswer(answers[i]).code, 1006, name);
  await assertNothingStays(victim);
});

test("what is announced takes no memory: 200 messages of 16 MiB that do not come", { timeout: 60000 }, async (t) => {
  const victim = await startVictim(t, ["--echo-path", "/echo", "--max-message", String(1 << 24)]);
  const before = (await victim.gateway.stats()).resident_memory_bytes;
  const announced = bytes(upgradeTo("/echo"), frame(BINARY, "x", { length: 1 << 24 }));
  const all = Array.from({ length: 200 }, () => rawExchange(victim.gateway.port, announced, { stopAt: "nothing stops it" }).catch(() => null));
  await until("all are there", async () => (await victim.gateway.stats()).connections === 200);
  const grown = (await victim.gateway.stats()).resident_memory_bytes - before;
  assert.ok(grown < 64e6, `${grown} bytes`);
  await victim.gateway.stop("SIGINT");
  await Promise.all(all);
});

test("a message of 16 MiB comes back whole, in one frame and in fragments of 128 KiB", { timeout: 60000 }, async (t) => {
  const victim = await startVictim(t, ["--echo-path", "/echo", "--max-message", String(1 << 24)]);
  const whole = frame(BINARY, Buffer.alloc(1 << 24, 7));
  const parts = bytes(more(BINARY, ""), many(128, more(CONTINUATION, Buffer.alloc(1 << 17, 7))), frame(CONTINUATION));
  for (const message of [whole, parts]) {
    const { code, before } = readAnswer(await rawExchange(victim.gateway.port, bytes(upgradeTo("/echo"), message, BYE)));
    assert.deepEqual([code, before], [1000, `B(${1 << 24} bytes)`]);
  }
  const beyond = bytes(upgradeTo("/echo"), parts.subarray(0, -MASK.length - 2), frame(CONTINUATION, "x"));
  assert.equal(readAnswer(await rawExchange(victim.gateway.port, beyond)).code, 1009);
  await assertNothingStays(victim);
});
