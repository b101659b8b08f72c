// The Sentinels that other tests run against: they start, fail over, and can be broken in each way that a test needs.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { Process, until } from "../lib/harness.mjs";
import { startSentinels } from "../lib/sentinel.mjs";
import { startSentinelStandIn } from "../lib/sentinel-stand-in.mjs";

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

test("gateways' user may ask the Sentinels and hear of a new master, and nothing else", async (t) => {
  const sentinels = await startSentinels(t, { sentinelUser: "yukizuri", sentinelPassword: "word" });
  const [sentinel] = sentinels.sentinels;
  const as = (...words) => spawnSync("redis-cli", ["-p", String(sentinel.port), "--raw", "--no-auth-warning", "--user", "yukizuri", "-a", "word", ...words], { encoding: "utf8" }).stdout.trim();
  assert.equal(as("PING"), "PONG");
  assert.equal(as("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "yukizuri"), `127.0.0.1\n${sentinels.redis[0].port}`);
  assert.equal(as("SENTINEL", "SENTINELS", "yukizuri").match(/^ip$/gm).length, 2);
  assert.equal(as("CLIENT", "SETNAME", "yukizuri-1"), "OK");
  assert.match(as("SENTINEL", "MASTER", "yukizuri"), /^config-epoch\n0$/m);
  assert.match(as("SENTINEL", "MYID"), /^[0-9a-f]{40}$/);
  const listener = new Process(t, "redis-cli", ["-p", String(sentinel.port), "--no-auth-warning", "--user", "yukizuri", "-a", "word", "SUBSCRIBE", "+switch-master"]);
  await until("it listens", () => /subscribe\n.*\+switch-master/s.test(listener.output));
  for (const words of [["SENTINEL", "FAILOVER", "yukizuri"], ["SENTINEL", "SET", "yukizuri", "quorum", "1"], ["SENTINEL", "CONFIG", "GET", "*"], ["SHUTDOWN"], ["INFO"], ["SUBSCRIBE", "*"], ["PSUBSCRIBE", "*"], ["PUBLISH", "+switch-master", "x"], ["ACL", "LIST"]]) assert.match(as(...words), /^NOPERM/, words.join(" "));
  const next = await sentinels.failover();
  await until("it hears", () => listener.output.includes(`yukizuri 127.0.0.1 ${sentinels.redis[0].port} 127.0.0.1 ${next.port}`));
});

test("a stand-in answers as a Sentinel does, and names the old master for ever", async (t) => {
  const standIn = await startSentinelStandIn(t, 6399);
  const ask = (...words) => new Process(t, "redis-cli", ["-p", String(standIn.port), "--raw", ...words]);
  const answer = async (...words) => {
    const asking = ask(...words);
    await asking.ended;
    return asking.output.trim();
  };
  assert.equal(await answer("PING"), "PONG");
  assert.equal(await answer("SENTINEL", "get-master-addr-by-name", "yukizuri"), "127.0.0.1\n6399");
  const listener = ask("SUBSCRIBE", "+switch-master");
  await until("it listens", () => standIn.subscribers === 1);
  standIn.announce("yukizuri", 6399, 6400);
  await until("it hears", () => listener.output.includes("yukizuri 127.0.0.1 6399 127.0.0.1 6400"));
  standIn.master = null;
  assert.equal(await answer("SENTINEL", "get-master-addr-by-name", "other"), "");
  standIn.answers.SENTINEL = "-NOPERM no\r\n";
  assert.match(await answer("SENTINEL", "get-master-addr-by-name", "other"), /^NOPERM no/);
  assert.ok(standIn.asked.some((words) => words[2] === "other"));
});
