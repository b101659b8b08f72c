// What a message costs Redis: the CPU of redis-server per message in many rooms, and how many messages a second that leaves for
// its core. All variants run in turn, round by round, and each is compared with the first one of the same round. It prints the
// table of docs/benchmarks.md.
//
//   node tests/bench/redis-cost.mjs [--rooms 200] [--rate 2000] [--seconds 5] [--rounds 5] [--base BINARY]
//                                   [--only NAME]...
//
// --base   the release build of another commit, measured as well
//
// Needs build/release with the load generator (cmake --preset release -DYUKIZURI_BENCH=ON). The gateway has one core; every Redis, the
// Sentinels and the load generator share the other one. The CPU of a cluster is that of all its masters.
import { execFile, execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { parseArgs, promisify } from "node:util";
import { onStage } from "../lib/endings.mjs";
import { startCluster } from "../lib/cluster.mjs";
import { temporaryDirectory, top } from "../lib/files.mjs";
import { untilReady } from "../lib/http.mjs";
import { freePort } from "../lib/ports.mjs";
import { startRedis, startReplica } from "../lib/redis.mjs";
import { startSentinels } from "../lib/sentinel.mjs";
import { start } from "./systems.mjs";

const run = promisify(execFile);
const { values: options } = parseArgs({
  options: {
    rooms: { type: "string", default: "200" }, rate: { type: "string", default: "2000" }, seconds: { type: "string", default: "5" }, rounds: { type: "string", default: "5" },
    base: { type: "string" }, only: { type: "string", multiple: true },
  },
});
const built = path.join(top, "build/release/yukizuri");
const GATEWAY_CORE = 0;
const REDIS_CORE = 1;

/** A copy of the binary whose scripts ask for no history: the source that it embeds is replaced by one of the same length. */
function withoutFence(directory) {
  const asked = Buffer.from("redis.call('INFO', 'replication')");
  const binary = fs.readFileSync(built);
  let found = 0;
  for (let at = binary.indexOf(asked); at !== -1; at = binary.indexOf(asked, at + 1), found++) binary.write("'master_replid:none'".padEnd(asked.length), at);
  if (found === 0) throw new Error("the scripts do not ask for the history in that form");
  const copy = path.join(directory, "without-fence");
  fs.writeFileSync(copy, binary, { mode: 0o755 });
  return copy;
}

/** Moves servers to their core. What they start later is there as well. */
function pinned(servers) {
  for (const { pid } of servers) execFileSync("taskset", ["-acp", String(REDIS_CORE), String(pid)], { stdio: "ignore" });
}

/** What is measured: the URL for gateways, and the servers whose CPU counts. */
function measured(url, masters, others = []) {
  pinned([...masters, ...others]);
  const empty = () => masters.forEach((master) => master.run("FLUSHALL"));
  return { url, pids: masters.map(({ pid }) => pid).join(), cores: masters.length, empty };
}

async function own(t) {
  const redis = await startRedis(t);
  return measured(redis.url, [redis]);
}

/** For a gateway that may need other commands than the shipped file allows. */
async function unlimited(t) {
  const redis = await startRedis(t);
  redis.run("ACL", "SETUSER", "yukizuri", "+@all");
  return measured(redis.url, [redis]);
}

async function replicated(t) {
  const redis = await startRedis(t);
  return measured(redis.url, [redis], [await startReplica(t, redis)]);
}

async function watched(t) {
  const sentinels = await startSentinels(t, { replicas: 1 });
  return measured(sentinels.url, [sentinels.master()], [...sentinels.redis.slice(1), ...sentinels.sentinels]);
}

async function clustered(t) {
  const cluster = await startCluster(t, { replicas: 0 });
  return measured(cluster.url, cluster.nodes);
}

const variants = (t) => [
  { name: "plain", start: own },
  ...(options.base ? [{ name: "plain, another commit", binary: path.resolve(options.base), start: unlimited }] : []),
  { name: "without the fence", binary: withoutFence(temporaryDirectory(t)), start: own },
  { name: "with a replica", start: replicated },
  { name: "with a replica, `--durability replica`", args: ["--durability", "replica"], start: replicated },
  { name: "with a replica, behind three Sentinels", start: watched },
  { name: "a cluster of three masters", start: clustered },
  { name: "the same, `--redis-sharded-pubsub`", args: ["--redis-sharded-pubsub"], start: clustered },
].filter(({ name }, i) => i === 0 || !options.only || options.only.includes(name));

/** Runs the load generator on a new gateway, on rooms of two members. */
async function measure(t, { binary = built, args = [], redis }, load) {
  const port = await freePort();
  const gateway = start(t, GATEWAY_CORE, binary, ["--addr", `127.0.0.1:${port}`, "--redis", redis.url, "--rate", "0", "--drain", "0", "-logging=false", ...args]);
  await untilReady(port);
  const words = { ports: port, pids: gateway.pid, redis: redis.pids, rooms: options.rooms, members: 2 * Number(options.rooms), seconds: options.seconds, ...load };
  const { stdout } = await run("taskset", ["-c", String(REDIS_CORE), path.join(top, "build/release/load"), ...Object.entries(words).flatMap(([name, value]) => [`--${name}`, String(value)])]);
  await gateway.stop("SIGINT");
  redis.empty();
  const result = JSON.parse(stdout);
  if (result.lost !== 0) throw new Error(`${result.lost} messages were lost`);
  return { cpu: result.redis_cpu_us_per_message, reached: result.delivered / 2 / Number(options.seconds) };
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const shown = (value) => Math.round(value).toLocaleString("en");
const loads = { fixed: { rate: options.rate }, full: { window: 1 } };

await onStage(async (t) => {
  const all = variants(t);
  for (const variant of all) variant.redis = await variant.start(t);
  const results = new Map(all.map(({ name }) => [name, { fixed: [], full: [] }]));
  for (let round = 0; round < Number(options.rounds); round++)
    for (const [kind, load] of Object.entries(loads))
      for (const variant of all) {
        const result = await measure(t, variant, load);
        results.get(variant.name)[kind].push(result);
        console.error(JSON.stringify({ round, kind, name: variant.name, ...result }));
      }
  const first = results.get(all[0].name);
  const cell = (of, kind) => `${median(of[kind].map(({ cpu }) => cpu)).toFixed(1)} (${median(of[kind].map(({ cpu }, i) => cpu / first[kind][i].cpu)).toFixed(2)})`;
  console.log(`| Redis | CPU µs per message, ${shown(Number(options.rate))} messages/s | CPU µs per message, maximum | messages/s that would use its cores fully | messages/s reached here |\n|---|---:|---:|---:|---:|`);
  for (const { name, redis } of all) {
    const of = results.get(name);
    console.log(`| ${name} | ${cell(of, "fixed")} | ${cell(of, "full")} | ${shown((redis.cores * 1e6) / median(of.full.map(({ cpu }) => cpu)))} | ${shown(median(of.full.map(({ reached }) => reached)))} |`);
  }
  return 0;
});
