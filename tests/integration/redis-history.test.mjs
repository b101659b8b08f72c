// A Redis that continues with another history: restarted from a snapshot, or a replica that was
// promoted, with and without the last messages. A number in an epoch never means two events.
import assert from "node:assert/strict";
import test from "node:test";
import { Member, joined, memberThatIsIn, startGateway, startRedis, temporaryDirectory, unfit, until, untilReady } from "../lib/harness.mjs";
import { HEAD, ROOM, renewalsPass } from "../lib/rooms.mjs";
import { startAddress } from "../lib/redis-paths.mjs";

const epochs = (member) => member.received.filter(({ type }) => type === "epoch");

/** Says these lines one after the other, and waits for each ack. */
async function say(member, ...lines) {
  for (const text of lines) {
    const { epoch } = member.received.findLast((m) => m.epoch) ?? {};
    member.send({ type: "say", text, nonce: text, epoch });
    await member.waitFor({ type: "ack", nonce: text });
  }
}

/** Starts a Redis that can be restarted from its snapshot, two gateways, and a member on each. */
async function startRoom(t, more = []) {
  const args = ["--dir", temporaryDirectory(t)];
  const redis = await startRedis(t, { args });
  const gateways = [await startGateway(t, { redis, args: more }), await startGateway(t, { redis, args: more })];
  const [alice, bob] = [await joined(t, gateways[0].url, "alice"), await joined(t, gateways[1].url, "bob")];
  await alice.waitFor((m) => m.type === "presence" && m.count === 2);
  return {
    redis, gateways, alice, bob,
    restart: async () => {
      await redis.stop("SIGKILL");
      return startRedis(t, { port: redis.port, args });
    },
    ready: (...some) => Promise.all(some.map((gateway) => untilReady(gateway))),
  };
}

test("when Redis returns with an older state, members who saw more get a gap, and no acknowledged message is missing or shown twice", async (t) => {
  const { redis, gateways, alice, bob, restart, ready } = await startRoom(t);
  await say(bob, "kept");
  redis.run("SAVE");
  await say(bob, "lost 1", "lost 2");
  await alice.waitFor({ type: "message", text: "lost 2" });
  const first = redis.run("HGET", HEAD, "epoch");
  const at = Number(redis.run("HGET", HEAD, "seq"));
  gateways[0].freeze(t);
  const again = await restart();
  await bob.insist("new 1");
  await bob.waitFor({ type: "gap" });
  await say(bob, "new 2", "new 3", "new 4");
  gateways[0].thaw();
  await alice.waitFor({ type: "message", text: "new 4" });
  await ready(...gateways);
  for (const member of [alice, bob]) {
    assert.deepEqual(member.texts(), ["kept", "lost 1", "lost 2", "new 1", "new 2", "new 3", "new 4"]);
    assert.equal(member.gaps().length, 1, JSON.stringify(member.gaps()));
    assert.deepEqual(member.gaps()[0], { type: "gap", missed: 0, epoch: again.run("HGET", HEAD, "epoch"), seq: at - 2 });
    assert.equal(member.closed, null);
  }
  assert.notEqual(again.run("HGET", HEAD, "epoch"), first);
  assert.equal(again.run("HGET", HEAD, "forks"), `${first}:${at - 2}`);
  assert.match(again.run("INFO", "replication"), new RegExp(`master_replid:${again.run("HGET", HEAD, "history")}`));
});

test("when Redis returns with an older state, members who had not seen more get no gap", async (t) => {
  const { redis, gateways, alice, bob, restart } = await startRoom(t);
  await say(bob, "kept");
  await alice.waitFor({ type: "message", text: "kept" });
  redis.run("SAVE");
  gateways[0].freeze(t); // alice's gateway receives nothing of what follows
  await say(bob, "lost");
  await restart();
  await bob.insist("new");
  gateways[0].thaw();
  await alice.waitFor({ type: "message", text: "new" });
  await until("bob is told once", () => bob.gaps().length === 1);
  // her gateway may have received the lost message before it was stopped
  const sawLost = alice.texts().includes("lost");
  assert.deepEqual(alice.texts(), sawLost ? ["kept", "lost", "new"] : ["kept", "new"]);
  assert.deepEqual([alice.gaps().length, epochs(alice).length], sawLost ? [1, 0] : [0, 1]);
});

test("members do not notice a restart without loss, and the numbers continue in another epoch", async (t) => {
  const { redis, gateways, alice, bob, restart, ready } = await startRoom(t);
  await say(bob, "before");
  await alice.waitFor({ type: "message", text: "before" });
  const before = { epoch: redis.run("HGET", HEAD, "epoch"), seq: Number(redis.run("HGET", HEAD, "seq")) };
  redis.run("SAVE");
  const again = await restart();
  await ready(...gateways);
  for (const member of [alice, bob]) await member.waitFor({ type: "epoch" });
  await say(alice, "after");
  for (const member of [alice, bob]) {
    const { seq } = await member.waitFor({ type: "message", text: "after" });
    assert.equal(seq, before.seq + 1);
    assert.deepEqual(epochs(member), [{ type: "epoch", epoch: again.run("HGET", HEAD, "epoch"), seq: before.seq }]);
    assert.deepEqual([member.gaps().length, member.texts()], [0, ["before", "after"]]);
    assert.equal(member.received.filter(({ type }) => type === "members").length, 0);
  }
  assert.notEqual(epochs(alice)[0].epoch, before.epoch);
});

test("a member who resumes from an earlier epoch and saw nothing that was lost is recovered", async (t) => {
  const { redis, gateways, alice, bob, restart, ready } = await startRoom(t);
  await say(bob, "one", "two");
  const { seq } = await alice.waitFor({ type: "message", text: "one" });
  await alice.waitFor({ type: "message", text: "two" });
  alice.socket.terminate();
  redis.run("SAVE");
  await restart();
  await ready(...gateways);
  await bob.waitFor({ type: "epoch" });
  await say(bob, "three");
  const { resume, epoch, me } = alice.welcome;
  const back = await joined(t, gateways[1].url, "alice", { resume, since: { epoch, seq } });
  assert.deepEqual([back.welcome.me.id, back.welcome.recovered, back.welcome.missed], [me.id, true, 0]);
  await back.waitFor({ type: "message", text: "three" });
  assert.deepEqual([back.texts(), back.gaps().length], [["two", "three"], 0]);
});

test("a member who resumes from before the fork is recovered, even if its gateway had seen the lost events", async (t) => {
  const { redis, gateways, alice, bob, restart, ready } = await startRoom(t);
  await say(bob, "one");
  const { seq } = await alice.waitFor({ type: "message", text: "one" });
  alice.socket.terminate();
  await say(bob, "two", "three");
  redis.run("SAVE");
  await say(bob, "lost");
  await restart();
  await ready(...gateways);
  await bob.waitFor({ type: "gap" });
  await bob.insist("new");
  const { resume, epoch } = alice.welcome;
  for (const { url } of gateways) {
    const back = await joined(t, url, "alice", { resume, since: { epoch, seq } });
    assert.deepEqual([back.welcome.recovered, back.welcome.missed], [true, 0]);
    await back.waitFor({ type: "message", text: "new" });
    assert.deepEqual([back.texts(), back.gaps().length], [["two", "three", "new"], 0]);
  }
});

test("a gateway that was paused during two histories gets all messages after the common one", async (t) => {
  const { redis, gateways, alice, bob, restart, ready } = await startRoom(t);
  await say(bob, "one");
  await alice.waitFor({ type: "message", text: "one" });
  gateways[0].freeze(t);
  redis.run("DEL", HEAD);
  bob.send({ type: "say", text: "wakes the room", nonce: "0" });
  await bob.waitFor({ type: "gap" });
  await say(bob, "two", "three");
  redis.run("SAVE");
  await restart();
  await ready(gateways[1]);
  await bob.waitFor({ type: "epoch" });
  await say(bob, "four");
  gateways[0].thaw();
  await alice.waitFor({ type: "message", text: "four" });
  assert.deepEqual(alice.texts(), ["one", "wakes the room", "two", "three", "four"]);
  assert.equal(alice.gaps().length, 1);
});

test("a member who resumes from an earlier epoch and saw lost events gets a gap and the replacing events", async (t) => {
  const { redis, gateways, alice, bob, restart, ready } = await startRoom(t);
  await say(bob, "kept");
  redis.run("SAVE");
  await say(bob, "lost");
  const { seq } = await alice.waitFor({ type: "message", text: "lost" });
  alice.socket.terminate();
  await restart();
  await ready(...gateways);
  await bob.insist("new");
  const { resume, epoch } = alice.welcome;
  const back = await joined(t, gateways[0].url, "alice", { resume, since: { epoch, seq } });
  assert.equal(back.welcome.recovered, false);
  await back.waitFor({ type: "message", text: "new" });
  assert.deepEqual(back.texts(), ["new"]);
  assert.deepEqual(back.gaps().map(({ missed, seq: at }) => [missed, at]), [[0, seq - 1]]);
});

for (const [how, args] of [["a moment later", []], ["after it had left", ["--leave-grace", "0"]]])
  test(`after a room's head was lost, a member who resumes gets the messages of the new epoch: ${how}`, async (t) => {
    const redis = await startRedis(t);
    const [near, far] = await Promise.all([0, 1].map(() => startGateway(t, { redis, args: ["--rate", "0", ...args] })));
    const bob = await joined(t, near.url, "bob");
    const lines = (letter, count) => Array.from({ length: count }, (_, i) => `${letter}${i}`);
    await say(bob, ...lines("a", 30));
    const alice = await joined(t, near.url, "alice");
    redis.run("DEL", HEAD);
    await bob.insist("first");
    const { seq } = await alice.waitFor({ type: "message", text: "first" });
    const { epoch, resume, me } = { ...alice.welcome, ...(await alice.waitFor({ type: "gap" })) };
    assert.ok(seq < 30, "numbers began again");
    alice.socket.terminate();
    if (args.length > 0) await until("she has left", () => bob.saw("left", "alice"));
    await say(bob, ...lines("c", 40));
    const back = await joined(t, far.url, "alice", { resume, since: { epoch, seq } });
    assert.deepEqual([back.welcome.me.id, back.welcome.recovered, back.welcome.missed], [me.id, true, 0]);
    await back.waitFor({ type: "message", text: "c39" });
    assert.deepEqual([back.texts(), back.gaps().length], [lines("c", 40), 0]);
  });

test("a member who left after the snapshot is removed when Redis returns with it", async (t) => {
  const { redis, gateways, alice, bob, restart, ready } = await startRoom(t, ["--lease", "2", "--leave-grace", "1"]);
  const carol = await joined(t, gateways[1].url, "carol");
  await alice.waitFor((m) => m.type === "presence" && m.count === 3);
  redis.run("SAVE");
  carol.send({ type: "leave" });
  await alice.waitFor((m) => m.type === "presence" && m.count === 2 && m.left.length === 1);
  const again = await restart();
  await ready(...gateways);
  await until("she is taken off again", () => again.run("SCARD", "yukizuri:{lobby}:members") === "2");
  for (const member of [alice, bob]) {
    await until("the list is told", () => member.received.findLast((m) => m.type === "members" || m.type === "presence")?.count === 2);
    assert.equal(member.closed, null);
  }
  assert.deepEqual(again.lines("SMEMBERS", "yukizuri:{lobby}:members").sort(), ["alice", "bob"]);
  await joined(t, gateways[0].url, "carol");
});

test("a member on its way from a draining gateway is not removed as a leftover after Redis returned with an older state", { skip: unfit("cluster", "the path leads to one server") }, async (t) => {
  const { redis, gateways, alice, bob, restart } = await startRoom(t, ["--lease", "2", "--leave-grace", "1", "--drain", "20"]);
  const others = await Promise.all(Array.from({ length: 8 }, (_, i) => joined(t, gateways[0].url, `other ${i}`)));
  await say(bob, "kept");
  redis.run("SAVE");
  await say(bob, "lost");
  const again = await restart();
  await bob.insist("new");
  await until("the room has noticed", () => alice.gaps().length === 1);
  gateways[0].signal("SIGTERM");
  await alice.waitFor({ type: "reconnect" });
  alice.socket.terminate();
  await renewalsPass(again, again.run("HGET", `${ROOM}:member:bob`, "gateway"), 7); // longer than a lease and the grace period
  assert.ok(others.some(({ closed }) => closed === null), "the gateway is still there for some");
  assert.equal(bob.saw("left", "alice"), false);
  const { resume, me } = alice.welcome;
  const back = await joined(t, gateways[1].url, "alice", { resume });
  assert.equal(back.welcome.me.id, me.id);
  gateways[0].signal("SIGINT");
});

/** Starts a master, and a replica behind a path on which replication can be interrupted. */
async function startPair(t) {
  const [master, directory] = [await startRedis(t, { alone: true }), temporaryDirectory(t)];
  const replication = await startAddress(t, master.port);
  const replica = await startRedis(t, { args: ["--dir", directory, "--replicaof", "127.0.0.1", String(replication.port), "--repl-diskless-sync-delay", "0"] });
  const address = await startAddress(t, master.port);
  await until("the replica has everything", () => replica.run("INFO", "replication").includes("master_link_status:up"));
  return {
    master, replica, address,
    behind: () => ((replication.target = 1), replication.cut()), // without a listener
    caughtUp: () => until("the replica has everything", () => replica.run("HGET", HEAD, "seq") === master.run("HGET", HEAD, "seq")),
    promote: async () => {
      replica.run("REPLICAOF", "NO", "ONE");
      address.target = replica.port;
      await master.stop("SIGKILL");
      address.cut();
    },
  };
}

test("when a replica without the last lines is promoted, members who saw them get a gap, and then the following lines", async (t) => {
  const { replica, address, behind, caughtUp, promote } = await startPair(t);
  const gateways = [await startGateway(t, { redis: address.url }), await startGateway(t, { redis: address.url })];
  const [alice, bob] = [await joined(t, gateways[0].url, "alice"), await joined(t, gateways[1].url, "bob")];
  await say(bob, "kept");
  await caughtUp();
  behind();
  await say(bob, "lost");
  await alice.waitFor({ type: "message", text: "lost" });
  await promote();
  await bob.insist("new");
  for (const member of [alice, bob]) {
    await member.waitFor({ type: "message", text: "new" });
    assert.deepEqual([member.texts(), member.gaps().length], [["kept", "lost", "new"], 1]);
  }
  const late = await joined(t, gateways[0].url, "late");
  assert.equal(late.welcome.epoch, replica.run("HGET", HEAD, "epoch"));
});

test("members do not notice a planned switchover to a complete replica", async (t) => {
  const { address, caughtUp, promote } = await startPair(t);
  const gateways = [await startGateway(t, { redis: address.url }), await startGateway(t, { redis: address.url })];
  const [alice, bob] = [await joined(t, gateways[0].url, "alice"), await joined(t, gateways[1].url, "bob")];
  await say(bob, "before");
  await alice.waitFor({ type: "message", text: "before" });
  await caughtUp();
  await promote();
  for (const member of [alice, bob]) await member.waitFor({ type: "epoch" });
  await say(bob, "after");
  for (const member of [alice, bob]) {
    await member.waitFor({ type: "message", text: "after" });
    assert.deepEqual([member.texts(), member.gaps().length], [["before", "after"], 0]);
  }
});

test("a gateway never subscribes to one Redis while its scripts run in another", async (t) => {
  const { master, replica, address, caughtUp } = await startPair(t);
  const here = await startGateway(t, { redis: address.url, args: ["--gateway-id", "here"] });
  const old = await startGateway(t, { redis: master });
  const [alice, carol] = [await joined(t, here.url, "alice"), await joined(t, old.url, "carol")];
  await say(carol, "before");
  await alice.waitFor({ type: "message", text: "before" });
  await caughtUp();
  replica.run("REPLICAOF", "NO", "ONE"); // the old master continues
  address.target = replica.port;
  master.cut("normal", "here");
  await until("its scripts run in the new one", () => replica.run("CLIENT", "LIST").includes("name=yukizuri-here"));
  await memberThatIsIn(t, here.url, "dave");
  await say(carol, "stale 1", "stale 2", "stale 3");
  await alice.insist("new");
  await alice.waitFor({ type: "message", text: "new" });
  assert.deepEqual(alice.texts().filter((text) => text.startsWith("stale")), []);
  assert.ok(!master.run("CLIENT", "LIST", "TYPE", "pubsub").includes("name=yukizuri-here "));
});

test("when a replica is promoted under an open connection, a feed that kept its subscription is told first", async (t) => {
  const { replica } = await startPair(t);
  // A gateway on the replica itself: it cannot write there until the promotion.
  const gateway = await startGateway(t, { redis: replica, ready: false });
  const alice = await new Member(t, gateway.url).opened();
  replica.run("REPLICAOF", "NO", "ONE");
  await untilReady(gateway);
  await alice.join("alice");
  await say(alice, "one");
  const lines = Number((await gateway.stats()).redis_lost);
  replica.run("HSET", HEAD, "history", "of-before"); // as after a promotion
  alice.send({ type: "say", text: "two", nonce: "two" });
  await alice.waitFor({ type: "message", text: "two" });
  assert.deepEqual(alice.received.slice(-3).map(({ type }) => type).sort(), ["ack", "epoch", "message"]);
  assert.ok(alice.received.indexOf(alice.find({ type: "epoch" })) < alice.received.indexOf(alice.find({ type: "message", text: "two" })));
  assert.deepEqual([alice.texts(), alice.gaps().length], [["one", "two"], 0]);
  assert.equal(Number((await gateway.stats()).redis_lost), lines);
});

test("a line repeated from an earlier epoch is answered from a known nonce, or else refused", async (t) => {
  const { redis, gateways, bob, restart, ready } = await startRoom(t);
  const { epoch } = bob.welcome;
  await say(bob, "known");
  const { seq } = bob.find({ type: "ack", nonce: "known" });
  redis.run("SAVE");
  await say(bob, "forgotten");
  await restart();
  await ready(...gateways);
  bob.received.length = 0;
  bob.send({ type: "say", text: "known", nonce: "known", epoch });
  assert.equal((await bob.waitFor({ type: "ack", nonce: "known" })).seq, seq);
  bob.send({ type: "say", text: "forgotten", nonce: "forgotten", epoch });
  const { code, accepted } = await bob.waitFor({ type: "error", nonce: "forgotten" });
  assert.deepEqual([code, accepted], ["epoch_changed", false]);
});
