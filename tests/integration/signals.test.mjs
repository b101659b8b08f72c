// The effect of signals on a gateway, from its start on; and standard descriptors that are closed at the start.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { Gateway, Process, binary, childrenOf, freePort, isReady, isRunning, joined, parseLog, startGateway, startRedis, temporaryDirectory, until, untilReady } from "../lib/harness.mjs";

/** Starts a gateway whose settings come from a pipe, and calls `meanwhile` while it waits for them. */
async function startWhileItReadsSettings(t, meanwhile, args = []) {
  const fifo = path.join(temporaryDirectory(t), "settings");
  execFileSync("mkfifo", [fifo]);
  const port = await freePort();
  const gateway = new Gateway(t, port, ["--config", fifo, ...args]);
  const settings = await until("it reads its settings", () => {
    try {
      return fs.openSync(fifo, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
    } catch {
      return null;
    }
  });
  await meanwhile(gateway);
  fs.writeSync(settings, "drain = 0\n");
  fs.closeSync(settings);
  return gateway;
}

for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM"]) {
  test(`a gateway that has just been started survives ${signal}`, async (t) => {
    const redis = await startRedis(t);
    const gateway = await startWhileItReadsSettings(t, ({ pid }) => process.kill(pid, signal), ["--redis", redis.url]);
    await until(() => `it is ready: ${gateway.errors}`, () => !gateway.running || isReady(gateway));
    assert.ok(gateway.running, "it lives");
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  });
}

test("a gateway that is told to end while it starts exits cleanly", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startWhileItReadsSettings(t, ({ pid }) => process.kill(pid, "SIGTERM"), ["--redis", redis.url]);
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
  assert.equal(parseLog(gateway.output).at(-1).kind, "stop");
});

test("a worker that gets SIGHUP from its start on survives", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  for (let round = 0; round < 10; round++) {
    const port = await freePort();
    const gateway = new Gateway(t, port, ["--redis", redis.url, "--workers", "3", "--drain", "0"]);
    const seen = new Set();
    await until("it is ready", () => {
      for (const pid of childrenOf(gateway.pid)) {
        seen.add(pid);
        try {
          process.kill(pid, "SIGHUP");
        } catch {
          // it is gone
        }
      }
      return (gateway.output.match(/\tkind:start\t/g) ?? []).length >= 3;
    });
    assert.doesNotMatch(gateway.errors, /was ended by signal/);
    assert.equal(seen.size, 3, "no worker had to be replaced");
    await untilReady(port);
    assert.deepEqual(await gateway.stop("SIGINT"), { code: 0, signal: null });
  }
});

test("a supervisor that gets SIGHUP repeatedly from its start on forwards it, and no worker dies", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startWhileItReadsSettings(t, ({ pid }) => process.kill(pid, "SIGHUP"), ["--redis", redis.url, "--workers", "3"]);
  await until("all have begun", () => {
    assert.ok(gateway.running, `it lives: ${gateway.errors}`);
    gateway.signal("SIGHUP");
    return (gateway.output.match(/\tkind:start\t/g) ?? []).length >= 3;
  });
  assert.doesNotMatch(gateway.errors, /was ended by signal/);
});

test("only the signals for ending end a gateway, and members can talk after all others", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGXFSZ", "SIGSTKFLT", "SIGCHLD", "SIGURG", "SIGWINCH", "SIGCONT"]) gateway.signal(signal);
  for (const number of [34, 40, 64]) execFileSync("kill", [`-${number}`, String(gateway.pid)]);
  alice.send({ type: "say", text: "still here", nonce: "1" });
  await alice.waitFor({ type: "message", text: "still here" });
});

test("SIGUSR1 reopens the log, as SIGHUP does, also through a supervisor", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  for (const workers of ["1", "2"]) {
    const file = path.join(temporaryDirectory(t), "log");
    const gateway = await startGateway(t, { redis, args: ["--workers", workers, "--log-file", file] });
    fs.renameSync(file, `${file}.1`);
    gateway.signal("SIGUSR1");
    await until("there is a new log", () => fs.existsSync(file));
  }
});

test("a gateway that inherits blocked signals and an ignored SIGCHLD ends on request, and notices the death of its Redis", { timeout: 120000 }, async (t) => {
  const port = await freePort();
  const held = "import os, signal, sys\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\nos.execv(sys.argv[1], sys.argv[1:])";
  const gateway = new Process(t, "python3", ["-c", held, binary, "--addr", `127.0.0.1:${port}`, "--drain", "0"]);
  await untilReady(port);
  const [keeper] = childrenOf(gateway.pid);
  const [redis] = childrenOf(keeper);
  process.kill(keeper, "SIGKILL");
  await until("another keeper has started another Redis", () => {
    const [next] = childrenOf(gateway.pid).filter((pid) => pid !== keeper);
    return next !== undefined && childrenOf(next).length > 0 && !isRunning(redis);
  });
  gateway.signal("SIGTERM");
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
});

/** Signals that `set` of /proc/PID/status names (SigIgn, SigBlk, SigCgt), by number. */
function signalsOf(pid, set) {
  const mask = BigInt(`0x${new RegExp(`^${set}:\\t([0-9a-f]+)$`, "m").exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]}`);
  return Array.from({ length: 64 }, (_, i) => i + 1).filter((number) => mask & (1n << BigInt(number - 1)));
}

test("a private Redis inherits no blocked signal and ignores only those that any Redis ignores", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t);
  const redis = await until("there is one", () => childrenOf(gateway.pid).flatMap(childrenOf)[0]);
  const other = await startRedis(t);
  assert.deepEqual(signalsOf(redis, "SigBlk"), []);
  assert.deepEqual(signalsOf(redis, "SigIgn"), signalsOf(other.pid, "SigIgn"));
});

for (const [closed, what] of [["0<&-", "standard input"], ["2>&-", "standard error"], ["0<&- 2>&-", "both"]]) {
  test(`a gateway that is started with ${what} closed puts no socket and no file in its place`, async (t) => {
    const redis = await startRedis(t);
    const port = await freePort();
    const gateway = new Process(t, "sh", ["-c", `exec "$@" ${closed}`, "sh", binary, "--addr", `127.0.0.1:${port}`, "--redis", redis.url, "--drain", "0"]);
    await untilReady(port);
    await joined(t, `ws://127.0.0.1:${port}/room`, "alice");
    for (const fd of [...closed.matchAll(/(\d)[<>]/g)].map(([, number]) => number)) assert.equal(fs.readlinkSync(`/proc/${gateway.pid}/fd/${fd}`), "/dev/null");
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  });
}

test("a gateway that is started with all three closed, and a log-file, serves", async (t) => {
  const redis = await startRedis(t);
  const port = await freePort();
  const file = path.join(temporaryDirectory(t), "log");
  const gateway = new Process(t, "sh", ["-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", binary, "--addr", `127.0.0.1:${port}`, "--redis", redis.url, "--log-file", file, "--drain", "0"]);
  await untilReady(port);
  for (const fd of [0, 1, 2]) assert.equal(fs.readlinkSync(`/proc/${gateway.pid}/fd/${fd}`), "/dev/null");
  assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  assert.deepEqual([...new Set(parseLog(fs.readFileSync(file, "utf8")).map(({ kind }) => kind))].filter((kind) => kind === "start" || kind === "stop"), ["start", "stop"]);
});
