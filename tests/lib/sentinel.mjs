// A master, its replicas and the Sentinels that watch them: the shipped configuration of Redis, the example of deploy/redis/sentinel.conf, and
// the users that Ansible gives to replicas and to Sentinels.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { atEnd } from "./endings.mjs";
import { temporaryDirectory, top } from "./files.mjs";
import { freePortPair } from "./ports.mjs";
import { Process } from "./process.mjs";
import { Redis, assertNothingRefused, redisPassword, shippedConfiguration } from "./redis.mjs";
import { until } from "./until.mjs";

const PATIENCE_MS = 2000; // for one answer of a server that may be frozen
const CONNECTING_PASSWORD = "a password of replicas and Sentinels";

const hashOf = (password) => createHash("sha256").update(password).digest("hex");

/** The users `replica` and `sentinel` of every Redis, as Ansible writes them, and one who may do nothing; with one password. */
export function usersOfServers() {
  const template = fs.readFileSync(path.join(top, "deploy/ansible/roles/redis/templates/redis-yukizuri.conf.j2"), "utf8");
  const users = template.match(/^user (replica|sentinel) .*$/gm).map((line) => line.replace(/#\{\{.*?\}\}/, `#${hashOf(CONNECTING_PASSWORD)}`));
  const stranger = `user stranger on #${hashOf(CONNECTING_PASSWORD)} -@all`;
  return [...users, stranger, "masteruser replica", `masterauth "${CONNECTING_PASSWORD}"`];
}

/** The example with these ports and passwords. */
function sentinelConfiguration(port, home, { master, name, quorum, downAfter, failoverTimeout, user, password, adminPassword }) {
  const changes = [
    [/^port .*$/m, `port ${port}`],
    [/^dir .*$/m, `dir ${home}`],
    [/^user yukizuri on resetpass /m, user === null ? "user nobody off resetpass " : `user ${user} on #${hashOf(password)} `],
    [/^requirepass .*$/m, adminPassword === null ? "" : `requirepass "${adminPassword}"`],
    [/^sentinel sentinel-pass .*$/m, adminPassword === null ? "" : `sentinel sentinel-pass "${adminPassword}"`],
    [/^sentinel monitor .*$/m, `sentinel monitor yukizuri 127.0.0.1 ${master.port} ${quorum}`],
    [/PASSWORD-OF-SENTINELS-IN-REDIS/, CONNECTING_PASSWORD],
    [/(down-after-milliseconds yukizuri) .*$/m, `$1 ${downAfter}`],
    [/(failover-timeout yukizuri) .*$/m, `$1 ${failoverTimeout}`],
    [/^(sentinel (?:monitor|auth-user|auth-pass|down-after-milliseconds|failover-timeout|parallel-syncs)) yukizuri /gm, `$1 ${name} `],
  ];
  return changes.reduce((text, [from, to]) => text.replace(from, to), fs.readFileSync(path.join(top, "deploy/redis/sentinel.conf"), "utf8"));
}

export class Sentinel extends Redis {
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
    const words = (this.tryToRun("SENTINEL", "MASTER", this.name) ?? "").split("\n");
    return Object.fromEntries(words.flatMap((word, i) => (i % 2 === 0 ? [[word, words[i + 1]]] : [])));
  }

  /** The fields of every replica that it knows. */
  replicas() {
    const words = (this.tryToRun("SENTINEL", "REPLICAS", this.name) ?? "").split("\n");
    const starts = words.flatMap((word, i) => (word === "name" && i % 2 === 0 ? [i] : []));
    return starts.map((from, n) => {
      const part = words.slice(from, starts[n + 1]);
      return Object.fromEntries(part.flatMap((word, i) => (i % 2 === 0 ? [[word, part[i + 1]]] : [])));
    });
  }
}

export class Sentinels {
  /** Every Redis, in the order of their start; the first was the first master. */
  redis = [];
  sentinels = [];
  #t;
  #asleep = new Set();
  #cutOff = new Set();
  #homes = new Map(); // port → directory

  constructor(t, options) {
    this.#t = t;
    Object.assign(this, options);
  }

  async begin() {
    const ports = [];
    for (let i = 0; i <= this.replicas; i++) ports.push(await freePortPair());
    ports.forEach((port) => this.#homes.set(port, temporaryDirectory(this.#t)));
    this.redis = ports.map((port, i) => this.#startServer(port, i === 0 ? null : ports[0]));
    await Promise.all(this.redis.map((redis) => redis.untilUp()));
    for (const redis of this.redis) atEnd(this.#t, () => assertNothingRefused(this.redis.find(({ port }) => port === redis.port)));
    await this.linked();
    for (let i = 0; i < this.count; i++) this.sentinels.push(await this.#startSentinel());
    await Promise.all(this.sentinels.map((sentinel) => sentinel.untilUp()));
    await this.#acquainted();
    return this;
  }

  #startServer(port, masterPort) {
    const home = this.#homes.get(port);
    const lines = [
      `port ${port}`, "bind 127.0.0.1", `dir ${home}`, "repl-diskless-sync-delay 0", ...usersOfServers(), ...this.settings,
      ...(masterPort === null ? [] : [`replicaof 127.0.0.1 ${masterPort}`]),
    ];
    const redis = new Redis(this.#t, port, [shippedConfiguration(home, lines)]);
    redis.patience = PATIENCE_MS;
    return redis;
  }

  async #startSentinel() {
    const [port, home] = [await freePortPair(), temporaryDirectory(this.#t)];
    const file = path.join(home, "sentinel.conf");
    fs.writeFileSync(file, sentinelConfiguration(port, home, { ...this, master: this.redis[0] }));
    return new Sentinel(this.#t, port, file, this);
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

  /** Those that answer: alive, and not stopped by `stop`. */
  awake(processes) {
    return processes.filter((each) => each.running && !this.#asleep.has(each));
  }

  /** The Sentinels that answer and hear of the others. */
  #informed() {
    return this.awake(this.sentinels).filter((sentinel) => !this.#cutOff.has(sentinel));
  }

  /** Waits until each Redis that answers, but one, is a replica with a link to its master, and has everything that the master has. */
  async linked() {
    const servers = this.awake(this.redis);
    const roles = () => servers.map((redis) => (redis.tryToRun("ROLE") ?? "").split("\n"));
    await until(() => `the replicas are linked: ${JSON.stringify(roles())}`, () => roles().filter((role) => role[3] === "connected").length === servers.length - 1);
    const master = servers[roles().findIndex(([role]) => role === "master")];
    await until("the replicas have everything", () => Number(master.runTogether(["PING", `WAIT ${servers.length - 1} ${PATIENCE_MS / 2}`])[1]) === servers.length - 1);
  }

  /** Waits until all informed Sentinels know the same master, each other, and as many usable replicas as answer. */
  async settled() {
    const [servers, sentinels] = [this.awake(this.redis), this.#informed()];
    const isUsable = (replica) => replica["master-link-status"] === "ok" && replica.flags === "slave";
    await until("the Sentinels know everything", () => {
      const master = this.master();
      return master?.running && sentinels.every((sentinel) =>
        sentinel.named() === master.port && Number(sentinel.knows()["num-other-sentinels"]) >= sentinels.length - 1 &&
        sentinel.replicas().filter(isUsable).length === servers.length - 1);
    });
    await this.linked();
  }

  at(port) {
    return this.redis.find((redis) => redis.port === port);
  }

  /** The master that most of the informed Sentinels name. */
  master() {
    const named = this.#informed().map((sentinel) => sentinel.named()).filter((port) => port !== null);
    const votes = (port) => named.filter((each) => each === port).length;
    return this.at(named.sort((a, b) => votes(b) - votes(a))[0]);
  }

  /** Each Redis that answers and is not the master. */
  others() {
    const master = this.master();
    return this.awake(this.redis).filter((redis) => redis !== master);
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

  /** A planned failover. Returns the new master as soon as it is decided. */
  async failover() {
    const old = this.master();
    let said = "";
    await until(() => `a Sentinel begins the failover: ${said}`, () => (said = this.#informed()[0].run("SENTINEL", "FAILOVER", this.name)) === "OK");
    return this.decided(old);
  }

  /** Kills a Redis or a Sentinel. */
  async kill(victim) {
    await victim.stop("SIGKILL");
  }

  /** Starts a killed Redis again, empty, as a replica of the present master, or as a master (null). Returns the new process, which takes
   *  its place in `redis`. */
  async restart(dead, master = this.master()) {
    const redis = this.#startServer(dead.port, master?.port ?? null);
    this.redis[this.redis.indexOf(dead)] = redis;
    await redis.untilUp();
    return redis;
  }

  /** Stops a Redis or a Sentinel (SIGSTOP) until `cont` or the end of the test. */
  stop(sleeper) {
    this.#asleep.add(sleeper);
    sleeper.freeze(this.#t);
  }

  cont(sleeper) {
    this.#asleep.delete(sleeper);
    sleeper.thaw();
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
    for (const server of this.awake(this.redis)) {
      const lines = (server.tryToRun("CLIENT", "LIST") ?? "").split("\n").filter((line) => line.includes(` name=sentinel-${id}-`));
      for (const line of lines) server.run("CLIENT", "KILL", "ID", /^id=(\d+)/.exec(line)[1]); // it logs in again at once
    }
  }

  /** The URL for gateways, by way of these ports in the place of the Sentinels' own: of proxies, of a stand-in. The Sentinels' own password is
   *  not in it (`sentinelUser`, `sentinelPassword`). */
  urlThrough(ports) {
    return `redis-sentinel://yukizuri:${encodeURIComponent(redisPassword)}@${ports.map((port) => `127.0.0.1:${port}`).join(",")}/${this.name}`;
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
