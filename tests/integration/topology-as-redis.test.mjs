// The topologies that stand in for a single Redis in all other tests (TEST_REDIS): they look like one.
import assert from "node:assert/strict";
import test from "node:test";
import { Process, until } from "../lib/harness.mjs";
import { startTopology } from "../lib/topologies.mjs";

const urls = {
  sentinel: /^redis-sentinel:\/\/yukizuri:a%20password%20of%20the%20tests@127\.0\.0\.1:\d+\/yukizuri$/,
  cluster: /^redis-cluster:\/\/yukizuri:a%20password%20of%20the%20tests@127\.0\.0\.1:\d+,127\.0\.0\.1:\d+,127\.0\.0\.1:\d+$/,
};
const keys = Array.from({ length: 20 }, (_, i) => `yukizuri:{room-${i}}:head`);

for (const kind of Object.keys(urls)) {
  const was = {}; // in the first test
  test(`${kind}: keys, statistics and connections of all servers are those of one`, async (t) => {
    const redis = await startTopology(t, { kind });
    assert.match(redis.url, urls[kind]);
    redis.run("CONFIG", "RESETSTAT");
    for (const key of keys) assert.equal(redis.run("SET", key, key), "OK");
    assert.equal(redis.calls("set"), keys.length);
    for (const key of keys) assert.equal(redis.run("GET", key), key);
    assert.deepEqual(redis.lines("KEYS", "*").sort(), [...keys].sort());
    assert.equal(redis.run("DBSIZE"), String(keys.length));
    assert.equal(redis.run("EXISTS", ...keys), String(keys.length));
    assert.equal(redis.run("DEL", ...keys.slice(1)), String(keys.length - 1));
    assert.deepEqual(redis.lines("KEYS", "*"), [keys[0]]);
    assert.equal(redis.run("EVAL", `return redis.call("GET", "${keys[0]}")`, "0"), keys[0]);
    const listener = new Process(t, "redis-cli", ["-p", String(redis.port), "SUBSCRIBE", "here"]);
    await until("it is counted", () => redis.lines("PUBSUB", "NUMSUB", "here")[1] === "1");
    redis.run("PUBLISH", "here", "word");
    await until("it hears", () => listener.output.includes("word"));
    assert.ok(Number(redis.cut("pubsub")) >= 1);
    await listener.ended;
    assert.ok(Math.abs(redis.now() - 1000 * Number(redis.lines("TIME")[0])) < 60000);
    Object.assign(was, { port: redis.port, pid: redis.pid });
  });

  test(`${kind}: the next test of a file gets it again, without its data`, async (t) => {
    const redis = await startTopology(t, { kind });
    assert.deepEqual({ port: redis.port, pid: redis.pid }, was);
    assert.deepEqual(redis.lines("KEYS", "*"), []);
    assert.equal(redis.calls("set"), 0);
    const second = await startTopology(t, { kind });
    assert.notEqual(second.port, redis.port);
  });

  test(`${kind}: it refuses writes, freezes, stops and starts again empty, and is not given to another test then`, async (t) => {
    const redis = await startTopology(t, { kind });
    redis.refuseWrites();
    for (const key of keys) assert.match(redis.run("SET", key, "x"), /^OOM/);
    redis.takeWrites();
    for (const key of keys) assert.equal(redis.run("SET", key, "x"), "OK");
    redis.freeze(t);
    redis.thaw();
    assert.equal(redis.run("DBSIZE"), String(keys.length));
    const { url, port } = redis;
    await redis.stop("SIGKILL");
    assert.ok(!redis.running);
    const again = await startTopology(t, { kind, port });
    assert.deepEqual([again.url, again.port, again.run("DBSIZE")], [url, port, "0"]);
    assert.equal(again.run("SET", keys[0], "x"), "OK");
    was.pid = again.pid;
  });

  test(`${kind}: what a test has changed or stopped is not given to the next`, async (t) => {
    const redis = await startTopology(t, { kind });
    assert.notEqual(redis.pid, was.pid);
  });
}
