// Redis servers that belong together: a master with replicas, or the nodes of a cluster. Each has the shipped configuration and the users that
// Ansible gives to replicas and to Sentinels. A test kills, freezes and restarts them.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { atEnd } from "./endings.mjs";
import { temporaryDirectory, top } from "./files.mjs";
import { Redis, assertNothingRefused, redisPassword, shippedConfiguration } from "./redis.mjs";
import { until } from "./until.mjs";

export const PATIENCE_MS = 2000; // for one answer of a server that may be frozen
export const connectingPassword = "a password of replicas and Sentinels";

export const hashOf = (password) => createHash("sha256").update(password).digest("hex");

/** The users `replica` and `sentinel` of every Redis, as Ansible writes them, and one who may do nothing; with one password. */
function connectingUsers() {
  const template = fs.readFileSync(path.join(top, "deploy/ansible/roles/redis/templates/redis-yukizuri.conf.j2"), "utf8");
  const users = template.match(/^user (replica|sentinel) .*$/gm).map((line) => line.replace(/#\{\{.*?\}\}/, `#${hashOf(connectingPassword)}`));
  const stranger = `user stranger on #${hashOf(connectingPassword)} -@all`;
  return [...users, stranger, "masteruser replica", `masterauth "${connectingPassword}"`];
}

/** The URL of this scheme for gateways, by way of these ports. */
export function urlOf(scheme, ports) {
  return `${scheme}://yukizuri:${encodeURIComponent(redisPassword)}@${ports.map((port) => `127.0.0.1:${port}`).join(",")}`;
}

export class Servers {
  /** In the order of their start. */
  servers = [];
  #settings;
  #asleep = new Set();
  #homes = new Map(); // port → directory

  /** `settings`: lines of every server's configuration. */
  constructor(t, settings) {
    this.t = t;
    this.#settings = settings;
  }

  /** Starts a server on this port, with more lines of configuration. One that was there earlier has left its files. */
  startServer(port, lines, Kind = Redis) {
    if (!this.#homes.has(port)) this.#homes.set(port, temporaryDirectory(this.t));
    const home = this.#homes.get(port);
    const common = [`port ${port}`, "bind 127.0.0.1", `dir ${home}`, "repl-diskless-sync-delay 0", ...connectingUsers()];
    const server = new Kind(this.t, port, [shippedConfiguration(home, [...common, ...lines, ...this.#settings])]);
    server.patience = PATIENCE_MS;
    return server;
  }

  /** Waits until all answer. At the end of the test it checks that nothing was refused to gateways. */
  async untilUp() {
    await Promise.all(this.servers.map((server) => server.untilUp()));
    for (const { port } of this.servers) atEnd(this.t, () => assertNothingRefused(this.at(port)));
  }

  at(port) {
    return this.servers.find((server) => server.port === port);
  }

  /** Those that answer: alive, and not stopped by `stop`. */
  awake(processes = this.servers) {
    return processes.filter((each) => each.running && !this.#asleep.has(each));
  }

  async kill(victim) {
    await victim.stop("SIGKILL");
  }

  /** Puts a server that was just started in the place of a dead one. */
  async replace(dead, server) {
    this.servers[this.servers.indexOf(dead)] = server;
    await server.untilUp();
    return server;
  }

  /** Stops a process (SIGSTOP) until `cont` or the end of the test. */
  stop(sleeper) {
    this.#asleep.add(sleeper);
    sleeper.freeze(this.t);
  }

  cont(sleeper) {
    this.#asleep.delete(sleeper);
    sleeper.thaw();
  }

  /** Waits until so many replicas have everything that the master has. */
  async replicated(master, count) {
    await until("the replicas have everything", () => Number(master.runTogether(["PING", `WAIT ${count} ${PATIENCE_MS / 2}`])[1]) >= count);
  }
}
