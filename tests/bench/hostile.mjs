// Honest members while a gateway is attacked; see hostile.sh.
import { execFile, execFileSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { onStage } from "../lib/endings.mjs";
import { temporaryDirectory, top } from "../lib/files.mjs";
import { startGateway } from "../lib/gateway.mjs";
import { freePortPair } from "../lib/ports.mjs";
import { Process } from "../lib/process.mjs";
import { startRedis } from "../lib/redis.mjs";
import { until } from "../lib/until.mjs";

const { values: options, positionals: only } = parseArgs({ allowPositionals: true, options: { seconds: { type: "string", default: "15" } } });
const seconds = Number(options.seconds);
const built = (name) => path.join(top, "build/release", name);
const run = promisify(execFile);
const MIB = 2 ** 20;

// What an attack may add to the gateway at most. A held HTTP client takes its head, a page and 900 bytes, a member 500 bytes and
// its room's log; 8.5 MiB are what 65,536 remembered addresses and the scratch buffers take at most.
const FIXED = 8.5 * MIB;
const LOGS = 14 * 16 * MIB; // `retention-bytes` of each room
const ATTACKS = {
  none: null,
  heads: { title: "10,000 unfinished requests, a byte a second each", args: { sockets: 10000, addresses: 10000 }, unit: "heads", bound: [10000 * (16384 + 4096 + 900) + FIXED, "`max-head` and a page each"] },
  deaf: { title: "10,000 members who never read", args: { sockets: 10000, addresses: 10000 }, unit: "members", bound: [268435456 + LOGS + 10000 * 500 + FIXED, "`max-unsent`, `retention-bytes` of 14 rooms"] },
  "deaf-loud": { title: "10,000 who never read, do not join, and say 200,000 lines a second", args: { sockets: 10000, addresses: 10000, rate: 200000 }, unit: "lines", bound: [268435456 + 10000 * 900 + FIXED, "`max-unsent`"] },
  says: { title: "100,000 messages a second from one address", args: { sockets: 64, addresses: 1, rate: 100000 }, unit: "messages", bound: [64 * MIB, "the limits of an address"] },
  handshakes: { title: "50,000 handshakes a second from one /24, a connection each", args: { sockets: 512, addresses: 256, rate: 50000 }, unit: "handshakes", bound: [256 * 64 * (16384 + 4096 + 900) + FIXED, "`max-connections-per-address`, `max-head`"] },
  pipelined: { title: "the same, many on a connection", args: { sockets: 512, addresses: 256, rate: 50000 }, unit: "handshakes", bound: [256 * 64 * (16384 + 4096 + 900) + FIXED, "the same"] },
};

/* --- Newcomers --- */

const text = (message) => {
  const body = Buffer.from(JSON.stringify(message));
  return Buffer.concat([Buffer.from([0x81, 0x80 | body.length, 0, 0, 0, 0]), body]);
};

/** Connects from an address of its own, joins and leaves; resolves to the milliseconds until the welcome, or to why there was none. */
function comeIn(port, number) {
  return new Promise((resolve) => {
    const begun = performance.now();
    const socket = net.connect(port, "127.0.0.1");
    const end = (result) => (clearTimeout(timer), socket.destroy(), resolve(result));
    const timer = setTimeout(() => end("no answer in 5 s"), 5000);
    let got = "";
    socket.on("error", (error) => end(error.code));
    socket.on("close", () => end("closed"));
    socket.on("data", (data) => {
      const before = got;
      got += data.toString("latin1");
      if (/^HTTP\/1.1 (?!101)/.test(got)) end(got.slice(9, 12));
      else if (!before.includes("\r\n\r\n")) socket.write(text({ type: "join", name: `new${number}` }));
      else if (got.includes('"type":"error"')) end(/"code":"(\w+)"/.exec(got)?.[1] ?? "error");
      else if (got.includes('"welcome"')) socket.end(text({ type: "leave" }), () => end(performance.now() - begun));
    });
    socket.write(`PROXY TCP4 198.18.${number >> 8}.${number & 255} 192.0.2.1 1000 80\r\nGET /room/new HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n` +
      "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  });
}

/** Four a second, until `stop`; then their results. */
function startNewcomers(port) {
  const results = [];
  let number = 0;
  const timer = setInterval(() => results.push(comeIn(port, number++)), 250);
  return async () => (clearInterval(timer), Promise.all(results));
}

/* --- Memory --- */

const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;
const kernel = () => Number(/^TCP:.* mem (\d+)/m.exec(fs.readFileSync("/proc/net/sockstat", "utf8"))[1]) * 4096;
const redisUsed = async (redis) => Number(/used_memory:(\d+)/.exec((await run("redis-cli", ["-p", String(redis.port), "INFO", "memory"])).stdout)[1]);
const memory = async (world) => ({ gateway: resident(world.gateway.pid), redis: await redisUsed(world.redis), kernel: kernel() });

/** Looks twice a second, until `stop`; then the most of each. */
function watchMemory(world) {
  const most = { gateway: 0, redis: 0, kernel: 0 };
  const look = async () => {
    const now = await memory(world).catch(() => most);
    for (const name of Object.keys(most)) most[name] = Math.max(most[name], now[name]);
  };
  const timer = setInterval(look, 500);
  return () => (clearInterval(timer), most);
}

/* --- One attack --- */

async function startWorld(t) {
  const redis = await startRedis(t);
  execFileSync("taskset", ["-apc", "0", String(redis.pid)], { stdio: "ignore" });
  execFileSync("renice", ["-n", "0", "-p", String(redis.pid)], { stdio: "ignore" });
  const proxied = await freePortPair();
  const port = await freePortPair();
  const gateway = await startGateway(t, { redis, port, args: ["--addr", `127.0.0.1:${proxied}?proxy=on`, "-logging=false"], wrap: ["nice", "-n", "10", "taskset", "-c", "0"] });
  return { redis, gateway, proxied };
}

const flags = (args) => Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)]);

/** The members are in, and wait for `go` to talk. */
async function startMembers(t, world) {
  const go = path.join(temporaryDirectory(t), "go");
  const members = new Process(t, built("load"), flags({ ports: world.proxied, proxied: 1, members: 52, rooms: 13, room: "hostile", rate: 52, warmup: 0, seconds, wait: go }));
  await until("the members are in", () => fs.existsSync(`${go}.in.${members.pid}`));
  return { members, go };
}

function startAttack(t, world, name, { args }) {
  const begin = ["-n", "10", built("hostile"), ...flags({ attack: name, port: world.proxied, seconds: seconds + 12, ...args })];
  return new Process(t, "nice", begin);
}

const refusals = ({ refused }) => Object.entries(refused).filter(([, count]) => count > 0).map(([name, count]) => `${name} ${count}`).join(", ");

async function measure(t, name, attack) {
  const world = await startWorld(t);
  const { members, go } = await startMembers(t, world);
  const before = await memory(world);
  const cpuBefore = (await world.gateway.stats()).cpu_seconds;
  const stopMemory = watchMemory(world);
  const stopNewcomers = startNewcomers(world.proxied);
  fs.writeFileSync(go, "");
  await wait(500);
  const attacker = attack && startAttack(t, world, name, attack);
  await members.ended;
  const newcomers = await stopNewcomers();
  const stats = await world.gateway.stats();
  const cpu = Math.round(((stats.cpu_seconds - cpuBefore) / seconds) * 100);
  attacker?.signal("SIGINT");
  const peak = stopMemory();
  await attacker?.ended;
  await wait(3000);
  const after = await memory(world);
  const honest = JSON.parse(members.output);
  if (process.env.VERBOSE) console.error(name, attacker?.output, attacker?.errors, members.errors, refusals(stats), JSON.stringify([stats.loop, stats.flush, stats.say_to_shown]));
  await world.gateway.stop("SIGKILL");
  await world.redis.stop("SIGKILL");
  return { cpu, honest, newcomers, before, peak, after, attacker: attacker ? JSON.parse(attacker.output) : null };
}

/* --- The table --- */

const mb = (bytes) => (bytes / 1e6).toFixed(1);
const at = (values, share) => values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? NaN;

function row(attack, result, reference) {
  const { cpu, honest, newcomers, before, peak, after, attacker } = result;
  const in_ = newcomers.filter((each) => typeof each === "number");
  const out = newcomers.filter((each) => typeof each !== "number");
  const ratio = (honest.p99_ms / reference.p99_ms).toFixed(1);
  return [
    attack?.title ?? "nobody attacks",
    attacker ? `${attacker.per_s} ${attack.unit}/s, ${attacker.open} open` : "",
    `${attacker?.cpu_percent ?? 0} / ${cpu}`,
    honest.p50_ms, honest.p99_ms, ratio, honest.max_ms, honest.lost + honest.refused + honest.skipped,
    `${at(in_, 0.5).toFixed(0)} / ${at(in_, 0.99).toFixed(0)}`, out.length === 0 ? 0 : `${out.length}: ${[...new Set(out)].join(", ")}`,
    `${mb(before.gateway)} / ${mb(peak.gateway)} / ${mb(after.gateway)}`,
    attack ? `${mb(attack.bound[0] + before.gateway)}: ${attack.bound[1]}` : "",
    `${mb(before.redis)} / ${mb(peak.redis)}`, mb(peak.kernel - before.kernel),
  ];
}

await onStage(async (t) => {
  const heads = ["attack", "rate reached", "CPU of the attacker / the gateway (%)", "p50 (ms)", "p99", "p99 to the reference's", "most", "lost or refused", "a newcomer's join, p50 / p99 (ms)", "newcomers refused", "gateway before / peak / after (MB)", "bound", "Redis before / peak", "kernel, sockets"];
  console.log(`| ${heads.join(" | ")} |\n|---|---|${"---:|".repeat(heads.length - 2)}`);
  let reference;
  for (const [name, attack] of Object.entries(ATTACKS)) {
    if (attack !== null && only.length > 0 && !only.includes(name)) continue;
    const result = await measure(t, name, attack);
    reference ??= result.honest;
    console.log(`| ${row(attack, result, reference).join(" | ")} |`);
  }
  return 0;
});
