// How soon what an operator types is felt: two gateways, one Redis, a real redis-cli, and a member on the gateway that is not asked.
// Measured from the start of redis-cli until the member sees the effect, and until both gateways have told of it on
// yukizuri:control:done. Every key must have a TTL, and be gone once its time is over. It prints the table of docs/benchmarks.md.
//
//   TEST_BINARY=build/release/yukizuri node tests/bench/moderation.mjs [ROUNDS]     (default: 20)
//
// Needs the packages of tests/ (npm ci) and redis-cli.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { onStage } from "../lib/endings.mjs";
import { startGateway } from "../lib/gateway.mjs";
import { Member } from "../lib/member.mjs";
import { startRedis } from "../lib/redis.mjs";
import { Resp } from "../lib/resp.mjs";
import { pause, until } from "../lib/until.mjs";

const rounds = Number(process.argv[2] ?? 20);
const ADDRESS = "203.0.113.7";
const LONG = 600; // seconds: lifted by the next line
const SHORT = 2; // ends by itself

let redis, gateways, told;
let count = 0;

const order = (command) => ["PUBLISH", "yukizuri:control", JSON.stringify({ room: "lobby", ...command })];

/** Starts redis-cli as the operator does. Nothing here waits for its end: what it does is seen elsewhere. */
const type = (words) => spawn("redis-cli", ["-p", String(redis.port), ...words], { stdio: "ignore" });

const connect = (t) => new Member(t, gateways[1].url, { headers: { "X-Forwarded-For": ADDRESS } });

/** The next message that fits. */
const next = (member, fits) => new Promise((resolve) => {
  const look = (data) => {
    const message = JSON.parse(data.toString());
    if (!fits(message)) return;
    member.socket.off("message", look);
    resolve(message);
  };
  member.socket.on("message", look);
});

/* --- What a member sees; each resolves as soon as it does --- */

const putOut = (member) => new Promise((resolve) => member.socket.once("close", (code) => resolve(assert.equal(code, 4503))));
const cleared = (member) => next(member, ({ type: is, kind }) => is === "notice" && kind === "clear");

/** Says something again and again until the answer has this code; undefined: until it is accepted. */
async function answered(member, code) {
  for (;;) {
    const nonce = `n${count++}`;
    const answer = next(member, (message) => message.nonce === nonce && message.type !== "message");
    member.send({ type: "say", text: "is it felt?", nonce });
    if ((await answer).code === code) return;
  }
}

/** Newcomers ask to come in, one after the other, until one gets this code; undefined: until one is in. */
async function met(t, code) {
  for (;;) {
    const member = connect(t);
    const open = await new Promise((resolve) => (member.socket.once("open", () => resolve(true)), member.socket.once("close", () => resolve(false))));
    if (!open) continue; // 403, while another connection of the address is closing
    const answer = next(member, ({ type: is }) => is === "welcome" || is === "error");
    member.send({ type: "join", name: `m${count++}` });
    const { code: is } = await answer;
    if (is === undefined) member.send({ type: "leave" });
    member.socket.terminate();
    if (is === code) return;
  }
}

/* --- The lines of docs/redis.md: what is typed, what is seen of it, and the key that it writes --- */

const muted = (member) => answered(member, "muted");
const accepted = (member) => answered(member);
const comesIn = (_, t) => met(t);
const lines = [
  { what: "ban of an address", words: () => ["SET", `yukizuri:ban:${ADDRESS}`, "spam", "EX", SHORT], member: true, sees: putOut, key: `yukizuri:ban:${ADDRESS}` },
  { what: "ban of a block", words: () => ["SET", "yukizuri:ban:203.0.113.0/24", "spam", "EX", SHORT], member: true, sees: putOut, key: "yukizuri:ban:203.0.113.0/24" },
  { what: "ban, lifted by the next line", words: () => ["SET", `yukizuri:ban:${ADDRESS}`, "spam", "EX", LONG], member: true, sees: putOut, key: `yukizuri:ban:${ADDRESS}`, stays: true },
  { what: "`DEL` of the ban", words: () => ["DEL", `yukizuri:ban:${ADDRESS}`], sees: comesIn },
  { what: "`kick`", words: (name) => order({ do: "kick", name, reason: "spam" }), member: true, sees: putOut },
  { what: "`kick` with `for`", words: (name) => order({ do: "kick", name, for: SHORT, reason: "spam" }), member: true, sees: putOut, key: `yukizuri:ban:${ADDRESS}` },
  { what: "`mute` of a name", words: (name) => order({ do: "mute", name, for: SHORT }), member: true, sees: muted, key: "yukizuri:{lobby}:muted" },
  { what: "`mute` of a block", words: () => order({ do: "mute", address: "203.0.113.0/24", for: LONG }), member: true, sees: muted, key: "yukizuri:{lobby}:muted", stays: true },
  { what: "`unmute`", words: () => order({ do: "unmute", address: "203.0.113.0/24" }), member: true, sees: accepted },
  { what: "`slow`", words: () => order({ do: "slow", every: 3600, for: LONG }), member: true, sees: (member) => answered(member, "slow"), key: "yukizuri:{lobby}:slow", stays: true },
  { what: "`slow` with `every` 0", words: () => order({ do: "slow", every: 0 }), member: true, before: accepted, sees: accepted },
  { what: "`lock`", words: () => order({ do: "lock", for: LONG, reason: "full house" }), sees: (_, t) => met(t, "locked"), key: "yukizuri:{lobby}:locked", stays: true },
  { what: "`unlock`", words: () => order({ do: "unlock" }), sees: comesIn },
  { what: "`clear`", words: () => order({ do: "clear" }), member: true, sees: cleared },
  { what: "pressure 3", words: () => ["SET", "yukizuri:pressure", 3, "EX", SHORT], sees: (_, t) => met(t, "locked"), key: "yukizuri:pressure" },
  { what: "pressure 2", words: () => ["SET", "yukizuri:pressure", 2, "EX", LONG], before: (_, t) => met(t), sees: (_, t) => met(t, "work_needed"), key: "yukizuri:pressure", stays: true },
  { what: "`DEL` of the pressure", words: () => ["DEL", "yukizuri:pressure"], sees: comesIn },
];

/* --- Measuring --- */

const ordered = () => redis.lines("KEYS", "*").filter((key) => /:ban:|:muted$|:slow$|:locked$|:pressure$/.test(key));

/** Every key of Redis has an end. */
function checkEnds() {
  for (const key of redis.lines("KEYS", "*")) assert.notEqual(redis.run("PTTL", key), "-1", `${key} has no end`);
}

/** Until both gateways have told of a command; null for a key, which nobody tells of. */
const untilTold = (words) => words[0] !== "PUBLISH" ? null : new Promise((resolve) => (told = { left: 2, resolve }));

async function measure(t, line) {
  const { what, words, sees, before, key, stays } = line;
  const member = line.member ? await connect(t).opened() : null;
  const name = `mallory${count++}`;
  if (member) assert.equal((await member.askToJoin(name)).type, "welcome", what);
  await before?.(member, t);
  const typed = words(name).map(String);
  const done = untilTold(typed);
  await pause(Math.random() * 1000); // gateways look at keys once a second
  const begun = performance.now();
  const after = () => performance.now() - begun;
  const child = type(typed);
  const felt = sees(member, t).then(after);
  const figures = { felt: await felt, told: (await done?.then(after)) ?? null };
  if (key) assert.ok(Number(redis.run("PTTL", key)) > 0 || redis.run("EXISTS", key) === "0", `${key} has no end`);
  checkEnds();
  if (!stays) await until(`nothing is left of ${what}`, () => ordered().length === 0);
  if (child.exitCode === null) await new Promise((resolve) => child.once("exit", resolve));
  member?.send({ type: "leave" });
  member?.socket.terminate();
  return figures;
}

const shown = (list) => {
  const sorted = list.filter((value) => value !== null).sort((a, b) => a - b);
  return sorted.length === 0 ? "– | –" : [sorted[sorted.length >> 1], sorted.at(-1)].map((value) => Math.round(value).toLocaleString("en")).join(" | ");
};

await onStage(async (t) => {
  redis = await startRedis(t);
  const args = ["--trusted-proxy", "127.0.0.1", "--rate", "0", "--leave-grace", "0", ...["rate", "joins", "bytes", "handshakes", "rooms"].flatMap((one) => [`--${one}-per-address`, "0"])];
  gateways = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
  const listener = await Resp.connect(redis.port);
  t.after(() => listener.close());
  listener.onMessage = (_, text) => {
    assert.equal(JSON.parse(text).error, undefined, text);
    if (told && --told.left === 0) told.resolve();
  };
  listener.call("PSUBSCRIBE", "yukizuri:control:done");
  await until("the listener is there", () => redis.run("PUBSUB", "NUMPAT") === "1");
  const watcher = await new Member(t, gateways[0].url).opened();
  await watcher.askToJoin("watcher");
  const results = new Map(lines.map((line) => [line, []]));
  for (let round = 0; round < rounds; round++) for (const line of lines) results.get(line).push(await measure(t, line));
  console.log("| line | the member sees it, median (ms) | most | both gateways have told of it, median (ms) | most | key |\n|---|---:|---:|---:|---:|---|");
  for (const [{ what, key, stays }, list] of results) {
    const end = key === undefined ? "none is left" : stays ? "has a TTL" : "has a TTL, ends by itself";
    console.log(`| ${what} | ${shown(list.map(({ felt }) => felt))} | ${shown(list.map(({ told: at }) => at))} | ${end} |`);
  }
  assert.deepEqual(ordered(), []);
  for (const gateway of gateways) gateway.signal("SIGTERM");
  await until("both gateways have ended", () => gateways.every(({ running }) => !running));
  checkEnds();
  console.log(`\nKeys that are left in Redis when both gateways have ended, all with a TTL: ${redis.run("DBSIZE")}. Keys of operators: ${ordered().length}.`);
  return 0;
});
