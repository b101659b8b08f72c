// The system under test: one Redis and several gateways behind one nginx. Each can be stopped and started
// again in its place.
import fs from "node:fs";
import path from "node:path";
import { Gateway, freePort, startNginx, startRedis, temporaryDirectory, until } from "../lib/harness.mjs";
import { History } from "./history.mjs";

const HEAD = "yukizuri:{lobby}:head";

const usual = { lease: 3, grace: 6, retention: 60, ping: 5, drain: 3 };
export const drainDelay = 1; // seconds, of every gateway here

export class System {
  redis;
  nginx;
  gateways = []; // { number, port, generation, process, toRedis, fromNginx }
  everyProcess = [];
  failures = []; // faults that could not be carried out
  ends = []; // how drained gateways ended: { gateway, code, signal }
  emptied = 0; // how often Redis lost its memory
  forked = 0; // how often it went on with an older one
  history = new History();
  wentBack = []; // when Redis was there again, with less than it had
  away = []; // when Redis could not be used: [from, to]
  paths;
  #t;

  constructor(t, paths, settings) {
    this.#t = t;
    this.paths = paths;
    this.settings = { ...usual, ...settings };
  }

  async start(count) {
    const addresses = Array.from({ length: count }, (_, i) => `127.0.0.${11 + i}`);
    this.directory = temporaryDirectory(this.#t);
    this.redisArgs = ["--bind", "127.0.0.1", ...addresses, "--dir", this.directory];
    this.redis = await startRedis(this.#t, { args: this.redisArgs });
    const upstreams = [];
    for (let number = 0; number < count; number++) {
      const port = await freePort();
      const gateway = { number, port, generation: 0, stalls: [] };
      gateway.toRedis = await this.paths.open(addresses[number], this.redis.port);
      gateway.fromNginx = await this.paths.open(`127.0.0.${21 + number}`, port);
      upstreams.push(`${gateway.fromNginx.address}:${gateway.fromNginx.port}`);
      this.gateways.push(gateway);
      gateway.process = await this.startGateway(gateway);
    }
    this.nginx = await startNginx(this.#t, upstreams);
  }

  /** Starts the next incarnation of this gateway, under its old id unless that is still in use. */
  async startGateway(gateway, { newId = false } = {}) {
    if (newId) gateway.generation++;
    const { toRedis, fromNginx, number, port } = gateway;
    const { lease, grace, retention, ping, drain } = this.settings;
    const more = fromNginx.port === port ? ["--addr", `${fromNginx.address}:${port}`] : [];
    const started = new Gateway(this.#t, port, [
      ...more,
      "--redis", this.redis.urlAt(toRedis.address, toRedis.port),
      "--gateway-id", `g${number}-${gateway.generation}`,
      "--lease", lease, "--leave-grace", grace, "--retention", retention,
      "--ping", ping, "--drain", drain, "--drain-delay", drainDelay, "--rate", "20:60",
      "--max-connections-per-address", 0, "--trusted-proxy", "127.0.0.0/8", "--backlog", 65536,
    ].map(String));
    started.number = number;
    this.everyProcess.push(started);
    await started.untilAnswers("/healthz", "\tkind:redis-");
    return started;
  }

  /** The room's head contains the forks of its epoch until it expires. */
  noteHistory() {
    const [epoch, forks] = this.redis.lines("HMGET", HEAD, "epoch", "forks");
    if (epoch) this.history.note(epoch, forks ?? "");
  }

  /** Redis restarts from a snapshot that lacks the messages during `pause`. */
  async restoreOlder(fault, pause) {
    this.forked++;
    this.noteHistory();
    this.redis.run("SAVE");
    await pause();
    fault.from = Date.now();
    await this.redis.stop("SIGKILL");
    this.redis = await startRedis(this.#t, { port: this.redis.port, args: this.redisArgs });
    this.wentBack.push(Date.now());
  }

  /** A replica that receives nothing during `pause` is promoted, and replaces the master. */
  async failOverBehind(fault, pause) {
    const master = this.redis;
    this.forked += 2; // a master's history has another name once its first replica is there
    this.noteHistory();
    const replica = await startRedis(this.#t, { args: [...this.redisArgs, "--dbfilename", "replica.rdb", "--replicaof", "127.0.0.1", String(master.port), "--repl-diskless-sync-delay", "0"] });
    await until("the replica has everything", () => replica.run("INFO", "replication").includes("master_link_status:up"));
    replica.run("REPLICAOF", "127.0.0.1", "1"); // nobody listens there
    await pause();
    fault.from = Date.now();
    await master.stop("SIGKILL");
    replica.run("REPLICAOF", "NO", "ONE");
    replica.run("CONFIG", "SET", "dbfilename", "dump.rdb");
    let said = "";
    await until(() => `the replica takes the master's port: ${said}`, () => (said = replica.run("CONFIG", "SET", "port", String(master.port))) === "OK");
    replica.port = master.port;
    this.wentBack.push(Date.now());
    this.redis = replica;
  }

  async restartRedisEmpty(pause) {
    this.emptied++;
    this.noteHistory();
    await this.redis.stop("SIGKILL");
    fs.rmSync(path.join(this.directory, "dump.rdb"), { force: true });
    await pause();
    this.redis = await startRedis(this.#t, { port: this.redis.port, args: this.redisArgs });
    this.wentBack.push(Date.now());
  }
}
