// Breaks a running system on purpose and holds what its members saw against the five promises.
//
//   node chaos.mjs --seed 1 --seconds 60 [--members 50] [--gateways 3] [--every 2500] [--only "kind,kind"]
//                  [--json PREFIX]
//
// run.sh brings it into a network namespace of its own and runs several seeds.
import { execFile } from "node:child_process";
import fs from "node:fs";
import { parseArgs, promisify } from "node:util";
import { until } from "../lib/harness.mjs";
import { actions } from "./faults.mjs";
import { judge, promises } from "./judge.mjs";
import { ChaosMember } from "./member.mjs";
import { DroppedPackets, Proxies } from "./paths.mjs";
import { Random } from "./random.mjs";
import { kinds, makeSchedule } from "./schedule.mjs";
import { System, settings } from "./system.mjs";

const { values: options } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seconds: { type: "string", default: "60" },
    members: { type: "string", default: "50" },
    gateways: { type: "string", default: "3" },
    every: { type: "string", default: "2500" },
    only: { type: "string" },
    json: { type: "string" },
    verbose: { type: "boolean", default: false },
  },
});
const seed = Number(options.seed);
const CONVERGE_MS = 60000;

const endings = [];
const t = { after: (ending) => endings.push(ending) };
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const started = Date.now();
const tell = (...words) => console.log(`${((Date.now() - started) / 1000).toFixed(1).padStart(7)} s `, ...words);

function openPaths() {
  try {
    return process.env.CHAOS_NAMESPACE ? new DroppedPackets() : new Proxies();
  } catch {
    return new Proxies();
  }
}

function startMembers(url) {
  const random = new Random(seed + 1000);
  const members = [];
  for (let number = 0; number < Number(options.members); number++) {
    const member = new ChaosMember({ url, seed, number, random: new Random(seed * 1000 + number) });
    members.push(member);
    member.start();
  }
  const wanderer = setInterval(() => random.pick(members).wander(random.between(200, 4000)), 3000);
  return { members, stopWandering: () => clearInterval(wanderer) };
}

/** Carries the schedule out; ends when the last fault is over. */
async function breakThings(system, members, schedule, injected) {
  const begin = Date.now();
  let finish;
  const over = new Promise((resolve) => (finish = resolve));
  const running = new Set();
  for (const planned of schedule) {
    await wait(begin + planned.at - Date.now());
    const fault = { ...planned, over, system, gateway: system.gateways[planned.target], member: members[planned.target] };
    tell(`${planned.kind}, number ${planned.target}, ${planned.ms} ms`);
    const done = actions[planned.kind](fault).then(() => {
      running.delete(done);
      const count = injected.get(planned.kind) ?? { done: 0, missed: 0 };
      count[fault.missed ? "missed" : "done"]++;
      injected.set(planned.kind, count);
    });
    running.add(done);
  }
  await wait(begin + Number(options.seconds) * 1000 - Date.now());
  finish();
  await Promise.all(running);
}

/** Everybody is in, has nothing left to say, and has every message that was said to end it. */
async function converge(members) {
  const begin = Date.now();
  for (const member of members) member.quiet();
  const waiting = () => members.filter((member) => !member.joined || member.pending > 0).map((member) => `${member.name} (${member.state}, ${member.pending} pending)`);
  await until(() => `everybody is in: ${waiting()}`, () => waiting().length === 0, CONVERGE_MS);
  for (const member of members) member.say(`end ${member.name}`);
  const ends = (member) => new Set(member.record.filter(({ what, text }) => what === "message" && text.startsWith("end ")).map(({ text }) => text)).size;
  const lacking = () => members.filter((member) => member.pending > 0 || ends(member) < members.length).map((member) => `${member.name} (${member.state}, has ${ends(member)}, ${member.pending} pending)`);
  await until(() => `everybody has the last messages: ${lacking()}`, () => lacking().length === 0, CONVERGE_MS);
  return Date.now() - begin;
}

/** Who is in the room, as Redis has it and as each member has it. */
async function compareRosters(system, members) {
  let there = new Map();
  const differs = (member) => member.people.size !== there.size || [...there.keys()].some((id) => !member.people.has(id));
  const agree = async () => {
    there = await readRoster(system.redis.port);
    return there.size === members.length && !members.some(differs);
  };
  for (const member of members) if (member.doubtful) member.askMembers();
  // a name that was given up in an outage leaves within the grace and a burial
  await until("the rosters agree", agree, 30000).catch(() => {});
  const only = (these, those) => [...these].filter(([id]) => !those.has(id)).map(([id, name]) => `${name} (${id})`);
  return members.filter(differs).map(({ name, people }) => `${name} sees ${people.size} members, Redis has ${there.size}; only in Redis: ${only(there, people)}; only seen: ${only(people, there)}`);
}

/** { id → name } as Redis has it; in one call and without blocking, for members go on answering pings. */
async function readRoster(port) {
  const script = "local all = {} for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do all[#all + 1] = redis.call('HGET', ARGV[1] .. name, 'id') or ('no key of ' .. name) all[#all + 1] = name end return all";
  const room = "yukizuri:{lobby}";
  const { stdout } = await promisify(execFile)("redis-cli", ["-p", String(port), "--raw", "EVAL", script, "1", `${room}:members`, `${room}:member:`]);
  const words = stdout.trim().split("\n");
  return new Map(Array.from({ length: words.length >> 1 }, (_, i) => [words[2 * i], words[2 * i + 1]]));
}

/** The gateways' own complaints: sanitizers, and a drain that did not end with status 0. */
async function checkProcesses(system) {
  const complaints = [];
  for (const gateway of system.gateways) system.ends.push({ gateway: gateway.number, ...(await gateway.process.stop("SIGINT")) });
  for (const { gateway, code, signal } of system.ends) if (code !== 0) complaints.push(`gateway ${gateway} ended with status ${code}, signal ${signal}`);
  for (const { errors } of system.everyProcess) if (/Sanitizer|runtime error|Assertion/.test(errors)) complaints.push(errors);
  return complaints;
}

function report(verdict, injected, system, members, seconds) {
  const rows = [
    ...Object.keys(kinds).filter((kind) => injected.has(kind)).map((kind) => [`fault: ${kind}`, `${injected.get(kind).done}${injected.get(kind).missed ? ` (+${injected.get(kind).missed} while Redis was away)` : ""}`]),
    ["messages sent", verdict.sent],
    ["acknowledged", verdict.acknowledged],
    ["given up, and the sender told", verdict.given],
    ["acknowledged, then lost with Redis' memory (a gap was told)", verdict.forgotten],
    ["delivered", verdict.delivered],
    ["lost", verdict.lost.length],
    ["doubled", verdict.doubled.length],
    ["out of order", verdict.disorder.length],
    ["gaps told (Redis lost its memory)", verdict.gaps],
    ["gaps without a reason, or with a wrong count", verdict.unexcused.length],
    ["leaves announced", verdict.leaves],
    ["false leaves", verdict.falseLeaves.length],
    ["false joins", verdict.falseJoins.length],
    ["joins refused for a moment", verdict.refused],
    ["connections made", members.reduce((sum, member) => sum + member.reconnects, 0)],
    ["longest silence of a member", `${(verdict.longestSilence / 1000).toFixed(1)} s`],
    ["converged after the last fault in", `${(verdict.convergedMs / 1000).toFixed(1)} s`],
    ["rosters that differ from Redis", verdict.rosters.length],
    ["bad ends and sanitizers' complaints", verdict.processes.length],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  console.log(`\nseed ${seed}, ${seconds} s, ${members.length} members, ${system.gateways.length} gateways; stalled paths: ${system.paths.kind}`);
  for (const [name, value] of rows) console.log(`  ${name.padEnd(width)}  ${value}`);
}

async function main() {
  const paths = openPaths();
  const system = new System(t, paths);
  const injected = new Map();
  const only = options.only?.split(",");
  await system.start(Number(options.gateways));
  const { members, stopWandering } = startMembers(system.nginx.url);
  await until("everybody has joined", () => members.every((member) => member.joined), CONVERGE_MS);
  const kindsHere = Object.keys(kinds).filter((kind) => (!only || only.includes(kind)) && (paths instanceof DroppedPackets || kind !== "stall a member's path"));
  const schedule = makeSchedule({ seed, ms: Number(options.seconds) * 1000, gateways: system.gateways.length, members: members.length, every: Number(options.every), only: kindsHere });
  await breakThings(system, members, schedule, injected);
  stopWandering();
  tell("all faults are over");
  const problems = [];
  const convergedMs = await converge(members).catch((error) => (problems.push(error.message), NaN));
  const rosters = await compareRosters(system, members);
  const lastEpoch = system.redis.run("HGET", "yukizuri:{lobby}:head", "epoch");
  for (const member of members) member.stop();
  const verdict = judge(members, { graceMs: settings.grace * 1000, lastEpoch });
  Object.assign(verdict, { convergedMs, rosters, processes: await checkProcesses(system) });
  report(verdict, injected, system, members, Number(options.seconds));
  for (const promise of [...promises, "rosters", "processes"]) problems.push(...verdict[promise].map((complaint) => `${promise}: ${complaint}`));
  if (options.json) fs.writeFileSync(`${options.json}-${seed}.json`, JSON.stringify({ seed, schedule, verdict, members: members.map(({ name, record }) => ({ name, record })), logs: system.everyProcess.map(({ output, errors }) => ({ output, errors })) }));
  for (const problem of problems.slice(0, 20)) console.log(`  BROKEN  ${problem}`);
  console.log(problems.length === 0 ? `  All promises kept.` : `  ${problems.length} promises broken.`);
  return problems.length === 0 ? 0 : 1;
}

async function end(status) {
  while (endings.length > 0) await Promise.resolve().then(endings.pop()).catch((error) => console.error(error.message));
  process.exit(status);
}

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => end(1));
await end(await main().catch((error) => (console.error(error), 1)));
