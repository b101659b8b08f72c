// Injects faults into a running system, and checks the members' records against the five promises.
//
//   node chaos.mjs --seed 1 --seconds 60 [--members 50] [--gateways 3] [--every 2500] [--only "kind,kind"]
//                  [--json PREFIX]
//
// `every` is the mean time between two faults, in ms. run.sh starts it in a network namespace of its own
// and runs several seeds.
import fs from "node:fs";
import { parseArgs } from "node:util";
import { onStage, pause } from "../lib/harness.mjs";
import { actions } from "./faults.mjs";
import { judge, promises } from "./judge.mjs";
import { DroppedPackets } from "./paths.mjs";
import { Random } from "./random.mjs";
import { kinds, makeSchedule } from "./schedule.mjs";
import { checkProcesses, compareRosters, converge, printProblems, printTable, readEpoch, startMembers, startSystem } from "./stage.mjs";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seconds: { type: "string", default: "60" },
    members: { type: "string", default: "50" },
    gateways: { type: "string", default: "3" },
    every: { type: "string", default: "2500" },
    only: { type: "string" },
    json: { type: "string" },
  },
});
const seed = Number(values.seed);
const seconds = Number(values.seconds);
const WANDER_EVERY_MS = 3000;

const started = Date.now();
const tell = (text) => console.log(`${((Date.now() - started) / 1000).toFixed(1).padStart(7)} s  ${text}`);

function plan(system, members) {
  const only = values.only?.split(",");
  // without a namespace a member's own path cannot be stalled: it has no proxy
  const possible = (kind) => system.paths instanceof DroppedPackets || kind !== "stall a member's path";
  const chosen = Object.keys(kinds).filter((kind) => (!only || only.includes(kind)) && possible(kind));
  return makeSchedule({ seed, ms: seconds * 1000, gateways: system.gateways.length, members: members.length, every: Number(values.every), only: chosen });
}

/** Records when Redis was unavailable. */
async function carryOut(fault) {
  const from = Date.now();
  try {
    await actions[fault.kind](fault);
  } catch (error) {
    fault.system.failures.push(`${fault.kind}: ${error.message}`);
  }
  if (["gateway", "path"].includes(kinds[fault.kind].breaks)) fault.gateway.stalls.push([from, Date.now()]);
  if (kinds[fault.kind].breaks === "member") fault.member.stalls.push([from, Date.now()]);
  if (kinds[fault.kind].breaks === "redis") fault.system.away.push([fault.from ?? from, Date.now()]);
}

/** Returns a function that tells when the gateway of a member at a time was stalled, from the gateways' logs. */
function findStalls(system) {
  const sightings = system.everyProcess.flatMap(({ log, number }) => log.filter(({ kind }) => kind === "join" || kind === "resume").map(({ id, time }) => ({ id, number, t: Date.parse(time) })));
  return (id, t) => {
    const before = sightings.filter((sighting) => sighting.id === id && sighting.t <= t).sort((a, b) => a.t - b.t);
    return before.length > 0 ? system.gateways[before.at(-1).number].stalls : [];
  };
}

/** A fault that stops or restarts a gateway or Redis waits until an earlier one has ended. */
function inTurn({ kind, gateway, system }, act) {
  const broken = { gateway, redis: system }[kinds[kind].breaks];
  if (!broken) return act();
  broken.turn = (broken.turn ?? Promise.resolve()).then(act);
  return broken.turn;
}

/** Executes the schedule and returns after the last fault. Returns the number of faults of each kind. */
async function breakThings(system, members, schedule) {
  const begin = Date.now();
  const injected = new Map();
  const running = new Set();
  let finish;
  const over = new Promise((resolve) => (finish = resolve));
  for (const planned of schedule) {
    await pause(begin + planned.at - Date.now());
    const fault = { ...planned, over, system, gateway: system.gateways[planned.target], member: members[planned.target] };
    tell(`${planned.kind}, number ${planned.target}, ${planned.ms} ms`);
    const done = inTurn(fault, () => carryOut(fault)).then(() => {
      running.delete(done);
      const count = injected.get(planned.kind) ?? { done: 0, missed: 0 };
      count[fault.missed ? "missed" : "done"]++;
      injected.set(planned.kind, count);
    });
    running.add(done);
  }
  await pause(begin + seconds * 1000 - Date.now());
  finish();
  await Promise.all(running);
  tell("all faults are over");
  return injected;
}

function report(system, members, injected, verdict) {
  const faults = Object.keys(kinds).filter((kind) => injected.has(kind));
  const count = (kind) => `${injected.get(kind).done}${injected.get(kind).missed ? ` (+${injected.get(kind).missed} while Redis was away)` : ""}`;
  printTable(`seed ${seed}, ${seconds} s, ${members.length} members, ${system.gateways.length} gateways; stalled paths: ${system.paths.kind}`, [
    ...faults.map((kind) => [`fault: ${kind}`, count(kind)]),
    ["messages sent", verdict.sent],
    ["acknowledged", verdict.acknowledged],
    ["given up, and the sender told", verdict.given],
    ["acknowledged, then lost with Redis' memory (a gap was told)", verdict.forgotten],
    ["delivered", verdict.delivered],
    ["lost", verdict.lost.length],
    ["doubled", verdict.doubled.length],
    ["out of order", verdict.disorder.length],
    ["gaps told (Redis lost its memory, or went on with an older one)", verdict.gaps],
    ["told that numbers go on in another epoch", verdict.epochs],
    ["gaps told to who came back, and had missed nothing", verdict.needless],
    ["came back as somebody new, as neither Redis nor a gateway knew them any more (told what they missed)", verdict.strangers],
    ["gaps without a reason, or with a wrong count", verdict.unexcused.length],
    ["leaves announced", verdict.leaves],
    ["false leaves", verdict.falseLeaves.length],
    ["false joins", verdict.falseJoins.length],
    ["members ended by the server", verdict.ended.length],
    ["joins refused for a moment", verdict.refused],
    ["lines or names refused without need", verdict.refusals.length],
    ["connections made", members.reduce((sum, member) => sum + member.reconnects, 0)],
    ["longest silence of a member", `${(verdict.longestSilence / 1000).toFixed(1)} s`],
    ["converged after the last fault in", `${(verdict.convergedMs / 1000).toFixed(1)} s`],
    ["rosters that differ from Redis", verdict.rosters.length],
    ["bad ends and sanitizers' complaints", verdict.processes.length],
  ]);
}

async function main(t) {
  const system = await startSystem(t, Number(values.gateways));
  const members = await startMembers(system, { count: Number(values.members), seed });
  const random = new Random(seed + 1000);
  const wanderer = setInterval(() => random.pick(members).wander(random.between(200, 4000)), WANDER_EVERY_MS);
  const schedule = plan(system, members);
  const injected = await breakThings(system, members, schedule);
  clearInterval(wanderer);
  const problems = [];
  problems.push(...system.failures);
  const convergedMs = await converge(members).catch((error) => (problems.push(error.message), NaN));
  const rosters = await compareRosters(system, members);
  const lastEpoch = readEpoch(system);
  system.noteHistory();
  for (const member of members) member.stop();
  const verdict = judge(members, { graceMs: system.settings.grace * 1000, lastEpoch, away: system.away.sort(([a], [b]) => a - b), emptied: system.emptied, forked: system.forked, wentBack: system.wentBack, history: system.history, stallsOf: findStalls(system) });
  Object.assign(verdict, { convergedMs, rosters, processes: await checkProcesses(system) });
  report(system, members, injected, verdict);
  for (const promise of [...promises, "rosters", "processes"]) problems.push(...verdict[promise].map((complaint) => `${promise}: ${complaint}`));
  if (values.json) fs.writeFileSync(`${values.json}-${seed}.json`, JSON.stringify({ seed, schedule, verdict, members: members.map(({ name, record }) => ({ name, record })), logs: system.everyProcess.map(({ output, errors }) => ({ output, errors })) }));
  return printProblems(problems);
}

await onStage(main);
