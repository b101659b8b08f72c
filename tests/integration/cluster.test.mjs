// Gateways on a Redis Cluster of three masters and three replicas, with both kinds of pub/sub. TEST_CROWD=1000 is the number of members in the
// room whose slot moves.
import assert from "node:assert/strict";
import test from "node:test";
import { makeCertificate } from "../lib/certificate.mjs";
import { startCluster } from "../lib/cluster.mjs";
import { joined, joinedFrom, metrics, ofKind, readyz, startGateway, startRedis, freePort, temporaryDirectory, until, untilReady } from "../lib/harness.mjs";
import { HEAD, ROOM } from "../lib/rooms.mjs";
import { startTalk } from "../lib/talk.mjs";

const crowd = Number(process.env.TEST_CROWD ?? 40);
const kinds = { classic: [], sharded: ["--redis-sharded-pubsub", "true"] };
const open = ["--rate", "0", "--rate-per-address", "0", "--joins-per-address", "0", "--max-connections-per-address", "0", "--handshakes-per-address", "0"];
const slot = (cluster) => cluster.slotOf(HEAD);

async function startTwo(t, args, { env, ...options } = {}) {
  const cluster = await startCluster(t, options);
  const start = () => startGateway(t, { redis: cluster.url, args: [...open, ...args], env });
  const gateways = [await start(), await start()];
  return { cluster, gateways, urls: gateways.map(({ url }) => url) };
}

/** Another master than the one that has the room. */
const otherMaster = (cluster) => cluster.currentMasters().find((node) => node !== cluster.masterOfSlot(slot(cluster)));

/** Waits until a command of each gateway was put off since the call: lines wait for the slot. */
async function waiting(gateways) {
  const putOff = (gateway) => metrics(gateway).then((all) => all.yukizuri_redis_redirections_total);
  const before = await Promise.all(gateways.map(putOff));
  await until("lines wait", async () => (await Promise.all(gateways.map(putOff))).every((count, i) => count > before[i]));
}

/** Kills the master that has the room, and waits until its replica has taken its place and people talk. */
async function killMaster(cluster, talk) {
  const dead = cluster.masterOfSlot(slot(cluster));
  await cluster.kill(dead);
  await cluster.replaced(dead, slot(cluster));
  await talk.goesOn();
}

/** How often somebody has connected to this node. */
const connections = (node) => Number(/total_connections_received:(\d+)/.exec(node.run("INFO", "stats"))[1]);

for (const [kind, args] of Object.entries(kinds)) {
  test(`${kind}: a room whose slot moves to another node while its members talk loses nothing, and nobody notices`, { timeout: 120000 }, async (t) => {
    const { cluster, urls, gateways } = await startTwo(t, args);
    const talk = await startTalk(t, urls, { count: crowd, talkers: 8 });
    const first = cluster.masterOfSlot(slot(cluster));
    const second = otherMaster(cluster);
    const lines = () => waiting(gateways);
    await cluster.move(slot(cluster), second, { keysAtOnce: Math.ceil(crowd / 8), opened: lines, betweenKeys: lines, moved: lines });
    await talk.goesOn();
    await cluster.move(slot(cluster), first, { keysAtOnce: 50, opened: lines, moved: lines });
    await talk.goesOn();
    await talk.assertUndisturbed();
    assert.equal((await metrics(gateways[0])).yukizuri_redis_nodes, 3);
  });

  test(`${kind}: a planned failover loses nothing`, { timeout: 120000 }, async (t) => {
    const { cluster, urls } = await startTwo(t, args);
    const talk = await startTalk(t, urls);
    await cluster.failover(cluster.replicasOf(cluster.masterOfSlot(slot(cluster)))[0]);
    await talk.goesOn();
    await talk.assertUnnoticed();
  });

  test(`${kind}: after a takeover and after the death of a master people talk on, and who missed something is told`, { timeout: 120000 }, async (t) => {
    const { cluster, urls, gateways } = await startTwo(t, args);
    const talk = await startTalk(t, urls);
    await cluster.failover(cluster.replicasOf(cluster.masterOfSlot(slot(cluster)))[0], "TAKEOVER");
    await talk.goesOn();
    await cluster.settled();
    await killMaster(cluster, talk);
    await talk.end();
    for (const gateway of gateways) await untilReady(gateway);
    for (const gateway of gateways) assert.equal(ofKind(gateway, "redis-node-lost").length, 1, JSON.stringify(ofKind(gateway, "redis-node-lost")));
  });

  test(`${kind}: a master that freezes is replaced, and what it does when it wakes up is shown to nobody`, { timeout: 120000 }, async (t) => {
    const { cluster, urls, gateways } = await startTwo(t, args);
    const talk = await startTalk(t, urls);
    const frozen = cluster.masterOfSlot(slot(cluster));
    cluster.stop(frozen);
    const next = await cluster.replaced(frozen, slot(cluster));
    await talk.goesOn();
    cluster.cont(frozen);
    await until("it is a replica", () => cluster.replicasOf(next).includes(frozen));
    await talk.goesOn();
    await talk.end();
    for (const gateway of gateways) await untilReady(gateway);
  });

  test(`${kind}: a line that a frozen master had not read is not taken for the next one when it wakes up`, { timeout: 120000 }, async (t) => {
    const { cluster, urls } = await startTwo(t, args);
    const [alice, bob] = [await joined(t, urls[0], "alice"), await joined(t, urls[1], "bob")];
    await alice.say("first");
    await bob.waitFor({ text: "first" });
    const frozen = cluster.masterOfSlot(slot(cluster));
    cluster.stop(frozen);
    assert.equal((await alice.refused({ type: "say", text: "lost", nonce: "lost" })).code, "unavailable");
    const next = await cluster.replaced(frozen, slot(cluster));
    for (const member of [alice, bob]) await member.waitFor({ type: "epoch" });
    cluster.cont(frozen);
    await until("it is a replica", () => cluster.replicasOf(next).includes(frozen));
    for (const member of [bob, alice]) await member.say(`from ${member === bob ? "bob" : "alice"}`);
    for (const member of [alice, bob]) {
      await member.waitFor({ text: "from alice" });
      assert.deepEqual(member.texts(), ["first", "from bob", "from alice"]);
    }
  });

  test(`${kind}: gateways that have to end while lines wait for their slot end in order`, { timeout: 60000 }, async (t) => {
    const { cluster, urls, gateways } = await startTwo(t, args);
    const talk = await startTalk(t, urls);
    await cluster.takeDown((slot(cluster) + 1) % 16384);
    await waiting(gateways);
    for (const status of await Promise.all(gateways.map((gateway) => gateway.stop()))) assert.deepEqual(status, { code: 0, signal: null });
  });

  test(`${kind}: while the cluster is down for seconds, what is said waits, and none of it is refused`, { timeout: 120000 }, async (t) => {
    const { cluster, urls, gateways } = await startTwo(t, args);
    const talk = await startTalk(t, urls);
    const giveBack = await cluster.takeDown((slot(cluster) + 1) % 16384);
    for (let i = 0; i < 20; i++) await waiting(gateways);
    await giveBack();
    await talk.goesOn();
    await talk.assertUndisturbed();
  });

  test(`${kind}: while the cluster is down for ten seconds, who talks is told that it cannot be, and afterwards each line is shown once`, { timeout: 120000 }, async (t) => {
    const { cluster, urls, gateways } = await startTwo(t, args);
    const talk = await startTalk(t, urls);
    const giveBack = await cluster.takeDown((slot(cluster) + 1) % 16384);
    const [clock, asked] = cluster.nodes;
    const [from, connected] = [clock.now(), connections(asked)];
    await until("ten seconds have passed", () => clock.now() >= from + 10000);
    assert.ok(connections(asked) - connected < 100, `nodes are not connected to all the time, but ${connections(asked) - connected} times`);
    assert.ok(talk.talkers.every(({ refusals }) => refusals.includes("unavailable")), JSON.stringify(talk.refusals));
    await giveBack();
    await talk.goesOn();
    await talk.assertWhole();
    assert.deepEqual(talk.refusals.filter((code) => code !== "unavailable"), []);
    for (const member of talk.members) assert.deepEqual(member.received.filter(({ type }) => type === "gap" || type === "epoch"), []);
    for (const gateway of gateways) await untilReady(gateway);
  });

  test(`${kind}: an operator reaches a room's members through any node`, { timeout: 60000 }, async (t) => {
    const { cluster, urls } = await startTwo(t, args);
    const [alice, bob] = [await joined(t, urls[0], "alice"), await joined(t, urls[1], "bob")];
    const publish = kind === "sharded" ? "SPUBLISH" : "PUBLISH";
    for (const node of cluster.nodes) {
      node.run("-c", publish, ROOM, `by way of ${node.port}`);
      for (const member of [alice, bob]) await member.waitFor({ type: "notice", text: `by way of ${node.port}` });
    }
    for (const member of [alice, bob]) assert.equal(member.received.filter(({ type }) => type === "notice").length, cluster.nodes.length);
    cluster.nodes[0].run("-c", "PUBLISH", "yukizuri:control", JSON.stringify({ do: "kick", room: "lobby", name: "bob", reason: "spam" }));
    await alice.waitFor((m) => m.type === "presence" && m.left.some(({ name }) => name === "bob"));
  });

  test(`${kind}: the members of a dead gateway are taken off by another`, { timeout: 60000 }, async (t) => {
    const { urls, gateways } = await startTwo(t, [...args, "--lease", "2", "--leave-grace", "2"]);
    const alice = await joined(t, urls[0], "alice");
    await joined(t, urls[1], "bob");
    await gateways[1].stop("SIGKILL");
    await alice.waitFor((m) => m.type === "presence" && m.left.some(({ name }) => name === "bob"));
    await until("it is logged", () => ofKind(gateways[0], "gateway-buried").length === 1);
  });
}

/** Whom gateways trust, as their environment says. */
const trusting = ({ cert }) => ({ ...process.env, SSL_CERT_FILE: cert });

test("with TLS, people talk while a slot moves to another node, and after the death of a master", { timeout: 120000 }, async (t) => {
  const certificate = makeCertificate(temporaryDirectory(t), "nodes", "IP:127.0.0.1");
  const { cluster, urls, gateways } = await startTwo(t, kinds.sharded, { certificate, env: trusting(certificate) });
  const talk = await startTalk(t, urls);
  const lines = () => waiting(gateways);
  await cluster.move(slot(cluster), otherMaster(cluster), { opened: lines, moved: lines });
  await talk.goesOn();
  assert.deepEqual(talk.refusals, []);
  for (const member of talk.members) assert.deepEqual(member.received.filter(({ type }) => type === "gap" || type === "epoch"), []);
  await cluster.settled();
  await killMaster(cluster, talk);
  await talk.end();
  for (const gateway of gateways) await untilReady(gateway);
});

test("a node whose certificate is unknown, or of another host, is told, and nobody says a password to it", { timeout: 60000 }, async (t) => {
  const certificate = makeCertificate(temporaryDirectory(t), "nodes", "DNS:localhost");
  const cluster = await startCluster(t, { replicas: 0, certificate });
  const said = async (env, sentence) => {
    const gateway = await startGateway(t, { redis: cluster.url, ready: false, env });
    await until("readyz says why", async () => sentence.test((await readyz(gateway)).body));
  };
  await said(process.env, /no node of the cluster can be used; 127\.0\.0\.1:\d+: TLS: certificate verify failed \(self-signed certificate\)/);
  await said(trusting(certificate), /no node of the cluster can be used; 127\.0\.0\.1:\d+: TLS: certificate verify failed \(IP address mismatch\)/);
  for (const node of cluster.nodes) assert.equal(node.calls("auth"), 0);
});

test("bans, rules and pressure are found on whatever node their keys are", { timeout: 60000 }, async (t) => {
  const { cluster, urls, gateways } = await startTwo(t, ["--trusted-proxy", "127.0.0.1"]);
  const run = (...command) => cluster.nodes[0].run("-c", ...command);
  const alice = await joined(t, urls[0], "alice");
  const mallory = await joinedFrom(t, urls[1], "mallory", "203.0.113.7");
  const trent = await joinedFrom(t, urls[1], "trent", "198.51.100.9");
  run("SET", "yukizuri:ban:203.0.113.0/24", "spam", "EX", "600");
  assert.deepEqual(await mallory.waitClosed(), { code: 4503, reason: "spam" });
  run("SET", "yukizuri:ban:198.51.100.9", "flood", "EX", "600");
  assert.deepEqual(await trent.waitClosed(), { code: 4503, reason: "flood" });
  run("PUBLISH", "yukizuri:control", JSON.stringify({ do: "mute", room: "lobby", name: "alice", for: 600 }));
  await until("she is muted", () => run("EXISTS", `${ROOM}:muted`) === "1");
  assert.equal((await alice.refused({ type: "say", text: "hello", nonce: "1" })).code, "muted");
  run("SET", "yukizuri:pressure", "3", "EX", "600");
  await until("both know the pressure", async () => (await Promise.all(gateways.map((gateway) => metrics(gateway)))).every((all) => all.yukizuri_pressure === 3));
});

test("newcomers come into the rooms of other masters while one is dead, and who turns out to be banned there is put out when it is back", { timeout: 60000 }, async (t) => {
  const { cluster, urls: [url] } = await startTwo(t, ["--trusted-proxy", "127.0.0.1"], { replicas: 0, settings: ["cluster-require-full-coverage no"] });
  const dead = otherMaster(cluster);
  const address = Array.from({ length: 250 }, (_, i) => `203.0.113.${i + 1}`).find((each) => cluster.masterOf(`yukizuri:ban:${each}`) === dead);
  await cluster.kill(dead);
  const mallory = await joinedFrom(t, url, "mallory", address);
  await mallory.say("hello");
  cluster.restart(dead);
  await cluster.settled();
  cluster.nodes[0].run("-c", "SET", `yukizuri:ban:${address}`, "spam", "EX", "600");
  assert.deepEqual(await mallory.waitClosed(), { code: 4503, reason: "spam" });
});

test("newcomers come in while a master is dead, also where more addresses than can be asked for at once are there", { timeout: 60000 }, async (t) => {
  const { cluster, gateways: [gateway], urls: [url] } = await startTwo(t, ["--trusted-proxy", "127.0.0.1"], { replicas: 0, settings: ["cluster-require-full-coverage no"] });
  await Promise.all(Array.from({ length: 150 }, (_, i) => joinedFrom(t, url, `guest-${i}`, `198.51.100.${i + 1}`)));
  await cluster.kill(otherMaster(cluster));
  await until("those who are there are asked for in vain", async () => (await metrics(gateway)).yukizuri_redis_timeouts_total >= 64);
  const bob = await joinedFrom(t, url, "bob", "203.0.113.7");
  await bob.say("hello");
});

test("a node that has not run a script yet does what it is asked in order: who leaves and joins again finds its name free", { timeout: 60000 }, async (t) => {
  const { cluster, gateways: [gateway] } = await startTwo(t, []);
  const rooms = cluster.currentMasters().map((master) => Array.from({ length: 100 }, (_, i) => `room-${i}`).find((room) => cluster.masterOf(`yukizuri:{${room}}:head`) === master));
  for (const room of rooms) {
    const alice = await joined(t, `${gateway.url}/${room}`, "alice");
    alice.sendTogether([{ type: "say", text: "bye" }, { type: "leave" }, { type: "join", name: "alice" }]);
    await until("a second welcome", () => alice.received.filter(({ type }) => type === "welcome").length === 2);
    assert.equal(alice.find({ type: "error" }), undefined);
  }
});

test("a master that dies and has no replica costs its own rooms only: in others who is gone leaves, and who comes is let in", { timeout: 60000 }, async (t) => {
  const cluster = await startCluster(t, { replicas: 0, settings: ["cluster-require-full-coverage no"] });
  const gateway = await startGateway(t, { redis: cluster.url, args: [...open, "--lease", "1", "--leave-grace", "1"] });
  const alice = await joined(t, gateway.url, "alice");
  const bob = await joined(t, gateway.url, "bob");
  await cluster.kill(otherMaster(cluster));
  bob.socket.terminate();
  await until("bob has left", () => alice.saw("left", "bob"));
  await alice.say("still here");
  await joined(t, gateway.url, "bob");
});

test("gateways that do not hear each other, because their channels are of two kinds, say so once", { timeout: 60000 }, async (t) => {
  const cluster = await startCluster(t);
  const start = (id, kind) => startGateway(t, { redis: cluster.url, args: [...open, ...kinds[kind], "--lease", "1", "--gateway-id", id] });
  const [first, same, other] = [await start("first", "classic"), await start("same", "classic"), await start("other", "sharded")];
  const differing = (gateway) => ofKind(gateway, "gateway-differs").map(({ level, id }) => [level, id]);
  await until("who is alone says so", () => differing(other).length > 0);
  await until("the others say so", () => differing(first).length > 0 && differing(same).length > 0);
  assert.equal(differing(other).length, 1, "it has two such neighbours");
  for (const gateway of [first, same]) assert.deepEqual(differing(gateway), [["error", "other"]]);
});

test("a lease that cannot be read does not say of which kind a gateway's channels are", { timeout: 60000 }, async (t) => {
  const cluster = await startCluster(t);
  const run = (...words) => cluster.nodes[0].run("-c", ...words);
  run("SET", "yukizuri:gateway:ghost", "broken", "EX", "600");
  run("SADD", "yukizuri:gateways", "ghost");
  const gateway = await startGateway(t, { redis: cluster.url, args: [...open, "--lease", "1"] });
  await until("the lease was read", async () => (await metrics(gateway))['yukizuri_redis_errors_total{code="WRONGTYPE"}'] > 0);
  assert.deepEqual(ofKind(gateway, "gateway-differs"), []);
});

test("one node that answers is enough as a seed, whatever the others are", { timeout: 60000 }, async (t) => {
  const cluster = await startCluster(t);
  const alone = await startRedis(t, { shipped: false });
  const url = cluster.urlThrough([await freePort(), alone.port, cluster.nodes.at(-1).port]); // a replica
  const gateway = await startGateway(t, { redis: url });
  const alice = await joined(t, gateway.url, "alice");
  await alice.say("hello");
});

test("seeds that are all wrong are told in a sentence", { timeout: 60000 }, async (t) => {
  const port = await freePort();
  const gateway = await startGateway(t, { redis: `redis-cluster://127.0.0.1:${port}`, ready: false });
  const sentence = `Redis cannot be reached: no node of the cluster can be used; 127.0.0.1:${port}: Connection refused; nobody listens there`;
  await until("it is told", async () => (await readyz(gateway)).body.includes(sentence));
  await until("it is logged", () => ofKind(gateway, "redis-lost").length === 1);
  const alone = await startRedis(t, { shipped: false });
  const other = await startGateway(t, { redis: `redis-cluster://127.0.0.1:${alone.port}`, ready: false });
  await until("it is told", async () => /ERR This instance has cluster support disabled; for a server without a cluster write redis:\/\//.test((await readyz(other)).body));
  const encrypted = await startGateway(t, { redis: `rediss-cluster://127.0.0.1:${alone.port}`, ready: false });
  await until("it is told", async () => /TLS was tried .+ write "redis" for "rediss"/.test((await readyz(encrypted)).body));
});

test("a node of a cluster that is named like a server by itself is told in a sentence, also when the default room is there", { timeout: 60000 }, async (t) => {
  const cluster = await startCluster(t);
  for (const { port } of cluster.nodes) {
    const gateway = await startGateway(t, { redis: cluster.urlThrough([port]).replace("redis-cluster:", "redis:"), ready: false });
    await until("it is told", async () => /; this is a node of a cluster: write redis-cluster:\/\//.test((await readyz(gateway)).body));
  }
});
