// The cluster that other tests run against: it starts, moves slots, fails over, and can be broken in each way that a test needs.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { SLOTS, startCluster } from "../lib/cluster.mjs";
import { Process, redisPassword, until } from "../lib/harness.mjs";

test("a slot moves key by key, and a test sees the middle of it", async (t) => {
  const cluster = await startCluster(t);
  for (const key of ["yukizuri:{lobby}:head", "plain", "{}x", "a{}{b}c", "a{{b}}c", "{a}{b}", "{雪}", "a}b{c}"]) assert.equal(String(cluster.slotOf(key)), cluster.nodes[0].run("CLUSTER", "KEYSLOT", key), key);
  const slot = cluster.slotOf("{lobby}");
  const from = cluster.masterOf("yukizuri:{lobby}:head");
  const to = cluster.currentMasters().find((node) => node !== from);
  for (let i = 0; i < 25; i++) from.demand("SET", `yukizuri:{lobby}:${i}`, "x");
  const steps = [];
  const asked = (key) => from.run("GET", `yukizuri:{lobby}:${key}`);
  await cluster.move(slot, to, {
    keysAtOnce: 10,
    opened: () => steps.push(asked("none")),
    betweenKeys: (moved) => steps.push(moved),
    moved: () => steps.push(asked("1")),
  });
  assert.match(steps[0], /^ASK /);
  assert.deepEqual(steps.slice(1, -1), [10, 20, 25]);
  assert.match(steps.at(-1), /^ASK /);
  await cluster.settled();
  assert.equal(cluster.masterOf("yukizuri:{lobby}"), to);
  assert.match(asked("1"), /^MOVED /);
  assert.equal(to.run("GET", "yukizuri:{lobby}:1"), "x");
});

test("replicas that are asked take over, and their masters become replicas", async (t) => {
  const cluster = await startCluster(t);
  const slot = cluster.slotOf("{lobby}");
  for (const how of [undefined, "FORCE", "TAKEOVER"]) {
    const old = cluster.masterOfSlot(slot);
    const [replica] = cluster.replicasOf(old);
    await cluster.failover(replica, how);
    await cluster.settled();
    assert.equal(cluster.masterOfSlot(slot), replica);
    assert.deepEqual(cluster.replicasOf(replica), [old]);
  }
});

test("replicas of masters that die or freeze take over, and those who come back become replicas", async (t) => {
  const cluster = await startCluster(t);
  const slot = cluster.slotOf("{lobby}");
  const dead = cluster.masterOfSlot(slot);
  await cluster.kill(dead);
  const next = await cluster.replaced(dead, slot);
  await cluster.settled();
  const again = await cluster.restart(dead);
  await until("it is a replica", () => cluster.replicasOf(next).includes(again));
  await cluster.settled();

  cluster.stop(next);
  assert.equal(await cluster.replaced(next, slot), again);
  cluster.cont(next);
  await until("it is a replica", () => cluster.replicasOf(again).includes(next));
  await cluster.settled();
});

test("without one slot every node answers CLUSTERDOWN, until the slot is given back", async (t) => {
  const cluster = await startCluster(t, { replicas: 0 });
  const giveBack = await cluster.takeDown(SLOTS - 1);
  for (const node of cluster.nodes) assert.match(node.run("-c", "SET", "yukizuri:{lobby}:head", "x"), /^CLUSTERDOWN/);
  await giveBack();
  assert.equal(cluster.nodes[0].run("-c", "SET", "yukizuri:{lobby}:head", "x"), "OK");
});

test("gateways' user may do in a cluster what gateways need there", async (t) => {
  const cluster = await startCluster(t);
  const [node] = cluster.nodes;
  const as = (...words) => spawnSync("redis-cli", ["-p", String(node.port), "--raw", "--no-auth-warning", "--user", "yukizuri", "-a", redisPassword, ...words], { encoding: "utf8" }).stdout.trim();
  assert.match(as("CLUSTER", "INFO"), /^cluster_state:ok/);
  assert.ok(as("CLUSTER", "SHARDS").includes(cluster.nodes.at(-1).id));
  assert.ok(as("CLUSTER", "SLOTS").includes(node.id));
  assert.equal(as("ROLE").split("\n")[0], "master");
  assert.equal(as("ASKING"), "OK");
  assert.equal(as("WAIT", "1", "1000"), "1");
  assert.match(as("INFO", "replication"), /master_replid:/);
  const key = keyOf(cluster, node);
  const sha = as("SCRIPT", "LOAD", "return redis.call('SET', KEYS[1], 'x').ok");
  assert.equal(as("EVALSHA", sha, "1", key), "OK");
  const listener = new Process(t, "redis-cli", ["-p", String(node.port), "--no-auth-warning", "--user", "yukizuri", "-a", redisPassword, "SSUBSCRIBE", key]);
  await until("it listens", () => listener.output.includes("ssubscribe"));
  assert.equal(as("SPUBLISH", key, "word"), "1");
  await until("it hears", () => listener.output.includes("word"));
  assert.doesNotMatch(as("SUNSUBSCRIBE", key), /NOPERM/);
});

/** A key whose slot is the node's. */
function keyOf(cluster, node) {
  const names = Array.from({ length: 100 }, (_, i) => `yukizuri:{room-${i}}`);
  return names.find((name) => cluster.masterOf(name) === node);
}
