// The shipped configuration of Redis, its user, and the gateway's reports about
// other configurations.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { Process, filesBelow, freePort, get, giveToGateway, joined, ofKind, readyz, redisPassword, startGateway, startRedis, temporaryDirectory, top, unfit, until, untilReady } from "../lib/harness.mjs";
import { CANARY, filesWithCanary } from "../lib/canary.mjs";

const told = (gateway) => gateway.log.filter((line) => line.kind === "redis-keeps");
const render = path.join(top, "deploy/redis/render.sh");

/** Says the canary, and ends Redis while it still stores the message. */
async function sayAndEnd(t, redis) {
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "say", text: CANARY, nonce: "1" });
  await alice.waitFor({ type: "message", text: CANARY });
  assert.ok(redis.run("XRANGE", "yukizuri:{lobby}:recent", "-", "+").includes(CANARY), "it is kept at this moment");
  await redis.stop("SIGTERM");
  return gateway;
}

test("with the shipped configuration, no file in Redis' directory contains a message, also after it has ended", async (t) => {
  const home = temporaryDirectory(t);
  const redis = await startRedis(t, { args: ["--dir", home, "--rdbcompression", "no", "--logfile", path.join(home, "redis.log"), "--loglevel", "debug"] });
  const gateway = await sayAndEnd(t, redis);
  assert.ok(fs.existsSync(path.join(home, "redis.log")), "its directory is this one");
  assert.deepEqual(filesWithCanary(home), []);
  assert.deepEqual(fs.readdirSync(home), ["redis.log"]);
  const [line] = told(gateway);
  assert.equal(line.level, "info");
  assert.equal(line.message, "Redis writes nothing to disk; it throws nothing away (maxmemory-policy noeviction)");
});

test("with Debian's configuration, Redis writes messages to disk, and the gateway reports this in its log, /api/stats and /metrics", async (t) => {
  const home = temporaryDirectory(t);
  // Debian's redis.conf sets no save points, so Redis' defaults apply
  const redis = await startRedis(t, { shipped: false, args: ["--dir", home, "--rdbcompression", "no"] });
  assert.match(redis.run("CONFIG", "GET", "save"), /3600 1 300 100 60 10000/);
  const asked = await startGateway(t, { redis });
  assert.equal((await asked.stats()).redis_writes_to_disk, 1);
  assert.match((await get(`${asked.origin}/metrics`)).body, /^yukizuri_redis_writes_to_disk 1$/m);
  const gateway = await sayAndEnd(t, redis);
  assert.deepEqual(filesWithCanary(home), [path.join(home, "dump.rdb")], "the search works");
  const [line] = told(gateway);
  assert.equal(line.level, "warn");
  assert.match(line.message, /^Redis writes what people say to disk \(save 3600 1 300 100 60 10000\): set save "" and appendonly no, as deploy\/redis\/yukizuri\.conf does/);
});

test("an append-only file and an eviction policy are reported, as soon as a new connection finds them", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  assert.deepEqual([(await gateway.stats()).redis_writes_to_disk, (await gateway.stats()).redis_evicts], [0, 0]);
  for (const [name, value] of [["appendonly", "yes"], ["maxmemory", "100mb"], ["maxmemory-policy", "allkeys-lru"]]) redis.run("CONFIG", "SET", name, value);
  redis.cut("normal");
  await until("it has looked again", () => told(gateway).length === 2);
  assert.deepEqual([(await gateway.stats()).redis_writes_to_disk, (await gateway.stats()).redis_evicts], [1, 1]);
  const line = told(gateway)[1];
  assert.equal(line.level, "warn");
  assert.match(line.message, /\(appendonly yes\): set save .*; it may throw away members .* \(maxmemory-policy allkeys-lru\): set maxmemory-policy noeviction$/);
  redis.run("CONFIG", "SET", "appendonly", "no");
});

test("a user who may not read Redis' configuration is accepted: the gateway is ready, and reports what is unknown", async (t) => {
  const redis = await startRedis(t, { args: ["--user", "blind", "on", ">word", "~*", "&*", "+@all", "-config"] });
  const gateway = await startGateway(t, { redis: `redis://blind:word@127.0.0.1:${redis.port}` });
  await joined(t, gateway.url, "alice");
  await until("it is told", () => told(gateway).length === 1);
  assert.equal(told(gateway)[0].level, "info");
  assert.match(told(gateway)[0].message, /^whether Redis writes to disk is not known .*; it throws nothing away/);
  const stats = await gateway.stats();
  assert.equal(stats.redis_writes_to_disk, undefined);
  assert.equal(stats.redis_evicts, 0);
  assert.doesNotMatch((await get(`${gateway.origin}/metrics`)).body, /redis_writes_to_disk/);
  redis.run("SAVE");
  redis.cut("normal");
  await until("it has seen the snapshot", () => told(gateway)[1]?.message.includes("(it has taken snapshots)"));
  redis.run("ACL", "SETUSER", "blind", "-info");
  redis.cut("normal");
  await until("it has looked without INFO too", () => told(gateway).length === 3);
  assert.match(told(gateway)[2].message, /is not known .*; whether it throws keys away is not known$/);
  // the scripts cannot tell one history from another then
  await until("it is not ready, and says why", async () => /NOPERM|can't run this command/.test((await readyz(gateway)).body));
});

test("refused optional commands are no fault: no redis-error, no refusal is counted, and everything else works", async (t) => {
  const redis = await startRedis(t, { args: ["--user", "managed", "on", ">word", "~*", "&*", "+@all", "-config", "-client|setname"] });
  const gateway = await startGateway(t, { redis: `redis://managed:word@127.0.0.1:${redis.port}` });
  const optional = async () => Number((await get(`${gateway.origin}/metrics`)).body.match(/^yukizuri_redis_errors_total\{code="optional"\} (\d+)$/m)?.[1] ?? 0);
  await until("CONFIG GET twice, and CLIENT SETNAME on both connections", async () => (await optional()) === 4);
  redis.cut("normal");
  await until("once more on a new connection", async () => (await optional()) >= 7);
  await untilReady(gateway);
  assert.deepEqual(gateway.log.filter((line) => line.kind === "redis-error"), []);
  assert.doesNotMatch((await get(`${gateway.origin}/metrics`)).body, /redis_errors_total\{code="NOPERM"/);
  await until("it is told that it is back", () => ofKind(gateway, "redis-up").length === 2);
  assert.equal(told(gateway).length, 1, "the same is not told again");
});

test("changes of what Redis keeps are reported in both directions", { skip: unfit("cluster", "connections of which one is lost are not a loss of Redis") }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const ups = () => ofKind(gateway, "redis-up").length;
  await until("the way is open, and it has told what it found", () => ups() === 1 && told(gateway).length === 1);
  const policies = ["noeviction"];
  for (const policy of ["allkeys-lru", "noeviction", "noeviction"]) {
    const before = ups();
    redis.run("CONFIG", "SET", "maxmemory-policy", policy);
    redis.cut("normal");
    await until("the way is open again", () => ups() > before);
    if (policies.at(-1) !== policy) policies.push(policy);
    await until("it has told what is another", () => told(gateway).length >= policies.length);
  }
  assert.deepEqual(told(gateway).map((line) => line.message.match(/maxmemory-policy (\S+?)[,)]/)[1]), policies);
});

/** The slow log keeps commands with all arguments until Redis ends. Is it disabled? */
const slowLogIsOff = (...where) => execFileSync("redis-cli", [...where, "--raw", "CONFIG", "GET", "slowlog-log-slower-than"], { encoding: "utf8" }).endsWith("\n-1\n");

test("no message stays in Redis' slow log, neither with the shipped configuration nor in the embedded Redis", async (t) => {
  const redis = await startRedis(t);
  assert.ok(slowLogIsOff("-p", String(redis.port)));
  const home = temporaryDirectory(t);
  await startGateway(t, { env: { ...process.env, TMPDIR: home } });
  const [made] = fs.readdirSync(home);
  assert.ok(slowLogIsOff("-s", path.join(home, made, "redis.sock")));
});

/** The listening addresses with this port, as the kernel writes them. */
function listeningOn(port) {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = ["tcp", "tcp6"].filter((name) => fs.existsSync(`/proc/net/${name}`)).flatMap((name) => fs.readFileSync(`/proc/net/${name}`, "utf8").split("\n"));
  const LISTEN = "0A";
  return rows.map((row) => row.trim().split(/\s+/)).filter((row) => row[1]?.endsWith(wanted) && row[3] === LISTEN).map((row) => row[1].slice(0, -wanted.length));
}

test("the shipped Redis listens on loopback addresses only, unless told otherwise", async (t) => {
  const port = await freePort();
  const home = temporaryDirectory(t);
  const redis = new Process(t, "redis-server", [path.join(top, "deploy/redis/yukizuri.conf"), "--port", String(port), "--dir", home]);
  await until(() => `it listens: ${redis.output}`, () => listeningOn(port).length > 0 && redis.output.includes("Ready to accept"));
  const loopback = ["0100007F", "00000000000000000000000001000000"];
  assert.deepEqual(listeningOn(port).filter((address) => !loopback.includes(address)), []);
});

/** The commands that the shipped user may use: "client|setname". */
function shippedCommands() {
  const line = fs.readFileSync(path.join(top, "deploy/redis/yukizuri.conf"), "utf8").match(/^user yukizuri .*$/m)[0];
  return line.split(" ").filter((word) => word.startsWith("+")).map((word) => word.slice(1));
}

/** The commands that the gateway's sources name for Redis. AUTH needs no permission, and SENTINEL is for Sentinels. */
function namedCommands() {
  const read = (directory, end) => filesBelow(path.join(top, directory)).filter((name) => name.endsWith(end)).map((name) => fs.readFileSync(name, "utf8")).join("\n");
  const calls = [
    ...read("gateway", ".lua").matchAll(/call\('([A-Z]+)'(?:, '([A-Z]+)')?/g),
    ...read("gateway", ".c").matchAll(/(?:redis_send_strings|redis_connection_send_strings|greet_with)\((?:[^;"]*?)"([A-Z]+)"(?:,\s*"([A-Z]+)")?/g),
    ...read("gateway", ".c").matchAll(/redis_words_add_string\(&?[\w>-]+, "([A-Z]+)"\)(?:;\s*redis_words_add_string\(&?[\w>-]+, "([A-Z]+)"\))?/g),
  ];
  calls.push(...[...read("gateway", ".c").matchAll(/\? "(S(?:PUBLISH|SUBSCRIBE))" : "(PUBLISH|SUBSCRIBE)"/g)].flatMap(([, one, other]) => [[, one], [, other]]));
  const families = new Set(["CLIENT", "CONFIG", "SCRIPT", "PUBSUB", "ACL", "CLUSTER"]);
  const names = calls.map(([, first, second]) => (families.has(first) ? `${first}|${second}` : first).toLowerCase());
  return [...new Set(names)].filter((name) => name !== "auth" && name !== "sentinel").sort();
}

test("the shipped user has exactly the commands that the gateway's sources name", () => {
  assert.deepEqual(shippedCommands().sort(), namedCommands());
});

test("gateways run with the shipped user's commands alone: members talk, join and leave, and a dead gateway is cleaned up", async (t) => {
  const redis = await startRedis(t, { alone: true });
  redis.run("CONFIG", "RESETSTAT");
  const args = ["--lease", "1", "--leave-grace", "0", "--retention", "1", "--rate", "0"];
  const gateway = await startGateway(t, { redis, args });
  const second = await startGateway(t, { redis: `${redis.url}/1`, args });
  await joined(t, second.url, "dan");
  const dying = await startGateway(t, { redis, args: [...args, "--gateway-id", "dying"] });
  await joined(t, dying.url, "bob");
  const alice = await joined(t, gateway.url, "alice");
  alice.send({ type: "say", text: "hello", nonce: "1" });
  await alice.waitFor({ type: "ack", nonce: "1" });
  (await joined(t, `${gateway.url}/elsewhere`, "carol")).send({ type: "leave" });
  dying.signal("SIGKILL");
  await alice.waitFor((message) => message.type === "presence" && message.left.some(({ name }) => name === "bob"));
  const used = redis.lines("INFO", "commandstats").flatMap((line) => line.match(/^cmdstat_([^:]+):calls=[1-9]/)?.[1] ?? []);
  const admin = ["acl|log", "auth", "config|resetstat"];
  assert.deepEqual(used.filter((command) => ![...shippedCommands(), ...admin].includes(command)), []);
  assert.ok(used.length > 20, `the search works: ${used}`);
});

test("the shipped user can use no other keys, channels and commands", async (t) => {
  const redis = await startRedis(t);
  const as = (...args) => spawnSync("redis-cli", ["-p", String(redis.port), "--user", "yukizuri", "--no-auth-warning", ...args], { encoding: "utf8", env: { ...process.env, REDISCLI_AUTH: redisPassword } }).stdout.trim();
  const refused = [["LRANGE", "yukizuri:gateways", "0", "1"], ["SET", "other:key", "x"], ["PUBLISH", "other:{lobby}", "x"], ["SUBSCRIBE", "other"], ["KEYS", "*"], ["FLUSHALL"], ["CONFIG", "SET", "save", "1 1"], ["ACL", "LIST"], ["EVAL", "return redis.call('KEYS', '*')", "0"], ["EVAL", "return redis.call('GET', 'other:key')", "1", "other:key"], ["SPUBLISH", "other:{lobby}", "x"], ["SSUBSCRIBE", "other"], ["CLUSTER", "NODES"], ["CLUSTER", "FAILOVER"], ["SAVE"], ["MONITOR"], ["SHUTDOWN"]];
  for (const command of refused) assert.match(as(...command), /^(\(error\) )?(NOPERM|ERR The user executing the script can't run this command|ERR ACL failure in script)/, command.join(" "));
  assert.equal(as("PING"), "PONG");
  redis.run("ACL", "LOG", "RESET"); // they were meant to be refused
});

test("render.sh inserts the hash of a password and a prefix, and never prints a password", async (t) => {
  const directory = temporaryDirectory(t);
  const file = path.join(directory, "password");
  fs.writeFileSync(file, "quite / secret & so\n");
  const text = execFileSync(render, ["--password-file", file, "--prefix", "other", "--socket", path.join(directory, "redis.sock")], { encoding: "utf8" });
  assert.ok(!text.includes("secret &"));
  assert.match(text, / ~other:\* ~other@\*:\* &other:\* &other@\*:\* /);
  assert.match(text, /^port 0$/m);
  assert.match(text, /^unixsocketperm 700$/m);
  const run = (...args) => spawnSync(render, args, { encoding: "utf8" });
  fs.writeFileSync(path.join(directory, "empty"), "");
  const both = execFileSync(render, ["--password-file", file, "--admin-password-file", file], { encoding: "utf8" });
  assert.match(both, /^user default on #[0-9a-f]{64} ~\* &\* \+@all$/m);
  assert.doesNotMatch(text, /^user default/m);
  for (const [args, line] of [
    [[], /^render\.sh: --password-file is needed\n$/],
    [["--password-file"], /^render\.sh: --password-file needs a value\n$/],
    [["--password-file", path.join(directory, "empty")], /^render\.sh: .*empty is empty\n$/],
    [["--password-file", file, "--prefix", "a|b"], /^render\.sh: --prefix: letters/],
    [["--password-file", file, "--admin-password-file", path.join(directory, "empty")], /^render\.sh: .*empty is empty\n$/],
    [["--frob", "1"], /^render\.sh: unknown argument --frob\n$/],
  ]) {
    const { status, stderr } = run(...args);
    assert.equal(status, 2, stderr);
    assert.match(stderr, line);
  }
});

/** The command and the health check of Redis in compose.yaml, in directories of this test. */
function redisOfCompose(home) {
  const text = fs.readFileSync(path.join(top, "compose/compose.yaml"), "utf8").match(/^  redis:\n.*?\n\n/ms)[0];
  const here = (words) => words.replaceAll("/run/", `${home}/`).replaceAll("/etc/yukizuri/", `${path.join(top, "deploy/redis")}/`).replaceAll("$$", "$");
  return {
    text,
    command: here(text.match(/- >-\n((?: {8}\S.*\n)+)/)[1].replace(/\s*\n\s*/g, " ")),
    healthy: here(JSON.parse(text.match(/test: (\[.*\])/)[1])[1]),
  };
}

test("the Redis of compose.yaml is on no network and requires a password: gateways have their own user, and only its container has the administrator's", async (t) => {
  const home = temporaryDirectory(t);
  for (const name of ["redis", "admin"]) fs.mkdirSync(path.join(home, name));
  const { text, command, healthy } = redisOfCompose(home);
  assert.match(text, /^ {4}network_mode: none$/m);
  const redis = new Process(t, "sh", ["-c", command]);
  await until(() => `it is well: ${redis.output} ${redis.errors}`, () => spawnSync("sh", ["-c", healthy]).status === 0);
  const socket = path.join(home, "redis/redis.sock");
  const password = (name) => fs.readFileSync(path.join(home, name, "password"), "utf8").trim();
  const as = (env, ...args) => spawnSync("redis-cli", ["-s", socket, ...args], { encoding: "utf8", env: { ...process.env, ...env } }).stdout.trim();
  assert.match(as({}, "PING"), /^NOAUTH/);
  assert.match(as({ REDISCLI_AUTH: password("redis") }, "PING"), /NOAUTH|WRONGPASS/, "theirs is not the administrator's");
  assert.match(as({ REDISCLI_AUTH: password("redis") }, "--user", "yukizuri", "FLUSHALL"), /NOPERM/);
  assert.equal(as({ REDISCLI_AUTH: password("admin") }, "DBSIZE"), "0");
  assert.deepEqual(fs.readdirSync(path.join(home, "redis")).sort(), ["password", "redis.sock"], "what gateways see of it");
  giveToGateway(socket); // in compose.yaml it belongs to the user that Redis and the gateways share
  const gateway = await startGateway(t, { redis: `unix://yukizuri@${socket}`, args: ["--redis-password-file", path.join(home, "redis/password")] });
  await joined(t, gateway.url, "alice");
});

test("the shipped user of the unrendered file has no password, and nobody can log in as it", async (t) => {
  const redis = await startRedis(t, { shipped: false, args: ["--include", path.join(top, "deploy/redis/yukizuri.conf")] });
  const { stdout } = spawnSync("redis-cli", ["-p", String(redis.port), "AUTH", "yukizuri", ""], { encoding: "utf8" });
  assert.match(stdout, /WRONGPASS/);
});
