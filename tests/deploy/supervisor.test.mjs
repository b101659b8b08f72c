// Debian's supervisor runs the gateways with the shipped files.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { MovingMember, Process, atEnd, binary, freePort, freePortPair, joined, parseLog, startGateway, startRedis, temporaryDirectory, top, until, untilReady } from "../lib/harness.mjs";
import { ADM, StandIn, USER, whyNoStandIn } from "./lib/stand-in.mjs";

const WORD_OF_SANITIZERS = /Sanitizer|runtime error/;

/** A supervisord that includes one of the shipped files. `own` replaces what a test has elsewhere: [shipped, own] pairs. */
class Supervisor {
  static async start(t, name, own, env = {}) {
    const supervisor = new Supervisor();
    const home = temporaryDirectory(t);
    supervisor.logs = path.join(home, "log");
    fs.mkdirSync(path.join(supervisor.logs, "supervisor"), { recursive: true });
    fs.mkdirSync(path.join(supervisor.logs, "yukizuri"), { mode: 0o750 });
    fs.chownSync(path.join(supervisor.logs, "yukizuri"), USER, ADM);
    const text = [["command=/usr/bin/yukizuri ", `command=${binary} `], ...own].reduce((sofar, [shipped, mine]) => {
      assert.ok(sofar.includes(shipped), `${name} has "${shipped}"`);
      return sofar.replace(shipped, mine);
    }, fs.readFileSync(path.join(top, "deploy/supervisor", name), "utf8"));
    fs.writeFileSync(path.join(home, name), text);
    supervisor.configuration = path.join(home, "supervisord.conf");
    fs.writeFileSync(supervisor.configuration, supervisor.#whole(home, name));
    const [command, ...args] = new StandIn(t, { "/var/log": supervisor.logs }).command(["/usr/bin/supervisord", "--nodaemon", "--configuration", supervisor.configuration]);
    supervisor.daemon = new Process(t, command, args, { env: { PATH: process.env.PATH, ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? "", ...env } });
    atEnd(t, () => supervisor.#end());
    await until(() => `supervisord is up: ${supervisor.said}`, () => {
      assert.ok(supervisor.daemon.running, supervisor.said);
      return fs.existsSync(path.join(home, "socket"));
    });
    return supervisor;
  }

  /** Debian's supervisord.conf, with the socket and the files of this test. */
  #whole(home, name) {
    return `[unix_http_server]
file=${home}/socket
[supervisord]
user=root
logfile=${home}/supervisord.log
pidfile=${home}/supervisord.pid
childlogdir=${home}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://${home}/socket
[include]
files=${name}
`;
  }

  async #end() {
    await this.daemon.stop("SIGTERM"); // it stops its programs first
    for (const file of fs.readdirSync(path.join(this.logs, "supervisor"))) assert.doesNotMatch(this.log(`supervisor/${file}`), WORD_OF_SANITIZERS);
  }

  get said() {
    return this.daemon.output + this.daemon.errors;
  }

  log(name) {
    return fs.readFileSync(path.join(this.logs, name), "utf8");
  }

  /** Runs supervisorctl and returns its output. */
  async ctl(...args) {
    const child = spawn("/usr/bin/supervisorctl", ["--configuration", this.configuration, ...args]);
    let output = "";
    child.stdout.on("data", (data) => (output += data));
    await once(child, "close");
    return output;
  }

  async state(program) {
    return (await this.ctl("status", program)).split(/\s+/)[1];
  }

  async pid(program) {
    return Number(await this.ctl("pid", program));
  }

  untilState(program, ...states) {
    return until(() => `${program} is ${states}: ${this.said}`, async () => states.includes(await this.state(program)));
  }
}

const words = (pid) => fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
const usersOf = (pid) => new Set(/^Uid:\s+(.*)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1].split("\t").map(Number));
const filesLimit = (pid) => /^Max open files +(\d+) +(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/limits`, "utf8")).slice(1);

/** One gateway, as yukizuri.conf starts it. */
async function startOne(t) {
  const port = await freePort();
  const supervisor = await Supervisor.start(t, "yukizuri.conf", [['":8080"', `":${port}"`]], { YUKIZURI_DRAIN: "0", YUKIZURI_DRAIN_DELAY: "0" });
  await untilReady(port);
  return { supervisor, port, url: `ws://127.0.0.1:${port}/room` };
}

/** Two gateways, as yukizuri-gateways.conf starts them, at an address of this process alone. */
async function startTwo(t, { redis, settings = "" } = {}) {
  redis ??= await startRedis(t);
  const configuration = path.join(temporaryDirectory(t), "yukizuri.conf");
  fs.writeFileSync(configuration, `redis = ${redis.url}\ndrain = 2\ndrain-delay = 0\n${settings}\n`);
  const address = `127.${1 + (process.pid % 250)}.${1 + (Math.floor(process.pid / 250) % 250)}.1`;
  const prefix = Math.floor((await freePortPair()) / 10);
  const supervisor = await Supervisor.start(t, "yukizuri-gateways.conf", [
    ["/etc/yukizuri/yukizuri.conf --addr", `${configuration} --addr`],
    ["127.0.0.1:808%", `${address}:${prefix}%`],
  ]);
  const gateways = [1, 2].map((number) => ({ program: `yukizuri-gateway:${number}`, origin: `http://${address}:${prefix}${number}`, url: `ws://${address}:${prefix}${number}/room` }));
  return { supervisor, configuration, gateways };
}

test("yukizuri.conf starts one gateway with the arguments -addr and -logging, as a user who is not root, and people talk", { timeout: 120000, skip: whyNoStandIn }, async (t) => {
  const { supervisor, port, url } = await startOne(t);
  const pid = await supervisor.pid("yukizuri");
  assert.deepEqual(words(pid), [binary, `-addr=:${port}`, "-logging=true"]);
  assert.deepEqual(usersOf(pid), new Set([USER]));
  const alice = await joined(t, url, "alice");
  const bob = await joined(t, url, "bob");
  await alice.say("hello");
  await bob.waitFor({ type: "message", text: "hello" });
  await until("the joins are logged", () => parseLog(supervisor.log("yukizuri/yukizuri.log")).filter(({ kind }) => kind === "join").length === 2);
  const { mode, uid } = fs.statSync(path.join(supervisor.logs, "yukizuri/yukizuri.log"));
  assert.deepEqual([mode & 0o777, uid], [0o640, USER]);
  assert.equal(supervisor.log("supervisor/yukizuri.log"), "", "supervisor's file has no line of the log");
  await supervisor.untilState("yukizuri", "RUNNING");
  const [soft, hard] = filesLimit(pid);
  assert.equal(soft, hard, "the gateway may open as many files as supervisord could give it");
});

test("supervisorctl signal HUP makes a gateway open its log again", { timeout: 120000, skip: whyNoStandIn }, async (t) => {
  const { supervisor, url } = await startOne(t);
  await supervisor.untilState("yukizuri", "RUNNING");
  const log = path.join(supervisor.logs, "yukizuri/yukizuri.log");
  fs.renameSync(log, `${log}.1`);
  assert.equal(await supervisor.ctl("signal", "HUP", "yukizuri"), "yukizuri: signalled\n");
  await until("the new file", () => fs.existsSync(log));
  await joined(t, url, "alice");
  await until("the join is in it", () => supervisor.log("yukizuri/yukizuri.log").includes("\tkind:join\t"));
});

test("supervisorctl restart drains: the members move to another gateway, and nobody is announced as left", { timeout: 180000, skip: whyNoStandIn }, async (t) => {
  const { supervisor, gateways } = await startTwo(t);
  const [one, two] = gateways;
  for (const gateway of gateways) await untilReady(gateway);
  const watcher = await joined(t, two.url, "watcher");
  const movers = Array.from({ length: 6 }, (_, i) => new MovingMember(t, `m${i}`, one.url, two.url));
  await Promise.all(movers.map(({ done }) => done));
  for (const { member } of movers) member.socket.on("message", (data) => JSON.parse(data).type === "reconnect" && member.socket.close(1000));
  await supervisor.untilState(one.program, "RUNNING");
  const before = await supervisor.pid(one.program);
  assert.match(words(before).join(" "), /--gateway-id \S+-1 /);
  assert.equal(await supervisor.ctl("restart", one.program), "yukizuri-gateway:1: stopped\nyukizuri-gateway:1: started\n");
  assert.notEqual(await supervisor.pid(one.program), before);
  await untilReady(one);
  await until("all have moved", () => movers.every(({ hasMoved }) => hasMoved));
  const stop = parseLog(supervisor.log("yukizuri/1.log")).find(({ kind }) => kind === "stop");
  assert.match(stop.message, /^SIGTERM: 6 connections moved by themselves, 0 had to be cut/);
  await watcher.say("after the restart");
  assert.deepEqual(watcher.departures(), []);
  assert.deepEqual(usersOf(await supervisor.pid(two.program)), new Set([USER]));
});

test("a gateway that died is started again", { timeout: 120000, skip: whyNoStandIn }, async (t) => {
  const { supervisor, gateways } = await startTwo(t);
  const [{ program }] = gateways;
  await supervisor.untilState(program, "RUNNING");
  const before = await supervisor.pid(program);
  process.kill(before, "SIGKILL");
  await until("another process runs", async () => ![0, before].includes(await supervisor.pid(program)));
  await untilReady(gateways[0]);
});

test("a wrong setting is told in one line, and the gateway is not started for ever", { timeout: 120000, skip: whyNoStandIn }, async (t) => {
  const { supervisor, configuration, gateways } = await startTwo(t, { settings: "max-text = nonsense" });
  await supervisor.untilState(gateways[0].program, "FATAL", "EXITED");
  const lines = supervisor.log("supervisor/yukizuri-gateway-1.log").trimEnd().split("\n");
  for (const line of lines) assert.match(line, new RegExp(`^yukizuri: .*${configuration}.*max-text`));
  assert.ok(lines.length <= 4, `${lines.length} starts`);
});

test("a gateway whose name another one has ends, and is not started again", { timeout: 120000, skip: whyNoStandIn }, async (t) => {
  const redis = await startRedis(t);
  await startGateway(t, { redis, args: ["--gateway-id", `${os.hostname()}-2`, "--lease", "9"] });
  const { supervisor, gateways } = await startTwo(t, { redis, settings: "lease = 9" });
  await until(() => `supervisord takes it as the expected end: ${supervisor.said}`, () => /exited: 2 \(exit status 3; expected\)/.test(supervisor.said));
  assert.equal(await supervisor.state(gateways[1].program), "EXITED");
  await untilReady(gateways[0]);
});

test("supervisor waits longer for the end of a gateway than a drain takes", () => {
  const table = execFileSync(binary, ["--help=markdown"], { encoding: "utf8" });
  const seconds = (name) => Number(new RegExp(`--${name} SECONDS\` \\| .*? \\| \`(\\d+)\``).exec(table)[1]);
  for (const name of ["yukizuri.conf", "yukizuri-gateways.conf"]) {
    const [, wait] = /^stopwaitsecs=(\d+)$/m.exec(fs.readFileSync(path.join(top, "deploy/supervisor", name), "utf8"));
    assert.ok(Number(wait) > seconds("drain") + seconds("drain-delay") + 6);
  }
});
