// The command line, the documentation that comes from its table, and the log.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { Member, atEnd, binary, freePort, joined, parseLog, startGateway, startRedis, temporaryDirectory, top, until } from "../lib/harness.mjs";

const run = (...args) => spawnSync(binary, args, { encoding: "utf8", env: { PATH: process.env.PATH } });

test("a mistake is one clear line and exit status 2, before anything is opened", () => {
  for (const args of [["--nonsense"], ["--max-text", "x"], ["--addr", "nowhere"], ["--redis", "ftp://x"], ["--config", "/nonexistent"], ["stray"]]) {
    const { status, stdout, stderr } = run(...args);
    assert.equal(status, 2, args.join(" "));
    assert.equal(stdout, "");
    assert.match(stderr, /^yukizuri: [^\n]+\n$/);
  }
});

test("--version, --check-config, --help and its other spellings", () => {
  assert.match(run("--version").stdout, /^yukizuri \d+\.\d+\.\d+\n$/);
  const check = run("--check-config", "--ping", "9");
  assert.deepEqual([check.status, check.stdout], [0, "The settings are fine.\n"]);
  const help = run("--help");
  assert.equal(help.status, 0);
  for (const setting of ["addr", "redis", "retention", "leave-grace", "echo-path"]) assert.ok(help.stdout.includes(`--${setting} `), setting);
  assert.ok(help.stdout.split("\n").every((line) => line.length <= 100));
  assert.match(run("--help=man").stdout, /^\.TH YUKIZURI 1/);
  assert.match(run("--help=bash").stdout, /^complete -W '.*--max-text.*' yukizuri\n$/);
});

test("a port that somebody else listens on is told in one line", async (t) => {
  const redis = await startRedis(t); // its port is taken without SO_REUSEPORT
  const { status, stderr } = run("--addr", `127.0.0.1:${redis.port}`, "--redis", redis.url);
  assert.equal(status, 1);
  assert.match(stderr, /^yukizuri: cannot listen on 127\.0\.0\.1:\d+: Address already in use; stop what listens there [^\n]+\n$/);
});

test("every setting of the contract has its three spellings", async (t) => {
  const directory = temporaryDirectory(t);
  const file = path.join(directory, "settings");
  fs.writeFileSync(file, "# comment\nroom = tea\nshow-address = off\n");
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--config", file, "-logging=true"] });
  const alice = await joined(t, gateway.url, "alice");
  assert.equal(alice.welcome.room, "tea");
  assert.equal(alice.welcome.me.address, undefined);
});

test("the log: one line per join, refused join, leave, start, stop; nobody can forge one", async (t) => {
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
  assert.deepEqual(log.map((line) => line.kind), ["start", "redis-keeps", "redis-up", "join-refused", "join", "leave", "stop"]);
  for (const line of log) {
    assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.equal(line.gateway, "g1");
  }
  const join = log.find((line) => line.kind === "join");
  assert.deepEqual([join.username, join.remote_addr, join.room, join.id], ['e:"\\\\v', "127.0.0.x", "lobby", eve.welcome.me.id]);
  assert.ok(!gateway.output.includes("what people say"));
});

test("log-text logs what people say, as one line", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--log-text"] });
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "say", text: "one\nkind:start\ttwo", nonce: "1" });
  await alice.waitFor({ type: "ack" });
  const line = await until("the line", () => gateway.log.find((entry) => entry.kind === "say"));
  assert.equal(line.message, "one\\nkind:start\\ttwo");
});

test("log-file, reopened on SIGHUP; -logging=false", async (t) => {
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

test("SIGTERM drains: reconnect, close 1012, exit status 0, nobody is announced as left", async (t) => {
  const redis = await startRedis(t);
  const leaving = await startGateway(t, { redis, args: ["--drain", "1"] });
  const staying = await startGateway(t, { redis });
  const watcher = await joined(t, staying.url, "watcher");
  const alice = await joined(t, leaving.url, "alice");
  leaving.signal("SIGTERM");
  const word = await alice.waitFor({ type: "reconnect" });
  assert.ok(word.after >= 0 && word.after <= 1000);
  const { epoch, seq, resume, me } = alice.welcome;
  const again = await joined(t, staying.url, "alice", { resume, since: { epoch, seq } });
  assert.equal(again.welcome.me.id, me.id);
  assert.ok([1012, 4409].includes((await alice.waitClosed()).code));
  assert.deepEqual(await leaving.ended, { code: 0, signal: null });
  assert.ok(!watcher.saw("left", "alice"));
  assert.equal(watcher.received.filter((m) => m.type === "presence" && m.joined.some((p) => p.name === "alice")).length, 1);
});

test("a second SIGTERM ends a drain at once, with status 0", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--drain", "60"] });
  const members = await Promise.all(Array.from({ length: 20 }, (_, i) => joined(t, gateway.url, `m${i}`)));
  gateway.signal("SIGTERM");
  await Promise.all(members.map((member) => member.waitFor({ type: "reconnect" })));
  assert.ok(Math.max(...members.map((member) => member.find({ type: "reconnect" }).after)) > 30000, "spread over a minute");
  assert.ok(gateway.running);
  gateway.signal("SIGTERM");
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
});

test("what was said before SIGTERM is answered before the connection is closed", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  redis.signal("SIGSTOP");
  atEnd(t, () => redis.running && redis.signal("SIGCONT"));
  alice.send({ type: "say", text: "a last word", nonce: "last" });
  await until("it is under way", async () => (await gateway.stats()).messages_in === 2);
  gateway.signal("SIGTERM");
  await alice.waitFor({ type: "reconnect" });
  redis.signal("SIGCONT");
  assert.equal((await alice.waitClosed()).code, 1012);
  assert.ok(alice.find({ type: "ack", nonce: "last" }));
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
});

test("a second gateway may start on the same port beside the first", async (t) => {
  const redis = await startRedis(t);
  const port = await freePort();
  const old = await startGateway(t, { redis, port });
  await startGateway(t, { redis, port });
  await old.stop("SIGTERM");
  await joined(t, old.url, "alice");
});

test("functions stay short, files small, and each library has one owner", () => {
  execFileSync("bash", [path.join(top, "tests/check-style.sh")], { stdio: "pipe" });
});
