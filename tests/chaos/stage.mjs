// The parts of every run: the system, its members, the wait until all have everything, and the complaints of the processes.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { until } from "../lib/harness.mjs";
import { ChaosMember } from "./member.mjs";
import { DroppedPackets, Proxies } from "./paths.mjs";
import { Random } from "./random.mjs";
import { System } from "./system.mjs";

const CONVERGE_MS = 60000;
const ROOM = "yukizuri:{lobby}";

function openPaths() {
  try {
    return process.env.CHAOS_NAMESPACE ? new DroppedPackets() : new Proxies();
  } catch {
    return new Proxies();
  }
}

export async function startSystem(t, gateways, settings) {
  const system = new System(t, openPaths(), settings);
  t.after(() => system.paths.close());
  await system.start(gateways);
  return system;
}

/** Starts members who talk, and waits until all have joined. `sayEvery`: [shortest, longest] pause between two lines, in ms; `Kind`: their client. */
export async function startMembers(system, { count, seed, sayEvery, Kind }) {
  const members = Array.from({ length: count }, (_, number) => new ChaosMember({ url: system.nginx.url, seed, number, sayEvery, Kind, random: new Random(seed * 1000 + number) }));
  for (const member of members) member.start();
  await until("everybody has joined", () => members.every((member) => member.joined), CONVERGE_MS);
  return members;
}

/** The last line that a member says. */
export const finalLine = ({ name }) => `end ${name}`;

/** Waits until every member has joined, has no line left, and has the final line of each, whatever others say in
 *  the room. Returns the time in ms. */
export async function converge(members) {
  const begin = Date.now();
  const describe = (member, more = "") => `${member.name} (${member.state}, ${more}${member.pending} pending)`;
  for (const member of members) member.quiet();
  const waiting = () => members.filter((member) => !member.joined || member.pending > 0);
  await until(() => `everybody is in: ${waiting().map((member) => describe(member))}`, () => waiting().length === 0, CONVERGE_MS);
  for (const member of members) member.say(finalLine(member));
  const finals = new Set(members.map(finalLine));
  const ends = (member) => new Set(member.record.filter(({ what, text }) => what === "message" && finals.has(text)).map(({ text }) => text)).size;
  const lacking = () => members.filter((member) => member.pending > 0 || ends(member) < members.length);
  await until(() => `everybody has the last messages: ${lacking().map((member) => describe(member, `has ${ends(member)}, `))}`, () => lacking().length === 0, CONVERGE_MS);
  return Date.now() - begin;
}

/** { id → name } in Redis, read in one call and without blocking, because members must answer pings. */
async function readRoster(port) {
  const script = "local all = {} for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do all[#all + 1] = redis.call('HGET', ARGV[1] .. name, 'id') or ('no key of ' .. name) all[#all + 1] = name end return all";
  const { stdout } = await promisify(execFile)("redis-cli", ["-p", String(port), "--raw", "EVAL", script, "1", `${ROOM}:members`, `${ROOM}:member:`]);
  const words = stdout.trim().split("\n");
  return new Map(Array.from({ length: words.length >> 1 }, (_, i) => [words[2 * i], words[2 * i + 1]]));
}

/** Compares the members in Redis with each member's list. Returns the differences. */
export async function compareRosters(system, members) {
  let there = new Map();
  const differs = (member) => member.people.size !== there.size || [...there.keys()].some((id) => !member.people.has(id));
  const agree = async () => {
    there = await readRoster(system.redis.port);
    return there.size === members.length && !members.some(differs);
  };
  for (const member of members) if (member.doubtful) member.askMembers();
  // a member that was given up in an outage leaves within the grace period and the time of the reaper
  await until("the rosters agree", agree, 30000).catch(() => {});
  const only = (these, those) => [...these].filter(([id]) => !those.has(id)).map(([id, name]) => `${name} (${id})`);
  const complaints = there.size === members.length ? [] : [`Redis has ${there.size} members, and there are ${members.length}: ${only(there, new Map())}`];
  return complaints.concat(members.filter(differs).map(({ name, people }) => `${name} sees ${people.size} members, Redis has ${there.size}; only in Redis: ${only(there, people)}; only seen: ${only(people, there)}`));
}

/** Ends the gateways and returns their complaints: sanitizer reports, an exit status other than 0. */
export async function checkProcesses(system) {
  const complaints = [];
  for (const gateway of system.gateways) system.ends.push({ gateway: gateway.number, ...(await gateway.process.stop("SIGINT")) });
  for (const { gateway, code, signal } of system.ends) if (code !== 0) complaints.push(`gateway ${gateway} ended with status ${code}, signal ${signal}`);
  for (const { errors } of system.everyProcess) if (/Sanitizer|runtime error|Assertion/.test(errors)) complaints.push(errors);
  return complaints;
}

export const readEpoch = (system) => system.redis.run("HGET", `${ROOM}:head`, "epoch");

export function printTable(title, rows) {
  const width = Math.max(...rows.map(([name]) => name.length));
  console.log(`\n${title}`);
  for (const [name, value] of rows) console.log(`  ${name.padEnd(width)}  ${value}`);
}

/** Prints the problems and returns the exit status. */
export function printProblems(problems) {
  for (const problem of problems.slice(0, 20)) console.log(`  BROKEN  ${problem}`);
  console.log(problems.length === 0 ? "  All promises kept." : `  ${problems.length} promises broken.`);
  return problems.length === 0 ? 0 : 1;
}
