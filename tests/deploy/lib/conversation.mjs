// A conversation through one URL while a service is changed under it, and a verdict on it: nothing acknowledged is lost for anybody or shown twice,
// everybody sees one order, nobody is announced as left or as joined again, there is no gap, and no connection is refused.
//
//   node conversation.mjs --url wss://chat.example.org/room [--ca FILE] [--address ADDRESS] [--people 20] [--rate 50] [--seconds N]
//
//   --ca FILE          the certificate authority that signed the server's certificate
//   --address ADDRESS  connect to this address instead of looking up the host of the URL
//   --people N         how many talk (default 20)
//   --rate N           how many messages a second they say together (default 50)
//   --seconds N        for how long; without it until SIGTERM, SIGINT, or the end of standard input
//
// Prints "talking" when everybody is in, and at the end the verdict as one line of JSON. The exit status is 0 if every promise was kept, 1 if one was
// broken, 2 for a wrong command line.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import WebSocket from "ws";
import { judge, promises } from "../../chaos/judge.mjs";
import { ChaosMember } from "../../chaos/member.mjs";
import { Random } from "../../chaos/random.mjs";
import { converge, finalLine } from "../../chaos/stage.mjs";
import { Process, atEnd, pause, stopwatch, until } from "../../lib/harness.mjs";

const JOIN_MS = 60000;
const END_MS = 150000; // two waits for the last messages, and the judge
const SHOWN = 100; // of each kind of complaint

const isLoopback = (host) => /^(localhost|127\.|\[::1\])/.test(host);

/** A person and what became of each of its connections. */
class Person extends ChaosMember {
  refused = []; // why a connection was not opened
  closes = new Map(); // how an open one ended: close code → number
  #prefix;
  #number;
  #leaving = false;

  constructor({ prefix, ca, address, ...rest }) {
    super({ ...rest, connect: (where, options) => this.#connect(where, options, { ca, address }) });
    this.#prefix = prefix;
    this.#number = rest.number;
  }

  /** No other conversation in the room has these names. */
  get name() {
    return `${this.#prefix}-${this.#number}`;
  }

  #connect(where, { localAddress, ...options }, { ca, address }) {
    const host = address ?? new URL(where).hostname;
    const from = isLoopback(host) && !host.startsWith("[") ? { localAddress } : {};
    const to = address ? { lookup: (_, { all }, done) => (all ? done(null, [{ address, family: net.isIP(address) }]) : done(null, address, net.isIP(address))) } : {};
    const socket = new WebSocket(where, { ...options, ...from, ...to, ca });
    let open = false;
    socket.on("open", () => (open = true));
    socket.on("error", (error) => {
      if (!open && !this.#leaving) this.refused.push(`${this.name} at ${new Date().toISOString()}: ${error.code ?? error.message}`);
    });
    socket.on("close", (code) => {
      if (open && !this.#leaving) this.closes.set(code, (this.closes.get(code) ?? 0) + 1);
    });
    return socket;
  }

  /** Leaves the room, so that it is empty for whoever comes next. */
  async leave() {
    this.#leaving = true;
    this.quiet();
    const { socket } = this;
    if (socket?.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify({ type: "leave" }));
      socket.close(1000);
      await until("the connection is closed", () => socket.readyState === WebSocket.CLOSED).catch(() => {});
    }
    this.stop();
  }

  stop() {
    this.#leaving = true;
    super.stop();
  }

  /** Has it seen all these texts since this place of its record? */
  hasSeen(texts, since) {
    const missing = new Set(texts);
    for (let i = since; i < this.record.length && missing.size > 0; i++) if (this.record[i].what === "message") missing.delete(this.record[i].text);
    return missing.size === 0;
  }

  get epoch() {
    return this.record.findLast(({ epoch }) => epoch !== undefined)?.epoch;
  }
}

class Conversation {
  #people;
  #seconds = null;
  #begins = []; // the length of each record when everybody was in
  #tokens = 0;
  #before; // the connections that everybody had opened then

  constructor(people) {
    this.#people = people;
  }

  /** Waits until everybody is in and has seen everybody come. A message is sent after every announcement with a smaller number, so later ones are new. */
  async start() {
    await this.goesOn();
    this.#begins = this.#people.map(({ record }) => record.length);
    this.#before = this.#people.map(({ reconnects }) => reconnects);
    this.#seconds = stopwatch();
  }

  /** Waits until everybody is in, and has got a message from everybody that was said after that. */
  async goesOn(ms = JOIN_MS) {
    const absent = () => this.#people.filter(({ joined }) => !joined).map(({ name, state, refused }) => `${name} ${state} ${refused.at(-1) ?? ""}`);
    await until(() => `everybody is in: ${absent()}`, () => absent().length === 0, ms);
    const token = `here ${this.#tokens++}`;
    const texts = this.#people.map((person) => `${token} ${person.name}`);
    const since = this.#people.map(({ record }) => record.length);
    this.#people.forEach((person, i) => person.say(texts[i]));
    const lacking = () => this.#people.filter((person, i) => !person.hasSeen(texts, since[i])).map(({ name, state }) => `${name} (${state})`);
    await until(() => `everybody hears everybody; still waiting: ${lacking()}`, () => lacking().length === 0, ms);
  }

  /** Ends it, and returns the verdict: `kept`, `problems` (a sentence each), and figures. */
  async end() {
    const seconds = this.#seconds();
    const stuck = [];
    await converge(this.#people).catch((error) => stuck.push(error.message));
    const verdict = this.#judge();
    const complaints = {
      ...Object.fromEntries(promises.map((promise) => [promise, verdict[promise]])),
      gaps: this.#gaps(),
      announced: this.announced,
      refused: this.refused,
      stuck,
    };
    await Promise.all(this.#people.map((person) => person.leave())); // after the verdict, which would see them leave
    const problems = Object.entries(complaints).flatMap(([kind, list]) => list.slice(0, SHOWN).map((complaint) => `${kind}: ${complaint}`));
    const closes = {};
    for (const person of this.#people) for (const [code, count] of person.closes) closes[code] = (closes[code] ?? 0) + count;
    return {
      kept: problems.length === 0,
      problems,
      people: this.#people.length,
      seconds: Math.round(seconds),
      said: verdict.sent,
      acknowledged: verdict.acknowledged,
      delivered: verdict.delivered,
      lost: verdict.lost.length,
      doubled: verdict.doubled.length,
      disorder: verdict.disorder.length,
      gaps: complaints.gaps.length,
      announced: complaints.announced.length,
      refused: complaints.refused.length,
      reconnects: this.#people.reduce((sum, { reconnects }, i) => sum + reconnects - this.#before[i], 0),
      closes,
      longestSilence: verdict.longestSilence,
    };
  }

  /** The connections that were not opened, so far. */
  get refused() {
    return this.#people.flatMap(({ refused }) => refused);
  }

  #judge() {
    const epochs = this.#people.map(({ epoch }) => epoch);
    const commonest = epochs.reduce((best, epoch) => (epochs.filter((other) => other === epoch).length > epochs.filter((other) => other === best).length ? epoch : best), epochs[0]);
    const last = this.#lastFinal(commonest);
    // others may go on talking: what they say behind our last line has not reached everybody yet
    const isOwed = ({ what, epoch, seq }) => what !== "message" || epoch !== commonest || seq <= last;
    const people = this.#people.map(({ name, said, failed, stalls, record }) => ({ name, said, failed, stalls, record: record.filter(isOwed) }));
    return judge(people, { graceMs: Infinity, lastEpoch: commonest });
  }

  /** The greatest number of a final line in this epoch. */
  #lastFinal(epoch) {
    const finals = new Set(this.#people.map(finalLine));
    const seqs = this.#people.flatMap(({ record }) => record.filter((entry) => entry.epoch === epoch && finals.has(entry.text)).map(({ seq }) => seq));
    return seqs.length > 0 ? Math.max(...seqs) : Infinity;
  }

  #since(i) {
    return this.#people[i].record.slice(this.#begins[i]);
  }

  #gaps() {
    const isGap = ({ what, recovered }) => what === "gap" || (what === "welcome" && !recovered);
    return this.#people.flatMap(({ name }, i) => this.#since(i).filter(isGap).map(({ what, missed }) => `${name}: a ${what} that misses ${missed}`));
  }

  /** What was announced about our own people: nobody left, and nobody who was there came again. Guests may come and go. */
  get announced() {
    const names = new Map(this.#people.flatMap(({ name, record }) => record.filter(({ what }) => what === "welcome").map(({ id }) => [id, name])));
    const ours = (ids) => ids.filter((id) => names.has(id)).map((id) => names.get(id));
    return this.#people.flatMap((person, i) =>
      this.#since(i).flatMap(({ what, seq, joined, left }) => {
        if (what !== "presence") return [];
        return [...ours(left).map((who) => `${person.name} was told at ${seq} that ${who} left`), ...ours(joined).map((who) => `${person.name} was told at ${seq} that ${who} joined`)];
      }),
    );
  }
}

/** Lets `people` talk through `url`, and waits until everybody is in. They stop at `end()`, or at the end of the test. */
export async function startConversation(t, { url, ca, address, people = 20, rate = 50 }) {
  const everyMs = (people / rate) * 1000;
  const prefix = randomBytes(3).toString("hex");
  const authority = ca && fs.readFileSync(ca);
  const make = (number) => new Person({ url, ca: authority, address, prefix, seed: prefix, number, random: new Random(parseInt(prefix, 16) + number), sayEvery: [everyMs * 0.8, everyMs * 1.2] });
  const all = Array.from({ length: people }, (_, number) => make(number));
  atEnd(t, () => all.forEach((person) => person.stop()));
  for (const person of all) person.start();
  const conversation = new Conversation(all);
  await conversation.start();
  return conversation;
}

/** The same in a process of its own; with `pid` it is in the network namespace of that process. */
export async function startConversationElsewhere(t, { pid, ...options }) {
  const enter = pid ? ["nsenter", "-t", String(pid), "-n"] : [];
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const [command, ...args] = [...enter, process.execPath, fileURLToPath(import.meta.url), ...flags];
  const talk = new Process(t, command, args, { stdio: ["pipe", "pipe", "pipe"] });
  await until(() => `they talk: ${talk.errors}`, () => {
    if (!talk.running) throw new Error(`the conversation ended at once: ${talk.errors}`);
    return talk.output.includes("talking\n");
  }, 2 * JOIN_MS);
  const end = async () => {
    talk.child.stdin.end();
    await until(() => `the verdict: ${talk.errors}`, () => !talk.running, 2 * END_MS);
    await talk.ended;
    return JSON.parse(talk.output.trim().split("\n").at(-1));
  };
  return { end, get running() { return talk.running; } };
}

// --- The command line ---

const isDevice = (descriptor) => {
  try {
    const what = fs.fstatSync(descriptor);
    return what.isCharacterDevice() || what.isFile();
  } catch {
    return true; // closed
  }
};

/** Standard input is a sign only if somebody can close it: a pipe or a socket. */
function untilTold(seconds) {
  const signs = ["SIGTERM", "SIGINT"].map((signal) => once(process, signal));
  if (seconds !== undefined) signs.push(pause(Number(seconds) * 1000));
  else if (!isDevice(0)) signs.push(once(process.stdin.resume(), "end"), once(process.stdin, "close"));
  return Promise.race(signs);
}

function readCommandLine() {
  const string = { type: "string" };
  const { values } = parseArgs({ options: { url: string, ca: string, address: string, people: string, rate: string, seconds: string } });
  if (!values.url) throw new Error("--url is needed");
  for (const name of ["people", "rate", "seconds"]) if (values[name] !== undefined && !(Number(values[name]) > 0)) throw new Error(`--${name} needs a number, not "${values[name]}"`);
  if (values.address !== undefined && !net.isIP(values.address)) throw new Error(`--address needs an IP address, not "${values.address}"`);
  const { people, rate, ...rest } = values;
  return { ...rest, ...(people && { people: Number(people) }), ...(rate && { rate: Number(rate) }) };
}

async function main() {
  const t = { after: () => {} }; // whatever it has opened ends with the process
  let options;
  try {
    options = readCommandLine();
  } catch (error) {
    console.error(`conversation.mjs: ${error.message}`);
    return 2;
  }
  const talk = await startConversation(t, options);
  const told = untilTold(options.seconds);
  console.log("talking");
  await told;
  const verdict = await talk.end();
  console.log(JSON.stringify(verdict));
  return verdict.kept ? 0 : 1;
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main().catch((error) => (console.error(`conversation.mjs: ${error.message}`), 1));
  process.stdin.destroy();
}
