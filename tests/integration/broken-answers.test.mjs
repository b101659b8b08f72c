// Impossible answers of Redis: the connection ends with a log line, and the gateway reconnects.
import assert from "node:assert/strict";
import test from "node:test";
import { joined, startGateway, startRedis, stopwatch, unfit, until, untilReady } from "../lib/harness.mjs";
import { ROOM } from "../lib/rooms.mjs";
import { startSpoiledPath } from "../lib/redis-paths.mjs";

const head = (redis, field) => redis.run("HGET", `${ROOM}:head`, field);

test("while every answer has another epoch, stored events are read at a bounded rate; the room recovers when the epoch stays", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const redis = await startRedis(t);
  const path = await startSpoiledPath(t, redis);
  const gateway = await startGateway(t, { redis: path.url });
  const alice = await joined(t, gateway.url, "alice");
  await alice.say("one");
  const before = (await gateway.stats()).stream_reads;
  const epoch = head(redis, "epoch");
  let answers = 0;
  path.change = (bytes) => {
    const text = bytes.toString("latin1");
    return text.includes(epoch) ? Buffer.from(text.replaceAll(epoch, String(++answers).padStart(epoch.length, "e")), "latin1") : bytes;
  };
  redis.cut("pubsub"); // it subscribes again and reads the stored events
  const seconds = stopwatch();
  await until("it was answered so a few times", () => answers >= 6);
  const reads = (await gateway.stats()).stream_reads - before;
  assert.ok(reads <= 4 + 3 * seconds(), `${reads} reads in ${seconds()} s`);
  path.change = (bytes) => bytes;
  await alice.say("two");
  await alice.waitFor({ type: "message", text: "two" });
});

for (const [name, spoil] of [
  ["an array of two thousand million", "*2147483647\r\n"],
  ["an array of a hundred million in another one", "*2\r\n:1\r\n*100000000\r\n"],
  ["a string that goes on and on", `$9000000000000000000\r\n${"x".repeat(48 << 20)}`],
])
  test(`an answer that announces ${name} ends the connection with a log line, and the gateway reconnects`, { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
    const redis = await startRedis(t);
    const path = await startSpoiledPath(t, redis);
    const gateway = await startGateway(t, { redis: path.url });
    const alice = await joined(t, gateway.url, "alice");
    path.spoil = spoil;
    await until("the log says what came", () => gateway.log.some((line) => line.kind === "redis-lost" && /longer answer/.test(line.err)));
    await untilReady(gateway);
    await alice.say("one");
    await alice.waitFor({ type: "message", text: "one" });
  });
