// One address attacks a gateway in different ways; see attacker.sh.
import { randomInt } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import zlib from "node:zlib";
import { onStage } from "../lib/endings.mjs";
import { startGateway } from "../lib/gateway.mjs";
import { freePortPair } from "../lib/ports.mjs";
import { startRedis } from "../lib/redis.mjs";

const [seconds = "10", together = "130", ...only] = process.argv.slice(2);
const SOCKETS = 16;
const NONE = [
  "rate-per-address", "bytes-per-address", "joins-per-address", "rooms-per-address", "bad-per-address", "handshakes-per-address",
  "max-connections-per-address", "max-fragments", "retention-bytes", "retention-bytes-total", "max-rooms", "max-pending", "max-unsent",
].flatMap((name) => [`--${name}`, "0"]);

/* --- Bytes --- */

/** A frame of a client, masked with zeros. `first` is its first byte but for the opcode: FIN, and RSV1 if it is compressed. */
function frame(opcode, payload, first = 0x80) {
  const body = Buffer.from(payload);
  const length = body.length < 126 ? [0x80 | body.length] : [0xfe, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([first | opcode, ...length, 0, 0, 0, 0]), body]);
}

const text = (message) => frame(1, JSON.stringify(message));
/** RFC 7692: compressed, without the empty block at the end. */
const compressed = (message) => frame(1, zlib.deflateRawSync(JSON.stringify(message), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4), 0xc0);

/** The address counts for everything: it is the one that the PROXY header names. */
const PROXY = "PROXY TCP4 203.0.113.7 192.0.2.1 1000 80\r\n";
const handshake = (path, headers = "") =>
  `${PROXY}GET ${path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${headers}` +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const deflating = () => handshake("/room", "Sec-WebSocket-Extensions: permessage-deflate\r\n");

let count = 0;
const name = () => `n${(count++).toString(36)}`;
/** A line of the greatest length: all different, so that no compressed copy of it is small. */
const LINE = text({ type: "say", text: Array.from({ length: 2000 }, () => String.fromCodePoint(0x20000 + randomInt(0xa000))).join("") });
const LINES = Buffer.concat(Array(20).fill(LINE));
/** The same length in Redis, and few bytes on the wire. */
const SMALL_LINE = compressed({ type: "say", text: "\u{1f600}".repeat(2000) });
const RUBBISH = Buffer.concat(Array(500).fill(frame(1, "rubbish")));
const FLOOD = Buffer.concat(Array(500).fill(text({ type: "say", text: "x", nonce: "x".repeat(64) })));
const PINGS = Buffer.concat(Array(500).fill(frame(9, "x".repeat(125))));
const FRAGMENTS = Buffer.concat([frame(1, "x".repeat(500), 0), ...Array(62).fill(frame(0, "x".repeat(500), 0))]);
const HEAD = `${PROXY}GET / HTTP/1.1\r\nHost: a\r\nA: ${"a".repeat(16000)}`;

/* --- Sockets --- */

/** Keeps `sockets` sockets open. Each begins with `first`, does `act` once something comes, and is opened again when it was closed. */
function attack(world, { sockets = SOCKETS, first = () => handshake("/room"), reads = true, again = 0, act = () => {} }) {
  const open = () => {
    if (world.over) return;
    const socket = net.connect(world.port, "127.0.0.1");
    world.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => (world.sockets.delete(socket), setTimeout(open, again)));
    socket.write(first());
    socket.once("data", (data) => {
      if (!/ 101 /.test(data.subarray(0, 20).toString("latin1"))) return socket.destroy();
      reads ? socket.resume() : socket.pause();
      act(socket);
    });
  };
  for (let i = 0; i < sockets; i++) open();
}

/** Writes the bytes again and again, as fast as the peer takes them. */
const flood = (socket, bytes) => {
  const more = () => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on("drain", more);
  more();
};

/** Joins; calls `then` when it is in, and closes the socket after `ms` in any case. */
function join(socket, { as = name(), ms, then }) {
  let end = ""; // of what has come
  let isIn = false;
  socket.on("data", (data) => {
    const got = end + data.toString("latin1");
    end = got.slice(-20);
    if (isIn || !got.includes('"welcome"')) return;
    isIn = true;
    then(socket);
  });
  socket.write(text({ type: "join", name: as }));
  if (ms) setTimeout(() => socket.destroy(), ms);
}

/** Says a line again and again: three that do take nine tenths of what an address may send in bytes. */
function sayOn(socket, line) {
  const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write(line)), 214);
}

/** So many sockets do it with this pause in between. 64 in all may be WebSockets, and 64 others: a few of these have to stay free for handshakes. */
const sparing = (act, sockets, again, more) => (world) => attack(world, { sockets, again, act, ...more });

const newRoom = () => handshake(`/room/${name()}`);
const openRoom = (socket) => join(socket, { as: "a", ms: 2000, then: () => (socket.write(text({ type: "say", text: "a" })), socket.end(text({ type: "leave" }))) });
const someRoom = () => handshake(`/room/cuts${count % 10}`);
/** The room stores who comes and goes, because something is said in it; the member stays for the grace period. */
const joinAndCut = (socket) => join(socket, { ms: 2000, then: () => (socket.write(text({ type: "say", text: "a" })), setTimeout(() => socket.destroy(), 5)) });

const ATTACKS = {
  "says, with reconnects": {
    bound: "`rate-per-address`, `bytes-per-address`",
    for: "`retention`",
    run: (world) => attack(world, { act: (socket) => join(socket, { ms: 2000, then: () => (socket.write(LINES), socket.end(text({ type: "leave" }))) }) }),
    /** Who says in a steady way what it may, is refused nothing. One reads them compressed: the gateway keeps a copy for it. */
    together(world) {
      attack(world, { sockets: 3, again: 1000, act: (socket) => join(socket, { then: () => sayOn(socket, LINE) }) });
      attack(world, { sockets: 1, again: 1000, first: deflating, act: (socket) => join(socket, { then: () => {} }) });
    },
  },
  "says, compressed": {
    bound: "the same, as inflated",
    for: "`retention`",
    run: (world) => attack(world, { first: deflating, act: (socket) => join(socket, { ms: 2000, then: () => (socket.write(Buffer.concat(Array(20).fill(SMALL_LINE))), socket.end(text({ type: "leave" }))) }) }),
    together: () => {}, // they would take from the bytes of the other lines, whose compressed copies are not small
  },
  "new rooms": {
    bound: "`rooms-per-address`",
    for: "member TTL + `retention`",
    run: (world) => attack(world, { first: newRoom, act: openRoom }),
    together: sparing(openRoom, 3, 6000, { first: newRoom }),
  },
  "joins and cuts": {
    bound: "`joins-per-address`",
    for: "`leave-grace`, then `retention`",
    run: (world) => attack(world, { first: someRoom, act: joinAndCut }),
    together: sparing(joinAndCut, 4, 2000, { first: someRoom }),
  },
  fragments: {
    bound: "`max-message` of a socket, `max-fragments`, `max-connections-per-address`",
    for: "`ping` + 10 s",
    run: (world) => attack(world, { sockets: 500, again: 500, act: (socket) => socket.write(FRAGMENTS) }),
    together: sparing((socket) => socket.write(FRAGMENTS), 10, 5000),
  },
  "bad messages, unread": {
    bound: "`bad-per-address`",
    for: "`ping` + 10 s",
    run: (world) => attack(world, { sockets: 64, reads: false, act: (socket) => flood(socket, RUBBISH) }),
    together: sparing((socket) => socket.write(RUBBISH.subarray(0, 300)), 5, 5000, { reads: false }),
  },
  "says beyond the rate, unread": {
    bound: "`bytes-per-address`, 64 KiB + `max-message` of a socket",
    for: "`ping` + 10 s",
    run: (world) => attack(world, { sockets: 64, reads: false, act: (socket) => flood(socket, FLOOD) }),
    together: sparing((socket) => socket.write(FLOOD), 25, 5000, { reads: false }),
  },
  "pings, unread": {
    bound: "`rate`",
    for: "`ping` + 10 s",
    run: (world) => attack(world, { sockets: 64, reads: false, act: (socket) => flood(socket, PINGS) }),
    together: sparing((socket) => socket.write(PINGS.subarray(0, 13100)), 5, 5000, { reads: false }),
  },
  "idle WebSockets": {
    bound: "`max-connections-per-address`",
    for: "`ping` + 10 s",
    run: (world) => attack(world, { sockets: 2000, again: 500 }),
    together: (world) => attack(world, { sockets: 8, again: 5000 }),
  },
  "idle HTTP sockets": {
    bound: "`max-connections-per-address`",
    for: "10 s",
    run: (world) => attack(world, { sockets: 2000, first: () => PROXY, again: 500 }),
    together: (world) => attack(world, { sockets: 12, first: () => PROXY, again: 1000 }),
  },
  "unfinished requests": {
    bound: "`max-head` of a socket, `max-connections-per-address`",
    for: "10 s",
    run: (world) => attack(world, { sockets: 2000, first: () => HEAD, again: 500 }),
    together: (world) => attack(world, { sockets: 44, first: () => HEAD, again: 1000 }),
  },
};

/* --- Measuring --- */

const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;
const used = (redis) => Number(/used_memory:(\d+)/.exec(redis.run("INFO", "memory"))[1]);

/** The peaks of what Redis and the gateway have grown by while `run` attacked for so long, and of their sum, in bytes; what is left after each
 *  of the further times without it. */
async function measure(t, run, args, lasting, after = [], onPeak = () => {}) {
  const redis = await startRedis(t);
  const proxied = await freePortPair();
  const gateway = await startGateway(t, { redis, args: ["--addr", `127.0.0.1:${proxied}?proxy=on`, "-logging=false", ...args] });
  await wait(500);
  const now = () => [used(redis), resident(gateway.pid)];
  const before = now();
  const grown = () => now().map((bytes, i) => bytes - before[i]);
  const world = { port: proxied, sockets: new Set(), over: false };
  const peak = [0, 0, 0];
  run(world);
  for (let i = 0; i < lasting * 2; i++) {
    await wait(500);
    const [inRedis, inGateway] = grown();
    [inRedis, inGateway, inRedis + inGateway].forEach((bytes, k) => (peak[k] = Math.max(peak[k], bytes)));
  }
  onPeak(peak, await gateway.stats());
  world.over = true;
  for (const socket of world.sockets) socket.destroy();
  const left = [];
  for (const more of after) await wait(more * 1000), left.push(grown());
  await gateway.stop("SIGKILL");
  await redis.stop("SIGKILL");
  return { peak, left };
}

const mb = (bytes) => (bytes / 1e6).toFixed(1);
const mbOf = (values) => values.map(mb).join(" | ");
const counted = (counts) => Object.entries(counts).filter(([, value]) => value > 0).map(([name, value]) => `${name} ${value}`).join(", ");

async function measureTogether(t) {
  const all = (world) => Object.values(ATTACKS).forEach((each) => each.together(world));
  const tell = (peak, { says, joins, refused }) => {
    console.log(`\nAll of them together from one address, with the defaults, for ${together} s: Redis ${mb(peak[0])} MB, the gateway ${mb(peak[1])} MB, both ${mb(peak[2])} MB at the most.`);
    console.log(`Lines accepted: ${says}; joins: ${joins}; refused: ${counted(refused)}.`);
  };
  const { left } = await measure(t, all, [], Number(together), [40, 120], tell);
  console.log(`After 40 s without it: ${left[0].map(mb).join(" and ")} MB; after 160 s: ${left[1].map(mb).join(" and ")} MB.`);
}

await onStage(async (t) => {
  const sum = [0, 0, 0, 0];
  console.log(`${os.cpus().length} cores, ${os.cpus()[0].model.trim()}, ${new Date().toISOString().slice(0, 10)}, ${seconds} s an attack\n`);
  console.log("| attack | Redis, no limits (MB) | gateway, no limits | Redis, defaults | gateway, defaults | kept for | bound |");
  console.log("|---|---:|---:|---:|---:|---|---|");
  for (const [title, one] of Object.entries(ATTACKS)) {
    if (only.length > 0 && !only.includes(title)) continue;
    const row = [NONE, []].map((args) => () => measure(t, one.run, args, Number(seconds)));
    const peaks = [];
    for (const once of row) peaks.push(...(await once()).peak.slice(0, 2));
    peaks.forEach((bytes, i) => (sum[i] += bytes));
    console.log(`| ${title} | ${mbOf(peaks)} | ${one.for} | ${one.bound} |`);
  }
  console.log(`| all | ${mbOf(sum)} | | |`);
  if (Number(together) > 0) await measureTogether(t);
  return 0;
});
