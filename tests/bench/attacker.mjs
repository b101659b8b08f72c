// One address attacks a gateway in different ways; see attacker.sh.
import net from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { onStage } from "../lib/endings.mjs";
import { startGateway } from "../lib/gateway.mjs";
import { startRedis } from "../lib/redis.mjs";

const [seconds = "10", ...only] = process.argv.slice(2);
const SOCKETS = 16;
const NONE = [
  "rate-per-address", "bytes-per-address", "joins-per-address", "rooms-per-address", "bad-per-address", "handshakes-per-address",
  "retention-bytes", "retention-bytes-total", "max-rooms", "max-pending", "max-unsent",
].flatMap((name) => [`--${name}`, "0"]);

/** A frame of a client, masked with zeros. */
function frame(opcode, payload, fin = 0x80) {
  const body = Buffer.from(payload);
  const length = body.length < 126 ? [0x80 | body.length] : [0xfe, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([fin | opcode, ...length, 0, 0, 0, 0]), body]);
}

const text = (message) => frame(1, JSON.stringify(message));
const handshake = (path) =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

let count = 0;
const name = () => `n${(count++).toString(36)}`;
const LINE = text({ type: "say", text: "語".repeat(2000) });
const LINES = Buffer.concat(Array(20).fill(LINE));
const RUBBISH = Buffer.concat(Array(500).fill(frame(1, "rubbish")));
const PINGS = Buffer.concat(Array(500).fill(frame(9, "x".repeat(125))));
const FRAGMENTS = Buffer.concat([frame(1, "x", 0), ...Array(62).fill(frame(0, "x", 0))]);

/** Keeps `count` sockets open, each of which does `act` once it is upgraded, and again when it has been closed. */
function attack(world, { sockets = SOCKETS, path = () => "/room", reads = true, again = 0, act }) {
  const open = () => {
    if (world.over) return;
    const socket = net.connect(world.port, "127.0.0.1");
    world.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => (world.sockets.delete(socket), setTimeout(open, again)));
    socket.write(handshake(path()));
    socket.once("data", () => (reads ? socket.resume() : socket.pause(), act(socket)));
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
  let got = "";
  socket.on("data", (data) => {
    const before = got.includes('"welcome"');
    got = (got + data.toString("latin1")).slice(-4096);
    if (!before && got.includes('"welcome"')) then(socket);
  });
  socket.write(text({ type: "join", name: as }));
  setTimeout(() => socket.destroy(), ms);
}

const ATTACKS = {
  "says, with reconnects": {
    bound: "rate-per-address, bytes-per-address, retention-bytes",
    for: "retention",
    run: (world) => attack(world, { act: (socket) => join(socket, { ms: 2000, then: () => (socket.write(LINES), socket.end(text({ type: "leave" }))) }) }),
  },
  "new rooms": {
    bound: "rooms-per-address, handshakes-per-address",
    for: "member TTL + retention",
    run: (world) => attack(world, { path: () => `/room/${name()}`, act: (socket) => join(socket, { as: "a", ms: 2000, then: () => socket.end(text({ type: "leave" })) }) }),
  },
  "joins and cuts": {
    bound: "joins-per-address, handshakes-per-address",
    for: "leave-grace + retention",
    run: (world) => attack(world, { act: (socket) => join(socket, { ms: 2000, then: () => socket.destroy() }) }),
  },
  fragments: {
    bound: "64 fragments and max-message of a socket, max-connections-per-address",
    for: "the connection",
    run: (world) => attack(world, { sockets: 64, again: 100, act: (socket) => socket.write(FRAGMENTS) }),
  },
  "bad messages, unread": {
    bound: "bad-per-address",
    for: "the connection",
    run: (world) => attack(world, { sockets: 64, reads: false, act: (socket) => flood(socket, RUBBISH) }),
  },
  "pings, unread": {
    bound: "rate-per-address, bytes-per-address, 64 KiB + max-message of a socket",
    for: "the connection",
    run: (world) => attack(world, { sockets: 64, reads: false, act: (socket) => flood(socket, PINGS) }),
  },
  "idle sockets": {
    bound: "max-connections-per-address",
    for: "ping + 10 s",
    run: (world) => attack(world, { sockets: 200, again: 100, act: () => {} }),
  },
};

const used = (redis) => Number(/used_memory:(\d+)/.exec(redis.run("INFO", "memory"))[1]);

/** The peaks of what Redis and the gateway have grown by, in bytes. */
async function measure(t, { run }, args) {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--trusted-proxy", "127.0.0.1", "-logging=false", ...args] });
  await wait(500);
  const before = [used(redis), (await gateway.stats()).resident_memory_bytes];
  const world = { port: gateway.port, sockets: new Set(), over: false };
  const peak = [0, 0];
  run(world);
  for (let i = 0; i < Number(seconds) * 2; i++) {
    await wait(500);
    const now = [used(redis), (await gateway.stats().catch(() => ({ resident_memory_bytes: 0 }))).resident_memory_bytes];
    for (const k of [0, 1]) peak[k] = Math.max(peak[k], now[k] - before[k]);
  }
  world.over = true;
  for (const socket of world.sockets) socket.destroy();
  await gateway.stop("SIGKILL");
  await redis.stop("SIGKILL");
  return peak;
}

const mb = (bytes) => (bytes / 1e6).toFixed(1);

await onStage(async (t) => {
  const sum = [0, 0, 0, 0];
  console.log(`| attack, ${seconds} s | Redis, no limits (MB) | gateway, no limits | Redis, defaults | gateway, defaults | kept for | bound |`);
  console.log("|---|---:|---:|---:|---:|---|---|");
  for (const [title, one] of Object.entries(ATTACKS)) {
    if (only.length > 0 && !only.includes(title)) continue;
    const row = [...(await measure(t, one, NONE)), ...(await measure(t, one, []))];
    row.forEach((bytes, i) => (sum[i] += bytes));
    console.log(`| ${title} | ${row.map(mb).join(" | ")} | ${one.for} | ${one.bound} |`);
  }
  console.log(`| all | ${sum.map(mb).join(" | ")} | | |`);
  return 0;
});
