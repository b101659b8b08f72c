// Bots that implement only the documented rules (bot.mjs) talk while faults are injected one after the other.
// Each round injects every kind of fault once, in a random order.
//
//   node bots.mjs --seed 1 [--members 12] [--gateways 2] [--only "kind,kind"]
//
// What must hold: an acknowledged line is shown to everybody who was in, or a gap tells of it; every other line
// is reported to its sayer as failed, and truly so; none shows twice. run.sh brings it into a network namespace.
import { parseArgs } from "node:util";
import { onStage, pause } from "../lib/harness.mjs";
import { Bot } from "./bot.mjs";
import { actions } from "./faults.mjs";
import { judge, promises } from "./judge.mjs";
import { Random } from "./random.mjs";
import { checkProcesses, converge, printProblems, readEpoch, startMembers, startSystem } from "./stage.mjs";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    members: { type: "string", default: "12" },
    gateways: { type: "string", default: "2" },
    only: { type: "string" },
  },
});
const seed = Number(values.seed);
const random = new Random(seed);
const SAY_EVERY_MS = [100, 400];

const faults = {
  "kill -9 a gateway": { breaks: "gateway", ms: [100, 3000] },
  "drain a gateway (SIGTERM)": { breaks: "gateway", ms: [100, 1500] },
  "freeze a gateway": { breaks: "gateway", ms: [500, 8000] },
  "freeze Redis": { breaks: "redis", ms: [500, 7000] },
  "CLIENT KILL normal": { ms: [0, 0] },
  "CLIENT KILL pubsub": { ms: [0, 0] },
  FLUSHALL: { ms: [0, 0] },
  "restart Redis empty": { breaks: "redis", ms: [100, 4000] },
};

async function flushAll({ system }) {
  system.emptied++;
  system.noteHistory();
  system.redis.run("FLUSHALL");
  system.wentBack.push(Date.now());
}

function shuffled(list) {
  return list.map((item) => [random.next(), item]).sort(([a], [b]) => a - b).map(([, item]) => item);
}

async function breakOne(system, kind) {
  const { breaks, ms } = faults[kind];
  const fault = { system, gateway: random.pick(system.gateways), ms: Math.round(random.between(...ms)), over: new Promise(() => {}) };
  const from = Date.now();
  await (kind === "FLUSHALL" ? flushAll(fault) : actions[kind](fault)).catch((error) => system.failures.push(`${kind}: ${error.message}`));
  if (breaks === "gateway") fault.gateway.stalls.push([from, Date.now()]);
  if (breaks === "redis") system.away.push([fault.from ?? from, Date.now()]);
}

/** Compares the answers to the bots' lines with the messages that were shown. */
function judgeLines(bots) {
  const problems = [];
  const shown = new Map(); // text → places
  for (const { record } of bots)
    for (const { what, epoch, seq, from, nonce, text } of record)
      if (what === "message") shown.set(text, (shown.get(text) ?? new Map()).set(`${from} ${nonce}`, `${epoch} ${seq}`));
  for (const [text, places] of shown) if (places.size > 1) problems.push(`doubled: ${text}: ${[...places.values()].join(", ")}`);
  for (const bot of bots) {
    const acked = new Set(bot.record.filter(({ what }) => what === "ack").map(({ nonce }) => nonce));
    for (const [nonce, { text }] of bot.said) {
      const failed = bot.failed.get(nonce);
      if (acked.has(nonce) === (failed !== undefined)) problems.push(`${bot.name}'s ${text} was ${failed ? "acknowledged and given up" : "neither acknowledged nor given up"}`);
      if (failed && bot.toldUnsent.has(nonce) && shown.has(text)) problems.push(`${bot.name} was told that ${text} was not sent (${failed}), and it was shown`);
      if (failed && bot.toldUnsent.has(nonce)) problems.push(`${bot.name}'s ${text} was given up (${failed}), though it was never accepted: it can be said as a new one`);
    }
  }
  return problems;
}

await onStage(async (t) => {
  const only = values.only?.split(",");
  const order = shuffled(Object.keys(faults).filter((kind) => !only || only.includes(kind)));
  const system = await startSystem(t, Number(values.gateways), { retention: 120 });
  const bots = await startMembers(system, { count: Number(values.members), seed, sayEvery: SAY_EVERY_MS, Kind: Bot });
  for (const kind of order) {
    await pause(random.between(300, 2000));
    await breakOne(system, kind);
  }
  const problems = [...system.failures];
  await converge(bots).catch((error) => problems.push(error.message));
  const lastEpoch = readEpoch(system);
  system.noteHistory();
  for (const bot of bots) bot.stop();
  const verdict = judge(bots, { graceMs: system.settings.grace * 1000, lastEpoch, away: system.away, emptied: system.emptied, wentBack: system.wentBack, history: system.history, stallsOf: () => system.gateways.flatMap(({ stalls }) => stalls) });
  for (const promise of promises) problems.push(...verdict[promise].map((complaint) => `${promise}: ${complaint}`));
  problems.push(...judgeLines(bots), ...(await checkProcesses(system)));
  console.log(`round ${seed}: ${order.join("; ")}`);
  console.log(`  ${verdict.sent} said, ${verdict.acknowledged} acknowledged (${verdict.forgotten} of them lost with Redis' memory, and a gap told), ${verdict.given} given up and told; ${verdict.delivered} delivered; ${verdict.lost.length} lost, ${verdict.doubled.length} doubled; ${verdict.gaps} gaps, ${verdict.strangers} came back as somebody new`);
  return printProblems(problems);
});
