// A gateway with all members dies (kill -9), and they resume through another one.
//
//   TEST_BINARY=build/release/yukizuri node resume.mjs [--members 10000]
//
// Every member must be resumed: with the same id, with every message once and in order, and without an announced
// leave or join. The other gateway must not read the stream once per member: the number of its reads is printed,
// and must not grow with the members.
import { once } from "node:events";
import { parseArgs } from "node:util";
import WebSocket from "ws";
import { joined, onStage, startGateway, startRedis, until } from "../lib/harness.mjs";
import { printProblems, printTable } from "./stage.mjs";

const { values } = parseArgs({ options: { members: { type: "string", default: "10000" } } });
const count = Number(values.members);
const AT_ONCE = 200; // handshakes in flight
const SAY_EVERY_MS = 1000; // one Node.js process can receive no more for 10,000 members
const DEADLINE_MS = 120000;

/** A member that stores little: its position, and the numbers that it has seen since `seen` was reset. */
class SmallMember {
  constructor(number) {
    this.name = `m${number}`;
    this.address = `127.0.${2 + Math.floor(number / 250)}.${1 + (number % 250)}`;
    this.seen = [];
    this.presence = 0;
  }

  async join(url) {
    const join = { type: "join", name: this.name };
    if (this.welcome) Object.assign(join, { resume: this.welcome.resume, since: { epoch: this.welcome.epoch, seq: this.seq } });
    this.welcome = null;
    this.socket = new WebSocket(url, { localAddress: this.address, perMessageDeflate: false });
    this.socket.on("error", () => {});
    this.socket.on("message", (data) => this.#take(JSON.parse(data.toString())));
    await once(this.socket, "open");
    this.socket.send(JSON.stringify(join));
    await new Promise((resolve) => (this.onWelcome = resolve));
  }

  #take(message) {
    if (message.type === "welcome") {
      this.welcome = message;
      this.seq ??= message.seq;
      this.onWelcome();
    } else if (message.type === "message") {
      this.seen.push(message.seq);
      this.seq = message.seq;
    } else if (message.type === "presence") this.presence += message.joined.length + message.left.length;
    else this.error = JSON.stringify(message);
  }
}

async function all(members, step) {
  const rest = [...members];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let member; (member = rest.pop()); ) await step(member);
  }));
}

async function main(t) {
  const redis = await startRedis(t);
  const args = ["--max-connections-per-address", "0"];
  const dying = await startGateway(t, { redis, args });
  const staying = await startGateway(t, { redis, args });
  const speaker = await joined(t, staying.url, "speaker");
  const members = Array.from({ length: count }, (_, number) => new SmallMember(number));
  await all(members, (member) => member.join(dying.url));
  await until("the speaker sees all members", () => speaker.received.filter(({ type }) => type === "presence").at(-1)?.count === count + 1, DEADLINE_MS);
  const ids = new Map(members.map((member) => [member, member.welcome.me.id]));
  const before = await staying.stats();
  const linesBefore = speaker.received.filter(({ type }) => type === "presence").length;
  let said = 0;
  const talk = setInterval(() => speaker.send({ type: "say", text: `line ${said}`, nonce: `${said++}` }), SAY_EVERY_MS);

  const begin = Date.now();
  for (const member of members) member.seen = [];
  await dying.stop("SIGKILL");
  await all(members, (member) => member.join(staying.url));
  const tookMs = Date.now() - begin;
  await until("something is said", () => said > 0); // before that, few members have resumed
  clearInterval(talk);
  const acknowledged = () => speaker.received.filter(({ type }) => type === "ack").length;
  await until("all lines are acknowledged", () => acknowledged() === said, DEADLINE_MS);
  const numbers = speaker.messages().map(({ seq }) => seq);
  await until("all members have the last line", () => members.every(({ seq }) => seq === numbers.at(-1)), DEADLINE_MS);
  const after = await staying.stats();
  const reads = after.stream_reads - before.stream_reads;

  const problems = [];
  const wrong = (what, test) => {
    const bad = members.filter((member) => !test(member));
    if (bad.length > 0) problems.push(`${bad.length} members ${what}, such as ${bad[0].name}: ${JSON.stringify(bad[0].welcome)?.slice(0, 200)} ${bad[0].seen.length} of ${numbers.length}`);
    return count - bad.length;
  };
  const resumed = wrong("did not get their id back", (member) => member.welcome.me.id === ids.get(member));
  wrong("were not told that they missed nothing", ({ welcome }) => welcome.recovered === true && welcome.missed === 0);
  wrong("do not have every line once, in order", ({ seen }) => JSON.stringify(seen.slice(-numbers.length)) === JSON.stringify(numbers));
  const lines = speaker.received.filter(({ type }) => type === "presence").length - linesBefore;
  if (lines > 0) problems.push(`${lines} presence messages of leaves or joins were seen`);
  if (reads > 2) problems.push(`the gateway read the stream ${reads} times`);
  printTable(`${count} members of a killed gateway resume through another one`, [
    ["resumed under their old id", resumed],
    ["within", `${tookMs} ms`],
    ["messages meanwhile, which every member has once", numbers.length],
    ["presence messages of leaves or joins", lines],
    ["reads of the stream by the other gateway", `${reads} (${after.stream_reads} in all, since its start)`],
    ["its CPU per resumed member (handshake, join, replay)", `${Math.round(((after.cpu_seconds - before.cpu_seconds) * 1e6) / count)} µs`],
  ]);
  for (const member of members) member.socket.terminate();
  return printProblems(problems);
}

await onStage(main);
