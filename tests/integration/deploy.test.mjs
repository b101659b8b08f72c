// A gateway drains and another one replaces it: signals, drains, balancers, successors.
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import { Gateway, Member, MovingMember, UPGRADE, answers, asked, freePort, get, isReady, joined, lapse, ofKind, question, readyz, startGateway, startNginx, startRedis, until, untilReady } from "../lib/harness.mjs";
import { leaseOf, membersOf, renewalsPass } from "../lib/rooms.mjs";

const warnings = (gateway) => gateway.log.filter(({ level }) => level !== "info");

test("members who leave while a gateway drains are removed before it exits", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--drain", "3"] });
  const burst = await Promise.all(Array.from({ length: 40 }, (_, i) => joined(t, `${gateway.url}/room-${i}`, "guest")));
  redis.run("CLIENT", "PAUSE", "2500"); // longer than an empty gateway takes to exit
  for (const member of burst) member.send({ type: "leave" });
  await Promise.all(burst.map((member) => member.settled()));
  gateway.signal("SIGTERM");
  for (const member of burst) member.socket.terminate();
  assert.deepEqual(await gateway.ended, { code: 0, signal: null });
  assert.deepEqual(redis.lines("KEYS", "yukizuri:{*}:member:*"), []);
});

test("a gateway that is stopped with says and joins in flight exits cleanly", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--rate", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  const bob = await new Member(t, gateway.url).opened();
  redis.freeze(t);
  alice.send({ type: "say", text: "x", nonce: "1" });
  bob.send({ type: "join", name: "bob" });
  await alice.settled();
  await bob.settled();
  assert.deepEqual(await gateway.stop("SIGINT"), { code: 0, signal: null });
});

test("a deploy with a new gateway beside the old one resets no connection during its handshake", async (t) => {
  const redis = await startRedis(t);
  const port = await freePort();
  const args = ["--max-connections-per-address", "0"];
  let gateway = await startGateway(t, { redis, port, args });
  const outcomes = new Map();
  const connectOnce = () =>
    new Promise((resolve) => {
      const socket = net.connect({ port, host: "127.0.0.1" }, () => socket.write(UPGRADE));
      const done = (answer) => (outcomes.set(answer, (outcomes.get(answer) ?? 0) + 1), socket.resetAndDestroy(), resolve());
      socket.once("data", (data) => done(data.toString().split("\r\n")[0]));
      socket.once("error", (error) => done(String(error)));
    });
  let over = false;
  const visitors = Array.from({ length: 32 }, async () => {
    while (!over) await connectOnce();
  });
  for (let i = 0; i < 4; i++) {
    const next = await startGateway(t, { redis, port, args });
    await gateway.stop("SIGTERM");
    gateway = next;
  }
  over = true;
  await Promise.all(visitors);
  assert.deepEqual([...outcomes.keys()], ["HTTP/1.1 101 Switching Protocols"], JSON.stringify([...outcomes]));
});

test("a deploy under the same id, with a drain longer than the grace period, announces only members who are really gone", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "1", "--leave-grace", "3"];
  const watcher = await joined(t, (await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "3"] })).url, "watcher");
  const old = await startGateway(t, { redis, args: [...args, "--drain", "20"] });
  const port = await freePort();
  const next = `ws://127.0.0.1:${port}/room`;
  const movers = [];
  for (let i = 0; i < 12; i++) {
    movers.push(new MovingMember(t, `m${i}`, old.url, next));
    await movers[i].done;
  }
  old.signal("SIGTERM");
  await until("the lease is marked", () => redis.run("HGET", leaseOf("one"), "draining") === "1");
  const successor = await startGateway(t, { redis, args, port });
  await until("it is told", () => ofKind(successor, "gateway-taken-over").length === 1);
  movers[10].die(); // among the last ones to be told
  assert.equal(await old.status(40000), 0);
  await until("who died while the old process drained is announced", () => watcher.departures().includes("m10"));
  const moved = movers.filter((_, i) => i !== 10);
  const state = ({ name, hasMoved, member }) => `${name} ${hasMoved} ${JSON.stringify(member.closed)} ${JSON.stringify(member.received.slice(-1))}`;
  await until(() => `all are on the successor: ${moved.filter(({ hasMoved }) => !hasMoved).map(state)}`, () => moved.every(({ hasMoved }) => hasMoved));
  movers[3].die();
  await until("who dies afterwards is announced, too", () => watcher.departures().includes("m3"));
  movers[5].die();
  await until("and so is a third one: twice the grace has passed since the old process is gone", () => watcher.departures().includes("m5"));
  assert.deepEqual(watcher.departures(), ["m10", "m3", "m5"]);
  assert.equal(redis.run("SCARD", "yukizuri:{lobby}:members"), "10");
  assert.equal(redis.run("HEXISTS", leaseOf("one"), "draining"), "0");
});

test("a gateway that drains leaves its successor in the list of gateways, even if it did not know of it", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "60", "--drain", "0"]; // renewed every 20 s
  const old = await startGateway(t, { redis, args: [...args, "--drain-delay", "4"] });
  old.signal("SIGTERM");
  await until("the lease is marked", () => redis.run("HGET", leaseOf("one"), "draining") === "1");
  const successor = await startGateway(t, { redis, args });
  await joined(t, successor.url, "alice");
  assert.equal(await old.status(40000), 0);
  assert.deepEqual(ofKind(old, "gateway-succeeded"), []);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:gateways"), ["one"]);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:gateway:one:rooms"), ["lobby"]);
});

test("members of a process that died while it drained beside its successor are removed", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "1", "--leave-grace", "1"];
  const watcher = await joined(t, (await startGateway(t, { redis, args: ["--gateway-id", "other", "--lease", "1", "--leave-grace", "1"] })).url, "watcher");
  const old = await startGateway(t, { redis, args: [...args, "--drain", "30"] });
  await joined(t, old.url, "filler"); // the first one to get it
  await joined(t, old.url, "lost");
  await joined(t, `${old.url}/aside`, "lost");
  old.signal("SIGTERM");
  await until("the lease is marked", () => redis.run("HGET", leaseOf("one"), "draining") === "1");
  await startGateway(t, { redis, args });
  await renewalsPass(redis, "other", 9); // longer than a lease and the grace period, while the old one runs
  assert.ok(!watcher.departures().includes("lost"));
  await old.stop("SIGKILL");
  await until("they are taken off", () => watcher.departures().includes("lost"));
  await until("in the other room, too", () => redis.run("EXISTS", "yukizuri:{aside}:members") === "0");
});

test("a resume on the successor, while the old process of the same id still has the connection, closes the old one with 4409", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one"];
  const old = await startGateway(t, { redis, args: [...args, "--drain", "60"] });
  await joined(t, old.url, "filler"); // gets SIGTERM first
  const alice = await joined(t, old.url, "alice");
  old.signal("SIGTERM");
  await until("the lease is marked", () => redis.run("HGET", leaseOf("one"), "draining") === "1");
  const successor = await startGateway(t, { redis, args });
  const again = await joined(t, successor.url, "alice", { resume: alice.welcome.resume });
  assert.equal(again.welcome.me.id, alice.welcome.me.id);
  assert.equal((await alice.waitClosed()).code, 4409);
  assert.equal(again.closed, null);
  assert.equal(await old.status(), 0); // nobody is left there
});

test("SIGTERM drains: reconnect, close 1012, exit status 0, and no member is announced as left", async (t) => {
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

test("messages sent before SIGTERM are answered before the connection is closed", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis });
  const alice = await joined(t, gateway.url, "alice");
  redis.freeze(t);
  alice.send({ type: "say", text: "a last word", nonce: "last" });
  await until("it is under way", async () => (await gateway.stats()).messages_in === 2);
  gateway.signal("SIGTERM");
  await alice.waitFor({ type: "reconnect" });
  redis.thaw();
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

test("during drain-delay /readyz answers 503, new clients are served, and no member is told to reconnect", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--drain-delay", "600"] });
  const alice = await joined(t, gateway.url, "alice");
  const kept = await asked(t, gateway.port);
  gateway.signal("SIGTERM");
  await until("it is not ready", async () => !(await isReady(gateway)));
  assert.match((await readyz(gateway)).body, /draining/);
  assert.equal((await get(gateway.origin)).status, 200);
  kept.socket.write(question);
  await until("who was here is answered", () => answers(kept) === 2);
  assert.doesNotMatch(kept.received, /Connection: close/);
  const bob = await joined(t, gateway.url, "bob");
  bob.send({ type: "say", text: "hello", nonce: "1" });
  await bob.waitFor({ type: "ack", nonce: "1" });
  await alice.waitFor({ type: "message", text: "hello" });
  await bob.settled();
  await alice.settled();
  for (const member of [alice, bob]) assert.equal(member.find({ type: "reconnect" }), undefined);
  gateway.signal("SIGTERM");
  assert.deepEqual(await gateway.ended, { code: 0, signal: null }, "a second signal ends it at once");
});

test("during drain-delay new clients are served even if a successor has the id, and no member is removed", async (t) => {
  const redis = await startRedis(t);
  const args = ["--gateway-id", "one", "--lease", "1"];
  const old = await startGateway(t, { redis, args: [...args, "--drain-delay", "600"] });
  await joined(t, old.url, "alice");
  old.signal("SIGTERM");
  const next = await startGateway(t, { redis, args });
  const carol = await joined(t, next.url, "carol");
  const bob = await joined(t, old.url, "bob");
  bob.send({ type: "say", text: "hello", nonce: "1" });
  await bob.waitFor({ type: "ack", nonce: "1" });
  await carol.waitFor({ type: "message", text: "hello" });
  await renewalsPass(redis, "one", 10);
  assert.deepEqual(membersOf(redis), ["alice", "bob", "carol"]);
  assert.ok(!carol.saw("left", "bob") && !carol.saw("left", "alice"));
});

test("after drain-delay the gateway stops listening and tells its members to reconnect", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--drain-delay", "1", "--drain", "600"] });
  const members = await Promise.all(["alice", "bob"].map((name) => joined(t, gateway.url, name)));
  const kept = await asked(t, gateway.port);
  gateway.signal("SIGTERM");
  for (const member of members) await member.waitFor({ type: "reconnect" });
  await until("nobody is let in", async () => (await get(`${gateway.origin}/healthz`).catch((error) => error.code)) === "ECONNREFUSED");
  kept.socket.write(question);
  await until("who was here is answered, and told that it was the last time", () => answers(kept) === 2 && kept.ended);
  assert.match(kept.received, /Connection: keep-alive[^]*Connection: close/);
  assert.ok(gateway.running);
});

test("with drain-delay 0 the gateway stops listening as soon as the begun handshakes are complete", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--drain-delay", "0", "--drain", "600"] });
  const alice = await joined(t, gateway.url, "alice");
  gateway.signal("SIGTERM");
  await alice.waitFor({ type: "reconnect" });
  await until("nobody is let in", async () => (await get(`${gateway.origin}/healthz`).catch((error) => error.code)) === "ECONNREFUSED");
});

test("a balancer that asks /readyz ten times a second sends no client to a closed listener", async (t) => {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis, args: ["--drain-delay", "4"] }), await startGateway(t, { redis })];
  const inRotation = new Set(gateways);
  let looking = true;
  const look = async () => {
    for (const gateway of gateways) if ((await get(`${gateway.origin}/readyz`).catch(() => null))?.status !== 200) inRotation.delete(gateway);
  };
  const looks = (async () => {
    for (; looking; await lapse(100).end()) await look();
  })();
  const served = new Map(gateways.map((gateway) => [gateway, 0]));
  const refused = [];
  const visit = async (gateway) => {
    visitors.add(gateway);
    const answer = await get(`${gateway.origin}/`).catch((error) => ({ status: error.code ?? error.message }));
    if (answer.status === 200) served.set(gateway, served.get(gateway) + 1);
    else refused.push(answer.status);
    visitors.delete(gateway);
  };
  const visitors = new Set(); // at most one connection each: the test's own load must not delay them
  const visitAll = () => {
    for (const gateway of inRotation) if (!visitors.has(gateway)) visits.push(visit(gateway));
  };
  const visits = [];
  await until("both have served", () => {
    visitAll();
    return [...served.values()].every((count) => count > 0);
  });
  gateways[0].signal("SIGTERM");
  await until("the balancer has noticed, and the listener is closed", async () => {
    visitAll();
    return !inRotation.has(gateways[0]) && !gateways[0].running;
  });
  looking = false;
  await looks;
  await Promise.all(visits);
  assert.deepEqual(refused, []);
  assert.ok(inRotation.has(gateways[1]));
});

for (const { what, members = 0, workers = 1, signals, drain = "0" } of [
  { what: "nobody is there, SIGTERM", signals: ["SIGTERM"] },
  { what: "a member is there, SIGTERM", members: 1, signals: ["SIGTERM"] },
  { what: "a member is there and a drain is under way, SIGTERM again", members: 3, signals: ["SIGTERM", "SIGTERM"], drain: "60" },
  { what: "a member is there, SIGINT", members: 1, signals: ["SIGINT"] },
  { what: "workers, SIGTERM", members: 2, workers: 2, signals: ["SIGTERM"] },
  { what: "workers, SIGINT", members: 2, workers: 2, signals: ["SIGINT"] },
]) {
  test(`a gateway that stops cleanly gives up its lease, and no gateway logs its death: ${what}`, { timeout: 120000 }, async (t) => {
    const redis = await startRedis(t);
    const other = await startGateway(t, { redis, args: ["--gateway-id", "other", "--lease", "1", "--leave-grace", "1"] });
    const gateway = new Gateway(t, await freePort(), ["--redis", redis.url, "--gateway-id", "one", "--workers", String(workers), "--drain", drain, "--lease", "1", "--leave-grace", "1"]);
    await untilReady(gateway);
    for (let i = 0; i < members; i++) await joined(t, gateway.url, `member ${i}`);
    for (const signal of signals) {
      gateway.signal(signal);
      if (signal !== signals.at(-1)) await until("it drains", () => ofKind(gateway, "drain").length > 0);
    }
    assert.deepEqual(await gateway.ended, { code: 0, signal: null });
    assert.deepEqual(redis.lines("KEYS", "yukizuri:gateway:one*").filter((key) => !/:(gone|rooms|probe)$/.test(key)), [], "no lease is left");
    await until("nobody is left on the list", () => redis.lines("SMEMBERS", "yukizuri:gateways").join() === "other");
    assert.deepEqual(warnings(other).filter(({ kind }) => kind === "gateway-buried"), []);
    if (members === 0) assert.deepEqual(ofKind(other, "gateway-buried"), [], "with no room there was nothing to look for");
  });
}

test("repeated SIGTERM until the end gives status 0", { timeout: 120000 }, async (t) => {
  const redis = await startRedis(t);
  for (let round = 0; round < 5; round++) {
    const gateway = new Gateway(t, await freePort(), ["--redis", redis.url, "--drain", "0"]);
    await untilReady(gateway);
    await until("it has ended", () => {
      if (gateway.running) gateway.signal("SIGTERM");
      return !gateway.running;
    });
    assert.deepEqual(await gateway.ended, { code: 0, signal: null });
  }
});

test("behind nginx everybody gets into a gateway that has just come back when the other one goes", async (t) => {
  const redis = await startRedis(t);
  const args = ["--trusted-proxy", "127.0.0.1"];
  const [one, two] = [await startGateway(t, { redis, args }), await startGateway(t, { redis, args })];
  const nginx = await startNginx(t, [one, two].map(({ port }) => `127.0.0.1:${port}`));
  await one.stop("SIGTERM");
  const failures = () => fs.readFileSync(path.join(nginx.directory, "nginx-error.log"), "utf8").split("\n").filter((line) => line.includes("connect() failed")).length;
  let early = 0;
  await until("nginx has tried the one that is away", async () => (await joined(t, nginx.url, `early-${early++}`)) && failures() > 0);
  await startGateway(t, { redis, args, port: one.port });
  await two.stop("SIGKILL");
  const names = Array.from({ length: 30 }, (_, i) => `guest-${i}`);
  await Promise.all(names.map((name) => joined(t, nginx.url, name))); // nobody gets a 502
});
