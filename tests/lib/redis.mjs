// A real Redis, with the shipped or the default configuration, and its statistics.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { atEnd } from "./endings.mjs";
import { temporaryDirectory, top } from "./files.mjs";
import { freePort } from "./ports.mjs";
import { Process } from "./process.mjs";
import { topology } from "./topology-choice.mjs";
import { until } from "./until.mjs";

export const redisPassword = "a password of the tests";

/** Writes the shipped configuration, with its user and these lines below it, to a file in this directory. */
export function shippedConfiguration(directory, lines = []) {
  const file = path.join(directory, "redis.conf");
  fs.writeFileSync(path.join(directory, "password"), `${redisPassword}\n`);
  const shipped = execFileSync(path.join(top, "deploy/redis/render.sh"), ["--password-file", path.join(directory, "password")], { encoding: "utf8" });
  fs.writeFileSync(file, [shipped, ...lines, ""].join("\n"));
  return file;
}

export class Redis extends Process {
  constructor(t, port, args) {
    super(t, "redis-server", args);
    this.port = port;
    this.url = this.urlAt("127.0.0.1", port);
    this.patience = undefined; // for an answer, in ms; for ever by default
  }

  /** Its URL over another address, for a path that a test can break; as the shipped user. */
  urlAt(host, port) {
    return `redis://yukizuri:${encodeURIComponent(redisPassword)}@${host}:${port}`;
  }

  /** How redis-cli reaches it. */
  cliArgs() {
    return ["-p", String(this.port)];
  }

  /** Runs a command with redis-cli and returns its output for programs. */
  run(...args) {
    const text = execFileSync("redis-cli", [...this.cliArgs(), "--raw", ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: this.patience,
    });
    return text.replace(/\n$/, "");
  }

  /** Runs commands, each as a line of redis-cli, on one connection, and returns the lines of their answers. */
  runTogether(commands) {
    const text = execFileSync("redis-cli", [...this.cliArgs(), "--raw"], { encoding: "utf8", input: commands.join("\n"), stdio: ["pipe", "pipe", "ignore"], timeout: this.patience });
    return text.trimEnd().split("\n");
  }

  /** As `run`; null if there is no answer. */
  tryToRun(...args) {
    try {
      return this.run(...args);
    } catch {
      return null;
    }
  }

  /** Waits until it answers. */
  untilUp() {
    return until(() => `Redis is up: ${this.output}${this.errors}`, () => this.tryToRun("PING") === "PONG");
  }

  lines(...args) {
    const text = this.run(...args);
    return text === "" ? [] : text.split("\n");
  }

  /** The number of calls of each command so far, including those by scripts: { command: calls }. Subcommands are separate ("pubsub|numsub"). */
  commandCalls() {
    const found = this.run("INFO", "commandstats").matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm);
    return Object.fromEntries([...found].map(([, command, calls]) => [command, Number(calls)]));
  }

  calls(command) {
    return this.commandCalls()[command] ?? 0;
  }

  /** The clock of Redis, in ms since 1970. */
  now() {
    const [seconds, microseconds] = this.lines("TIME").map(Number);
    return seconds * 1000 + Math.floor(microseconds / 1000);
  }

  /** Makes Redis refuse writes until `takeWrites`. */
  refuseWrites() {
    this.run("CONFIG", "SET", "maxmemory", "1");
  }

  takeWrites() {
    this.run("CONFIG", "SET", "maxmemory", "0");
  }

  /** Closes the connections of this type ("pubsub", "normal"), of one gateway or of all. */
  cut(type, gatewayId = null) {
    if (gatewayId === null) return this.run("CLIENT", "KILL", "TYPE", type);
    const lines = this.lines("CLIENT", "LIST", "TYPE", type).filter((line) => line.includes(`name=yukizuri-${gatewayId} `));
    for (const line of lines) this.run("CLIENT", "KILL", "ID", /^id=(\d+)/.exec(line)[1]);
    return lines.length;
  }
}

/** The refusals in Redis' ACL log. The shipped user must be allowed everything that a gateway does. */
export function assertNothingRefused(redis) {
  let refused = [];
  try {
    if (redis.running) refused = execFileSync("redis-cli", ["-p", String(redis.port), "--raw", "ACL", "LOG"], { encoding: "utf8", timeout: 2000 }).split("\n");
  } catch {
    return; // the test left it frozen, or locked
  }
  const ofOurs = refused.filter((word, i) => word === "yukizuri" && refused[i - 1] === "username");
  assert.equal(ofOurs.length, 0, `the shipped user was refused what a gateway does:\n${refused.join(" ")}`);
}

/** Starts Redis with the shipped configuration, or with Redis' defaults if `shipped` is false. Gateways log in as the shipped user; `run`
 *  uses the default user, which has all permissions. With TEST_REDIS it is a topology that looks like one Redis (topologies.mjs). */
export async function startRedis(t, { port, args = [], shipped = true, alone = false } = {}) {
  if (topology !== null && shipped && !alone && args.length === 0) return (await import("./topologies.mjs")).startTopology(t, { port });
  const where = port ?? (await freePort());
  const home = temporaryDirectory(t); // whatever it may write is gone with the test
  const begin = shipped ? [shippedConfiguration(home)] : [];
  const redis = new Redis(t, where, [...begin, "--port", String(where), "--bind", "127.0.0.1", "--dir", home, ...args]);
  if (!shipped) redis.url = `redis://127.0.0.1:${where}`;
  await redis.untilUp();
  if (shipped) atEnd(t, () => assertNothingRefused(redis));
  return redis;
}

/** Starts a replica and waits until it has everything. `port` is a path to the master, if it is not the master's own. */
export async function startReplica(t, master, { port = master.port } = {}) {
  master.run("CONFIG", "SET", "repl-diskless-sync-delay", "0");
  const replica = await startRedis(t, { args: ["--replicaof", "127.0.0.1", String(port)] });
  await until("the replica is in step", () => replica.run("INFO", "replication").includes("master_link_status:up") && master.run("INFO", "replication").includes("state=online"));
  return replica;
}
