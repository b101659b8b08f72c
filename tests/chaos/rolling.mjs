// A rolling restart of every gateway under load, each replaced by a new one beside it on its port.
//
//   node rolling.mjs [--members 150] [--rate 100] [--drain 10]
//
// Members may notice nothing but a reconnect: no message is lost or duplicated, no leave or join is announced, and the
// reconnects are spread evenly over the drain. Prints their histogram.
import { parseArgs } from "node:util";
import { onStage, pause } from "../lib/harness.mjs";
import { judge, promises } from "./judge.mjs";
import { checkProcesses, compareRosters, converge, printProblems, printTable, readEpoch, startMembers, startSystem } from "./stage.mjs";
import { drainDelay } from "./system.mjs";

const { values } = parseArgs({
  options: {
    members: { type: "string", default: "150" },
    rate: { type: "string", default: "100" },
    drain: { type: "string", default: "10" },
  },
});
const drainMs = Number(values.drain) * 1000;
const drainDelayMs = drainDelay * 1000;
const BUCKETS = 20;

/** Starts the new gateway beside the old one and drains the old one. Returns how long after drain-delay each member resumed. */
async function replace(system, gateway, members) {
  const old = gateway.process;
  gateway.process = await system.startGateway(gateway, { newId: true });
  const begin = Date.now();
  system.ends.push({ gateway: gateway.number, ...(await old.stop("SIGTERM")) });
  const lasted = Date.now() - begin;
  const welcomes = members.flatMap(({ record }) => record.filter(({ t, what }) => what === "welcome" && t >= begin).map(({ t }) => t - begin - drainDelayMs));
  return { lasted, welcomes };
}

/** The greatest distance between their distribution and the even one (Kolmogorov-Smirnov). */
function unevenness(times) {
  const sorted = times.map((time) => Math.min(1, Math.max(0, time) / drainMs)).sort((a, b) => a - b);
  return Math.max(...sorted.map((time, i) => Math.max(Math.abs((i + 1) / sorted.length - time), Math.abs(i / sorted.length - time))));
}

function printHistogram(times) {
  const width = drainMs / BUCKETS;
  const buckets = Array(BUCKETS + 1).fill(0);
  for (const time of times) buckets[Math.min(BUCKETS, Math.floor(Math.max(0, time) / width))]++;
  console.log(`\nReconnects after SIGTERM and the drain-delay (all gateways together):`);
  buckets.forEach((count, i) => console.log(`  ${((i * width) / 1000).toFixed(1).padStart(5)} s  ${String(count).padStart(4)}  ${"#".repeat(count)}`));
}

async function main(t) {
  const system = await startSystem(t, 3, { drain: Number(values.drain), lease: 10, grace: 15, retention: 120, ping: 25 });
  const count = Number(values.members);
  const everyMs = (count / Number(values.rate)) * 1000;
  const members = await startMembers(system, { count, seed: 1, sayEvery: [everyMs * 0.8, everyMs * 1.2] });
  await pause(2000); // the last lines of their coming in are said by then
  const before = members.map(({ record }) => record.length);
  const rounds = [];
  for (const gateway of system.gateways) rounds.push(await replace(system, gateway, members));
  const convergedMs = await converge(members);
  const rosters = await compareRosters(system, members);
  const lastEpoch = readEpoch(system);
  for (const member of members) member.stop();
  const verdict = judge(members, { graceMs: 15000, lastEpoch });
  verdict.rosters = rosters;
  if (verdict.gaps > 0) verdict.unexcused.push(`${verdict.gaps} gaps were told`);
  verdict.processes = await checkProcesses(system);
  const lines = members.flatMap(({ record }, i) => record.slice(before[i]).filter(({ what }) => what === "presence")).length;
  const times = rounds.flatMap(({ welcomes }) => welcomes);
  printHistogram(times);
  printTable(`Rolling restart of 3 gateways, ${count} members, ${values.rate} messages a second, drain ${values.drain} s`, [
    ["reconnects", times.length],
    ["greatest distance from an even spread", unevenness(times).toFixed(3)],
    ["the old gateways ended after", rounds.map(({ lasted }) => `${(lasted / 1000).toFixed(1)} s`).join(", ")],
    ["sent, acknowledged", `${verdict.sent}, ${verdict.acknowledged}`],
    ["lost, doubled, out of order", `${verdict.lost.length}, ${verdict.doubled.length}, ${verdict.disorder.length}`],
    ["lines of coming or leaving that anybody saw", lines],
    ["longest silence of a member", `${verdict.longestSilence} ms`],
    ["converged after the last in", `${convergedMs} ms`],
  ]);
  const problems = [...promises, "rosters", "processes"].flatMap((promise) => verdict[promise].map((complaint) => `${promise}: ${complaint}`));
  if (lines > 0) problems.push(`${lines} lines of coming or leaving were seen`);
  if (unevenness(times) > 0.15) problems.push("the reconnects are not evenly spread");
  return printProblems(problems);
}

await onStage(main);
