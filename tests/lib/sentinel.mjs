// A master, its replicas and the Sentinels that watch them, with the example of deploy/redis/sentinel.conf.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { temporaryDirectory, top } from "./files.mjs";
import { freePortPair } from "./ports.mjs";
import { Redis } from "./redis.mjs";
import { PATIENCE_MS, Servers, connectingPassword, hashOf, urlOf } from "./servers.mjs";
import { until } from "./until.mjs";

/** The example with these ports and passwords. */
function sentinelConfiguration(port, home, { master, name, quorum, downAfter, failoverTimeout, user, password, adminPassword }) {
  const changes = [
    [/^port .*$/m, `port ${port}`],
    [/^dir .*$/m, `dir ${home}`],
    [/^user yukizuri on resetpass /m, user === null ? "user nobody off resetpass " : `user ${user} on #${hashOf(password)} `],
    [/^requirepass .*$/m, adminPassword === null ? "" : `requirepass "${adminPassword}"`],
    [/^sentinel sentinel-pass .*$/m, adminPassword === null ? "" : `sentinel sentinel-pass "${adminPassword}"`],
    [/^sentinel monitor .*$/m, `sentinel monitor yukizuri 127.0.0.1 ${master.port} ${quorum}`],
    [/PASSWORD-OF-SENTINELS-IN-REDIS/, connectingPassword],
    [/(down-after-milliseconds yukizuri) .*$/m, `$1 ${downAfter}`],
    [/(failover-timeout yukizuri) .*$/m, `$1 ${failoverTimeout}`],
    [/^(sentinel (?:monitor|auth-user|auth-pass|down-after-milliseconds|failover-timeout|parallel-syncs)) yukizuri /gm, `$1 ${name} `],
  ];
  return changes.reduce((text, [from, to]) => text.replace(from, to), fs.readFileSync(path.join(top, "deploy/redis/sentinel.conf"), "utf8"));
}

/** { field: value } of the fields and values that redis-cli prints by turns. */
const record = (words) => Object.fromEntries(words.flatMap((word, i) => (i % 2 === 0 ? [[word, words[i + 1]]] : [])));

class Sentinel extends Redis {
  constructor(t, port, file, { name, adminPassword }) {
    super(t, port, [file, "--sentinel"]);
    Object.assign(this, { name, adminPassword, patience: PATIENCE_MS });
  }

  /** Runs a command as the administrator. */
  cliArgs() {
    return [...super.cliArgs(), ...(this.adminPassword === null ? [] : ["--no-auth-warning", "-a", this.adminPassword])];
  }

  /** The port of the master that it names; null without an answer. */
  named() {
    const port = Number((this.tryToRun("SENTINEL", "GET-MASTER-ADDR-BY-NAME", this.name) ?? "").split("\n")[1]);
    return Number.isInteger(port) ? port : null;
  }

  /** What it knows about the master: { field: value }. */
  knows() {
    return record((this.tryToRun("SENTINEL", "MASTER", this.name) ?? "").split("\n"));
  }

  /** The fields of every replica that it knows. */
  replicas() {
    const words = (this.tryToRun("SENTINEL", "REPLICAS", this.name) ?? "").split("\n");
    const starts = words.flatMap((word, i) => (word === "name" && i % 2 === 0 ? [i] : []));
    return starts.map((from, n) => record(words.slice(from, starts[n + 1])));
  }
}

class Sentinels extends Servers {
  sentinels = [];
  #cutOff = new Set();

  constructor(t, options) {
    super(t, options.settings);
    Object.assign(this, options);
  }

  /** Every Redis, in the order of their start; the first was the first master. */
  get redis() {
    return this.servers;
  }

  async begin() {
    const master = this.#startRedis(await freePortPair());
    this.redis.push(master);
    for (let i = 0; i < this.replicas; i++) this.redis.push(this.#startRedis(await freePortPair(), master));
    await this.untilUp();
    await this.linked();
    for (let i = 0; i < this.count; i++) this.sentinels.push(await this.#startSentinel());
    await Promise.all(this.sentinels.map((sentinel) => sentinel.untilUp()));
    await this.#acquainted();
    return this;
  }

  #startRedis(port, master) {
    return this.startServer(port, master ? [`replicaof 127.0.0.1 ${master.port}`] : []);
  }

  async #startSentinel() {
    const [port, home] = [await freePortPair(), temporaryDirectory(this.t)];
    const file = path.join(home, "sentinel.conf");
    fs.writeFileSync(file, sentinelConfiguration(port, home, { ...this, master: this.redis[0] }));
    return new Sentinel(this.t, port, file, this);
  }

  /** Sentinels greet each other every 2 s. For the beginning they do so more often. */
  async #acquainted() {
    this.setPeriod("publish-period", 100);
    await this.settled();
    this.setPeriod("publish-period", 2000);
  }

  /** Sets how often Sentinels do something, in ms: `info-period` (10 s), in which they see what became of a Redis, and `publish-period` (2 s),
   *  four of which they wait before they make an old master a replica. */
  setPeriod(name, ms) {
    for (const sentinel of this.awake(this.sentinels)) sentinel.run("SENTINEL", "DEBUG", name, String(ms));
  }

  /** The Sentinels that answer and hear of the others. */
  #informed() {
    return this.awake(this.sentinels).filter((sentinel) => !this.#cutOff.has(sentinel));
  }

  /** Waits until each Redis that answers, but one, is a replica with a link to its master, and has everything that the master has. */
  async linked() {
    const servers = this.awake();
    const roles = () => servers.map((redis) => (redis.tryToRun("ROLE") ?? "").split("\n"));
    await until(() => `the replicas are linked: ${JSON.stringify(roles())}`, () => roles().filter((role) => role[3] === "connected").length === servers.length - 1);
    const master = servers[roles().findIndex(([role]) => role === "master")];
    await this.replicated(master, servers.length - 1);
  }

  /** Waits until all informed Sentinels know the same master, each other, and as many usable replicas as answer. */
  async settled() {
    const [servers, sentinels] = [this.awake(), this.#informed()];
    const isUsable = (replica) => replica["master-link-status"] === "ok" && replica.flags === "slave";
    await until("the Sentinels know everything", () => {
      const master = this.master();
      return master?.running && sentinels.every((sentinel) =>
        sentinel.named() === master.port && Number(sentinel.knows()["num-other-sentinels"]) >= sentinels.length - 1 &&
        sentinel.replicas().filter(isUsable).length === servers.length - 1);
    });
    await this.linked();
  }

  /** The master that most of the informed Sentinels name. */
  master() {
    const named = this.#informed().map((sentinel) => sentinel.named()).filter((port) => port !== null);
    const votes = (port) => named.filter((each) => each === port).length;
    return this.at(named.sort((a, b) => votes(b) - votes(a))[0]);
  }

  /** Waits until an informed Sentinel names another master than this one, and returns it. */
  async decided(old) {
    const another = () => this.#informed().map((sentinel) => sentinel.named()).find((port) => port !== null && port !== old.port);
    return this.at(await until("a Sentinel names another master", another));
  }

  /** Waits until all informed Sentinels name this master, and it is one. */
  async agreed(redis) {
    await until("the Sentinels agree", () => this.#informed().every((sentinel) => sentinel.named() === redis.port));
    await until("it is a master", () => redis.lines("ROLE")[0] === "master");
  }

  /** Begins a planned failover. */
  async beginFailover() {
    let said = "";
    await until(() => `a Sentinel begins the failover: ${said}`, () => (said = this.#informed()[0].run("SENTINEL", "FAILOVER", this.name)) === "OK");
  }

  /** A planned failover. Returns the new master as soon as it is decided. */
  async failover() {
    const old = this.master();
    await this.beginFailover();
    return this.decided(old);
  }

  /** Starts a killed Redis again, empty, as a replica of the present master, or as a master (null). Returns the new process, which takes
   *  its place in `redis`. */
  restart(dead, master = this.master()) {
    return this.replace(dead, this.#startRedis(dead.port, master));
  }

  /** Cuts a Sentinel off from every Redis and from what the other Sentinels tell, until `unite`. It goes on answering, knows nothing
   *  new, and begins no failover. */
  partition(sentinel) {
    this.#cutOff.add(sentinel);
    this.#setLinks(sentinel, { "auth-user": "stranger", quorum: 100 }, ["-publish", "-sentinel|is-master-down-by-addr"]);
  }

  unite(sentinel) {
    this.#cutOff.delete(sentinel);
    this.#setLinks(sentinel, { "auth-user": "sentinel", quorum: this.quorum }, ["+@all"]);
  }

  #setLinks(sentinel, settings, permissionsOfOthers) {
    for (const [name, value] of Object.entries(settings)) assert.equal(sentinel.run("SENTINEL", "SET", this.name, name, String(value)), "OK");
    assert.equal(sentinel.run("ACL", "SETUSER", "default", ...permissionsOfOthers), "OK");
    const id = sentinel.run("SENTINEL", "MYID").slice(0, 8);
    for (const server of this.awake()) {
      const lines = (server.tryToRun("CLIENT", "LIST") ?? "").split("\n").filter((line) => line.includes(` name=sentinel-${id}-`));
      for (const line of lines) server.run("CLIENT", "KILL", "ID", /^id=(\d+)/.exec(line)[1]); // it logs in again at once
    }
  }

  /** The URL for gateways, by way of these ports in the place of the Sentinels' own: of proxies, of a stand-in. The Sentinels' own password is
   *  not in it (`sentinelUser`, `sentinelPassword`). */
  urlThrough(ports) {
    return `${urlOf("redis-sentinel", ports)}/${this.name}`;
  }

  get url() {
    return this.urlThrough(this.sentinels.map(({ port }) => port));
  }
}

/** Starts a master, `replicas` replicas and `count` Sentinels, and waits until they know each other.
 *  `sentinelUser` and `sentinelPassword`: what gateways need to ask a Sentinel; a user has the permissions of the example. With a password alone
 *  it is the default user's. Without both, everybody may ask. `settings`: more lines of every Redis' configuration. */
export async function startSentinels(t, { replicas = 2, count = 3, quorum = Math.floor(count / 2) + 1, downAfter = 2000, failoverTimeout = 6000, name = "yukizuri", sentinelUser = null, sentinelPassword = null, settings = [] } = {}) {
  const adminPassword = sentinelUser === null ? sentinelPassword : "a password of administrators";
  return new Sentinels(t, { replicas, count, quorum, downAfter, failoverTimeout, name, settings, adminPassword, user: sentinelUser, password: sentinelPassword }).begin();
}
