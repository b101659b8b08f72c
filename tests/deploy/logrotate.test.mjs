// The logs are rotated by the real logrotate, while people talk: no line is lost or doubled, and names do not stay.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import zlib from "node:zlib";
import { childrenOf, joined, parseLog, startGateway, startRedis, temporaryDirectory, top, until } from "../lib/harness.mjs";
import { ADM, StandIn, USER, asUser, whyNoStandIn } from "./lib/stand-in.mjs";

const SHIPPED = path.join(top, "deploy/logrotate/yukizuri");
const KEPT = 3;

/** The directory /var/log/yukizuri of a stand-in, and the shipped configuration, which logrotate takes only if root owns it. */
class Logs {
  constructor(t) {
    const home = temporaryDirectory(t);
    this.standIn = new StandIn(t, { "/var/log": home });
    this.directory = path.join(home, "yukizuri");
    fs.mkdirSync(this.directory, { mode: 0o750 });
    fs.chownSync(this.directory, USER, ADM);
    fs.chmodSync(this.directory, 0o2750);
    this.configuration = path.join(this.standIn.home, "yukizuri");
    fs.copyFileSync(SHIPPED, this.configuration);
    fs.chmodSync(this.configuration, 0o644);
    this.state = path.join(this.standIn.home, "state");
  }

  path(name) {
    return path.join(this.directory, name);
  }

  run(...args) {
    const [command, ...rest] = this.standIn.command(["/usr/sbin/logrotate", "--state", this.state, ...args, this.configuration]);
    const { status, stdout, stderr } = spawnSync(command, rest, { encoding: "utf8" });
    assert.deepEqual({ status, said: stdout + stderr }, { status: 0, said: "" });
  }

  get names() {
    return fs.readdirSync(this.directory).sort();
  }

  /** The text of a file, which may be compressed. */
  text(name) {
    const bytes = fs.readFileSync(this.path(name));
    return (name.endsWith(".gz") ? zlib.gunzipSync(bytes) : bytes).toString();
  }

  /** The texts that were said, in the order of the log NUMBER.log: the oldest file first. */
  said(number) {
    const age = (name) => Number(/\.log\.(\d+)/.exec(name)?.[1] ?? 0);
    const names = this.names.filter((name) => name.startsWith(`${number}.log`)).sort((one, other) => age(other) - age(one));
    return names.map((name) => parseLog(this.text(name)).filter(({ kind }) => kind === "say").map(({ message }) => message));
  }
}

/** The files of this directory that a process and its children have open. */
const openFiles = (pid, directory) =>
  [pid, ...childrenOf(pid)].flatMap((each) =>
    fs.readdirSync(`/proc/${each}/fd`).flatMap((fd) => {
      try {
        const target = fs.readlinkSync(`/proc/${each}/fd/${fd}`);
        return target.startsWith(directory) ? [target] : [];
      } catch {
        return []; // closed just now
      }
    }),
  );

const startLogging = (t, logs, redis, number, args = []) =>
  startGateway(t, { redis, wrap: asUser, args: ["--log-file", logs.path(`${number}.log`), "--log-text", "--rate", "0", "--gateway-id", `g${number}`, ...args] });

/** Somebody who says numbered texts, each after the last one was accepted, until `stop`. */
class Talker {
  said = [];
  #stopped = false;

  constructor(member, name) {
    this.talking = (async () => {
      while (!this.#stopped) {
        const text = `${name}-${this.said.length}`;
        await member.say(text);
        this.said.push(text);
      }
    })();
    this.talking.catch(() => {}); // stop() shows it
  }

  stop() {
    this.#stopped = true;
    return this.talking;
  }

  /** Waits until it has said this many more. */
  says(more) {
    const before = this.said.length;
    return until("talk goes on", () => this.said.length >= before + more);
  }
}

async function startTalkers(t, gateway, count, prefix) {
  const members = await Promise.all(Array.from({ length: count }, (_, i) => joined(t, gateway.url, `${prefix}${i}`)));
  return members.map((member, i) => new Talker(member, `${prefix}${i}`));
}

test("while people talk, rotation loses no line and doubles none, and nothing is written to a file that was rotated", { timeout: 180000, skip: whyNoStandIn }, async (t) => {
  const logs = new Logs(t);
  const redis = await startRedis(t);
  const gateways = { 1: await startLogging(t, logs, redis, 1), 2: await startLogging(t, logs, redis, 2, ["--workers", "2"]) };
  const talkers = { 1: await startTalkers(t, gateways[1], 4, "one"), 2: await startTalkers(t, gateways[2], 4, "two") };
  const everybody = Object.values(talkers).flat();
  const rotated = new Map(); // the inode of a rotated file → its text when nobody had it open any more
  for (let round = 0; round < KEPT; round++) {
    await Promise.all(everybody.map((talker) => talker.says(20)));
    const before = fs.statSync(logs.path("1.log")).ino;
    logs.run("--force");
    assert.equal(fs.statSync(logs.path("1.log.1")).ino, before, "the file was renamed, not copied");
    for (const number of [1, 2]) {
      const current = logs.path(`${number}.log`);
      await until("every process has opened its new file", () => openFiles(gateways[number].pid, logs.directory).every((name) => name === current));
      const old = logs.path(`${number}.log.1`);
      rotated.set(fs.statSync(old).ino, fs.readFileSync(old, "utf8"));
    }
  }
  await Promise.all(everybody.map((talker) => talker.says(20)));
  await Promise.all(everybody.map((talker) => talker.stop()));
  for (const number of [1, 2]) {
    const spoken = talkers[number].flatMap(({ said }) => said);
    await until("the last line is written", () => logs.said(number).flat().length >= spoken.length);
    const files = logs.said(number);
    assert.equal(files.length, KEPT + 1);
    assert.ok(files.every((texts) => texts.length > 0), "each file has lines");
    assert.deepEqual(files.flat().sort(), spoken.sort());
    const last = logs.path(`${number}.log.1`);
    assert.equal(fs.readFileSync(last, "utf8"), rotated.get(fs.statSync(last).ino), "nothing was written to it after");
  }
  const { mode, uid, gid } = fs.statSync(logs.path("1.log"));
  assert.deepEqual([mode & 0o777, uid, gid], [0o640, USER, ADM]);
});

test("what a gateway writes before it gets the signal is not lost", { timeout: 120000, skip: whyNoStandIn }, async (t) => {
  const logs = new Logs(t);
  const gateway = await startLogging(t, logs, await startRedis(t), 1);
  const alice = await joined(t, gateway.url, "alice");
  logs.run("--force"); // from here on there is an older file to compress
  gateway.freeze(t);
  logs.run("--force");
  assert.deepEqual(logs.names, ["1.log", "1.log.1", "1.log.2.gz"], "the file that the gateway still has open is not compressed");
  gateway.thaw();
  await alice.say("after the signal");
  await until("it is written", () => logs.said(1).flat().includes("after the signal"));
});

test("logs are rotated once a day, also without a gateway", { timeout: 60000, skip: whyNoStandIn }, async (t) => {
  const logs = new Logs(t);
  logs.run(); // there is no log yet
  fs.writeFileSync(logs.path("1.log"), "a line\n");
  fs.chownSync(logs.path("1.log"), USER, ADM);
  const [day] = execFileSync("date", ["--date", "2 days ago", "+%Y-%-m-%-d"], { encoding: "utf8" }).split("\n");
  fs.writeFileSync(logs.state, `logrotate state -- version 2\n"/var/log/yukizuri/1.log" ${day}-0:0:0\n`);
  logs.run();
  assert.deepEqual(logs.names, ["1.log", "1.log.1"]);
  logs.run();
  assert.deepEqual(logs.names, ["1.log", "1.log.1"], "the second run on this day does nothing");
});

test("a name is gone from the disk after the kept days, although the gateway has nothing to log any more", { timeout: 120000, skip: whyNoStandIn }, async (t) => {
  const logs = new Logs(t);
  const gateway = await startLogging(t, logs, await startRedis(t), 1);
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "leave" });
  const where = () => logs.names.filter((name) => logs.text(name).includes("username:alice"));
  await until("she has left", () => logs.text("1.log").includes("\tkind:leave\t"));
  assert.equal((await gateway.stop("SIGINT")).code, 0);
  for (let day = 1; day <= KEPT; day++) {
    logs.run("--force");
    assert.deepEqual(where(), [day === 1 ? "1.log.1" : `1.log.${day}.gz`]);
  }
  logs.run("--force");
  assert.deepEqual(where(), []);
  assert.equal(logs.names.length, KEPT + 1);
});


test("logrotate works as the gateways' user: it changes no file that this user may not change", { timeout: 60000, skip: whyNoStandIn }, async (t) => {
  const logs = new Logs(t);
  fs.writeFileSync(logs.path("1.log"), "a line\n");
  fs.chownSync(logs.directory, 0, 0);
  assert.throws(() => logs.run("--force"), /Permission denied/);
  assert.deepEqual(logs.names, ["1.log"]);
});
