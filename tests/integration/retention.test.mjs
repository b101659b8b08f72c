// Messages are deleted: after `retention` they are nowhere.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { atEnd, joined, startGateway, startNginx, startRedis, temporaryDirectory, until } from "../lib/harness.mjs";
import { breakSilence } from "../lib/rooms.mjs";
import { CANARY, filesWithCanary } from "../lib/canary.mjs";

test("with retention 0 Redis stores no message", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis, args: ["--retention", "0"] }), await startGateway(t, { redis, args: ["--retention", "0"] })];
  const alice = await joined(t, gateways[0].url, "alice");
  const bob = await joined(t, gateways[1].url, "bob");
  alice.send({ type: "say", text: "now", nonce: "1" });
  await bob.waitFor({ type: "message", text: "now" });
  assert.equal(redis.run("EXISTS", "yukizuri:{lobby}:recent"), "0");
});

/** The content of Redis as text: every key with its value. Read in one call, so that nothing expires meanwhile. */
function everythingIn(redis) {
  const script = `
    local readers = {string = {'GET'}, hash = {'HGETALL'}, set = {'SMEMBERS'}, zset = {'ZRANGE', '0', '-1'}, stream = {'XRANGE', '-', '+'}, list = {'LRANGE', '0', '-1'}}
    local all = {}
    for _, key in ipairs(redis.call('KEYS', '*')) do
      local reader = readers[redis.call('TYPE', key).ok] or {'DUMP'}
      all[#all + 1] = {key, redis.call(reader[1], key, unpack(reader, 2))}
    end
    return all`;
  return redis.run("EVAL", script, "0");
}

/** The open files of a process, including deleted ones, that contain the canary. */
function openFilesWithCanary(pid) {
  return fs
    .readdirSync(`/proc/${pid}/fd`)
    .map((fd) => `/proc/${pid}/fd/${fd}`)
    .filter((file) => fs.existsSync(file) && fs.statSync(file).isFile() && fs.readFileSync(file).includes(CANARY));
}

test("a message is in no key of Redis after retention", async (t) => {
  const home = temporaryDirectory(t);
  const redis = await startRedis(t, { args: ["--dir", home, "--loglevel", "debug", "--logfile", path.join(home, "redis.log")] });
  const log = path.join(home, "gateway.log");
  const args = ["--retention", "2", "--trusted-proxy", "127.0.0.1"];
  const filed = await startGateway(t, { redis, args: [...args, "--log-file", log] });
  const printed = await startGateway(t, { redis, args });
  const nginx = await startNginx(t, [`127.0.0.1:${filed.port}`, `127.0.0.1:${printed.port}`]);
  const alice = await joined(t, nginx.url, "alice");
  const bob = await joined(t, nginx.url, "bob");
  alice.send({ type: "say", text: CANARY, nonce: "1" });
  await Promise.all([alice, bob].map((member) => member.waitFor({ type: "message", text: CANARY })));
  assert.ok(everythingIn(redis).includes(CANARY), "while it may be replayed it is found: the search works");

  await until("Redis has forgotten it", () => !everythingIn(redis).includes(CANARY));
  bob.socket.terminate();
  const late = await joined(t, nginx.url, "carol");
  await late.settled();
  assert.deepEqual(late.messages(), []);
  assert.ok(redis.lines("KEYS", "*").length > 0, "the members are still there");
  for (const gateway of [filed, printed]) assert.ok(!(gateway.output + gateway.errors).includes(CANARY), "not in what a gateway prints");
  assert.match(fs.readFileSync(log, "utf8"), /kind:join/, "the log file is written");
  assert.deepEqual(filesWithCanary(home, nginx.directory), []);
  for (const pid of [filed.pid, printed.pid, redis.pid, nginx.pid]) assert.deepEqual(openFilesWithCanary(pid), []);
});

test("in an active room, messages older than retention are deleted too", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--retention", "2", "--rate", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "say", text: CANARY, nonce: "canary" });
  await alice.waitFor({ type: "ack", nonce: "canary" });
  assert.ok(everythingIn(redis).includes(CANARY));
  let said = 0;
  const talk = setInterval(() => alice.send({ type: "say", text: "go on", nonce: `${said++}` }), 100);
  atEnd(t, () => clearInterval(talk));
  await until("the canary is forgotten while the room goes on", () => !everythingIn(redis).includes(CANARY));
  assert.ok(everythingIn(redis).includes("go on"), "what is new is still there");
});

test("the joins of an idle room expire without a call to Redis for each", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--retention", "6"] });
  await joined(t, gateway.url, "earlier");
  breakSilence(redis);
  for (let i = 0; i < 5; i++) await joined(t, gateway.url, `quiet-${i}`);
  assert.ok(redis.run("XRANGE", "yukizuri:{lobby}:recent", "-", "+").includes("quiet-0"));
  await until("the stream is gone", () => redis.run("EXISTS", "yukizuri:{lobby}:recent") === "0");
  const probes = redis.calls("evalsha");
  await until("the gateway has run for two probes", () => redis.calls("evalsha") >= probes + 2);
  assert.equal(redis.calls("xtrim"), 0, "no command was needed");
});

test("in a room without new messages, old joins and leaves are deleted", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--retention", "2", "--leave-grace", "0"] });
  const recent = () => redis.run("XRANGE", "yukizuri:{lobby}:recent", "-", "+");
  await joined(t, gateway.url, "earlier");
  breakSilence(redis);
  await joined(t, gateway.url, "the-first");
  assert.ok(recent().includes("the-first"));
  let number = 0;
  const coming = setInterval(() => {
    const next = joined(t, gateway.url, `next-${number++}`);
    next.then((member) => member.send({ type: "leave" })).catch(() => {}); // the end of the test may close the last one
  }, 500);
  atEnd(t, () => clearInterval(coming));
  const isForgotten = (kept) => !kept.includes("the-first") && kept.includes("next-"); // at one moment
  await until("the first one is forgotten while who came just now is there", () => isForgotten(recent()));
});

test("with the embedded Redis nothing is written to disk", async (t) => {
  const home = temporaryDirectory(t);
  const gateway = await startGateway(t, { args: ["--retention", "2"], env: { ...process.env, TMPDIR: home } });
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "say", text: CANARY, nonce: "1" });
  await alice.waitFor({ type: "ack" });
  assert.ok(fs.readdirSync(home).length > 0, "its directory is here");
  assert.deepEqual(filesWithCanary(home), []);
  await gateway.stop("SIGTERM");
  assert.deepEqual(fs.readdirSync(home), []);
});

/** The bytes of the stored events of a room. */
const bytesOf = (redis, room) => redis.lines("XRANGE", `yukizuri:{${room}}:recent`, "-", "+").filter((line) => line.startsWith("{")).reduce((sum, line) => sum + line.length, 0);

test("a room stores at most retention-bytes, and a member that missed more is told how many messages", async (t) => {
  const redis = await startRedis(t);
  const args = ["--rate", "0", "--retention-bytes", "3000", "--leave-grace", "30"];
  const gateways = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
  const alice = await joined(t, gateways[0].url, "alice");
  const bob = await joined(t, gateways[0].url, "bob");
  const { resume, epoch, seq } = bob.welcome;
  bob.socket.terminate();
  for (let i = 0; i < 40; i++) await alice.say(`${i} ${"x".repeat(300)}`, `${i}`);
  assert.ok(bytesOf(redis, "lobby") <= 3000 && bytesOf(redis, "lobby") > 2000, `${bytesOf(redis, "lobby")}`);
  for (const gateway of gateways) {
    const again = await joined(t, gateway.url, "bob", { resume, since: { epoch, seq } });
    await again.waitFor({ type: "message", nonce: "39" });
    assert.equal(again.welcome.recovered, false);
    assert.ok(again.welcome.missed >= 40 - again.messages().length && again.messages().length < 12, `${again.welcome.missed} missed, ${again.messages().length} replayed`);
    again.socket.terminate();
  }
});

test("retention-bytes-total takes from the biggest room, and leaves small ones what they stored", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0", "--retention-bytes-total", "20000"] });
  const quiet = await joined(t, `${gateway.url}/quiet`, "quiet");
  for (const text of ["one", "two", "three"]) await quiet.say(text);
  const loud = await joined(t, `${gateway.url}/loud`, "loud");
  for (let i = 0; i < 100; i++) await loud.say(`${i} ${"x".repeat(300)}`, `${i}`);
  await until("most of it is forgotten", () => bytesOf(redis, "loud") < 20000);
  assert.ok(bytesOf(redis, "loud") > 5000, `${bytesOf(redis, "loud")}`);
  assert.equal(redis.run("XLEN", "yukizuri:{quiet}:recent"), "3");
});
