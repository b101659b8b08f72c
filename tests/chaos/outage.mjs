// Redis is unavailable for some seconds under load. Measures how soon after its return all members have everything.
//
//   node outage.mjs [--seconds 5] [--members 50] [--rounds 3] [--within MS]
//
// Each round has three outages of Redis: frozen, behind dead paths, and with its connections closed repeatedly.
// The system has converged when all members have joined, every acknowledged message has reached all of them, and so has
// a line that each of them says right after the return. Fails if that takes longer than `within`.
import { execFile } from "node:child_process";
import { parseArgs, promisify } from "node:util";
import { onStage, pause, until } from "../lib/harness.mjs";
import { judge, promises } from "./judge.mjs";
import { checkProcesses, compareRosters, printProblems, printTable, readEpoch, startMembers, startSystem } from "./stage.mjs";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    members: { type: "string", default: "50" },
    rounds: { type: "string", default: "3" },
    within: { type: "string", default: "2000" },
  },
});
const awayMs = Number(values.seconds) * 1000;

const ways = {
  "frozen (SIGSTOP)": async (system) => {
    system.redis.signal("SIGSTOP");
    await pause(awayMs);
    system.redis.signal("SIGCONT");
  },
  "behind stalled paths": async (system) => {
    for (const gateway of system.gateways) system.paths.stall(gateway.toRedis);
    await pause(awayMs);
    for (const gateway of system.gateways) system.paths.heal(gateway.toRedis);
  },
  "its connections cut, over and over": async (system) => {
    for (const end = Date.now() + awayMs; Date.now() < end; await pause(50))
      for (const type of ["normal", "pubsub"]) await promisify(execFile)("redis-cli", ["-p", String(system.redis.port), "CLIENT", "KILL", "TYPE", type, "SKIPME", "yes"]).catch(() => {});
  },
};

/** The lines with this mark that a member has seen. */
const marked = ({ record }, mark) => record.filter(({ what, text }) => what === "message" && text.startsWith(mark)).length;

async function goAwayAndReturn(system, members, way, mark) {
  await ways[way](system);
  const back = Date.now();
  for (const member of members) member.say(`${mark} ${member.name}`);
  await until(() => `everybody has all ${members.length} lines: ${members.map((member) => `${member.name} ${marked(member, mark)}`)}`, () => members.every((member) => member.joined && marked(member, mark) === members.length), 60000);
  const convergedMs = Date.now() - back;
  await pause(3000);
  return convergedMs;
}

async function main(t) {
  const system = await startSystem(t, 3, { lease: 10, grace: 15, retention: 120, ping: 25 });
  const members = await startMembers(system, { count: Number(values.members), seed: 1, sayEvery: [800, 1200] });
  const rows = [];
  const problems = [];
  for (let round = 1; round <= Number(values.rounds); round++)
    for (const way of Object.keys(ways)) {
      const ms = await goAwayAndReturn(system, members, way, `back ${round} ${way}`);
      rows.push([`${way}, round ${round}`, `converged in ${ms} ms`]);
      if (ms > Number(values.within)) problems.push(`${way}: converged ${ms} ms after the return`);
    }
  for (const member of members) member.quiet();
  await until("nothing is pending", () => members.every((member) => member.pending === 0), 30000);
  const rosters = await compareRosters(system, members);
  const lastEpoch = readEpoch(system);
  for (const member of members) member.stop();
  const verdict = judge(members, { graceMs: 15000, lastEpoch });
  verdict.rosters = rosters;
  if (verdict.gaps > 0) verdict.unexcused.push(`${verdict.gaps} gaps were told`);
  verdict.processes = await checkProcesses(system);
  printTable(`Redis away for ${values.seconds} s, ${members.length} members saying a line a second, 3 gateways`, [
    ...rows,
    ["acknowledged", verdict.acknowledged],
    ["lost, doubled, out of order", `${verdict.lost.length}, ${verdict.doubled.length}, ${verdict.disorder.length}`],
    ["gaps", verdict.gaps],
    ["leaves", verdict.leaves],
  ]);
  for (const promise of [...promises, "rosters", "processes"]) problems.push(...verdict[promise].map((complaint) => `${promise}: ${complaint}`));
  if (verdict.leaves > 0) problems.push(`${verdict.leaves} members were announced as left`);
  return printProblems(problems);
}

await onStage(main);
