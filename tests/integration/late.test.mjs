// What a gateway asked of Redis, and what is carried out when it is too late: the way to Redis stood
// still, or Redis did. Bugs that breaking things on purpose has found, each under its symptom.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import test from "node:test";
import { Member, atEnd, joined, lasting, startGateway, startRedis, until } from "../lib/harness.mjs";

/** A way to Redis that can be held up: what is sent meanwhile comes later, also of a connection that was
 * closed, as from a socket's buffer. Answers are held up apart, only those to commands, and of connections that are there. */
async function startPath(t, target) {
  const late = [];
  let held = false;
  let answersHeld = false;
  const asked = []; // since answers are held up
  const pass = (deliver) => (held ? late.push(deliver) : deliver());
  const sockets = new Set();
  const server = net.createServer((gateway) => {
    const redis = net.connect(target.port, "127.0.0.1");
    let talks = !answersHeld; // a command's connection
    gateway.on("data", (bytes) => {
      talks &&= !bytes.includes("SUBSCRIBE");
      if (answersHeld && talks) asked.push(bytes);
      pass(() => redis.write(bytes));
    });
    gateway.on("close", () => pass(() => redis.end()));
    const answer = (bytes) => gateway.destroyed || gateway.write(bytes);
    redis.on("data", (bytes) => (answersHeld && talks ? late.push(() => answer(bytes)) : answer(bytes)));
    redis.on("close", () => gateway.destroy());
    for (const socket of [gateway, redis]) sockets.add(socket.on("error", () => {}));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  atEnd(t, () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    url: target.urlAt("127.0.0.1", server.address().port),
    hold: () => (held = true),
    holdAnswers: () => (answersHeld = true),
    wasAsked: (word) => asked.some((bytes) => bytes.includes(word)),
    release() {
      held = answersHeld = false;
      for (const deliver of late.splice(0)) deliver();
    },
  };
}

/** Redis, a gateway, and one whose way to Redis can be held up; alice is on the first, and on the other somebody who
 * opened the room there. */
async function startRoom(t, { opened = true } = {}) {
  const redis = await startRedis(t);
  const path = await startPath(t, redis);
  const [near, far] = [await startGateway(t, { redis }), await startGateway(t, { redis: path.url, args: ["--gateway-id", "far"] })];
  const alice = await joined(t, near.url, "alice");
  if (opened) await joined(t, far.url, "carol");
  const session = () => redis.lines("HMGET", "yukizuri:{lobby}:member:alice", "gateway", "session");
  const comeBack = { type: "join", name: "alice", resume: alice.welcome.resume };
  return { redis, path, near, far, alice, session, comeBack };
}

test("a join that its gateway had given up took the member from the socket it was on by then", async (t) => {
  const { redis, path, near, far, alice, session, comeBack } = await startRoom(t);
  const before = session();
  const given = await new Member(t, far.url).opened();
  path.hold();
  const asLongAsItIsOfUse = lasting(5500);
  given.send(comeBack);
  await given.waitFor({ type: "error", code: "unavailable" });
  await asLongAsItIsOfUse;
  path.release();
  const judged = () => redis.run("INFO", "errorstats").includes("errorstat_LATE:count=1");
  await until("Redis has judged it", () => judged() || session().join() !== before.join());
  const bob = await joined(t, near.url, "bob");
  bob.send({ type: "say", text: "still here?" });
  await alice.waitFor({ type: "message", text: "still here?" });
  assert.equal(alice.closed, null);
  assert.deepEqual(session(), before);
});

for (const opened of [true, false])
  test(`a join that was held up took the member from a socket that had asked later; the room was ${opened ? "open" : "not open"} there`, async (t) => {
    const { path, near, far, session, comeBack } = await startRoom(t, { opened });
    const held = await new Member(t, far.url).opened();
    path.hold();
    held.send(comeBack);
    await lasting(400); // a gateway knows Redis' clock to a quarter of a second
    const later = await joined(t, near.url, "alice", { resume: comeBack.resume });
    const before = session();
    path.release();
    const answer = await held.waitFor(({ type }) => type === "welcome" || type === "error");
    assert.equal(answer.code, "unavailable");
    await later.settled();
    assert.equal(later.closed, null);
    assert.deepEqual(session(), before);
  });

test("a gateway that had been frozen asked for somebody who had gone meanwhile", async (t) => {
  const { near, far, session, comeBack } = await startRoom(t);
  const gone = await new Member(t, far.url).opened();
  const connections = (await far.stats()).connections;
  far.signal("SIGSTOP");
  atEnd(t, () => far.running && far.signal("SIGCONT"));
  gone.send(comeBack);
  gone.socket.terminate();
  await gone.waitClosed();
  const later = await joined(t, near.url, "alice", { resume: comeBack.resume });
  const before = session();
  far.signal("SIGCONT");
  await until("its gateway knows that it is gone", async () => (await far.stats()).connections < connections);
  await later.settled();
  assert.equal(later.closed, null);
  assert.deepEqual(session(), before);
});

test("the moment at which a member asked is of no use once Redis' clock has been set back", async (t) => {
  const { redis, near, far, alice, comeBack } = await startRoom(t);
  const key = "yukizuri:{lobby}:member:alice";
  const [asked] = redis.lines("HGET", key, "asked_at");
  assert.ok(Math.abs(Number(asked) - Date.now()) < 60000, `it is in ms of Redis' clock: ${asked}`);
  redis.run("HSET", key, "asked_at", String(Number(asked) + 3600000));
  const again = await joined(t, far.url, "alice", { resume: comeBack.resume });
  assert.equal((await alice.waitClosed()).code, 4409);
  redis.run("HSET", key, "asked_at", "broken by hand");
  await joined(t, near.url, "alice", { resume: comeBack.resume });
  assert.equal((await again.waitClosed()).code, 4409);
});

test("an answer to what was asked before the subscription was made again is not believed", async (t) => {
  const { redis, path, near, far } = await startRoom(t);
  const [bob, dora] = [await joined(t, near.url, "bob"), await joined(t, far.url, "dora")];
  const ids = () => redis.lines("CLIENT", "LIST", "TYPE", "pubsub").filter((line) => line.includes("name=yukizuri-far ")).map((line) => /^id=(\d+)/.exec(line)[1]);
  const cut = () => ids().forEach((id) => redis.run("CLIENT", "KILL", "ID", id));
  const say = async (text) => {
    bob.send({ type: "say", text, nonce: text });
    await bob.waitFor({ type: "ack", nonce: text });
  };
  const listening = () => until("it listens again", () => redis.run("PUBSUB", "NUMSUB", "yukizuri:{lobby}").endsWith("2"));
  path.holdAnswers();
  cut();
  await say("one");
  await listening();
  await until("it reads what it missed", () => path.wasAsked("$3\r\n500\r\n"));
  cut();
  await say("two"); // while the answer, which does not have it, is on its way
  await listening();
  path.release();
  await dora.waitFor({ type: "message", text: "two" });
  assert.deepEqual([dora.messages().map(({ text }) => text), dora.find({ type: "gap" })], [["one", "two"], undefined]);
});

test("one id is never two members: who came back under another name is not put back under the old one", async (t) => {
  const redis = await startRedis(t);
  const args = ["--lease", "1", "--leave-grace", "1"];
  const [stopped, other, third] = await Promise.all([0, 1, 2].map(() => startGateway(t, { redis, args })));
  const watcher = await joined(t, third.url, "watcher");
  const old = await joined(t, stopped.url, "old");
  const member = (name, field) => redis.run("HGET", `yukizuri:{lobby}:member:${name}`, field);
  stopped.signal("SIGSTOP");
  atEnd(t, () => stopped.running && stopped.signal("SIGCONT"));
  await until("it is thought dead", () => redis.run("EXISTS", "yukizuri:{lobby}:member:old") === "0");
  const { resume, me } = old.welcome;
  const again = await joined(t, other.url, "new", { resume });
  assert.equal(again.welcome.me.id, me.id);
  stopped.signal("SIGCONT");
  assert.equal((await old.waitClosed()).code, 4409);
  await again.settled();
  assert.equal(again.closed, null);
  assert.deepEqual([member("old", "id"), member("new", "id")], ["", me.id]);
  assert.deepEqual(redis.lines("SMEMBERS", "yukizuri:{lobby}:members").sort(), ["new", "watcher"]);
  assert.equal(watcher.closed, null);
});

test("who came back with its token, and then on another socket, is put back when its key is lost", async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, { redis, args: ["--lease", "1", "--leave-grace", "0"] });
  const first = await joined(t, gateway.url, "alice");
  const bob = await joined(t, gateway.url, "bob");
  first.socket.terminate();
  await until("she is gone", () => bob.saw("left", "alice"));
  const { resume, me } = first.welcome;
  await joined(t, gateway.url, "alice", { resume });
  const third = await joined(t, gateway.url, "alice", { resume });
  redis.run("DEL", "yukizuri:{lobby}:member:alice", "yukizuri:{lobby}:head"); // a new epoch: all are looked after soon
  bob.send({ type: "say", text: "wakes the room" });
  await until("she is put back", () => redis.run("HGET", "yukizuri:{lobby}:member:alice", "id") === me.id);
  await third.settled();
  assert.equal(third.closed, null);
});
