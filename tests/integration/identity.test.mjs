// Who a gateway is: one life at a time under an id, but for one that drains while its successor has begun.
import assert from "node:assert/strict";
import test from "node:test";
import { Gateway, Member, Process, atEnd, binary, freePort, get, joined, lasting, startGateway, startRedis, temporaryDirectory, until } from "../lib/harness.mjs";

const LEASE = "yukizuri:gateway:one";
const ID_TAKEN = 3; // an exit status
const life = (redis) => redis.run("HGET", LEASE, "life");
const said = (gateway, kind) => gateway.log.filter((line) => line.kind === kind);

async function ended(gateway, ms) {
  await until("the gateway ends", () => !gateway.running, ms);
  return (await gateway.ended).code;
}

/** The names of all who are said to have left, over all of a member's messages. */
const departures = (member) => member.received.filter((m) => m.type === "presence").flatMap((m) => m.left.map(({ name }) => name));

/** A member that comes back elsewhere when it is told to, or cut off, with its token, until it is in. */
class Mover {
  constructor(t, name, from, to) {
    Object.assign(this, { t, name, to });
    atEnd(t, () => (this.stopped = true));
    this.begin(from);
  }

  begin(url) {
    const resume = this.token;
    this.member = new Member(this.t, url);
    this.member.socket.once("close", () => this.stopped || setTimeout(() => this.begin(this.to), 50));
    this.done = this.member.join(this.name, resume ? { resume } : {}).then(({ welcome }) => (this.token = welcome.resume));
    this.done.catch(() => {}); // tries again
  }

  die() {
    this.stopped = true;
    this.member.socket.terminate();
  }
}

test("a second gateway of a living one's id: one clear line, a status of its own, and the first goes on", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "1", "--leave-grace", "1"];
  const first = await startGateway(t, { redis, args });
  const alice = await joined(t, first.url, "alice");
  const before = life(redis);
  const second = new Gateway(t, await freePort(), ["--redis", redis.url, ...args]);
  await until("it waits", () => said(second, "gateway-waiting").length === 1);
  const early = new Member(t, second.url);
  assert.equal(await ended(second), ID_TAKEN);
  assert.match(second.errors, /^yukizuri: gateway-id: another living gateway is called one .*\n$/);
  assert.equal(said(second, "gateway-id-taken").length, 1);
  assert.ok(!early.received.some(({ type }) => type === "welcome"));
  assert.equal(life(redis), before);
  await lasting(1500); // longer than lease and grace
  assert.deepEqual([alice.closed, departures(alice)], [null, []]);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members"), ["alice"]);
});

test("a worker whose id is another living process' ends its supervisor, however long that took to see", { timeout: 90000 }, async (t) => {
  const redis = await startRedis(t);
  const first = await startGateway(t, { redis, args: ["--gateway-id", "w-1", "--lease", "18"] });
  const supervisor = new Process(t, binary, ["--addr", `127.0.0.1:${await freePort()}`, "--redis", redis.url, "--workers", "2", "--gateway-id", "w", "--lease", "18", "--drain", "0"]);
  assert.equal(await ended(supervisor, 40000), 1);
  assert.match(supervisor.errors, /^yukizuri: gateway-id: another living gateway is called w-1 .*\n$/);
  assert.ok(first.running);
});

test("a living gateway that is just connecting to Redis anew keeps its id from a newcomer", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "4"];
  const first = await startGateway(t, { redis, args });
  const before = life(redis);
  const looks = () => Number(redis.run("INFO", "commandstats").match(/cmdstat_pubsub\|numsub:calls=(\d+)/)?.[1] ?? 0);
  const earlier = looks();
  first.signal("SIGSTOP"); // it takes a moment to connect
  atEnd(t, () => first.running && first.signal("SIGCONT"));
  redis.run("CLIENT", "KILL", "TYPE", "pubsub");
  const second = new Gateway(t, await freePort(), ["--redis", redis.url, "--drain", "0", ...args]);
  await until("somebody asked whether it is subscribed", () => looks() > earlier);
  first.signal("SIGCONT");
  await until("one of them goes away", () => !second.running || !first.running || life(redis) !== before);
  assert.equal(life(redis), before);
  assert.equal(await ended(second), ID_TAKEN);
  assert.deepEqual(said(first, "gateway-superseded"), []);
});

test("Redis goes back to a time when an earlier life had the lease: the living gateway takes it from the dead one and goes on", { timeout: 60000 }, async (t) => {
  const where = ["--dir", temporaryDirectory(t)];
  const redis = await startRedis(t, { args: where });
  const args = ["--gateway-id", "one", "--lease", "60"];
  const earlier = await startGateway(t, { redis, args });
  const dead = life(redis);
  redis.run("SAVE");
  await earlier.stop("SIGKILL");
  const living = await startGateway(t, { redis, args });
  const own = life(redis);
  const alice = await joined(t, living.url, "alice");
  await redis.stop("SIGKILL");
  const again = await startRedis(t, { port: redis.port, args: where });
  await until("the lease is the living one's", () => [own, ""].includes(life(again)) || said(living, "gateway-superseded").length > 0);
  assert.notEqual(own, dead);
  assert.equal(life(again), own);
  assert.deepEqual(said(living, "gateway-superseded"), []);
  await until("it is told", () => said(living, "lease-lost").length === 1);
  await until("its member is there again", () => again.run("EXISTS", "yukizuri:{lobby}:member:alice") === "1");
  assert.equal(alice.closed, null);
});

test("a lease that names a life that never was, set by hand, is taken back, by one that drains as well", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--gateway-id", "one", "--lease", "1", "--drain", "20"] });
  const own = life(redis);
  await joined(t, gateway.url, "filler"); // told first
  await joined(t, gateway.url, "alice");
  redis.run("HSET", LEASE, "life", "nobody");
  await until("it is its own again", () => life(redis) === own);
  gateway.signal("SIGTERM");
  await until("the lease is marked", () => redis.run("HGET", LEASE, "draining") === "1");
  redis.run("HSET", LEASE, "life", "nobody", "draining", "0");
  await until("it is its own again, and marked", () => life(redis) === own && redis.run("HGET", LEASE, "draining") === "1");
  assert.deepEqual([...said(gateway, "gateway-superseded"), ...said(gateway, "gateway-succeeded")], []);
});

test("a draining gateway whose lease is forgotten keeps it, and says nothing of a successor", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--gateway-id", "one", "--lease", "1", "--drain", "20"] });
  const own = life(redis);
  await joined(t, gateway.url, "filler"); // told first
  await joined(t, gateway.url, "alice");
  gateway.signal("SIGTERM");
  await until("the lease is marked", () => redis.run("HGET", LEASE, "draining") === "1");
  redis.run("DEL", LEASE);
  await until("there is a lease", () => redis.run("EXISTS", LEASE) === "1");
  assert.deepEqual([life(redis), redis.run("HGET", LEASE, "draining")], [own, "1"]);
  assert.deepEqual(said(gateway, "gateway-succeeded"), []);
});

test("a process that was connected when its machine stopped is waited for until its lease is over; newcomers wait, too, and are not refused", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "8"];
  const stopped = await startGateway(t, { redis, args });
  const before = life(redis);
  stopped.signal("SIGSTOP");
  atEnd(t, () => stopped.stop("SIGKILL"));
  const second = new Gateway(t, await freePort(), ["--redis", redis.url, "--drain", "0", ...args]);
  await until("it waits", () => said(second, "gateway-waiting").length === 1);
  await lasting(1000); // longer than those who begin let people wait
  const early = await joined(t, second.url, "early");
  assert.deepEqual(early.received.map(({ type }) => type).filter((type) => type === "error"), []);
  assert.notEqual(life(redis), before);
  assert.equal((await second.stop("SIGINT")).code, 0);
});

test("a gateway that waits for its id while Redis goes away answers, and tells people so", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "30"];
  const first = await startGateway(t, { redis, args });
  first.signal("SIGSTOP");
  atEnd(t, () => first.stop("SIGKILL"));
  const second = new Gateway(t, await freePort(), ["--redis", redis.url, ...args]);
  await until("it waits", () => said(second, "gateway-waiting").length === 1);
  await redis.stop("SIGKILL");
  const early = new Member(t, second.url);
  await early.opened();
  early.send({ type: "join", name: "early" });
  await early.waitFor({ type: "error", code: "unavailable" });
  assert.equal((await second.stop("SIGINT")).code, 0);
});

test("how often a lease was renewed, broken by hand, does not keep it from being renewed", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--gateway-id", "one", "--lease", "1"] });
  for (const junk of ["1.5", "-1", "0x10", "1e3", "x", "9223372036854775807"]) {
    redis.run("HSET", LEASE, "renewals", junk);
    await until(`${junk} is mended`, () => /^\d{1,6}$/.test(redis.run("HGET", LEASE, "renewals")));
  }
  assert.deepEqual(said(gateway, "lease-lost"), []);
});

test("a gateway killed and started again at once under its id begins at once, though its lease is there", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "600"];
  const first = await startGateway(t, { redis, args });
  const before = life(redis);
  await first.stop("SIGKILL");
  assert.equal(life(redis), before);
  const second = await startGateway(t, { redis, args });
  assert.notEqual(life(redis), before);
  await until("it is told", () => said(second, "gateway-taken-over").length === 1);
});

test("a deploy beside the old process under its id, draining longer than the grace: nobody is announced as left but who died", { timeout: 90000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "1", "--leave-grace", "3"];
  const watcher = await joined(t, (await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "3"] })).url, "watcher");
  const old = await startGateway(t, { redis, args: [...args, "--drain", "20"] });
  const port = await freePort();
  const next = `ws://127.0.0.1:${port}/room`;
  const movers = [];
  for (let i = 0; i < 12; i++) {
    movers.push(new Mover(t, `m${i}`, old.url, next));
    await movers[i].done;
  }
  old.signal("SIGTERM");
  await until("the lease is marked", () => redis.run("HGET", LEASE, "draining") === "1");
  const successor = await startGateway(t, { redis, args, port });
  await until("it is told", () => said(successor, "gateway-taken-over").length === 1);
  movers[10].die(); // of the last ones to be told
  assert.equal(await ended(old, 40000), 0);
  await until("who died while the old process drained is announced", () => departures(watcher).includes("m10"));
  const moved = movers.filter((_, i) => i !== 10);
  const state = ({ name, member }) => `${name} ${member.socket.url === next ? "moved" : "old"} ${JSON.stringify(member.closed)} ${JSON.stringify(member.received.slice(-1))}`;
  await until(() => `all are on the successor: ${moved.filter((mover) => !mover.member.welcome || mover.member.socket.url !== next).map(state)}`, () => moved.every((mover) => mover.member.socket.url === next && mover.member.welcome));
  movers[3].die();
  await until("who dies afterwards is announced, too", () => departures(watcher).includes("m3"));
  await lasting(5000); // lease and grace, since the old process is gone
  assert.deepEqual(departures(watcher), ["m10", "m3"]);
  assert.equal(redis.run("SCARD", "yukizuri:{lobby}:members"), "11");
  assert.equal(redis.run("HEXISTS", LEASE, "draining"), "0");
});

test("a gateway that goes away leaves its successor on the list, also when it has not heard of it", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "60", "--drain", "0"]; // renewed every 20 s
  const old = await startGateway(t, { redis, args: [...args, "--drain-delay", "4"] });
  old.signal("SIGTERM");
  await until("the lease is marked", () => redis.run("HGET", LEASE, "draining") === "1");
  const successor = await startGateway(t, { redis, args });
  await joined(t, successor.url, "alice");
  assert.equal(await ended(old, 40000), 0);
  assert.deepEqual(said(old, "gateway-succeeded"), []);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:gateways"), ["one"]);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:gateway:one:rooms"), ["lobby"]);
});

test("who was left behind by a process that drained beside its successor, and died, is taken off", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "1", "--leave-grace", "1"];
  const watcher = await joined(t, (await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "1"] })).url, "watcher");
  const old = await startGateway(t, { redis, args: [...args, "--drain", "30"] });
  await joined(t, old.url, "filler"); // told first
  await joined(t, old.url, "lost");
  await joined(t, `${old.url}/aside`, "lost");
  old.signal("SIGTERM");
  await until("the lease is marked", () => redis.run("HGET", LEASE, "draining") === "1");
  await startGateway(t, { redis, args });
  await lasting(3000); // longer than the grace, while the old one is there
  assert.ok(!departures(watcher).includes("lost"));
  await old.stop("SIGKILL");
  await until("they are taken off", () => departures(watcher).includes("lost"));
  await until("in the other room, too", () => redis.run("EXISTS", "yukizuri:{aside}:members") === "0");
});

test("resumed on the successor while still connected to the old process of the same id: that socket is told 4409", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one"];
  const old = await startGateway(t, { redis, args: [...args, "--drain", "60"] });
  await joined(t, old.url, "filler"); // is told to go first
  const alice = await joined(t, old.url, "alice");
  old.signal("SIGTERM");
  await until("the lease is marked", () => redis.run("HGET", LEASE, "draining") === "1");
  const successor = await startGateway(t, { redis, args });
  const again = await joined(t, successor.url, "alice", { resume: alice.welcome.resume });
  assert.equal(again.welcome.me.id, alice.welcome.me.id);
  assert.equal((await alice.waitClosed()).code, 4409);
  assert.equal(again.closed, null);
  assert.equal(await ended(old), 0); // nobody is left there
});

test("the rooms of an earlier life are noted until they were looked through, and no longer", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "1", "--leave-grace", "1"];
  const first = await startGateway(t, { redis, args });
  for (const room of ["a", "b", "c"]) await joined(t, `${first.url}/${room}`, "alice");
  await first.stop("SIGKILL");
  const second = await startGateway(t, { redis, args });
  await joined(t, `${second.url}/b`, "bob");
  await until("alice is gone everywhere", () => redis.lines("KEYS", "yukizuri:{*}:member:alice").length === 0);
  await until("one room is noted", () => redis.run("SMEMBERS", `${LEASE}:rooms`) === "b");
});

test("frozen past its lease, its id taken meanwhile: it goes away by itself, and its members move", { timeout: 60000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "1", "--leave-grace", "10"];
  const watcher = await joined(t, (await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "10"] })).url, "watcher");
  const frozen = await startGateway(t, { redis, args });
  const port = await freePort();
  const mover = new Mover(t, "alice", frozen.url, `ws://127.0.0.1:${port}/room`);
  await mover.done;
  frozen.signal("SIGSTOP");
  atEnd(t, () => frozen.running && frozen.signal("SIGCONT"));
  await until("its lease has run out", () => redis.run("EXISTS", LEASE) === "0");
  await startGateway(t, { redis, args, port });
  const taken = life(redis);
  frozen.signal("SIGCONT");
  assert.equal(await ended(frozen), 1);
  assert.equal(said(frozen, "gateway-superseded").length, 1);
  await until("alice has moved", () => mover.member.socket.url.includes(`:${port}/`) && mover.member.welcome);
  assert.equal(life(redis), taken);
  watcher.send({ type: "say", text: "still here?", nonce: "1" });
  await mover.member.waitFor({ type: "message", text: "still here?" });
  assert.deepEqual(departures(watcher), []);
});

test("a gateway that was stopped: nobody warns of its death, and who has not moved leaves after the whole grace", async (t) => {
  const redis = await startRedis(t);
  const times = ["--lease", "3", "--leave-grace", "4"];
  const other = await startGateway(t, { redis, args: times });
  const watcher = await joined(t, other.url, "watcher");
  const stopped = await startGateway(t, { redis, args: [...times, "--gateway-id", "one"] });
  await joined(t, stopped.url, "alice");
  const from = Date.now();
  const { code } = await stopped.stop("SIGTERM");
  assert.equal(code, 0);
  assert.equal(redis.run("EXISTS", LEASE), "0");
  await until("alice is taken off", () => departures(watcher).includes("alice"));
  assert.ok(Date.now() - from >= 3950, "not before the grace is over");
  const [line, ...more] = await until("it is told", () => said(other, "gateway-buried").length > 0 && said(other, "gateway-buried"));
  assert.deepEqual([line.level, line.id, more.length], ["info", "one", 0]);
  assert.match(line.message, /has stopped; 1 member/);
  assert.deepEqual(redis.lines("KEYS", "yukizuri:gateway:one*").filter((key) => !key.endsWith(":probe")), []);
});

test("two gateways without a gateway-id are two, even with one host name and process number", async (t) => {
  const redis = await startRedis(t);
  await startGateway(t, { redis });
  await startGateway(t, { redis });
  const [first, second] = redis.lines("SMEMBERS", "yukizuri:gateways");
  for (const id of [first, second]) assert.match(id, /-\d+-[0-9a-f]{6}$/);
  assert.notEqual(first.slice(-6), second.slice(-6));
});

// --- The key under which addresses are hashed ---

const cloaked = ["--show-address", "cloak", "--trusted-proxy", "127.0.0.1"];
const from = (address) => ({ headers: { "X-Forwarded-For": address } });
const shown = async (t, gateway, name, address = "203.0.113.7") => (await new Member(t, gateway.url, from(address)).join(name)).welcome.me.address;

test("a person's cloak is the same on two gateways and after a restart, and another one's is not", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis, args: cloaked }), await startGateway(t, { redis, args: cloaked })];
  const cloak = await shown(t, gateways[0], "a");
  assert.ok(cloak.length > 5 && !cloak.includes("203"), cloak);
  assert.equal(await shown(t, gateways[1], "b"), cloak);
  assert.notEqual(await shown(t, gateways[1], "c", "203.0.113.8"), cloak);
  await Promise.all(gateways.map((gateway) => gateway.stop("SIGINT")));
  assert.equal(await shown(t, await startGateway(t, { redis, args: cloaked }), "d"), cloak);
  for (const key of redis.lines("KEYS", "yukizuri:cloak:*")) assert.ok(Number(redis.run("TTL", key)) > 0, key);
  assert.equal(redis.lines("KEYS", "yukizuri:cloak:*").length, 2); // today's and tomorrow's
});

test("Redis lost its memory: the gateways that know the day's key put it back, and a new one uses it", async (t) => {
  const redis = await startRedis(t);
  const args = [...cloaked, "--lease", "1"];
  const first = await startGateway(t, { redis, args });
  const cloak = await shown(t, first, "a");
  redis.run("FLUSHALL");
  await until("the keys are back", () => redis.lines("KEYS", "yukizuri:cloak:*").length === 2);
  assert.equal(await shown(t, await startGateway(t, { redis, args }), "b"), cloak);
  const day = redis.lines("KEYS", "yukizuri:cloak:*").sort()[0];
  for (const command of [["SET", day, "junk"], ["LPUSH", day, "junk"]]) {
    redis.run("DEL", day);
    redis.run(...command);
    await until(`it is mended after ${command[0]}`, () => redis.run("TYPE", day) === "string" && redis.run("STRLEN", day) === "43" && redis.run("TTL", day) !== "-1");
  }
  assert.ok(first.running, first.errors + first.output);
  assert.equal(await shown(t, first, "c"), cloak);
});

test("without a setting that says cloak there is no key; with log-address alone there is, and the log has no address", async (t) => {
  const redis = await startRedis(t);
  const plain = await startGateway(t, { redis });
  await joined(t, plain.url, "a");
  assert.deepEqual(redis.lines("KEYS", "yukizuri:cloak:*"), []);
  const logged = await startGateway(t, { redis, args: ["--log-address", "cloak", "--trusted-proxy", "127.0.0.1"] });
  await new Member(t, logged.url, from("203.0.113.7")).join("b");
  const [line] = await until("the join is logged", () => said(logged, "join").length > 0 && said(logged, "join"));
  assert.ok(line.remote_addr && !logged.output.includes("203.0.113.7"));
});

// --- Keys broken by hand ---

test("keys of gateways that somebody broke by hand are written anew, once told, and the dead are still found", { timeout: 90000 }, async (t) => {
  const redis = await startRedis(t);
  const times = ["--lease", "1", "--leave-grace", "1"];
  const gateway = await startGateway(t, { redis, args: [...times, "--gateway-id", "one"] });
  const watcher = await joined(t, gateway.url, "watcher");
  const types = { "yukizuri:gateways": "set", "yukizuri:gateway:one": "hash", "yukizuri:gateway:one:rooms": "set" };
  for (let round = 0; round < 2; round++)
    for (const [key, type] of Object.entries(types)) {
      redis.run("SET", key, "x");
      await until(`${key} is mended`, () => redis.run("TYPE", key) === type && redis.run("TTL", key) !== "-1");
    }
  await until("each is told", () => said(gateway, "key-mended").length >= 3);
  assert.equal(said(gateway, "key-mended").length, 3);
  const doomed = await startGateway(t, { redis, args: times });
  await joined(t, doomed.url, "alice");
  redis.run("SET", "yukizuri:gateways", "x");
  await until("both are there", () => redis.run("TYPE", "yukizuri:gateways") === "set" && redis.run("SCARD", "yukizuri:gateways") === "2");
  await doomed.stop("SIGKILL");
  await until("alice is taken off", () => departures(watcher).includes("alice"));
  assert.equal(watcher.closed, null);
});

test("a claim, a lease or a set of rooms that somebody made by hand keeps no dead gateway alive", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const times = ["--lease", "1", "--leave-grace", "1"];
  const watcher = await joined(t, (await startGateway(t, { redis, args: times })).url, "watcher");
  for (const [what, ...command] of [
    ["claim", "SET", "yukizuri:bury:dead", "x"],
    ["lease", "SET", "yukizuri:gateway:dead", "x"],
    ["rooms", "SET", "yukizuri:gateway:dead:rooms", "x"],
    ["members", "SET", "yukizuri:{aside}:members", "x"],
  ]) {
    const dead = await startGateway(t, { redis, args: [...times, "--gateway-id", "dead"] });
    await joined(t, dead.url, `of-${what}`);
    await joined(t, `${dead.url}/aside`, `aside-${what}`);
    await dead.stop("SIGKILL");
    redis.run(...command);
    await until(`it is buried, with its ${what} made by hand`, () => redis.run("SISMEMBER", "yukizuri:gateways", "dead") === "0", 40000);
    if (what !== "rooms") await until("its member is announced", () => departures(watcher).includes(`of-${what}`)); // else nobody knows where they were
  }
});
