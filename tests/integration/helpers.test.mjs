// What stands beside a gateway, and may stand still or die: who reads its log, the private Redis, the
// keeper of that, a whole machine's single core.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { Gateway, Member, Process, atEnd, binary, freePort, get, joined, parseLog, startGateway, startRedis, temporaryDirectory, until } from "../lib/harness.mjs";

const MEGABYTE = 1 << 20;
const LONG = "x".repeat(1800);
const LINES = 1000; // of the log, which can keep some 650 that are so long

/** Pid, parent and name of all processes that are not over. */
function processes() {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [, name, state, parent] = fs.readFileSync(`/proc/${pid}/stat`, "utf8").match(/^\d+ \((.*)\) (\S) (\d+)/s);
        return state === "Z" ? [] : [{ pid: Number(pid), name, parent: Number(parent) }];
      } catch {
        return [];
      }
    });
}

/** The private redis-server of this gateway, with its keeper as parent; undefined when there is none. */
function privateRedis(gateway) {
  const all = processes();
  const keepers = all.filter(({ parent }) => parent === gateway.pid).map(({ pid }) => pid);
  return all.find(({ name, parent }) => name === "redis-server" && keepers.includes(parent));
}

const anotherRedis = (gateway, than) =>
  until("another redis-server", () => {
    const found = privateRedis(gateway);
    return found !== undefined && found.pid !== than.pid && found;
  });

const isGone = (pid) => until(`${pid} is gone`, () => processes().every((each) => each.pid !== pid));

const ready = async (gateway) => (await get(`${gateway.origin}/readyz`).catch(() => null))?.status;

// --- The log ---

/** A gateway whose log goes into a pipe that nobody reads; `fd` is the pipe. */
async function startWithFullLog(t, redis, args = []) {
  const fifo = path.join(temporaryDirectory(t), "pipe");
  execFileSync("mkfifo", [fifo]);
  const fd = fs.openSync(fifo, "r+");
  atEnd(t, () => fs.closeSync(fd));
  const port = await freePort();
  const gateway = new Gateway(t, port, ["--redis", redis.url, "--rate", "0", "--log-text", "--drain", "0", ...args], { stdio: ["ignore", fd, "pipe"] });
  atEnd(t, async () => {
    if (gateway.running) gateway.signal("SIGINT");
    await until("it has ended", () => !gateway.running);
    assert.deepEqual(await gateway.ended, { code: 0, signal: null }, gateway.errors);
  });
  await until("it is ready", async () => (await ready(gateway)) === 200);
  return { gateway, fd };
}

/** Says so much in a room of its own, of which all is logged, that whatever waits for the log's reader is full. */
async function fillLog(t, gateway, name) {
  const member = await joined(t, `${gateway.url}/${name}`, name);
  for (let i = 0; i < LINES; i++) {
    member.send({ type: "say", text: LONG, nonce: String(i) });
    if (i % 50 === 0) await member.settled();
  }
  await until("all is said", () => member.received.filter(({ type }) => type === "ack").length === LINES);
}

const droppedBy = async (gateway) => (await gateway.stats()).log_dropped;

/** All that comes out of the pipe until `done` is true of it. */
async function drainPipe(fd, done) {
  let text = "";
  const buffer = Buffer.alloc(65536);
  const nonblocking = fs.openSync(`/proc/self/fd/${fd}`, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  await until("what is waited for in the log", () => {
    try {
      for (;;) text += buffer.toString("utf8", 0, fs.readSync(nonblocking, buffer));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
    return done(text);
  });
  fs.closeSync(nonblocking);
  return text;
}

function assertWholeLines(text) {
  for (const line of text.replace(/\n$/, "").split("\n")) assert.match(line, /^time:[^\t]+Z\tlevel:\w+\tkind:[\w-]+\tgateway:[^\t]+(\t\w+:[^\t]*)*$/);
}

test("a gateway whose log pipe is full goes on serving; what is missing is counted, and said when it flows again", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const { gateway, fd } = await startWithFullLog(t, redis);
  const alice = await joined(t, gateway.url, "alice");
  await fillLog(t, gateway, "zoe");
  alice.send({ type: "say", text: "still here", nonce: "1" });
  await alice.waitFor({ type: "message", text: "still here" });
  assert.equal((await get(`${gateway.origin}/healthz`)).status, 200);
  const dropped = await droppedBy(gateway);
  assert.ok(dropped > 0);
  assert.match((await get(`${gateway.origin}/metrics`)).body, /^yukizuri_log_dropped_total [1-9]\d*$/m);

  const text = await drainPipe(fd, (sofar) => /\tkind:log-dropped\t.*\n/.test(sofar));
  assert.ok(text.length > MEGABYTE, "a good deal waited");
  assertWholeLines(text);
  const kept = parseLog(text).filter(({ kind }) => kind === "say").length;
  const said = parseLog(text).find(({ kind }) => kind === "log-dropped");
  assert.equal(said.level, "warn");
  assert.equal(Number(said.message.match(/^(\d+) lines/)[1]), dropped);
  assert.equal(kept + dropped, LINES + 1);
  await joined(t, gateway.url, "bob");
  await drainPipe(fd, (sofar) => sofar.includes("\tusername:bob\t"));
});

test("workers whose one log pipe is full go on serving, and their lines do not mix", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const { gateway, fd } = await startWithFullLog(t, redis, ["--workers", "2"]);
  await Promise.all([1, 2, 3, 4].map((i) => fillLog(t, gateway, `zoe${i}`)));
  const bob = await joined(t, gateway.url, "bob");
  bob.send({ type: "say", text: "still here", nonce: "1" });
  await bob.waitFor({ type: "message", text: "still here" });
  assertWholeLines(await drainPipe(fd, (text) => text.includes("\tkind:log-dropped\t") && text.endsWith("\n")));
});

test("a gateway whose log socket is full goes on serving", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0", "-log-text=true"] }); // a test's pipe to a child is a socket
  gateway.child.stdout.pause();
  const alice = await joined(t, gateway.url, "alice");
  await fillLog(t, gateway, "zoe");
  await until("it is counted", () => droppedBy(gateway));
  alice.send({ type: "say", text: "still here", nonce: "1" });
  await alice.waitFor({ type: "message", text: "still here" });
  gateway.child.stdout.resume();
  await until("it is said", () => gateway.log.some(({ kind }) => kind === "log-dropped"));
});

test("SIGTERM ends a gateway whose log pipe is full", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const { gateway } = await startWithFullLog(t, redis);
  await fillLog(t, gateway, "zoe");
  gateway.signal("SIGTERM");
  await until("it has ended", () => !gateway.running);
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
});

test("a log-file that is a FIFO without a reader does not hold up the start", { timeout: 60000 }, async (t) => {
  const fifo = path.join(temporaryDirectory(t), "log");
  execFileSync("mkfifo", [fifo]);
  const redis = await startRedis(t);
  await startGateway(t, { redis, args: ["--log-file", fifo] });
  const reader = new Process(t, "head", ["-n", "1", fifo]);
  await until("the first line", () => reader.output.includes("\tkind:start\t"));
});

test("no standard output: one clear line", { timeout: 60000 }, async (t) => {
  const addr = `127.0.0.1:${await freePort()}`;
  const gateway = new Process(t, "sh", ["-c", 'exec "$@" >&-', "sh", binary, "--addr", addr]);
  assert.deepEqual(await gateway.ended, { code: 2, signal: null });
  assert.match(gateway.errors, /^yukizuri: the log cannot go to standard output: Bad file descriptor; name a file with .+\n$/);
});

// --- The private Redis ---

/** A directory for PATH with a redis-server that waits while there is a file `hold` in it. */
function redisThatCanBeHeld(t) {
  const directory = temporaryDirectory(t);
  const real = execFileSync("sh", ["-c", "command -v redis-server"], { encoding: "utf8" }).trim();
  fs.writeFileSync(path.join(directory, "redis-server"), `#!/bin/sh\nwhile [ -e ${directory}/hold ]; do sleep 0.05; done\nexec ${real} "$@"\n`, { mode: 0o755 });
  return { hold: path.join(directory, "hold"), env: { ...process.env, PATH: `${directory}:${process.env.PATH}` } };
}

for (const workers of ["1", "2"]) {
  const many = workers === "1" ? "" : `, which ${workers} workers share,`;

  test(`a private Redis that was killed${many} is started anew: members are told by a gap, and talk again`, { timeout: 120000 }, async (t) => {
    const { hold, env } = redisThatCanBeHeld(t);
    const gateway = await startGateway(t, { args: ["--workers", workers], env });
    const [alice, bob] = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
    alice.send({ type: "say", text: "one", nonce: "1" });
    await bob.waitFor({ type: "message", text: "one" });

    const redis = privateRedis(gateway);
    fs.writeFileSync(hold, "");
    process.kill(redis.pid, "SIGKILL");
    await until("it is not ready", async () => (await ready(gateway)) === 503);
    assert.equal((await get(`${gateway.origin}/healthz`)).status, 200);
    fs.rmSync(hold);
    await until("it is ready again", async () => (await ready(gateway)) === 200);
    for (const member of [alice, bob]) await member.waitFor({ type: "gap" });
    alice.send({ type: "say", text: "two", nonce: "2" });
    for (const member of [alice, bob]) await member.waitFor({ type: "message", text: "two" });
    const said = /the private Redis ended by signal 9 and was started again, empty/;
    if (workers === "1") await until("the log says so", () => gateway.log.some(({ kind, message }) => kind === "embedded-redis" && said.test(message)));
    else await until("the supervisor says so", () => said.test(gateway.errors));
    await until("whichever worker it is, somebody new comes in", async () => {
      const carol = await new Member(t, gateway.url).opened();
      carol.send({ type: "join", name: "carol" });
      return (await carol.waitFor(({ type }) => type === "welcome" || type === "error")).type === "welcome";
    });
  });

  test(`a private Redis${many} that dies three times within a minute ends the gateway with a clear line and status 1`, { timeout: 120000 }, async (t) => {
    const port = await freePort();
    const gateway = new Gateway(t, port, ["--workers", workers]);
    await until("it is ready", async () => (await ready(gateway)) === 200);
    const alice = await joined(t, gateway.url, "alice");
    let redis = privateRedis(gateway);
    for (let death = 1; death <= 3; death++) {
      process.kill(redis.pid, "SIGKILL");
      if (death < 3) redis = await anotherRedis(gateway, redis);
    }
    assert.deepEqual(await gateway.ended, { code: 1, signal: null });
    assert.match(gateway.errors, /^yukizuri: the private Redis ended 3 times within 60 seconds, lastly by signal 9: see that it can run \(.*\n$/m);
    if (workers === "1") assert.ok(gateway.log.some(({ level, kind }) => kind === "embedded-redis" && level === "error"));
    await alice.waitClosed();
  });
}

test("a private Redis that cannot run ends the gateway with its status", { timeout: 60000 }, async (t) => {
  const directory = temporaryDirectory(t);
  fs.writeFileSync(path.join(directory, "redis-server"), "#!/bin/sh\nexit 9\n", { mode: 0o755 });
  const gateway = new Process(t, binary, ["--addr", `127.0.0.1:${await freePort()}`], { env: { ...process.env, PATH: directory } });
  assert.deepEqual(await gateway.ended, { code: 1, signal: null });
  assert.match(gateway.errors, /^yukizuri: the private Redis ended 3 times within 60 seconds, lastly with status 9: .*\n$/);
});

test("a keeper that was killed is replaced, with a Redis that members can talk through", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t);
  const alice = await joined(t, gateway.url, "alice");
  const redis = privateRedis(gateway);
  process.kill(redis.parent, "SIGKILL");
  await isGone(redis.pid);
  await anotherRedis(gateway, redis);
  await alice.waitFor({ type: "gap" });
  alice.send({ type: "say", text: "again", nonce: "1" });
  await alice.waitFor({ type: "message", text: "again" });
});

test("a gateway ends although its keeper was stopped, and leaves nothing", { timeout: 60000 }, async (t) => {
  const directory = fs.mkdtempSync("/tmp/yz-"); // a socket's path is short
  atEnd(t, () => fs.rmSync(directory, { recursive: true, force: true }));
  const gateway = await startGateway(t, { env: { ...process.env, TMPDIR: directory } });
  const redis = privateRedis(gateway);
  process.kill(redis.parent, "SIGSTOP");
  gateway.signal("SIGTERM");
  await until("it has ended", () => !gateway.running);
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
  await isGone(redis.parent);
  await isGone(redis.pid);
  assert.deepEqual(fs.readdirSync(directory), []);
});

// --- One core ---

test("workers auto on one core: the second SIGTERM ends it at once", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const port = await freePort();
  const core = execFileSync("sh", ["-c", "taskset -cp $$ | sed 's/.*: *//; s/[,-].*//'"], { encoding: "utf8" }).trim();
  const gateway = new Process(t, "taskset", ["-c", core, binary, "--addr", `127.0.0.1:${port}`, "--redis", redis.url, "--workers", "auto", "--drain", "600"]);
  await until("it is ready", async () => (await get(`http://127.0.0.1:${port}/readyz`).catch(() => null))?.status === 200);
  assert.deepEqual(processes().filter(({ parent }) => parent === gateway.pid), [], "a single one needs no supervisor");
  const alice = await joined(t, `ws://127.0.0.1:${port}/room`, "alice");
  gateway.signal("SIGTERM");
  await until("it drains", () => alice.find({ type: "reconnect" }));
  gateway.signal("SIGTERM");
  await until("it has ended", () => !gateway.running);
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
});
