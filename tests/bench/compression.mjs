// What compression saves and what it costs: bytes on the wire and CPU per delivery, in a room of which nobody, half or everybody
// negotiated permessage-deflate. The members are sockets that only count bytes. It prints the table of docs/benchmarks.md.
//
//   node tests/bench/compression.mjs [--members 200] [--rate 50] [--seconds 4] [--rounds 5]
//
// Needs build/release/yukizuri. The gateway has one core; its private Redis and the members share the others.
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { parseArgs } from "node:util";
import { onStage } from "../lib/endings.mjs";
import { top } from "../lib/files.mjs";
import { get, untilReady } from "../lib/http.mjs";
import { freePort } from "../lib/ports.mjs";
import { pause, until } from "../lib/until.mjs";
import { start } from "./systems.mjs";

const { values: options } = parseArgs({
  options: { members: { type: "string", default: "200" }, rate: { type: "string", default: "50" }, seconds: { type: "string", default: "4" }, rounds: { type: "string", default: "5" } },
});
const members = Number(options.members);
const rate = Number(options.rate);
const count = rate * Number(options.seconds);
const shares = { none: 0, half: 0.5, all: 1 };

const GPL = fs.readFileSync("/usr/share/common-licenses/GPL-3", "utf8").replace(/\s+/g, " ");
const JAPANESE = fs.readFileSync(path.join(top, "templates/texts.js"), "utf8").match(/[\u3000-\u9fff]{2,}/g).join("");

/** Another piece of the text for each message. */
const piece = (text, length) => (i) => text.slice((i * 97) % (text.length - length)).slice(0, length);
const kinds = { "English, 40 characters": piece(GPL, 40), "English, 150 characters": piece(GPL, 150), "English, 500 characters": piece(GPL, 500), "English, 2,000 characters": piece(GPL, 2000), "Japanese, 150 characters": piece(JAPANESE, 150) };

function frame(text) {
  const payload = Buffer.from(text);
  const head = payload.length < 126 ? [0x80 | payload.length] : [0xfe, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from([0x81, ...head, 0, 0, 0, 0]), payload]);
}

/** Joins a room and counts what arrives. */
function enter(port, room, name, deflated) {
  const socket = net.connect(port, "127.0.0.1");
  const member = { socket, bytes: 0 };
  socket.on("data", (data) => (member.bytes += data.length));
  const offer = deflated ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "";
  socket.write(`GET /room/${room} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${offer}\r\n`);
  socket.write(frame(JSON.stringify({ type: "join", name })));
  return member;
}

const figures = async (port) => {
  const { messages_out, bytes_out, cpu_seconds, deflated_frames } = JSON.parse((await get(`http://127.0.0.1:${port}/api/stats`)).body);
  return { messages_out, bytes_out, cpu_seconds, deflated_frames };
};

/** One run in a room of its own: bytes and CPU of each delivery. */
async function run(port, room, share, text) {
  const joined = Array.from({ length: members }, (_, i) => enter(port, room, `m${i}`, i < members * share));
  joined.sort((a, b) => a.socket.localPort - b.socket.localPort); // they take turns in the room as they come in
  await until("all are in", async () => JSON.parse((await get(`http://127.0.0.1:${port}/api/stats`)).body).members === members);
  await pause(1500); // until the lines of who came have gone out
  const before = await figures(port);
  const bytes = joined.reduce((sum, member) => sum + member.bytes, 0);
  for (let i = 0; i < count; i++) {
    joined[i % members].socket.write(frame(JSON.stringify({ type: "say", text: text(i), nonce: `${room}-${i}` })));
    await pause(1000 / rate);
  }
  await until("all is delivered", async () => (await figures(port)).messages_out - before.messages_out >= count * members);
  const after = await figures(port);
  await until("all has arrived", () => joined.reduce((sum, member) => sum + member.bytes, 0) - bytes >= after.bytes_out - before.bytes_out);
  const deliveries = after.messages_out - before.messages_out;
  for (const { socket } of joined) socket.end(frame('{"type":"leave"}'));
  await until("the room is empty", async () => JSON.parse((await get(`http://127.0.0.1:${port}/api/stats`)).body).connections === 0);
  return {
    bytes: (after.bytes_out - before.bytes_out) / deliveries,
    cpu: ((after.cpu_seconds - before.cpu_seconds) / deliveries) * 1e9,
    deflated: (after.deflated_frames - before.deflated_frames) / count,
  };
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const shown = (value) => Math.round(value).toLocaleString("en");

await onStage(async (t) => {
  const port = await freePort();
  const args = ["--addr", `127.0.0.1:${port}`, "--rate", "0", "--drain", "0", "--leave-grace", "0", "--max-connections-per-address", "0", "-logging=false"];
  const gateway = start(t, 0, path.join(top, "build/release/yukizuri"), args);
  t.after(() => gateway.stop("SIGTERM"));
  await untilReady(port);
  const results = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, { none: [], half: [], all: [] }]));
  for (let round = 0; round < Number(options.rounds); round++)
    for (const [k, [kind, text]] of Object.entries(kinds).entries())
      for (const [name, share] of Object.entries(shares)) results[kind][name].push(await run(port, `r${round}-${k}-${name}`, share, text));
  console.log("| text | bytes per delivery: nobody has it | half | everybody | CPU ns per delivery: nobody | half | everybody |\n|---|---:|---:|---:|---:|---:|---:|");
  for (const [kind, of] of Object.entries(results)) {
    const [bytes, cpu] = ["bytes", "cpu"].map((figure) => Object.keys(shares).map((name) => median(of[name].map((result) => result[figure]))));
    const ratio = (list) => list.map((value, i) => (i === 0 ? shown(value) : `${shown(value)} (${(value / list[0]).toFixed(2)})`)).join(" | ");
    console.log(`| ${kind} | ${ratio(bytes)} | ${ratio(cpu)} |`);
  }
  return 0;
});
