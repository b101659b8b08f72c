// The reason for the end of a connection, in the log and in the metrics.
import assert from "node:assert/strict";
import test from "node:test";
import { Member, counts, joined, ofKind, rawWebSocket, startGateway, startRedis, stopwatch, until, untilLogged } from "../lib/harness.mjs";
import { FLOODS, floodUntilClosed, talkUntilSlow } from "../lib/floods.mjs";

// --- The operator asks: why did a connection end? ---

const ENDS = {
  "closed by client": {
    by: "client", code: "1000",
    end: ({ alice }) => alice.socket.close(1000),
  },
  cut: {
    by: "network", code: "1006",
    end: ({ alice }) => alice.socket.terminate(),
  },
  "missed pong": {
    by: "gateway", code: "1006", args: ["--ping", "1"], ms: 30000,
    end: ({ alice }) => alice.socket.pause(),
  },
  "slow reader": {
    by: "gateway", code: "4408", args: ["--rate", "0", "--backlog", "65536"], ms: 60000,
    async end({ t, gateway, alice }) {
      const talker = await joined(t, gateway.url, "talker");
      alice.socket.pause();
      await talkUntilSlow(gateway, talker);
      alice.socket.resume();
    },
  },
  rate: {
    by: "gateway", code: "4429",
    end: ({ alice }) => floodUntilClosed(alice, FLOODS.lines),
  },
  "resumed elsewhere": {
    by: "gateway", code: "4409", leaves: false,
    end: ({ t, gateway, alice }) => joined(t, gateway.url, "alice", { resume: alice.welcome.resume }),
  },
  "protocol error": {
    by: "gateway", code: "1002",
    end: ({ alice }) => alice.socket._socket.write(Buffer.from([0x81, 0x01, 0x78])), // without a mask
  },
  "not text": {
    by: "gateway", code: "1003",
    end: ({ alice }) => alice.send(Buffer.from("binary")),
  },
  "max-message": {
    by: "gateway", code: "1009", args: ["--max-text", "10", "--max-message", "1000"],
    end: ({ alice }) => alice.send("x".repeat(1001)),
  },
  "max-fragments": {
    by: "gateway", code: "1009", args: ["--max-fragments", "2"],
    end({ alice }) {
      for (let i = 0; i < 3; i++) alice.socket.send("x", { fin: false });
    },
  },
};

for (const [why, { by, code, end, args = [], ms, leaves = true }] of Object.entries(ENDS)) {
  test(`a connection that ends with "${why}" is logged at that moment with its member, and counted under the same reason`, { timeout: 120000 }, async (t) => {
    const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--leave-grace", "1", ...args] });
    const alice = await joined(t, gateway.url, "alice");
    await end({ t, gateway, alice });
    const lines = () => ofKind(gateway, "lost").filter(({ username }) => username === "alice");
    await until("the line", () => lines().length > 0, ms);
    const [line] = lines();
    assert.deepEqual([line.why, line.by, line.code, line.id, line.remote_addr, line.room], [why, by, code, alice.welcome.me.id, "127.0.0.1", "lobby"]);
    for (const field of ["age", "queued", "refused"]) assert.match(line[field], /^\d+$/, field);
    const left = () => ofKind(gateway, "leave").find(({ id }) => id === alice.welcome.me.id);
    if (leaves) assert.equal((await until("it leaves", left)).message, why);
    assert.equal((await counts(gateway, "lost_total"))[why], 1);
    assert.equal((await counts(gateway, "closes_total"))[code], 1);
    assert.equal((await gateway.stats()).lost[why], 1);
  });
}

test("a gateway that was paused for longer than the pong timeout closes no connection", { timeout: 120000 }, async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--ping", "1"] });
  const members = await Promise.all(["alice", "bob"].map((name) => joined(t, gateway.url, name)));
  await gateway.freezeFor(12000); // ping + 10 s, and more
  await until("it runs again", async () => (await gateway.stats()).pings > 0);
  members[0].send({ type: "say", text: "hello", nonce: "1" });
  await members[1].waitFor({ type: "message", text: "hello" });
  assert.deepEqual(ofKind(gateway, "lost"), []);
});

test("a connection that a drain ends is not counted as a network loss", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const alice = await joined(t, gateway.url, "alice");
  gateway.signal("SIGTERM");
  assert.equal((await alice.waitClosed()).code, 1012);
  await gateway.ended;
  const [line] = ofKind(gateway, "lost");
  assert.deepEqual([line.why, line.by, line.code, line.username], ["drain", "gateway", "1012", "alice"]);
});

test("the end of a connection that had not joined is logged with its address", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t) });
  const visitor = await new Member(t, `${gateway.url}/den`).opened();
  visitor.socket.close(1001);
  const [line] = await untilLogged(gateway, "lost");
  assert.deepEqual([line.why, line.code, line.username, line.id, line.remote_addr, line.room], ["closed by client", "1001", undefined, undefined, "127.0.0.1", "den"]);
});

test("clients that connect and disconnect as fast as they can do not fill the log, and are counted", async (t) => {
  const gateway = await startGateway(t, { redis: await startRedis(t), args: ["--max-connections-per-address", "0"] });
  const alice = await joined(t, gateway.url, "alice");
  const seconds = stopwatch();
  let gone = 0;
  await until("the log says so", async () => {
    const visitors = await Promise.all(Array.from({ length: 50 }, () => rawWebSocket(t, gateway)));
    for (const visitor of visitors) visitor.destroy();
    gone += visitors.length;
    return ofKind(gateway, "strangers").length > 0;
  });
  await until("all are lost", async () => (await counts(gateway, "lost_total")).cut === gone);
  const [line] = ofKind(gateway, "strangers");
  assert.ok(Number(line.count) > 0);
  const written = ofKind(gateway, "lost").length;
  assert.ok(written <= 101 + 10 * seconds(), `${written} in ${seconds()} s`);
  const flooder = await new Member(t, gateway.url).opened();
  await floodUntilClosed(flooder, FLOODS.rubbish);
  await until("who floods is told all the same", () => ofKind(gateway, "flood").length > 0);
  alice.socket.terminate();
  await until("a member's line is written all the same", () => ofKind(gateway, "lost").some(({ username }) => username === "alice"));
});
