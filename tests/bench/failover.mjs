// How soon gateways have followed the Sentinels: the time from the moment at which the first Sentinel names another master until a member of each
// gateway has been acknowledged a line that it said after that, in ms. Prints a row for each kind of failover; checks nothing.
//
//   node --test tests/bench/failover.mjs        FAILOVERS=10 by default
import test from "node:test";
import { joined, startGateway } from "../lib/harness.mjs";
import { startSentinels } from "../lib/sentinel.mjs";
import { pause } from "../lib/until.mjs";

const COUNT = Number(process.env.FAILOVERS ?? 10);
const LOOK_MS = 5;

/** Says lines one after the other until one that was begun after the decision is acknowledged. Returns how long after the decision that is, in ms. */
async function spokenAfter(member, decision) {
  for (let i = 0; ; i++) {
    const begun = performance.now();
    const nonce = `${begun}-${i}`;
    const answer = await member.ask({ type: "say", text: nonce, nonce }, (message) => message.nonce === nonce && (message.type === "ack" || message.type === "error"));
    if (answer.type === "ack" && decision.at !== undefined && begun >= decision.at) return performance.now() - decision.at;
    await pause(LOOK_MS);
  }
}

async function failOver(sentinels, members, begin) {
  await sentinels.settled();
  const old = sentinels.master();
  const decision = {};
  const spoken = members.map((member) => spokenAfter(member, decision));
  const begun = performance.now();
  await begin(old);
  await sentinels.decided(old);
  decision.at = performance.now();
  return { decided: decision.at - begun, followed: Math.max(...(await Promise.all(spoken))), old };
}

const middle = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

function print(kind, runs) {
  const figures = ["decided", "followed"].map((name) => runs.map((run) => run[name])).map((numbers) => `${middle(numbers).toFixed(0)} | ${Math.max(...numbers).toFixed(0)}`);
  console.log(`| ${kind} | ${runs.length} | ${figures.join(" | ")} |`);
}

test("failovers", async (t) => {
  const sentinels = await startSentinels(t);
  sentinels.setPeriod("info-period", 500);
  sentinels.setPeriod("publish-period", 200);
  const members = [];
  for (const name of ["alice", "bob"]) {
    const gateway = await startGateway(t, { redis: sentinels.url, args: ["--rate", "0"] });
    members.push(await joined(t, gateway.url, name));
  }
  console.log("| failover | runs | decided: median | most | followed: median | most |\n|---|---|---|---|---|---|");
  const planned = [];
  for (let i = 0; i < COUNT; i++) planned.push(await failOver(sentinels, members, () => sentinels.beginFailover()));
  print("planned", planned);
  const killed = [];
  for (let i = 0; i < COUNT; i++) {
    killed.push(await failOver(sentinels, members, (old) => sentinels.kill(old)));
    await sentinels.restart(killed.at(-1).old);
  }
  print("`kill -9`", killed);
  const frozen = [];
  for (let i = 0; i < COUNT; i++) {
    frozen.push(await failOver(sentinels, members, (old) => sentinels.stop(old)));
    sentinels.cont(frozen.at(-1).old);
  }
  print("frozen (SIGSTOP)", frozen);
});
