// What an operator publishes on yukizuri:control with redis-cli.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { Member, counts, joined, joinedFrom, lapse, metric, ofKind, startGateway, startRedis, top, topology, unfit, until } from "../lib/harness.mjs";
import { Resp } from "../lib/resp.mjs";

const args = ["--trusted-proxy", "127.0.0.1", "--leave-grace", "60", "--lease", "2", "--rate", "0"];
const from = (address) => ({ headers: { "X-Forwarded-For": address } });
const ROOM = "yukizuri:{lobby}";

/** Two gateways, and what they answer to commands. */
async function startTwo(t, more = []) {
  const redis = await startRedis(t);
  const gateways = [await startGateway(t, { redis, args: [...args, "--gateway-id", "g0", ...more] }), await startGateway(t, { redis, args: [...args, "--gateway-id", "g1", ...more] })];
  return { redis, gateways, order: (command) => order(redis, command) };
}

/** Publishes a command; as many gateways as redis-cli says get it. */
function order(redis, command) {
  const text = typeof command === "string" ? command : JSON.stringify({ room: "lobby", ...command });
  return Number(redis.run("PUBLISH", "yukizuri:control", text));
}

/** Listens to the answers, with redis-cli. */
async function listen(t, redis) {
  const answers = [];
  const listener = await Resp.connect(redis.port);
  t.after(() => listener.close());
  listener.onMessage = (_, text) => answers.push(JSON.parse(text));
  listener.call("PSUBSCRIBE", "yukizuri:control:done");
  await until("the listener is there", () => redis.run("PUBSUB", "NUMPAT") === "1");
  return answers;
}

const refusal = (member, text) => member.ask({ type: "say", text, nonce: text }, ({ type, nonce }) => (type === "error" || type === "ack") && nonce === text);
const stateKeys = (redis) => redis.lines("KEYS", "yukizuri:*").filter((key) => /:(muted|slow|locked)|:ban:/.test(key)).sort();
const ttl = (redis, key) => Number(redis.run("PTTL", key));

test("kick puts a member out by id, by name and by address, on whatever gateway; the room sees it leave at once, and its token is void", async (t) => {
  const { redis, gateways, order } = await startTwo(t);
  const answers = await listen(t, redis);
  const watcher = await joined(t, gateways[0].url, "watcher");
  for (const [name, whom] of [["one", ({ welcome }) => ({ id: welcome.me.id })], ["Two", () => ({ name: "tWO" })], ["three", () => ({ address: "203.0.113.0/24" })]]) {
    const member = await joinedFrom(t, gateways[1].url, name, "203.0.113.7");
    await until("it is seen", () => watcher.saw("joined", name));
    answers.length = 0;
    assert.equal(order({ do: "kick", reason: "enough", ...whom(member) }), 2);
    assert.deepEqual(await member.waitClosed(), { code: 4503, reason: "enough" });
    await until("it has left", () => watcher.saw("left", name));
    await until("both gateways answer", () => answers.length === 2);
    assert.deepEqual(answers.map(({ gateway, members }) => [gateway, members]).sort(), [["g0", 0], ["g1", 1]]);
    for (const answer of answers) assert.deepEqual([answer.do, answer.room, answer.until, answer.error], ["kick", "lobby", undefined, undefined]);
    const back = await joinedFrom(t, gateways[0].url, name, "203.0.113.7");
    assert.notEqual((await back.askToJoin("again", { resume: member.welcome.resume })).code, undefined, "it is in already");
    assert.notEqual(back.welcome.me.id, member.welcome.me.id);
    back.send({ type: "leave" });
  }
  assert.deepEqual(stateKeys(redis), []);
});

test("kick of a member whose connection is lost ends its grace", async (t) => {
  const { gateways, order } = await startTwo(t);
  const watcher = await joined(t, gateways[0].url, "watcher");
  const ghost = await joined(t, gateways[1].url, "ghost");
  await until("it is seen", () => watcher.saw("joined", "ghost"));
  ghost.socket.terminate();
  await until("it is a ghost", async () => (await metric(gateways[1], "ghosts")) === 1);
  order({ do: "kick", name: "ghost" });
  await until("it has left", () => watcher.saw("left", "ghost"));
  assert.equal(await metric(gateways[1], "ghosts"), 0);
});

test("kick with `for` bans the address on every gateway, and others at it; the ban ends by itself", async (t) => {
  const { redis, gateways, order } = await startTwo(t);
  const bad = await joinedFrom(t, gateways[0].url, "mallory", "203.0.113.7");
  const other = await joinedFrom(t, gateways[1].url, "alter ego", "203.0.113.7");
  const good = await joinedFrom(t, gateways[0].url, "alice", "203.0.113.8");
  order({ do: "kick", name: "mallory", for: 6, reason: "spam" });
  assert.equal((await bad.waitClosed()).code, 4503);
  const { message, until: end } = bad.find({ type: "error", code: "banned" });
  assert.equal(message, "spam");
  assert.ok(end > redis.now() && end <= redis.now() + 6000);
  assert.ok(ttl(redis, "yukizuri:ban:203.0.113.7") > 0);
  /** "welcome", an error's code, or 403: while another connection of the address is closing, the handshake is refused. */
  const tryAt = async (gateway) => {
    const member = new Member(t, gateway.url, from("203.0.113.7"));
    await until("it is opened or not", () => member.error || member.socket.readyState === 1);
    if (member.error) return /403/.exec(member.error)[0];
    const { type, code } = await member.askToJoin("mallory");
    return code ?? type;
  };
  const refused = async (gateway) => ["banned", "403"].includes(await tryAt(gateway));
  assert.ok(await refused(gateways[0]), "at once where it was");
  assert.equal((await other.waitClosed()).code, 4503);
  await until("it is refused on the other one", () => refused(gateways[1]));
  await until("it may come back", async () => (await tryAt(gateways[1])) === "welcome");
  assert.equal(good.closed, null);
  assert.deepEqual(stateKeys(redis), []);
});

test("kick of a block with `for` writes one ban, however many it meets, and it holds for all of the block", async (t) => {
  const { redis, gateways, order } = await startTwo(t);
  const answers = await listen(t, redis);
  const members = await Promise.all([0, 1, 2, 3].map((i) => joinedFrom(t, gateways[i % 2].url, `mallory${i}`, `203.0.113.${i + 1}`)));
  order({ do: "kick", address: "203.0.113.77/24", for: 60 });
  for (const member of members) assert.equal((await member.waitClosed()).code, 4503);
  await until("both answer", () => answers.length === 2);
  assert.deepEqual(answers.map(({ address }) => address), ["203.0.113.0/24", "203.0.113.0/24"]);
  assert.deepEqual(stateKeys(redis), ["yukizuri:ban:203.0.113.0/24"]);
  const stranger = await new Member(t, gateways[0].url, from("203.0.113.99")).opened();
  assert.equal((await stranger.askToJoin("stranger")).code, "banned");
});

test("who has only the address of a proxy is kicked, and neither banned nor told so; the operator is told why", async (t) => {
  const { redis, gateways, order } = await startTwo(t);
  const answers = await listen(t, redis);
  const member = await joined(t, gateways[1].url, "mallory");
  order({ do: "kick", name: "mallory", for: 60, reason: "spam" });
  assert.deepEqual(await member.waitClosed(), { code: 4503, reason: "spam" });
  assert.equal(member.find({ type: "error" }), undefined);
  await until("both answer", () => answers.length === 2);
  const { error, members } = answers.find(({ gateway }) => gateway === "g1");
  assert.match(error, /^Put out, but not banned/);
  assert.equal(members, 1);
  assert.deepEqual(stateKeys(redis), []);
  await joined(t, gateways[1].url, "mallory");
});

test("who is muted no longer leaves nothing behind, and the key lasts as long as those who still are", async (t) => {
  const { redis, order } = await startTwo(t);
  const muted = () => redis.lines("HKEYS", `${ROOM}:muted`).sort().join();
  order({ do: "mute", name: "short", for: 1 });
  order({ do: "mute", name: "a", for: 600 });
  order({ do: "mute", name: "b", for: 60 });
  await until("all are there", () => muted() === "name:a,name:b,name:short");
  const { end } = lapse(1000);
  assert.ok(ttl(redis, `${ROOM}:muted`) > 60000);
  await end();
  order({ do: "unmute", name: "a" });
  await until("the ended one is gone, too", () => muted() === "name:b");
  assert.ok(ttl(redis, `${ROOM}:muted`) <= 60000);
  order({ do: "unmute", name: "b" });
  await until("nothing is left", () => stateKeys(redis).length === 0);
});

test("mute by id, name and address refuses what is said and typed, on every gateway, and survives a reconnect; unmute ends it", async (t) => {
  const { redis, gateways, order } = await startTwo(t);
  const watcher = await joined(t, gateways[0].url, "watcher");
  const member = await joinedFrom(t, gateways[1].url, "Mallory", "203.0.113.7");
  const { id } = member.welcome.me;
  for (const whom of [{ id }, { name: "MALLORY" }, { address: "203.0.113.7" }, { address: "203.0.113.0/24" }]) {
    order({ do: "mute", for: 60, reason: "be quiet", ...whom });
    const error = await until("it is muted", async () => {
      const answer = await refusal(member, `muted? ${Math.random()}`);
      return answer.type === "error" && answer;
    });
    assert.deepEqual([error.code, error.message, error.accepted], ["muted", "be quiet", false]);
    assert.ok(error.until > redis.now() && error.until <= redis.now() + 60000);
    assert.equal((await member.ask({ type: "typing" }, ({ type }) => type === "error")).code, "muted");
    const again = await joinedFrom(t, gateways[0].url, "Mallory", "203.0.113.7").catch(() => null);
    assert.equal(again, null, "the name is its own");
    const moved = await new Member(t, gateways[0].url, from("203.0.113.7")).join("Mallory", { resume: member.welcome.resume });
    assert.equal(moved.welcome.me.id, id);
    assert.equal((await refusal(moved, "over there")).code, "muted");
    assert.ok(ttl(redis, `${ROOM}:muted`) > 50000);
    order({ do: "unmute", ...whom });
    await until("it may speak", async () => (await refusal(moved, `free? ${Math.random()}`)).type === "ack");
    assert.deepEqual(stateKeys(redis), []);
    const back = await new Member(t, gateways[1].url, from("203.0.113.7")).join("Mallory", { resume: member.welcome.resume });
    Object.assign(member, { socket: back.socket, received: back.received });
  }
  assert.ok(!watcher.texts().some((text) => text.startsWith("over")));
});

test("who is muted by address is muted as somebody else, too, and only in that room", async (t) => {
  const { gateways, order } = await startTwo(t);
  const first = await joinedFrom(t, gateways[0].url, "one", "203.0.113.7");
  order({ do: "mute", address: "203.0.113.7" });
  await until("it is muted", async () => (await refusal(first, `${Math.random()}`)).code === "muted");
  const second = await joinedFrom(t, gateways[1].url, "two", "203.0.113.7");
  assert.equal((await refusal(second, "x")).code, "muted");
  const elsewhere = await joinedFrom(t, `${gateways[1].url}/elsewhere`, "two", "203.0.113.7");
  assert.equal((await refusal(elsewhere, "x")).type, "ack");
});

test("slow mode lets each member say something every so often, and tells when; it ends with every 0 and by itself", async (t) => {
  const { redis, gateways, order } = await startTwo(t);
  const [alice, bob] = [await joined(t, gateways[0].url, "alice"), await joined(t, gateways[1].url, "bob")];
  order({ do: "slow", every: 600, for: 60 });
  await until("it is slow", () => redis.run("GET", `${ROOM}:slow`) !== "");
  for (const member of [alice, bob]) {
    const error = await until("the second one is refused", async () => {
      const answer = await refusal(member, `${Math.random()}`);
      return answer.type === "error" && answer;
    });
    assert.equal(error.code, "slow");
    assert.ok(error.retry_after > 500 && error.retry_after <= 600 && error.until > redis.now(), JSON.stringify(error));
  }
  assert.ok(ttl(redis, `${ROOM}:slow`) > 50000);
  order({ do: "slow", every: 0 });
  await until("nobody is held", async () => (await refusal(alice, `${Math.random()}`)).type === "ack");
  assert.deepEqual(stateKeys(redis), []);
  order({ do: "slow", every: 600, for: 1 });
  await until("it is over by itself", async () => (await refusal(bob, `${Math.random()}`)).type === "ack" && stateKeys(redis).length === 0);
});

test("a locked room takes nobody new, on any gateway; who has a good token comes back; members notice nothing", async (t) => {
  const { redis, gateways, order } = await startTwo(t);
  const alice = await joined(t, gateways[0].url, "alice");
  const bob = await joined(t, gateways[0].url, "bob");
  order({ do: "lock", for: 60, reason: "full house" });
  await until("the key is there", () => stateKeys(redis).length === 1);
  for (const gateway of gateways) {
    const stranger = await new Member(t, gateway.url).opened();
    const { code, message, until: end } = await stranger.askToJoin("stranger");
    assert.deepEqual([code, message], ["locked", "full house"]);
    assert.ok(end > redis.now() + 50000 && end <= redis.now() + 60000);
    assert.equal((await stranger.askToJoin("stranger", { resume: "AAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBB" })).code, "locked", "a token of nobody's");
    assert.equal((await stranger.askToJoin("alice")).code, "locked");
  }
  const back = await new Member(t, gateways[1].url).join("bob", { resume: bob.welcome.resume });
  assert.equal(back.welcome.me.id, bob.welcome.me.id);
  assert.equal((await refusal(alice, "all is well")).type, "ack");
  order({ do: "unlock" });
  await until("the key is gone", () => stateKeys(redis).length === 0);
  await joined(t, gateways[1].url, "stranger");
});

test("a lock holds also where its command has not come: Redis judges it with each join", async (t) => {
  const { redis, gateways } = await startTwo(t);
  const alice = await joined(t, gateways[0].url, "alice"); // the gateway knows the room's rules
  redis.run("SET", `${ROOM}:locked`, "full house", "EX", "60");
  const { code, message, until: end } = await (await new Member(t, gateways[0].url).opened()).askToJoin("stranger");
  assert.deepEqual([code, message], ["locked", "full house"]);
  assert.ok(end > redis.now() + 50000 && end <= redis.now() + 60000);
  await new Member(t, gateways[0].url).join("alice", { resume: alice.welcome.resume });
});

test("clear empties the view of all members, and no replay brings back what was said, without a gap", async (t) => {
  const { redis, gateways, order } = await startTwo(t);
  const [alice, bob] = [await joined(t, gateways[0].url, "alice"), await joined(t, gateways[1].url, "bob")];
  const position = { epoch: bob.welcome.epoch, seq: bob.welcome.seq };
  for (const text of ["bad one", "bad two"]) await alice.say(text);
  await bob.waitFor({ type: "message", text: "bad two" });
  order({ do: "clear", reason: "all gone" });
  for (const member of [alice, bob]) assert.deepEqual(await member.waitFor({ type: "notice" }), { type: "notice", kind: "clear", text: "all gone" });
  await until("Redis has forgotten it", () => !redis.run("XRANGE", `${ROOM}:recent`, "-", "+").includes("bad"));
  await alice.say("good");
  const third = await startGateway(t, { redis, args });
  for (const gateway of [gateways[1], third, gateways[0]]) {
    const back = await new Member(t, gateway.url).join("bob", { resume: bob.welcome.resume, since: position });
    await back.waitFor({ type: "message", text: "good" });
    assert.deepEqual([back.welcome.recovered, back.welcome.missed, back.texts(), back.gaps()], [true, 0, ["good"], []]);
  }
  assert.ok(ttl(redis, `${ROOM}:recent`) > 0);
});

test("what a gateway does is answered, logged without what people said, and counted; a command that is none is answered with why", async (t) => {
  const { redis, gateways, order } = await startTwo(t);
  const answers = await listen(t, redis);
  await joined(t, gateways[0].url, "alice");
  order({ do: "mute", name: "alice", for: 5 });
  await until("both answer", () => answers.length === 2);
  const [line] = await until("it is logged", () => { const lines = ofKind(gateways[0], "moderation"); return lines.length > 0 && lines; });
  assert.deepEqual([line.do, line.room, line.whom, line.members], ["mute", "lobby", "alice", "1"]);
  assert.equal(Number(line.until), answers.find(({ gateway }) => gateway === "g0").until);
  for (const gateway of gateways) assert.deepEqual(await counts(gateway, "moderation_total"), { mute: 1 });
  for (const [command, why] of [
    ["kick alice", /^This is not JSON/], ["[]", /^This is not JSON/], ['{"room":"lobby"}', /^"do" is missing/], [{ do: "ban", name: "alice" }, /is not known/], ['{"do":"lock"}', /^"room" is missing/],
    [{ do: "lock", room: "a b" }, /no name of a room/], [{ do: "kick" }, /^Whom/], [{ do: "clear", name: "alice" }, /about the whole room/], ["{" + " ".repeat(4096), /at most 4,096 bytes/], [{ do: "mute", id: "a", name: "b" }, /^Whom/], [{ do: "mute", address: "203.0.113.300" }, /^"address" is/],
    [{ do: "kick", address: "203.0.0.0/4", for: 60 }, /^"address" is/], [{ do: "lock", for: 0 }, /^"for"/], [{ do: "lock", for: "60" }, /^"for"/], [{ do: "lock", for: 31536001 }, /^"for"/],
    [{ do: "slow", every: 3601 }, /^"every"/], [{ do: "lock", reason: "a\nb" }, /^"reason"/], [{ do: "lock", reason: "x".repeat(201) }, /^"reason"/],
  ]) {
    answers.length = 0;
    order(command);
    await until(() => `both answer to ${JSON.stringify(command)}`, () => answers.length === 2);
    for (const { error, members } of answers) {
      assert.match(error, why);
      assert.equal(members, undefined);
    }
  }
  await until("the mute is over", () => stateKeys(redis).length === 0);
});

test("where the log may not have addresses, a command about one brings none there", async (t) => {
  const { redis, gateways: [gateway], order } = await startTwo(t, ["--log-address", "masked"]);
  const answers = await listen(t, redis);
  order({ do: "mute", address: "203.0.113.7", for: 1 });
  await until("both answer", () => answers.length === 2);
  const line = await until("it is logged", () => ofKind(gateway, "moderation")[0]);
  assert.equal(line.whom, "an address");
  assert.ok(!gateway.output.includes("203.0.113.7"), gateway.output);
});

test("a rule outlives the gateway that was there, and a gateway that comes later keeps it", async (t) => {
  const { redis, gateways, order } = await startTwo(t);
  const alice = await joined(t, gateways[0].url, "alice");
  order({ do: "lock", for: 60 });
  order({ do: "mute", name: "bob", for: 60 });
  order({ do: "slow", every: 600, for: 60 });
  await until("the keys are there", () => stateKeys(redis).length === 3);
  for (const gateway of gateways) gateway.signal("SIGKILL");
  const later = await startGateway(t, { redis, args });
  assert.equal((await (await new Member(t, later.url).opened()).askToJoin("stranger")).code, "locked");
  const back = await until("who was a member may come back", async () => {
    const member = await new Member(t, later.url).opened();
    return (await member.askToJoin("alice", { resume: alice.welcome.resume })).type === "welcome" && member;
  });
  assert.equal((await refusal(back, "one")).type, "ack");
  assert.equal((await refusal(back, "two")).code, "slow");
  order({ do: "unlock" });
  await until("it is open", () => stateKeys(redis).length === 2);
  assert.equal((await refusal(await joined(t, later.url, "bob"), "x")).code, "muted");
});

test("after Redis lost its memory, the gateways keep the rules and write them again, with their ends", async (t) => {
  const { redis, gateways, order } = await startTwo(t);
  const mallory = await joinedFrom(t, gateways[1].url, "mallory", "203.0.113.7");
  await joined(t, gateways[0].url, "alice");
  order({ do: "lock", for: 60 });
  order({ do: "mute", name: "alice", for: 60 });
  order({ do: "slow", every: 600, for: 60 });
  order({ do: "kick", name: "mallory", for: 60 });
  await mallory.waitClosed();
  await until("the keys are there", () => stateKeys(redis).length === 4);
  const before = stateKeys(redis);
  redis.run("FLUSHALL");
  const stranger = await new Member(t, gateways[0].url).opened();
  assert.equal((await stranger.askToJoin("stranger")).code, "locked", "the gateway knows");
  await until("the keys are back", () => stateKeys(redis).join() === before.join());
  for (const key of before) assert.ok(ttl(redis, key) > 0 && ttl(redis, key) <= 60000, key);
  const muted = redis.lines("HGETALL", `${ROOM}:muted`);
  assert.equal(muted[0], "name:alice");
});

test("a gateway whose channel was cut takes over what was ordered meanwhile", async (t) => {
  const { redis, gateways, order } = await startTwo(t);
  const [alice, bob] = [await joined(t, gateways[0].url, "alice"), await joined(t, gateways[1].url, "bob")];
  order({ do: "mute", name: "alice", for: 60 });
  await until("she is muted", async () => (await refusal(alice, `${Math.random()}`)).code === "muted");
  await until("it is cut while two commands come", () => {
    redis.cut("pubsub", "g0");
    return order({ do: "unmute", name: "alice" }) === 1;
  });
  await until("she may speak", async () => (await refusal(alice, `${Math.random()}`)).type === "ack");
  assert.equal(bob.closed, null);
});

test("in another database the channel bears its number", { skip: unfit("cluster", "a cluster has one database") }, async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis: `${redis.url}/1`, args });
  const alice = await joined(t, gateway.url, "alice");
  assert.equal(order(redis, { do: "kick", name: "alice" }), 0);
  assert.equal(Number(redis.run("PUBLISH", "yukizuri@1:control", '{"do":"kick","room":"lobby","name":"alice"}')), 1);
  assert.equal((await alice.waitClosed()).code, 4503);
});

test("each line of docs/redis.md that can be pasted does what it says, and leaves nothing without an end", async (t) => {
  const { redis, gateways } = await startTwo(t);
  const answers = await listen(t, redis);
  const text = fs.readFileSync(path.join(top, "docs/redis.md"), "utf8").split("## Moderation")[1].split("\n## ")[0];
  const lines = text.split("\n").filter((line) => line.startsWith("redis-cli "));
  assert.ok(lines.length >= 16, `${lines.length}`);
  const bothAnswer = (line) => until(() => `both gateways answer to ${line}`, () => answers.length === 2);
  const afterwards = async (what) => {
    answers.length = 0;
    order(redis, what);
    await bothAnswer(what.do);
  };
  const done = { PUBLISH: 0, SET: 0, DEL: 0, TTL: 0 };
  for (const line of lines) {
    const pressure = line.includes("yukizuri:pressure"); // nobody comes in then, until each gateway has read that it has ended
    const mallory = pressure ? null : await joinedFrom(t, gateways[0].url, "mallory", "198.51.100.7");
    answers.length = 0;
    const [, command] = line.match(/^redis-cli (\w+)/);
    const output = execFileSync("sh", ["-c", line.replace("redis-cli", `redis-cli -c -p ${redis.port}`)], { encoding: "utf8" }).trim();
    done[command]++;
    if (command === "SET") assert.equal(output, "OK", line);
    if (command === "DEL" || command === "TTL") assert.ok(Number(output) > 0, `${line}: ${output}`);
    if (command === "PUBLISH") {
      if (topology !== "cluster") assert.equal(output, "2", line); // there a node counts its own subscribers
      await bothAnswer(line);
      for (const answer of answers) assert.equal(answer.error, undefined, line);
      const byName = line.includes("mallory") ? 1 : 0;
      assert.equal(answers.reduce((sum, { members }) => sum + members, 0), /"do":"(slow|lock|unlock|clear)"/.test(line) ? 1 : byName, line);
    }
    for (const key of stateKeys(redis)) assert.ok(ttl(redis, key) > 0, `${line}: ${key}`);
    if (/"do":"(lock|kick)"/.test(line)) await afterwards({ do: "unlock" });
    if (line.includes('"kick"')) redis.run("DEL", "yukizuri:ban:198.51.100.7");
    if (pressure) await until(line, async () => (await metric(gateways[0], "pressure")) === (command === "SET" ? 2 : 0));
    if (!mallory) continue;
    mallory.socket.terminate();
    await afterwards({ do: "kick", name: "mallory" });
    await until("she is out", async () => (await metric(gateways[0], "members")) === 0);
  }
  assert.ok(Object.values(done).every((count) => count > 0), JSON.stringify(done));
});
