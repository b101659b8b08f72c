// Runs tests that know a single Redis against Redis with a Sentinel, or against a cluster: TEST_REDIS=sentinel or =cluster. What
// `startRedis` returns then has the interface of a single Redis. Gateways get the URL of the whole by its `url`.
//
// A test that needs one server of its own gets one: it gives arguments for it, or another configuration than the shipped one.
// A test that makes no sense with one of them says so: { skip: unfit("cluster", "a cluster has one database") }.
import { after } from "node:test";
import { atEnd } from "./endings.mjs";
import { startCluster } from "./cluster.mjs";
import { Redis, assertNothingRefused } from "./redis.mjs";
import { startSentinels } from "./sentinel.mjs";
import { topology } from "./topology-choice.mjs";

const NEVER_MS = 3600000;
const ROOM_KEY = "yukizuri:{lobby}:head"; // commands without a key go to the node of this one

/** What a test may have changed for the next one, apart from data. */
const lasting = /^(CONFIG (?!GET|RESETSTAT)|ACL (?!LOG|LIST|GETUSER|WHOAMI|DRYRUN)|CLIENT (PAUSE|NO-EVICT)|CLUSTER |REPLICAOF |SHUTDOWN|DEBUG |MODULE |FAILOVER|-n )/i;

const everywhere = /^(FLUSHALL|FLUSHDB|SAVE|CONFIG (SET|RESETSTAT)|ACL (SETUSER|DELUSER|LOG RESET)|SCRIPT FLUSH|CLIENT (PAUSE|UNPAUSE))\b/i;
const listed = /^(KEYS|PUBSUB CHANNELS|CLIENT LIST|ACL LOG)\b/i;
const counted = /^(DBSIZE|PUBSUB NUMPAT|CLIENT KILL)\b/i;
const perKey = /^(DEL|UNLINK|EXISTS|TOUCH) /i;

const sum = (texts) => String(texts.reduce((total, text) => total + Number(text), 0));

/** Some masters that look like one Redis. */
class ManyAsOne {
  /** Nothing but data was changed, so that another test may use it. */
  clean = true;

  // These need `run` and `commandCalls` alone.
  lines = Redis.prototype.lines;
  tryToRun = Redis.prototype.tryToRun;
  calls = Redis.prototype.calls;

  constructor({ masters, home, url, restart, stage }) {
    Object.assign(this, { masters, home, url, stage, startAgain: restart });
  }

  get port() {
    return this.home().port;
  }

  get pid() {
    return this.home().pid;
  }

  get running() {
    return this.masters().every((each) => each.running);
  }

  get output() {
    return this.masters().map((each) => each.output).join("");
  }

  get errors() {
    return this.masters().map((each) => each.errors).join("");
  }

  /** As of a single Redis, where there is one master: a path to it, past the Sentinel. Of a cluster one seed, by another name. */
  urlAt(host, port) {
    if (this.masters().length === 1) return this.home().urlAt(host, port);
    if (port === this.port) return this.url.replace(/@.*/, `@${host}:${port}`);
    throw new Error("another address leads to one server only: see unfit() in tests/lib/topologies.mjs");
  }

  run(...args) {
    const command = args.join(" ");
    if (lasting.test(command)) this.clean = false;
    return this.masters().length === 1 ? this.home().run(...args) : this.#runOnMany(command, args);
  }

  #runOnMany(command, args) {
    const onAll = () => this.masters().map((each) => each.run(...args));
    if (everywhere.test(command)) return onAll().sort((a, b) => (a === "OK") - (b === "OK"))[0]; // a refusal, if there is one
    if (listed.test(command)) return [...new Set(onAll().filter((text) => text !== ""))].join("\n");
    if (counted.test(command)) return sum(onAll());
    if (perKey.test(command)) return sum(args.slice(1).map((key) => this.home().run("-c", args[0], key)));
    if (/^PUBSUB NUMSUB/i.test(command)) return this.#subscriptions(onAll().map((text) => text.split("\n")));
    if (/^EVAL\S* /i.test(command) && args[2] === "0") return this.#runScript(/yukizuri:\{[^{}\s]+\}/.exec(command)?.[0], args, onAll);
    return this.home().run("-c", ...args);
  }

  /** Where the key is that it names; one that names none looks at all keys. */
  #runScript(key, args, onAll) {
    return key === undefined ? onAll().join("\n") : this.home(key).run(...args);
  }

  /** The answers have channels and numbers by turns. */
  #subscriptions(answers) {
    return answers[0].map((word, i) => (i % 2 === 0 ? word : sum(answers.map((answer) => answer[i])))).join("\n");
  }

  commandCalls() {
    const all = {};
    for (const each of this.masters()) for (const [command, calls] of Object.entries(each.commandCalls())) all[command] = (all[command] ?? 0) + calls;
    return all;
  }

  now() {
    return this.home().now();
  }

  refuseWrites() {
    for (const each of this.masters()) each.refuseWrites();
    this.clean = false;
  }

  takeWrites() {
    for (const each of this.masters()) each.takeWrites();
  }

  cut(type, gatewayId = null) {
    return this.masters().reduce((total, each) => total + Number(each.cut(type, gatewayId)), 0);
  }

  signal(name) {
    this.clean = false;
    for (const each of this.masters()) each.signal(name);
  }

  async stop(signal) {
    this.clean = false;
    return (await Promise.all(this.masters().map((each) => each.stop(signal))))[0];
  }

  freeze(t) {
    this.signal("SIGSTOP");
    atEnd(t, () => this.thaw());
  }

  thaw() {
    for (const each of this.masters()) each.thaw();
  }

  async freezeFor(ms) {
    await Promise.all(this.masters().map((each) => each.freezeFor(ms)));
  }

  /** Starts the stopped masters again, on their ports. */
  async restart() {
    await this.startAgain();
    return this;
  }

  /** Prepares it for another test. */
  forget() {
    for (const each of this.masters()) assertNothingRefused(each);
    for (const command of [["FLUSHALL"], ["SCRIPT", "FLUSH"], ["CONFIG", "RESETSTAT"], ["ACL", "LOG", "RESET"]]) this.run(...command);
  }
}

const makers = {
  /** A Sentinel that is only asked: it sends nothing that a test could count, and leaves the master what it is. */
  async sentinel(stage) {
    const sentinels = await startSentinels(stage, { replicas: 1, count: 1, downAfter: NEVER_MS });
    for (const name of ["info-period", "publish-period", "ping-period"]) sentinels.setPeriod(name, NEVER_MS);
    const master = () => sentinels.redis[0];
    return new ManyAsOne({ masters: () => [master()], home: master, url: sentinels.url, restart: () => sentinels.restart(master(), null), stage });
  },

  async cluster(stage) {
    const cluster = await startCluster(stage, { replicas: 0 });
    const slots = new Map(); // slot → index of its node; no test moves a slot here
    const home = (key = ROOM_KEY) => {
      const slot = cluster.slotOf(key);
      if (!slots.has(slot)) slots.set(slot, cluster.nodes.indexOf(cluster.masterOfSlot(slot)));
      return cluster.nodes[slots.get(slot)];
    };
    home();
    const restart = async () => {
      for (const dead of cluster.nodes.filter((node) => !node.running)) await cluster.restart(dead);
      await cluster.settled();
    };
    return new ManyAsOne({ masters: () => cluster.nodes, home, url: cluster.url, restart, stage });
  },
};

/** Where a topology lives that outlasts a test. It ends with `end`, at the latest with the test file. */
function openStage() {
  const stage = { after: (ending) => (stage.end = ending) };
  return stage;
}

const spare = []; // clean ones, for the next test of this file
const lent = new Map(); // port, and the one that the test asked for → the one that a test uses

after(() => Promise.all(spare.splice(0).map(({ stage }) => stage.end())));

/** A topology of this kind that looks like one Redis, for the duration of the test. Another port than the one that is asked for may be its own,
 *  but a second call with that port is for the same one: the test has stopped it, and it is started again. */
export async function startTopology(t, { kind = topology, port } = {}) {
  if (port !== undefined && lent.has(port)) return lent.get(port).restart();
  const at = spare.findIndex((each) => each.kind === kind);
  const one = at >= 0 ? spare.splice(at, 1)[0] : Object.assign(await makers[kind](openStage()), { kind });
  const names = [one.port, port ?? one.port];
  for (const name of names) lent.set(name, one);
  atEnd(t, async () => {
    for (const name of names) lent.delete(name);
    if (!one.clean) return one.stage.end();
    one.forget();
    spare.push(one);
  });
  return one;
}
