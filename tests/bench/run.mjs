// Runs the experiments and writes results.jsonl; report.mjs makes tables and plots from it. See run.sh.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { onStage } from "../lib/endings.mjs";
import { top } from "../lib/files.mjs";
import { freePortPair, untilOpen } from "../lib/ports.mjs";
import { report } from "./report.mjs";
import { start, systems, yukizuri } from "./systems.mjs";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "4" },
    only: { type: "string" },
    out: { type: "string", default: path.join(top, "docs/bench") },
    against: { type: "string" },
  },
});
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
const load = path.join(top, "build/release/load");
const ours = "Yukizuri";
const other = "the other build";
if (options.against) {
  systems[other] = yukizuri("auto", path.resolve(options.against));
  options.out = fs.mkdtempSync(path.join(os.tmpdir(), "bench-against-"));
}
// a run during which the machine's host took the cores away says little, so it is repeated
const mostStolenPercent = 1;
const attempts = 2;
let payload = 222; // of a frame of ours; measured below
let t; // what is started ends with it
const results = [];

function version(command, ...args) {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim().split("\n")[0];
  } catch (error) {
    return (error.stderr ?? "").trim().split("\n")[0] || "unknown";
  }
}

const packageVersion = (name) => JSON.parse(fs.readFileSync(path.join(top, "tests/bench/peers/node_modules", name, "package.json"))).version;
const debianVersion = (name) => version("dpkg-query", "-W", "-f=${Version}", name);

const machine = (names) => ({
  experiment: "machine",
  experiments: names,
  date: new Date().toISOString().slice(0, 10),
  cpu: os.cpus()[0].model.trim(),
  cores: os.cpus().length,
  memory_gib: Math.round(os.totalmem() / 2 ** 30),
  kernel: os.release(),
  commit: version("git", "-C", top, "rev-parse", "--short", "HEAD"),
  versions: {
    Redis: debianVersion("redis-server"),
    nchan: debianVersion("libnginx-mod-nchan"),
    "nats-server": debianVersion("nats-server"),
    "Node.js": process.version,
    ws: packageVersion("ws"),
    "socket.io": packageVersion("socket.io"),
    ioredis: packageVersion("ioredis"),
  },
});

function keep(result) {
  results.push(result);
  fs.appendFileSync(path.join(options.out, "results.jsonl"), `${JSON.stringify(result)}\n`);
  const { experiment, system, round, ...rest } = result;
  if (experiment !== "machine") console.log(experiment, "|", system, "|", round, "|", rest.failed ?? JSON.stringify(pick(rest)));
}

const pick = (r) => Object.fromEntries(["cpu_ns_per_delivery", "deliveries_per_s", "p99_ms", "lost", "bytes_per_member", "handshake_cpu_us", "join_cpu_us", "stolen_percent"].filter((k) => r[k] !== undefined).map((k) => [k, r[k]]));

/** The steal time so far, in seconds: CPU time that the host of a virtual machine gave to others. */
const stolenSeconds = () => Number(fs.readFileSync("/proc/stat", "utf8").split("\n")[0].trim().split(/\s+/)[8]) / 100;

async function generate(args) {
  const stolenBefore = stolenSeconds();
  const begun = performance.now();
  const generator = start(t, 1, load, Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)]), { stdio: ["ignore", "pipe", "pipe"] });
  const timer = setTimeout(() => generator.signal("SIGKILL"), 120000);
  await generator.ended;
  clearTimeout(timer);
  const stolen = (stolenSeconds() - stolenBefore) / ((performance.now() - begun) / 1000) / os.cpus().length;
  const stolen_percent = Math.round(stolen * 1000) / 10;
  try {
    return { ...JSON.parse(generator.output), stolen_percent };
  } catch {
    return { failed: generator.errors.trim().split("\n").pop() || "no answer in two minutes", stolen_percent };
  }
}

/** Repeats a run while the host takes too much CPU time, and returns the one with the least steal time. */
async function quietest(run) {
  let best;
  for (let attempt = 0; attempt < attempts && (best === undefined || best.stolen_percent > mostStolenPercent); attempt++) {
    const result = await run();
    if (best === undefined || result.stolen_percent < best.stolen_percent) best = result;
  }
  return best;
}

async function withRedis(use) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "bench-"));
  const redis = path.join(directory, "redis.sock");
  const redisPort = await freePortPair();
  const server = start(t, 1, "redis-server", ["--port", String(redisPort), "--bind", "127.0.0.1", "--unixsocket", redis, "--save", "", "--appendonly", "no"]);
  try {
    await untilOpen({ path: redis });
    return await use({ t, redis, redisPort, redisPid: server.pid, directory });
  } finally {
    await server.stopOrKill();
    fs.rmSync(directory, { recursive: true });
  }
}

/** Runs one system once, with a new server and a new Redis. */
async function measure(experiment, name, round, args) {
  const system = systems[name];
  const once = () => withRedis(async (context) => {
    const port = await freePortPair();
    const server = await system.start({ ...context, port });
    try {
      await untilOpen({ host: "127.0.0.1", port });
      return await generate({ ports: port, pids: server.pid, dialect: system.dialect, payload, pending: 500, seconds, ...args });
    } finally {
      await server.stopOrKill();
    }
  });
  const result = await quietest(once);
  keep({ experiment, system: name, round, ...result });
  return result;
}

/** On loopback the sender's system call also does the kernel's work for the receiver. Within `use`
 * the kernel does that work on the load generator's core (receive packet steering), as another machine would. */
async function withReceiversApart(use) {
  const wanted = {
    "/sys/class/net/lo/queues/rx-0/rps_cpus": "2", // a mask: the second core
    "/proc/sys/net/core/netdev_max_backlog": "100000", // as many packets wait for it as a flush may be; beyond 1,000 it would drop them
  };
  const files = Object.keys(wanted);
  const set = (values) => files.forEach((file) => fs.writeFileSync(file, values[file]));
  try {
    files.forEach((file) => fs.accessSync(file, fs.constants.W_OK));
  } catch (error) {
    console.log("apart: left out, it needs root:", error.message);
    return;
  }
  const before = Object.fromEntries(files.map((file) => [file, fs.readFileSync(file, "utf8").trim()]));
  const restore = () => set(before);
  process.once("exit", restore);
  try {
    set(wanted);
    await use();
  } finally {
    restore();
    process.off("exit", restore);
  }
}

/** Runs each system in turn, and repeats this, so that the machine's noise affects all of them. */
async function compare(experiment, names, args, times = rounds) {
  for (let round = 1; round <= times; round++) for (const name of compared(names)) await measure(experiment, name, round, args);
}

/** With --against only the two builds are of interest. */
const compared = (names) => (options.against ? [ours, other] : names);

/** For each experiment: the median of ours, that of the other build, and their ratio. */
function reportAgainst() {
  const middle = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const groups = new Map();
  for (const result of results) {
    const key = `${result.experiment}, ${result.members} people in ${result.rooms} rooms`;
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  for (const [key, group] of groups) {
    if (!group.some(({ system }) => system === other)) continue;
    for (const field of ["cpu_ns_per_delivery", "deliveries_per_s", "p99_ms", "bytes_per_member", "handshake_cpu_us", "join_cpu_us"]) {
      const [mine, theirs] = [ours, other].map((name) => middle(group.filter(({ system }) => system === name).map((r) => r[field])));
      console.log(`${key}: ${field} ${mine} against ${theirs}, ratio ${(mine / theirs).toFixed(3)}`);
    }
  }
}

const all = Object.keys(systems);
const floors = all.filter((name) => name.startsWith("floor"));
const closest = [floors[1], ours, "nchan + Redis", "Node ws + ioredis, shared frame"];

const experiments = {
  fixed: () => compare("fixed", all, { members: 1000, rate: 100 }),
  full: () => compare("full", all, { members: 1000, window: 100, warmup: 1 }),
  million: () => compare("million", [...floors.slice(1), ours, "nchan + Redis", "Node ws + ioredis, shared frame"], { members: 1000, rate: 1000 }),
  async idle() {
    for (const members of [1000, 5000, 19000])
      await compare("idle", [ours, "nchan + Redis", "Node ws + ioredis", "Socket.IO + Redis adapter", "NATS WebSocket (no Redis)", floors[0]], { members, storms: 1, "storm-members": 1500, pending: members >= 19000 ? 4000 : 1000 }, 1);
  },
  async load() {
    for (const rate of [20, 50, 200, 500]) await compare("load", closest, { members: 1000, rate }, 1);
  },
  async members() {
    for (const members of [100, 1000, 5000, 19000]) await compare("members", [floors[1], ours], { members, rate: Math.round(100000 / members), pending: 2000 });
  },
  async rooms() {
    for (const rooms of [19, 190, 1900]) await compare("rooms", [ours], { members: 19000, rooms, window: 1, pending: 2000 });
  },
  async rate() {
    await compareRooms("rate", 70000);
  },
  async apart() {
    await withReceiversApart(async () => {
      for (const members of [100, 1000, 5000, 19000]) await compare("apart", [floors[1], floors[2], ours], { members, rate: Math.round(40000 / members), pending: 2000 });
      await compareRooms("apart rooms", 40000);
    });
  },
  async gateways() {
    for (const count of [2, 4, 8]) await measureGateways(count, { members: 200, window: 400 }, "most");
    for (const count of [2, 4, 8]) await measureGateways(count, { members: 1000, rate: 100 }, "same load");
  },
};

/** Measures a fixed rate of deliveries to 19,000 members in rooms of 10 and of 1,000, and to one room of 1,000. */
async function compareRooms(experiment, deliveries) {
  for (let round = 1; round <= rounds; round++)
    for (const [members, rooms] of [[19000, 1900], [19000, 19], [1000, 1]])
      for (const name of compared([...floors.slice(1), ours, `${ours}, --send writev`])) await measure(experiment, name, round, { members, rooms, rate: (deliveries * rooms) / members, pending: 2000 });
}

/** Measures the cost of Redis for one room on several gateways. Redis and the load generator share one core. */
async function measureGateways(count, args, kind) {
  for (let round = 1; round <= rounds; round++) {
    const once = () => withRedis(async (context) => {
      const ports = [];
      while (ports.length < count) ports.push(await freePortPair());
      const gateways = await Promise.all(ports.map((port) => systems[ours].start({ ...context, port })));
      const common = { ports: ports.join(","), pids: gateways.map(({ pid }) => pid).join(","), redis: context.redisPid, spread: 1, dialect: "yukizuri", pending: 500, seconds, ...args };
      const result = await generate(common);
      for (const gateway of gateways) await gateway.stopOrKill();
      return result;
    });
    keep({ experiment: "gateways", system: ours, round, gateways: count, kind, ...(await quietest(once)) });
  }
}

async function main(stage) {
  t = stage;
  fs.mkdirSync(options.out, { recursive: true });
  const file = path.join(options.out, "results.jsonl");
  const wanted = Object.keys(experiments).filter((name) => !options.only || options.only.split(",").includes(name));
  // new results replace the old ones of the same experiments
  const before = fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n").filter(Boolean).map((line) => JSON.parse(line)) : [];
  const replaced = (name) => wanted.some((begin) => name === begin || name.startsWith(`${begin} `));
  const kept = before
    .filter(({ experiment }) => !replaced(experiment))
    .map((line) => (line.experiment === "machine" ? { ...line, experiments: (line.experiments ?? Object.keys(experiments)).filter((name) => !replaced(name)) } : line))
    .filter(({ experiments: names }) => names === undefined || names.length > 0);
  fs.writeFileSync(file, kept.map((result) => `${JSON.stringify(result)}\n`).join(""));
  if (!options.against) keep(machine(wanted));
  const envelope = await measure("envelope", ours, 1, { members: 10, rate: 50, seconds: 1 });
  payload = Math.round(envelope.frame_bytes) || payload;
  for (const name of wanted) await experiments[name]();
  if (options.against) {
    reportAgainst();
    fs.rmSync(options.out, { recursive: true });
  } else {
    report(options.out);
  }
  return 0;
}

await onStage(main);
