// The Sentinels that other tests run against: they start, fail over, and can be broken in each way that a test needs.
import assert from "node:assert/strict";
import test from "node:test";
import { until } from "../lib/harness.mjs";
import { startSentinels } from "../lib/sentinel.mjs";

test("a planned failover, a killed master and a frozen one are decided, and those who come back become replicas", async (t) => {
  const sentinels = await startSentinels(t);
  sentinels.setPeriod("info-period", 500);
  sentinels.setPeriod("publish-period", 200);
  const [first] = sentinels.redis;
  assert.equal(sentinels.master(), first);
  assert.equal(first.run("SET", "yukizuri:here", "1"), "OK");

  const planned = await sentinels.failover();
  assert.notEqual(planned, first);
  await sentinels.agreed(planned);
  assert.equal(planned.run("GET", "yukizuri:here"), "1");
  await sentinels.settled();

  await sentinels.kill(planned);
  const second = await sentinels.decided(planned);
  await sentinels.agreed(second);
  const again = await sentinels.restart(planned);
  await sentinels.settled();
  assert.equal(again.lines("ROLE")[0], "slave");
  assert.ok(sentinels.redis.includes(again) && !sentinels.redis.includes(planned));

  sentinels.stop(second);
  const third = await sentinels.decided(second);
  await sentinels.agreed(third);
  sentinels.cont(second);
  await sentinels.settled();
  assert.equal(second.lines("ROLE")[0], "slave");
});

test("a Sentinel that is cut off goes on naming the old master, until it is united with the others", async (t) => {
  const sentinels = await startSentinels(t, { sentinelUser: "yukizuri", sentinelPassword: "word" });
  const old = sentinels.master();
  const alone = sentinels.sentinels[2];
  sentinels.partition(alone);
  await until("it hears nothing from the master", () => alone.knows().flags.includes("s_down"));
  const next = await sentinels.failover();
  await sentinels.agreed(next);
  sentinels.stop(next);
  const third = await sentinels.decided(next);
  await sentinels.agreed(third);
  assert.equal(alone.named(), old.port);
  sentinels.cont(next);
  sentinels.unite(alone);
  await sentinels.agreed(third);
});
