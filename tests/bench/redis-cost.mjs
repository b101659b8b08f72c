// What a message costs Redis: the CPU of redis-server per message in many rooms, and how many messages a second that leaves for
// its core. All variants run in turn, round by round, and each is compared with the first one of the same round. It prints the
// table of docs/benchmarks.md.
//
//   node tests/bench/redis-cost.mjs [--rooms 200] [--rate 2000] [--seconds 5] [--rounds 5] [--base BINARY]
//                                   [--also NAME=URL=PID[,PID...]]... [--only NAME]...
//
// --base   the release build of another commit, measured as well
// --also   another Redis that is running already, such as one behind Sentinels, or the masters of a cluster: what a gateway is
//          given as --redis, and the pids of the servers whose CPU counts
//
// Needs build/release with the load generator (cmake --preset release -DYUKIZURI_BENCH=ON). The gateway has one core; Redis, its
// replica and the load generator share the other one.
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { parseArgs, promisify } from "node:util";
import { onStage } from "../lib/endings.mjs";
import { temporaryDirectory, top } from "../lib/files.mjs";
import { untilReady } from "../lib/http.mjs";
import { freePort } from "../lib/ports.mjs";
import { until } from "../lib/until.mjs";
import { start } from "./systems.mjs";

const run = promisify(execFile);
const { values: options } = parseArgs({
  options: {
    rooms: { type: "string", default: "200" }, rate: { type: "string", default: "2000" }, seconds: { type: "string", default: "5" }, rounds: { type: "string", default: "5" },
    base: { type: "string" }, also: { type: "string", multiple: true, default: [] }, only: { type: "string", multiple: true },
  },
});
const built = path.join(top, "build/release/yukizuri");
const GATEWAY_CORE = 0;
const REDIS_CORE = 1;

/** A copy of the binary whose scripts ask for no history: the source that it embeds is replaced by one of the same length. */
function withoutFence(directory) {
  const asked = Buffer.from("string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') or ''");
  const binary = fs.readFileSync(built);
  let found = 0;
  for (let at = binary.indexOf(asked); at !== -1; at = binary.indexOf(asked, at + 1), found++) binary.write("'none'".padEnd(asked.length), at);
  if (found === 0) throw new Error("the scripts do not ask for the history in that form");
  const copy = path.join(directory, "without-fence");
  fs.writeFileSync(copy, binary, { mode: 0o755 });
  return copy;
}

/** Starts Redis, or a replica of the one on the port `of`. */
async function startServer(t, of) {
  const port = await freePort();
  const replication = of === undefined ? ["--repl-diskless-sync-delay", "0"] : ["--replicaof", "127.0.0.1", String(of)];
  const server = start(t, REDIS_CORE, "redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", temporaryDirectory(t), ...replication]);
  const info = async () => (await run("redis-cli", ["-p", String(port), "INFO", "replication"]).catch(() => ({ stdout: "" }))).stdout;
  await until("Redis is up", async () => (of === undefined ? /role:master/ : /master_link_status:up/).test(await info()));
  return { port, server };
}

async function own(t, replicated) {
  const master = await startServer(t);
  const replica = replicated ? await startServer(t, master.port) : null;
  return { url: `redis://127.0.0.1:${master.port}`, pids: String(master.server.pid), stop: async () => (await replica?.server.stop(), await master.server.stop()) };
}

function other(text) {
  const [, name, url, pids] = /^([^=]+)=(.+)=([\d,]+)$/.exec(text) ?? (() => { throw new Error(`--also ${text} is not NAME=URL=PIDS`); })();
  return { name, binary: built, redis: async () => ({ url, pids, stop: async () => {} }) };
}

const variants = (t) => [
  { name: "plain", binary: built, redis: () => own(t, false) },
  ...(options.base ? [{ name: "plain, another commit", binary: path.resolve(options.base), redis: () => own(t, false) }] : []),
  { name: "without the fence", binary: withoutFence(temporaryDirectory(t)), redis: () => own(t, false) },
  { name: "with a replica", binary: built, redis: () => own(t, true) },
  { name: "with a replica, --durability replica", binary: built, args: ["--durability", "replica"], redis: () => own(t, true) },
  ...options.also.map(other),
].filter(({ name }, i) => i === 0 || !options.only || options.only.includes(name));

/** Runs the load generator on a new gateway, on rooms of two members. */
async function measure(t, { binary, args = [], redis }, load) {
  const server = await redis();
  const port = await freePort();
  const gateway = start(t, GATEWAY_CORE, binary, ["--addr", `127.0.0.1:${port}`, "--redis", server.url, "--rate", "0", "--drain", "0", "-logging=false", ...args]);
  await untilReady(port);
  const words = { ports: port, pids: gateway.pid, redis: server.pids, rooms: options.rooms, members: 2 * Number(options.rooms), seconds: options.seconds, ...load };
  const { stdout } = await run("taskset", ["-c", String(REDIS_CORE), path.join(top, "build/release/load"), ...Object.entries(words).flatMap(([name, value]) => [`--${name}`, String(value)])]);
  await gateway.stop("SIGINT");
  await server.stop();
  const result = JSON.parse(stdout);
  if (result.lost !== 0) throw new Error(`${result.lost} messages were lost`);
  return { cpu: result.redis_cpu_us_per_message, reached: result.delivered / 2 / Number(options.seconds) };
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const shown = (value) => Math.round(value).toLocaleString("en");
const loads = { fixed: { rate: options.rate }, full: { window: 1 } };

await onStage(async (t) => {
  const all = variants(t);
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
  console.log(`| Redis | CPU µs per message, ${shown(Number(options.rate))} messages/s | CPU µs per message, maximum | messages/s that would use its core fully | messages/s reached here |\n|---|---:|---:|---:|---:|`);
  for (const [name, of] of results)
    console.log(`| ${name} | ${cell(of, "fixed")} | ${cell(of, "full")} | ${shown(1e6 / median(of.full.map(({ cpu }) => cpu)))} | ${shown(median(of.full.map(({ reached }) => reached)))} |`);
  return 0;
});
