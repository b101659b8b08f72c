// The log: its lines, that no client can forge one, and that a blocked log blocks nothing.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { Gateway, Member, Process, atEnd, binary, freePort, get, joined, ofKind, parseLog, startGateway, startRedis, temporaryDirectory, topology, until, untilLogged, untilReady } from "../lib/harness.mjs";
import { FLOODS } from "../lib/floods.mjs";
import { assertSays, clean } from "../lib/command-line.mjs";

const MEGABYTE = 1 << 20;
const LONG = "x".repeat(1800);
const LINES = 1000; // of the log, which can hold about 650 of this length
const droppedBy = async (gateway) => (await gateway.stats()).log_dropped;

test("a room has the same form in all lines of the log: its name", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "1:3"] });
  const alice = await joined(t, `${gateway.url}/${encodeURIComponent("葛城")}`, "alice");
  redis.run("PUBLISH", "yukizuri:{葛城}", '{"type":"nothing of ours"}');
  for (let i = 0; i < 10; i++) FLOODS.lines(alice);
  await until("all is told", () => ["join", "dropped-event", "flood"].every((kind) => ofKind(gateway, kind).length > 0));
  alice.socket.terminate();
  await until("it is lost", () => ofKind(gateway, "lost").length > 0);
  const rooms = gateway.log.map(({ room }) => room).filter((room) => room !== undefined);
  assert.deepEqual(new Set(rooms), new Set(["葛城"]));
});

/** A gateway whose log goes to a pipe without a reader; `fd` is the pipe. */
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
  await untilReady(gateway);
  return { gateway, fd };
}

/** Sends so many logged messages that every buffer in front of the log's reader is full. */
async function fillLog(t, gateway, name) {
  const member = await joined(t, `${gateway.url}/${name}`, name);
  for (let i = 0; i < LINES; i++) {
    member.send({ type: "say", text: LONG, nonce: String(i) });
    if (i % 50 === 0) await member.settled();
  }
  await until("all is said", () => member.received.filter(({ type }) => type === "ack").length === LINES);
}

/** Reads the pipe until `done` accepts the text. */
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

test("a gateway whose log pipe is full keeps serving; dropped lines are counted and reported when the pipe is free", { timeout: 120000 }, async (t) => {
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

test("workers with one full log pipe keep serving, and their lines do not mix", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const { gateway, fd } = await startWithFullLog(t, redis, ["--workers", "2"]);
  await Promise.all([1, 2, 3, 4].map((i) => fillLog(t, gateway, `zoe${i}`)));
  const bob = await joined(t, gateway.url, "bob");
  bob.send({ type: "say", text: "still here", nonce: "1" });
  await bob.waitFor({ type: "message", text: "still here" });
  assertWholeLines(await drainPipe(fd, (text) => text.includes("\tkind:log-dropped\t") && text.endsWith("\n")));
});

test("a gateway whose log socket is full keeps serving", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0", "-log-text=true"] }); // the pipe from a test to its child is a socket
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

test("a log-file that is a FIFO without a reader does not block the start", { timeout: 120000 }, async (t) => {
  const fifo = path.join(temporaryDirectory(t), "log");
  execFileSync("mkfifo", [fifo]);
  const redis = await startRedis(t);
  await startGateway(t, { redis, args: ["--log-file", fifo] });
  const reader = new Process(t, "head", ["-n", "1", fifo]);
  await until("the first line", () => reader.output.includes("\tkind:start\t"));
});

test("without standard output the start gives one clear line", { timeout: 120000 }, async (t) => {
  const addr = `127.0.0.1:${await freePort()}`;
  const gateway = new Process(t, "sh", ["-c", 'exec "$@" >&-', "sh", binary, "--addr", addr]);
  assert.deepEqual(await gateway.ended, { code: 2, signal: null });
  assert.match(gateway.errors, /^yukizuri: the log cannot go to standard output: Bad file descriptor; name a file with .+\n$/);
});

test("the log has one line per join, refused join, leave, start and stop, and no client can forge one", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--gateway-id", "g1", "--log-address", "masked"] });
  const eve = await new Member(t, gateway.url).opened();
  eve.send({ type: "join", name: "eve\tkind:start\nlevel:error" });
  await eve.waitFor({ type: "error", code: "bad_name" });
  await eve.join('e:"\\v');
  eve.send({ type: "say", text: "what people say is not in the log", nonce: "1" });
  await eve.waitFor({ type: "ack" });
  eve.send({ type: "leave" });
  await until("she has left", () => gateway.log.some((line) => line.kind === "leave"));
  await gateway.stop("SIGINT");
  const log = gateway.log;
  const kinds = (ofRedis) => log.map((line) => line.kind).filter((kind) => kind.startsWith("redis-") === ofRedis);
  assert.deepEqual(kinds(true).filter((kind) => kind !== "redis-master").sort(), ["redis-keeps", "redis-up"], "in any order: two connections ask");
  assert.deepEqual(kinds(false), ["start", "join-refused", "join", "leave", "stop"]);
  for (const line of log) {
    assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.equal(line.gateway, "g1");
  }
  const join = log.find((line) => line.kind === "join");
  assert.deepEqual([join.username, join.remote_addr, join.room, join.id], ['e:"\\\\v', "127.0.0.x", "lobby", eve.welcome.me.id]);
  assert.ok(!gateway.output.includes("what people say"));
});

test("log-text logs each message in one line", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--log-text"] });
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "say", text: "one\nkind:start\ttwo", nonce: "1" });
  await alice.waitFor({ type: "ack" });
  const line = await until("the line", () => gateway.log.find((entry) => entry.kind === "say"));
  assert.equal(line.message, "one\\nkind:start\\ttwo");
});

test("log-file is reopened on SIGHUP, and -logging=false writes nothing", async (t) => {
  const directory = temporaryDirectory(t);
  const file = path.join(directory, "log");
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--log-file", file] });
  fs.renameSync(file, `${file}.1`);
  gateway.signal("SIGHUP");
  await until("the new file", () => fs.existsSync(file));
  await joined(t, gateway.url, "alice");
  await until("the join is in it", () => parseLog(fs.readFileSync(file, "utf8")).some((line) => line.kind === "join"));
  assert.equal(gateway.output, "");
  const quiet = await startGateway(t, { redis, args: ["-logging=false"] });
  await joined(t, quiet.url, "bob");
  assert.equal(quiet.output, "");
});

test("an unusable log file is reported by its name", async (t) => {
  const directory = temporaryDirectory(t);
  const port = await freePort();
  assertSays(["--addr", `127.0.0.1:${port}`, "--log-file", directory], /log-file: cannot open .+: Is a directory/);
  const closed = spawnSync("sh", ["-c", `exec "$0" "$@" >&-`, binary, "--addr", `127.0.0.1:${port}`], { encoding: "utf8", env: clean, timeout: 20000 });
  assert.doesNotMatch(closed.stderr, /null/);
  assert.match(closed.stderr, /standard output/);
});

test("the stop line has the reason, the numbers of moved and closed connections, and the duration", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = new Gateway(t, await freePort(), ["--redis", redis.url, "--drain", "1"]);
  await untilReady(gateway);
  const movers = [await joined(t, gateway.url, "alice"), await joined(t, gateway.url, "bob")];
  await joined(t, gateway.url, "stays");
  for (const { socket } of movers) socket.on("message", (data) => JSON.parse(data.toString()).type === "reconnect" && socket.close(1000));
  gateway.signal("SIGTERM");
  await gateway.ended;
  assert.match(gateway.log.at(-1).message, /^SIGTERM: 2 connections moved by themselves, 1 had to be cut, in \d+\.\d s$/);
});

test("the stop line of SIGINT counts all connections as closed", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = new Gateway(t, await freePort(), ["--redis", redis.url]);
  await untilReady(gateway);
  await joined(t, gateway.url, "alice");
  await joined(t, gateway.url, "bob");
  gateway.signal("SIGINT");
  await gateway.ended;
  assert.match(gateway.log.at(-1).message, /^SIGINT: 0 connections moved by themselves, 2 had to be cut, in \d+\.\d s$/);
});

test("the start line has the version, addresses, Redis, way of sending and limits, and no secret", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--send", "writev", "--rate", "7:70", "--max-members", "9", "--max-connections", "50"] });
  const [{ message }] = await untilLogged(gateway, "start");
  const version = execFileSync(binary, ["--version"], { encoding: "utf8" }).trim();
  const parts = message.split("; ");
  assert.equal(parts[0], `listening on 127.0.0.1:${gateway.port}`);
  assert.equal(parts[1], version, message);
  const shown = redis.url.replace(/\/\/.*@/, "//").replace(/,[^/]*/, ",…");
  assert.equal(parts[2], `Redis: ${shown}, prefix yukizuri`);
  assert.equal(parts[3], "sending by writev");
  const limits = Object.fromEntries(parts[4].replace(/^limits \(0: none\): /, "").split(", ").map((part) => part.split(" ")));
  const [, soft] = /^Max open files +(\d+)/m.exec(fs.readFileSync(`/proc/${gateway.pid}/limits`, "utf8"));
  assert.deepEqual([limits.rate, limits["max-members"], limits["max-connections"], limits.descriptors], ["7:70", "9", "50", soft]);
  for (const name of ["max-connections-per-address", "max-text", "max-message", "backlog", "retention", "leave-grace", "lease", "ping", "keep-alive", "drain", "drain-delay"]) assert.match(limits[name], /^\d+$/, name);
  const [{ message: up }] = await untilLogged(gateway, "redis-up");
  assert.equal(up, `${topology === "cluster" ? shown : `redis://127.0.0.1:${redis.port}`} is there: Redis ${/redis_version:(\S+)/.exec(redis.run("INFO", "server"))[1]}`);
  assert.doesNotMatch(gateway.output, /a password of the tests/);
});

test("the start line names a private Redis", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t);
  assert.match((await untilLogged(gateway, "start"))[0].message, /; Redis: unix:\/.*\/redis\.sock \(its own\), prefix yukizuri;/);
});
